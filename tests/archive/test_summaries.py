"""Pieces and what was made of them: written with their messages' leave, and gone with any of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.summaries import Made
from sususbot.messages import Message
from tests.archive.making import GARDEN, KITCHEN, MIA, NOON, SUSU, TOM, filled, message, raw
from tests.support.consents import refuse

SAID = (
    message(1, "the kettle\x00 boils", MIA),
    message(2, "hey @Mia, tea?", TOM, mentions=(MIA.id,)),
    message(3, "hello", SUSU),
    message(4, "tea at last", TOM),
)
WORDS = [(one.id, one.rendered) for one in SAID]


@pytest.fixture
def piece(archive: Archive) -> int:
    """A piece of the first three messages, with a summary."""
    filled(archive, *SAID)
    archive.summaries.cut(KITCHEN.id, [0, 3], kept=9)
    id_ = archive.summaries.spans(KITCHEN.id)[0].id
    assert archive.summaries.put(id_, "mia boils tea", "bart", WORDS[:3])
    return id_


def borders(archive: Archive) -> list[tuple[int, int]]:
    return [(span.after_id, span.last_id) for span in archive.summaries.spans(KITCHEN.id)]


def test_what_was_made_comes_back_with_what_it_was_made_of(archive: Archive, piece: int) -> None:
    assert archive.summaries.made(KITCHEN.id) == {piece: Made("mia boils tea", "bart", frozenset({1, 2, 3}))}
    assert archive.summaries.made(GARDEN.id) == {}
    assert archive.check() == []


def test_a_later_one_takes_its_place(archive: Archive, piece: int) -> None:
    assert archive.summaries.put(piece, "tea", "chat", WORDS[:2])
    assert archive.summaries.made(KITCHEN.id) == {piece: Made("tea", "chat", frozenset({1, 2}))}


def test_pieces_lie_between_borders_and_only_the_newest_are_kept(archive: Archive, piece: int) -> None:
    archive.summaries.cut(KITCHEN.id, [3, 5, 7], kept=3)
    assert borders(archive) == [(0, 3), (3, 5), (5, 7)]
    archive.summaries.cut(KITCHEN.id, [7, 9], kept=2)
    assert borders(archive) == [(5, 7), (7, 9)]
    assert archive.summaries.made(KITCHEN.id) == {}
    assert not archive.summaries.put(piece, "late", "bart", WORDS[:1])


CHANGES: dict[str, tuple[bool, Callable[[Archive], object]]] = {
    "an edit": (True, lambda archive: filled(archive, message(1, "the pot boils", edited_at=NOON + 1))),
    "a deletion": (True, lambda archive: archive.delete([2], at=NOON)),
    "the bot's own line deleted": (True, lambda archive: archive.delete([3], at=NOON)),
    "an erasure": (True, lambda archive: archive.erase(MIA.id, at=NOON)),
    "a no to all": (True, lambda archive: refuse(archive, TOM)),
    "a no to being remembered": (
        True,
        lambda archive: archive.consents.say(TOM.id, by="member", way="asked", at=1, remember=False),
    ),
    "silence is a no": (True, lambda archive: archive.consents.set_mode("opt-in")),
    "an expiry": (True, lambda archive: archive.erasure.expire(NOON + 1500)),
    "a reaction": (False, lambda archive: filled(archive, message(1, SAID[0].rendered, pinned=True))),
    "a deletion elsewhere": (False, lambda archive: archive.delete([4], at=NOON)),
    "the same again": (False, lambda archive: filled(archive, *SAID)),
    "a no to being learned": (
        False,
        lambda archive: archive.consents.say(TOM.id, by="member", way="asked", at=1, learn=False),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_goes_with_any_of_its_messages_and_only_then(archive: Archive, piece: int, change: str) -> None:
    goes, happen = CHANGES[change]
    happen(archive)
    assert (archive.summaries.made(KITCHEN.id) == {}) is goes
    assert borders(archive) == [(0, 3)]
    assert archive.check() == []
    assert piece


@pytest.mark.parametrize("change", [name for name, (goes, _) in CHANGES.items() if goes])
def test_what_changed_since_it_was_read_is_not_kept(archive: Archive, piece: int, change: str) -> None:
    CHANGES[change][1](archive)
    assert not archive.summaries.put(piece, "mia boils tea", "bart", WORDS[:3])
    assert archive.summaries.made(KITCHEN.id) == {}


def test_the_name_of_the_forgotten_goes_from_what_was_made_of_others_words(archive: Archive) -> None:
    filled(archive, *SAID)
    archive.summaries.cut(KITCHEN.id, [1, 2], kept=9)
    id_ = archive.summaries.spans(KITCHEN.id)[0].id
    archive.summaries.put(id_, "tom asks mia", "bart", WORDS[1:2])
    archive.erase(MIA.id, at=NOON)
    assert archive.summaries.made(KITCHEN.id) == {}


def test_a_row_that_the_real_message_replaces_takes_its_summary_along(archive: Archive) -> None:
    at = NOON + 1000
    real = (at - 1_420_070_400_000) << 22
    row = Message(real + 5, KITCHEN.id, MIA, at, "tea", "tea")
    archive.add([row], source=archive.add_source("csv", "a.csv"), fetched_at=NOON)
    archive.summaries.cut(KITCHEN.id, [0, real + 9], kept=9)
    assert archive.summaries.put(archive.summaries.spans(KITCHEN.id)[0].id, "mia: tea", "bart", [(row.id, "tea")])
    filled(archive, Message(real, KITCHEN.id, MIA, at, "tea", "tea"))
    assert archive.summaries.made(KITCHEN.id) == {}


def test_what_goes_leaves_no_byte(archive: Archive, piece: int, tmp_path: Path) -> None:
    assert archive.summaries.put(piece, "a zq9xj summary", "bart", WORDS[:3])
    archive.delete([1], at=NOON)
    assert not [path for path in tmp_path.iterdir() if b"q9xj" in path.read_bytes()]


def test_a_channel_that_begins_anew_has_no_pieces_and_a_mark(archive: Archive, piece: int) -> None:
    assert archive.summaries.cleared(KITCHEN.id) is None
    archive.summaries.clear(KITCHEN.id)
    archive.summaries.clear(GARDEN.id)
    assert (borders(archive), archive.summaries.made(KITCHEN.id)) == ([], {})
    assert (archive.summaries.cleared(KITCHEN.id), archive.summaries.cleared(GARDEN.id)) == (4, None)
    filled(archive, message(7))
    archive.summaries.clear(KITCHEN.id)
    assert archive.summaries.cleared(KITCHEN.id) == 7
    archive.summaries.clear(KITCHEN.id, up_to=9)
    archive.summaries.clear(GARDEN.id, up_to=9)
    assert (archive.summaries.cleared(KITCHEN.id), archive.summaries.cleared(GARDEN.id)) == (9, 9)
    assert piece


def test_channels_are_found_by_their_messages_and_by_who_spoke_last(archive: Archive) -> None:
    filled(archive, *SAID, message(5, channel=GARDEN))
    archive.delete([1], at=NOON)
    assert archive.summaries.channels_of([1, 2, 99]) == [KITCHEN.id]
    assert archive.summaries.busiest(9) == [GARDEN.id, KITCHEN.id]
    assert archive.summaries.busiest(1) == [GARDEN.id]


def test_the_check_finds_a_summary_of_what_is_gone(archive: Archive, piece: int, tmp_path: Path) -> None:
    raw(tmp_path, "UPDATE messages SET deleted_at = 1, content = '', rendered = '' WHERE id = 2")
    assert "1 summaries are made of deleted messages" in archive.check()
    assert piece
