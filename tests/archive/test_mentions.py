"""Mentions: each is taken once, across restarts; each has one end; none outlives its message."""

from pathlib import Path

from sususbot.archive.archive import Archive
from sususbot.archive.mentions import KEPT_MS
from sususbot.messages import DISCORD_EPOCH_MS
from tests.archive.making import GARDEN, KITCHEN, MIA, NOON, SUSU, TOM, filled, message, raw


def taken(archive: Archive, *ids: int, channel_id: int = KITCHEN.id) -> None:
    with archive.together():
        for id_ in ids:
            archive.mentions.take(id_, channel_id)


def test_what_was_taken_is_known_and_in_hand_until_it_ended(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        assert not archive.mentions.known(5)
        taken(archive, 5, 4, 5)
        taken(archive, 6, channel_id=GARDEN.id)
    with Archive(tmp_path) as archive:
        assert archive.mentions.known(5)
        assert archive.mentions.in_hand(KITCHEN.id) == [4, 5]
        archive.mentions.settle([5, 99], "reply")
        archive.mentions.settle([5, 4], "old")
        assert archive.mentions.in_hand(KITCHEN.id) == []
        assert archive.mentions.in_hand(GARDEN.id) == [6]
        assert archive.mentions.ends() == {"reply": 1, "old": 1}
        assert not archive.mentions.known(99)


def test_what_was_deleted_counts_as_known_and_leaves_no_row(archive: Archive) -> None:
    filled(archive, message(1), message(2, author=TOM), message(3))
    taken(archive, 1, 2, 3)
    archive.delete([1, 77], at=NOON)
    archive.erase(TOM.id, at=NOON)
    assert archive.mentions.in_hand(KITCHEN.id) == [3]
    assert all(archive.mentions.known(id_) for id_ in (1, 2, 3, 77))


def test_a_forgotten_member_may_ask_and_forgetting_again_takes_that_id_too(archive: Archive, tmp_path: Path) -> None:
    archive.erase(MIA.id, at=NOON)
    assert not archive.mentions.known(1)
    filled(archive, message(1))
    taken(archive, 1)
    assert archive.mentions.in_hand(KITCHEN.id) == [1]
    archive.erase(MIA.id, at=NOON)
    assert raw(tmp_path, "SELECT * FROM mentions") == []


def test_what_expired_leaves_no_row(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(1))
    taken(archive, 1)
    archive.erasure.expire(NOON + 60_000)
    assert raw(tmp_path, "SELECT * FROM mentions") == []


def test_a_channel_is_heard_ever_further(archive: Archive) -> None:
    assert archive.mentions.heard(KITCHEN.id) is None
    for message_id in (5, 3, 7):
        archive.mentions.hear(KITCHEN.id, message_id)
    assert archive.mentions.heard(KITCHEN.id) == 7
    assert archive.mentions.heard(GARDEN.id) is None


def test_a_kept_reply_of_the_bot_tells_what_it_answered(archive: Archive) -> None:
    filled(archive, message(1), message(2), message(3), message(4, author=SUSU, reply_to=2), message(5, reply_to=3))
    assert archive.mentions.answered([1, 2, 3], SUSU.id) == {2}
    assert archive.mentions.answered([], SUSU.id) == set()


def test_a_week_later_nothing_is_left(archive: Archive) -> None:
    said = (NOON - DISCORD_EPOCH_MS) << 22
    taken(archive, said)
    assert archive.mentions.prune(now=NOON + KEPT_MS) == 0
    assert archive.mentions.prune(now=NOON + KEPT_MS + 1) == 1
    assert not archive.mentions.known(said)
