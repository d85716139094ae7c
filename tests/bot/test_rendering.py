"""A long reply in parts: none too long, no word and no fence broken, nothing lost, and an end to it whatever comes."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.bot.rendering import LIMIT, Places, parts, restored, split, units

LANGUAGES = ["", "py", "c++", "objective-c", "c#"]
WORD = st.text(st.sampled_from("abcé東🎉.!?*_"), min_size=1, max_size=20)
SPACE = st.sampled_from([" ", "  ", "\n", "\n\n", "\n\n\n", "\n    ", ". "])
PROSE = st.lists(st.tuples(WORD, SPACE), min_size=1, max_size=40).map(lambda pairs: "".join(map("".join, pairs)))
CODE = st.builds(lambda language, code: f"```{language}\n{code}\n```\n", st.sampled_from(LANGUAGES), PROSE)
REPLY = st.lists(PROSE | CODE, min_size=1, max_size=6).map("".join)
PIECES = st.lists(
    st.sampled_from(["```", "````", "`", "``", "py", "\n", " ", "x" * 30, "word", "🎉", "```py\n", "\n```\n", "    "]),
    max_size=80,
).map("".join)
# Room that a part may need for closing a fence and opening it again.
FENCES = 24


def bare(text: str) -> str:
    """A text without whitespace and fences: what has to come through whole."""
    return re.sub(r"\s+", "", re.sub(r"```(?:[\w+.#-]{1,16}(?=\n|$))?", "", text))


def letters(text: str) -> str:
    """A text without whitespace, backticks and the name of the only language in PIECES."""
    return re.sub(r"[`\s]+", "", text).replace("py", "")


def check(parts: list[str], limit: int) -> None:
    for part in parts:
        assert 0 < units(part) <= limit
        assert part.strip()
        part.encode("utf-16")  # fails on half a surrogate pair


@given(REPLY, st.integers(60, 200))
def test_parts_are_short_enough_and_hold_everything(text: str, limit: int) -> None:
    parts = split(text, limit)
    check(parts, limit)
    assert bare("\n".join(parts)) == bare(text)


@given(REPLY, st.integers(60, 200))
def test_words_are_never_broken(text: str, limit: int) -> None:
    words = [word for part in split(text, limit) for word in part.split() if "```" not in word]
    assert words == [word for word in text.split() if "```" not in word]


@given(REPLY, st.integers(60, 200))
def test_every_part_closes_the_fences_it_opens_and_none_is_empty(text: str, limit: int) -> None:
    for part in split(text, limit):
        assert part.count("```") % 2 == 0
        assert not re.match(r"```[\w+#-]*\n```(?:\n|$)", part)


@settings(max_examples=300)
@given(PIECES, st.integers(50, 120))
def test_it_ends_whatever_comes(text: str, limit: int) -> None:
    parts = split(text, limit)
    check(parts, limit)
    assert letters("".join(parts)) == letters(text)
    if len(parts) > 1:
        assert all(len(re.findall("```", part)) % 2 == 0 for part in parts)


@given(st.text(max_size=300), st.integers(50, 80))
def test_any_text_is_split_without_loss(text: str, limit: int) -> None:
    text = text.replace("`", "")
    parts = split(text, limit)
    check(parts, limit)
    assert "".join("".join(parts).split()) == "".join(text.split())


@pytest.mark.parametrize("text", ["", " ", "\n\n", " " * 5000, "\n" * 5000])
def test_nothing_gives_no_part(text: str) -> None:
    assert split(text) == []


@pytest.mark.parametrize("text", ["hello", "x" * LIMIT, "🎉" * (LIMIT // 2), "what does ``` mean?", "```py\ncode"])
def test_what_fits_is_left_alone(text: str) -> None:
    assert split(f" {text}\n") == [text]


@pytest.mark.parametrize(
    "text",
    [
        "`" * 5000,
        "```" + "x" * 5000,
        "```" + "x" * 5000 + "\ncode\n```",
        "```py\n" + "x" * 5000 + "\n```",
        "x" * 5000,
        "🎉" * 3000,
        "word " * 2000,
        "a" + " " * 5000 + "b",
        "```py\n" + " " * 5000 + "b\n```",
        "```\n" * 1000,
        "``` " * 1000,
        "x" * 1895 + "```py\ncode\n```" + "y" * 2000,
        "x" * 1890 + "\n```py\ncode\n```\n" + "y " * 1000,
        "``" * 2000 + "`",
        "```py\n```js\nnested ``` fences\n```\n" * 200,
    ],
)
def test_pathological_texts_are_split_all_the_same(text: str) -> None:
    parts = split(text)
    check(parts, LIMIT)
    assert len(parts) <= 2 + 3 * units(text) // LIMIT + text.count("\n")
    assert len(letters("".join(parts))) >= len(letters(text))


def test_emoji_count_as_two() -> None:
    assert units("a🎉é") == 4
    assert [units(part) for part in split("🎉" * 40, 60)] == [56, 24]


def test_it_cuts_between_paragraphs_then_lines_then_sentences_then_words() -> None:
    # The second half of 60 units, less those that a fence would need: between 28 and 56.
    assert split("a" * 35 + "\n\n" + "b b\n" * 3 + "c. " * 20, 60)[0] == "a" * 35
    assert split("a" * 35 + "\n" + "b. " * 20, 60)[0] == "a" * 35
    assert split("a" * 35 + ". " + "b " * 20, 60)[0] == "a" * 35 + "."
    assert split("a" * 35 + " " + "b" * 40, 60)[0] == "a" * 35


def test_a_fence_is_opened_again_with_its_language() -> None:
    code = "\n".join(f"line_{number} = {number}" for number in range(20))
    parts = split(f"Look:\n```py\n{code}\n```\nDone.", 100)
    assert parts[0].startswith("Look:\n```py\nline_0 = 0\n")
    assert all(part.startswith("```py\nline_") for part in parts[1:])
    assert all(part.endswith("\n```") for part in parts[:-1])
    assert parts[-1].endswith("\n```\nDone.")


def test_a_fence_that_ends_in_its_line_is_closed_there() -> None:
    parts = split("```js\nfoo()``` " + "and so on " * 20, 60)
    assert parts[0].startswith("```js\nfoo()``` and")
    assert not any("```" in part for part in parts[1:])


def test_a_fence_at_the_cut_moves_over_whole() -> None:
    assert split("a" * 50 + "\n```py\ncode\n```", 60) == ["a" * 50, "```py\ncode\n```"]


def test_indentation_in_code_survives_a_cut() -> None:
    code = "\n".join(f"    indented_{number}()" for number in range(12))
    parts = split(f"```py\n{code}\n```", 100)
    assert all(line.startswith("    ") for part in parts for line in part.split("\n") if "indented" in line)


PLACES = Places(
    {"mia": 7, "mia b": 8, "zoë": 9}, {"general": 70, "off-topic": 71}, {"tea": "<:tea:77>", "Yes_1": "<a:Yes_1:5>"}
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@mia look", "<@7> look"),
        ("@Mia B, and @MIA", "<@8>, and <@7>"),
        ("@zoë @Zoë!", "<@9> <@9>!"),
        ("@mıa and #general", "@mıa and <#70>"),
        ("@miami @mia2 mail@mia x@mia", "@miami @mia2 mail@mia x@mia"),
        ("in #general or #off-topic, not #generally", "in <#70> or <#71>, not #generally"),
        (":tea: and :Yes_1::tea:", "<:tea:77> and <a:Yes_1:5><:tea:77>"),
        ("at 10:tea:30, :soup: and :tea:s", "at 10:tea:30, :soup: and :tea:s"),
        ("`@mia :tea:` and ```\n@mia #general\n``` @mia", "`@mia :tea:` and ```\n@mia #general\n``` <@7>"),
        ("<:tea:12> https://e.x/#general/@mia", "<:tea:12> https://e.x/#general/@mia"),
        ("", ""),
    ],
)
def test_what_can_be_named_is_shown_as_members_see_it(text: str, shown: str) -> None:
    assert restored(text, PLACES) == shown


def test_where_nothing_can_be_named_nothing_changes() -> None:
    assert restored("@mia #general :tea:", Places()) == "@mia #general :tea:"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("one", ["one"]),
        ("one\ntwo", ["one", "two"]),
        ("one\n\ntwo\n three ", ["one", "two", "three"]),
        ("one\ntwo\nthree\nfour\nfive", ["one", "two", "three\nfour\nfive"]),
        ("do:\n1. this\n2. that", ["do:\n1. this\n2. that"]),
        ("see\n```\ncode\n```", ["see\n```\ncode\n```"]),
        ("short\n" + "l" * 161, ["short\n" + "l" * 161]),
    ],
)
def test_a_few_short_lines_are_messages_of_their_own(text: str, messages: list[str]) -> None:
    assert parts(text, Places()) == messages


@given(st.text(max_size=300))
def test_showing_names_loses_no_words(text: str) -> None:
    shown = restored(text, PLACES)
    for name, tag in (("@mia b", "<@8>"), ("@mia", "<@7>"), ("#general", "<#70>"), (":tea:", "<:tea:77>")):
        shown = shown.replace(tag, name)
    assert shown.casefold() == text.casefold() or any(sign in text for sign in "@#<")
