"""What goes out pings nobody, however a ping is put together, and is otherwise left alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.safety.pings import mention_safe

# What Discord reads as a ping or as a link made of an id.
PARSED = re.compile(r"@(?:everyone|here)\b|<@[!&]?\d+>|<#\d+>|</[^>]+:\d+>|<id:\d+>", re.IGNORECASE)

PINGS = {
    "@everyone": "everyone",
    "@here look": "here look",
    "hey @Everyone and @HERE!": "hey Everyone and HERE!",
    "<@123456789012345678>": "",
    "<@!1> hi": "hi",
    "<@&77> assemble": "assemble",
    "see <#42>": "see",
    "run </ban user:99> now": "run  now",
    "@@everyone": "everyone",
    "@@@@here": "here",
    "@ everyone": "everyone",
    "@\u200beveryone": "everyone",
    "@\u2060\ufeffhere": "here",
    "@<@1>everyone": "everyone",
    "<@<@1>2>": "",
    "<<@1>@2>": "",
    "<@&<@!<@3>4>5> x": "x",
    "@<#1>@here everyone": "here everyone",
    "`@everyone`": "`everyone`",
    "```\n<@1> @here\n```": "```\n here\n```",
    "||@everyone||": "||everyone||",
    "a@everyone": "aeveryone",
    "@everyone@everyone": "everyoneeveryone",
    "@everyone, <@1>@here": "everyone, here",
}
ORDINARY = [
    "mail me at mia@example.org",
    "meet @ 5pm",
    "@mia you there?",
    "@everyones favourite, @hereford, @nowhere",
    "a < b > c, <3, <- 5 ->, 2 <@ 3",
    "use @property and @staticmethod",
    "everyone is here",
    "<t:1700000000:R> and <:wave:123456> and <a:dance:123456>",
    "https://example.org/@everyman",
    "",
    "@",
]


@pytest.mark.parametrize(("text", "safe"), PINGS.items())
def test_no_ping_is_left(text: str, safe: str) -> None:
    assert mention_safe(text) == safe
    assert PARSED.search(mention_safe(text)) is None


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_unharmed(text: str) -> None:
    assert mention_safe(text) == text


@given(st.lists(st.sampled_from(["@", "<", ">", "!", "&", "#", "1", "23", "everyone", "HERE", " ", "\u200b", "a"])))
def test_no_puzzle_of_the_parts_leaves_a_ping(parts: list[str]) -> None:
    safe = mention_safe("".join(parts))
    assert PARSED.search(safe) is None
    assert mention_safe(safe) == safe


def test_a_very_deep_nesting_is_undone_too() -> None:
    assert mention_safe("<@" * 900 + "1>" * 900) == ""
