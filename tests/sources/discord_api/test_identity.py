"""What a token tells by its looks, and the link that invites its bot with the rights that it needs."""

from base64 import urlsafe_b64encode
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sususbot.sources.discord_api.identity import application_of, invite_link, looks_right
from sususbot.sources.discord_api.permissions import (
    ADD_REACTIONS,
    NEEDED,
    READ_MESSAGE_HISTORY,
    SEND_MESSAGES,
    SEND_MESSAGES_IN_THREADS,
    VIEW_CHANNEL,
    lacking,
)
from sususbot.standin import permissions as discords


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.integers(1, (1 << 63) - 1))
def test_a_token_tells_whose_it_is(number: int) -> None:
    first = urlsafe_b64encode(str(number).encode()).decode().rstrip("=")
    assert application_of(f"{first}.GabcDE.secret") == number


@pytest.mark.parametrize("token", ["", "abc", "abc.def.ghi", "....", "é.b.c", "LTEy.b.c", "MTIz" * 9])
def test_a_token_that_does_not_tell(token: str) -> None:
    assert application_of(token) is None


@pytest.mark.parametrize(
    ("token", "right"),
    [("MTIz.b.c", True), ("a.b.c", False), ("MTIz.b", False), ("a..c", False), ("a.b.c d", False), ("é.b.c", False)],
)
def test_the_looks_of_a_token(token: str, right: bool) -> None:
    assert looks_right(token) is right


def test_the_link() -> None:
    link = urlsplit(invite_link(123))
    assert (link.scheme, link.netloc, link.path) == ("https", "discord.com", "/oauth2/authorize")
    asked = {name: values[0] for name, values in parse_qs(link.query).items()}
    assert asked == {
        "client_id": "123",
        "scope": "bot applications.commands",
        "permissions": "274877975616",
        "integration_type": "0",
    }


def test_the_bits_are_discords() -> None:
    for ours, theirs in (
        (VIEW_CHANNEL, discords.VIEW_CHANNEL),
        (SEND_MESSAGES, discords.SEND_MESSAGES),
        (READ_MESSAGE_HISTORY, discords.READ_MESSAGE_HISTORY),
        (ADD_REACTIONS, discords.ADD_REACTIONS),
        (SEND_MESSAGES_IN_THREADS, discords.SEND_MESSAGES_IN_THREADS),
    ):
        assert ours == theirs
        assert ours in NEEDED


def test_what_is_lacking() -> None:
    everything = sum(NEEDED)
    assert lacking(everything) == lacking(everything, thread=True) == []
    assert lacking(everything & ~ADD_REACTIONS) == ["Add Reactions"]
    assert lacking(everything & ~SEND_MESSAGES_IN_THREADS) == lacking(everything & ~SEND_MESSAGES, thread=True) == []
    assert lacking(everything & ~SEND_MESSAGES_IN_THREADS, thread=True) == ["Send Messages in Threads"]
    assert len(lacking(0)) == len(NEEDED) - 1
