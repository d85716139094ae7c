"""Names of the forgotten go out of others' texts, and all else stays."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.archive.nameless import NOBODY, without_names

# -- names out of a text

NAMES = st.text(st.characters(exclude_characters="<>", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name.strip() == name and name != NOBODY
)
PLAIN = st.text(st.sampled_from("ab @\n.🫖é"), max_size=6)
TAGS = st.sampled_from(["<@1>", "<@!1>", "<@2>", "<#20>", "<:pot:77>", "<a:pot:78>", "<t:1700000000>"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(PLAIN, TAGS), max_size=4), PLAIN, NAMES, NAMES, st.booleans())
def test_names_go_and_all_else_stays(
    pieces: list[tuple[str, str]], end: str, name: str, other: str, named_emoji: bool
) -> None:
    shown = {
        "<@1>": f"@{name}", "<@!1>": f"@{name}", "<@2>": f"@{other}", "<#20>": "#kitchen", "<t:1700000000>": "noon",
        "<:pot:77>": ":pot:" if named_emoji else "<:pot:77>", "<a:pot:78>": ":pot:",
    }  # fmt: skip
    content = "".join(text + tag for text, tag in pieces) + end
    rendered = "".join(text + shown[tag] for text, tag in pieces) + end
    nameless = "".join(text + (f"@{NOBODY}" if "1>" in tag else shown[tag]) for text, tag in pieces) + end
    found_ = without_names(content, rendered, [1])
    # Only what can be read in several ways, or in too many, is given as the raw text.
    assert found_ in (nameless, re.sub("<@!?1>", f"@{NOBODY}", content))
    plain = not set(name + other) & set("@#:<> ab.\n🫖é") and "<t:" not in content
    if "1>" not in content or (plain and all(text or not place for place, (text, _) in enumerate(pieces))):
        assert found_ == nameless


@pytest.mark.parametrize(
    ("content", "rendered", "without"),
    [
        ("<@1>", "@Mia", "@someone"),
        ("hi <@1>, <@2>!", "hi @Mia, @Tom!", "hi @someone, @Tom!"),
        ("<@1><@1>", "@Mia@Mia", "@someone@someone"),
        ("<@12> and <@1>", "@Mia K and @Mia", "@Mia K and @someone"),
        # Rendered otherwise than we do: the raw text is the safe one.
        ("<@1> said **so**", "Mia said so", "@someone said **so**"),
        ("<@1><@2>", "@Mia@Tom", "@someone@Tom"),
        ("<@1><t:17>", "@Miaat noon", "@someone<t:17>"),
        ("no mention", "no mention at all", "no mention at all"),
        ("", "", ""),
    ],
)
def test_names_in_known_texts(content: str, rendered: str, without: str) -> None:
    assert without_names(content, rendered, [1]) == without


def test_a_text_of_many_mentions_is_done_at_once() -> None:
    content, rendered = "<@1> <@2> " * 200, "@a b @a b " * 200
    assert "@a b @a b" not in without_names(content, rendered, [1, 2])
