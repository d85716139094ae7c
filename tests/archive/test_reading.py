"""Reading: the window of a channel, what stands around a message, and how messages stand."""

from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.standing import Standing
from sususbot.messages import Message, Reaction
from tests.archive.making import GARDEN, KITCHEN, MIA, NOON, OTHER_BOT, SUSU, TOM, filled, message
from tests.support.consents import refuse


def ids(messages: list[Message]) -> list[int]:
    return [m.id for m in messages]


@pytest.fixture
def chat(archive: Archive) -> Archive:
    filled(
        archive,
        message(-5, "before Discord"),
        message(1, "one", MIA),
        message(2, "two", TOM),
        message(3, "beep", OTHER_BOT),
        message(4, "four", SUSU),
        message(5, "joined", type=7),
        message(6, ""),
        message(7, "seven", MIA, type=19, reply_to=2),
        message(8, "elsewhere", channel=GARDEN),
        message(9, "gone"),
        message(10, "ten", TOM, type=19, reply_to=2),
    )
    archive.delete([9], at=NOON)
    return archive


def test_the_window_holds_the_newest_messages_oldest_first(chat: Archive) -> None:
    assert ids(chat.window(KITCHEN.id, limit=3)) == [2, 7, 10]
    assert ids(chat.window(KITCHEN.id, limit=99)) == [-5, 1, 2, 7, 10]
    assert ids(chat.window(GARDEN.id, limit=9)) == [8]
    assert chat.window(KITCHEN.id, limit=0) == []
    assert chat.window(999, limit=9) == []


def test_the_window_holds_the_bots_own_lines_and_no_other_bots(chat: Archive) -> None:
    assert ids(chat.window(KITCHEN.id, limit=3, own_id=SUSU.id)) == [4, 7, 10]
    assert ids(chat.window(KITCHEN.id, limit=9, own_id=12345)) == [-5, 1, 2, 7, 10]


@pytest.mark.parametrize(
    ("before", "there"), [(10, [-5, 1, 2, 7]), (7, [-5, 1, 2]), (0, [-5]), (-5, []), (11, [-5, 1, 2, 7, 10])]
)
def test_the_window_ends_before_the_message_asked_about(chat: Archive, before: int, there: list[int]) -> None:
    assert ids(chat.window(KITCHEN.id, limit=9, before=before)) == there


def test_members_who_opted_out_are_in_no_window(chat: Archive) -> None:
    refuse(chat, TOM)
    assert ids(chat.window(KITCHEN.id, limit=9, own_id=SUSU.id)) == [-5, 1, 4, 7]


def test_around_a_message_stands_what_may_be_remembered(chat: Archive) -> None:
    (middle,) = chat.messages([2]).values()
    assert ids(chat.around(middle, reach=0)) == [2]
    assert ids(chat.around(middle, reach=1)) == [1, 2, 7]
    assert ids(chat.around(middle, reach=9)) == [-5, 1, 2, 7, 10]
    refuse(chat, MIA)
    assert ids(chat.around(middle, reach=9)) == [2, 10]


def test_around_stays_in_the_channel(chat: Archive) -> None:
    (alone,) = chat.messages([8]).values()
    assert ids(chat.around(alone, reach=5)) == [8]


def test_messages_are_given_by_id_without_those_that_are_gone(chat: Archive) -> None:
    assert list(chat.messages([10, 9, 3, 1, 777])) == [1, 3, 10]
    assert chat.messages([]) == {}


def test_an_account_is_known_by_its_id_once_it_wrote(chat: Archive) -> None:
    assert chat.author(MIA.id) == MIA
    assert chat.author(777) is None


def test_standing_is_age_and_what_a_message_drew(archive: Archive) -> None:
    filled(
        archive,
        message(1, "one", reactions=(Reaction("👍", 2), Reaction("🫖", 1))),
        message(2, "two", pinned=True),
        message(3, "three", type=19, reply_to=2),
        message(4, "four", type=19, reply_to=2),
    )
    assert archive.standings.of([1, 2, 3, 777]) == {
        1: Standing(NOON + 1000, 3),
        2: Standing(NOON + 2000, 4),
        3: Standing(NOON + 3000, 0),
    }
    archive.delete([1, 4], at=NOON)
    assert archive.standings.of([1, 2]) == {2: Standing(NOON + 2000, 3)}
    assert archive.standings.of([]) == {}


def test_an_opt_out_holds_in_every_program(chat: Archive, tmp_path: Path) -> None:
    with Archive(tmp_path) as other:
        refuse(other, TOM)
    assert all(one.author.id != TOM.id for one in chat.window(KITCHEN.id, limit=50))
