"""One message told by several sources: which version wins, and that the order of arrival never matters."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.messages import DISCORD_EPOCH_MS, Author, Message, Origin, Reaction
from tests.archive.making import GUILD, KITCHEN, MIA, NOON, TOM, found, snapshot

Event = Callable[[Archive], object]


def snowflake(at: int, low: int = 7) -> int:
    return (at - DISCORD_EPOCH_MS) << 22 | low


def told(text: str, *, second: int = 1, author: Author = MIA, low: int = 7, **more: Any) -> Message:
    """A message of a second after noon; sources without ids make another last part (`low`) of it."""
    at = NOON + second * 1000
    return Message(snowflake(at, low), KITCHEN.id, author, at, text, text, **more)


def arrives(origin: Origin, message: Message, looked_at: int = NOON) -> Event:
    def add(archive: Archive) -> None:
        archive.add_channel(GUILD, KITCHEN, origin="export", seen_at=NOON)
        archive.add([message], source=archive.add_source(origin, "x"), fetched_at=looked_at)

    return add


def result(events: Sequence[Event]) -> tuple[dict[str, Any], dict[int, Message]]:
    with TemporaryDirectory() as folder:
        with Archive(Path(folder)) as archive:
            for event in events:
                event(archive)
            assert archive.check() == []
            messages = {one.id: one for one in archive.history()}
            for one in messages.values():
                assert found(archive, *one.rendered.split()[:1]) in ([one.id], sorted(messages))
        return snapshot(Path(folder)), messages


@pytest.mark.parametrize("backwards", [False, True])
def test_a_csv_row_and_the_real_message_are_one_and_the_real_id_wins(backwards: bool) -> None:
    row = arrives("csv", told("kettle", low=99), NOON + 9)
    real = arrives("export", told("kettle", reply_to=4))
    _, messages = result([real, row] if backwards else [row, real])
    assert list(messages) == [snowflake(NOON + 1000)]
    assert next(iter(messages.values())).reply_to == 4


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "other",
    [told("kettle", second=2), told("kettle", author=TOM), replace(told("kettle"), channel_id=21)],
    ids=["another moment", "another member", "another channel"],
)
def test_a_csv_row_is_no_other_message(other: Message, backwards: bool) -> None:
    def real(archive: Archive) -> None:
        archive.add_channel(GUILD, replace(KITCHEN, id=21), origin="export", seen_at=NOON)
        arrives("export", other)(archive)

    row = arrives("csv", told("teapot", low=99))
    _, messages = result([real, row] if backwards else [row, real])
    assert sorted(one.rendered for one in messages.values()) == ["kettle", "teapot"]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_later_csv_file_shows_the_edit_of_a_row(backwards: bool) -> None:
    before, after = arrives("csv", told("kettel", low=99), NOON), arrives("csv", told("kettle", low=99), NOON + 5)
    _, messages = result([after, before] if backwards else [before, after])
    assert [one.rendered for one in messages.values()] == ["kettle"]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("weak", "strong"), [("package", "export"), ("export", "api"), ("package", "gateway")])
def test_of_equal_edits_the_more_faithful_source_tells_the_words(weak: Origin, strong: Origin, backwards: bool) -> None:
    events = [
        arrives(strong, told("hi @Mia", mentions=(1,), reply_to=3), NOON),
        arrives(weak, told("hi <@1>"), NOON + 99),
    ]
    _, messages = result(events[::-1] if backwards else events)
    (one,) = messages.values()
    assert (one.rendered, one.mentions, one.reply_to) == ("hi @Mia", (1,), 3)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_package_takes_no_reactions_away(backwards: bool) -> None:
    events = [
        arrives("export", told("kettle", reactions=(Reaction("x", 2),), pinned=True), NOON),
        arrives("package", told("kettle"), NOON + 99),
    ]
    _, messages = result(events[::-1] if backwards else events)
    (one,) = messages.values()
    assert (one.reactions, one.pinned) == ((Reaction("x", 2),), True)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_later_edit_wins_over_any_fidelity(backwards: bool) -> None:
    events = [arrives("api", told("old"), NOON + 99), arrives("export", told("new", edited_at=NOON + 5), NOON)]
    _, messages = result(events[::-1] if backwards else events)
    assert [one.rendered for one in messages.values()] == ["new"]


ARRIVALS: list[Event] = [
    arrives("csv", told("hello kettle", low=99), NOON + 3),
    arrives("csv", told("hello teapot", second=2, author=TOM, low=55), NOON + 3),
    arrives("package", told("hello kettle"), NOON + 4),
    arrives("export", told("hello kettle", reactions=(Reaction("x", 1),)), NOON + 1),
    arrives("api", told("hello samovar", edited_at=NOON + 2000, reactions=(Reaction("x", 2),)), NOON + 5),
    arrives("gateway", told("hello teapot", second=2, author=TOM, mentions=(1,)), NOON + 2),
    arrives(
        "export", replace(told("hello <@1>", second=3, author=TOM, mentions=(1,)), rendered="hello @Mia"), NOON + 1
    ),
]
ERASE: Event = lambda archive: archive.erase(MIA.id, at=NOON)  # noqa: E731
DELETE: Event = lambda archive: archive.delete([snowflake(NOON + 2000)], at=NOON)  # noqa: E731


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([ERASE, DELETE]), unique=True, max_size=2).flatmap(
        lambda wishes: st.tuples(st.just([*ARRIVALS, *wishes]), st.permutations([*ARRIVALS, *wishes]))
    ),
    st.lists(st.sampled_from(ARRIVALS), max_size=3),
)
def test_any_order_and_any_repetition_end_the_same(orders: tuple[list[Event], list[Event]], again: list[Event]) -> None:
    straight, shuffled = orders
    assert result([*shuffled, *again]) == result(straight)
