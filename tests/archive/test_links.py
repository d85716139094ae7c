"""Links: they wait beside their messages, and go with the words they were read from."""

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.links import Found
from tests.archive.making import GARDEN, KITCHEN, MIA, NOON, OTHER_BOT, TOM, filled, message
from tests.support.consents import refuse
from tests.support.links import chains


def linked(archive: Archive, answers: dict[int, int]) -> None:
    """Give every pending message a link."""
    archive.links.put([Found(one.id, one.text, answers.get(one.id), 0.5) for one in archive.links.pending(100)])


def pending(archive: Archive) -> list[int]:
    return [one.id for one in archive.links.pending(100)]


def talk(archive: Archive) -> None:
    """Tom answers Mia, she answers him; a stranger to both in the garden."""
    filled(
        archive,
        message(1, "tea?"),
        message(2, "yes", TOM, mentions=(MIA.id,), reply_to=1),
        message(3, "black?"),
        message(4, "roses", TOM, channel=GARDEN),
    )
    linked(archive, {2: 1, 3: 2})


def test_what_may_be_remembered_waits_channel_by_channel(archive: Archive) -> None:
    filled(
        archive,
        message(1, "roses", channel=GARDEN),
        message(2, "tea?", TOM, mentions=(MIA.id,), reply_to=1),
        message(3, "beep", OTHER_BOT),
        message(4, ""),
    )
    first, second = archive.links.pending(9)
    assert (first.id, first.speaker, first.text, first.mentions, first.reply_to) == (2, "Tom", "tea?", (MIA.id,), 1)
    assert (second.id, second.channel_id, second.at) == (1, GARDEN.id, NOON + 1000)
    assert [one.id for one in archive.links.pending(1)] == [2]
    assert [one.id for one in archive.links.pending(9, [1, 3])] == [1]
    assert archive.links.count_pending() == 2


def test_around_a_message_is_what_it_answers_and_what_answers_it(archive: Archive) -> None:
    filled(archive, *(message(number, f"line {number}", (MIA, TOM)[number % 2]) for number in range(1, 8)))
    # 1 <- 2 <- 3 <- 5, 3 <- 6; 4 and 7 are about something else.
    linked(archive, {2: 1, 3: 2, 5: 3, 6: 3, 7: 4})
    assert archive.links.around([3, 7, 99], 1) == {3: [2, 3, 5, 6], 7: [4, 7]}
    assert archive.links.around([1], 2) == {1: [1, 2, 3]}
    assert archive.links.around([5], 9) == {5: [1, 2, 3, 5]}
    refuse(archive, TOM)
    # Messages with odd numbers were Tom's.
    assert archive.links.around([2, 3], 9) == {2: [2]}


def test_what_is_around_a_message_is_found_without_going_through_all(archive: Archive) -> None:
    """Every search asks for it; looked at are SQLite's steps, not the clock."""
    filled(archive, *(message(number, "line") for number in range(1, 2001)))
    linked(archive, {2: 1, 3: 2})
    steps: list[None] = []
    # Called once in a thousand steps; None goes on.
    archive._database._connection.set_progress_handler(lambda: steps.append(None), 1000)
    assert archive.links.around([2], 9) == {2: [1, 2, 3]}
    assert len(steps) < 5


def test_chains_give_every_message_in_its_channels_order(archive: Archive) -> None:
    talk(archive)
    filled(archive, message(5, "new"))
    kitchen, garden = KITCHEN.id, GARDEN.id
    assert chains(archive) == [
        (1, kitchen, None),
        (2, kitchen, 1),
        (3, kitchen, 2),
        (5, kitchen, None),
        (4, garden, None),
    ]


def test_a_deletion_takes_the_link_and_those_to_it(archive: Archive) -> None:
    talk(archive)
    archive.delete([2], at=NOON)
    assert pending(archive) == [3]
    assert archive.links.count() == 2


def test_an_edit_has_it_found_anew(archive: Archive) -> None:
    talk(archive)
    filled(archive, message(1, "coffee?", edited_at=NOON + 9000))
    assert pending(archive) == [1, 2]


def test_what_was_edited_since_it_was_read_keeps_waiting(archive: Archive) -> None:
    filled(archive, message(1, "tea?"))
    assert archive.links.put([Found(1, "coffee?", None, 1.0)]) == 0
    assert pending(archive) == [1]


@pytest.mark.parametrize("erased", [False, True])
def test_nothing_is_left_of_who_says_no(archive: Archive, erased: bool) -> None:
    talk(archive)
    if erased:
        archive.erasure.erase(TOM.id, at=NOON)
    else:
        refuse(archive, TOM)
    assert chains(archive)[0][2] is None
    assert {id_ for id_, _, _ in chains(archive)} == {1, 3}
    assert archive.links.count() <= 2
    assert not {2, 4} & set(pending(archive))


def test_another_linker_begins_anew(archive: Archive) -> None:
    assert archive.links.use_linker("a") == 0
    talk(archive)
    assert archive.links.use_linker("a") == 0
    assert archive.links.use_linker("b") == 4
    assert archive.links.count_pending() == 4
