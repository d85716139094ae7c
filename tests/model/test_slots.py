"""Which slot a channel's talk is in."""

from contextlib import ExitStack

from sususbot.model.slots import Slots


def used(slots: Slots, channel: int | None) -> int:
    with slots.taken(channel) as slot:
        return slot


def test_a_channel_comes_back_to_its_slot() -> None:
    slots = Slots(3)
    first = [used(slots, channel) for channel in (7, 8, 9)]
    assert sorted(first) == [0, 1, 2]
    assert [used(slots, channel) for channel in (9, 7, 8, 7)] == [first[2], first[0], first[1], first[0]]


def test_a_new_channel_takes_the_slot_of_the_one_that_has_been_silent_longest() -> None:
    slots = Slots(2)
    seven, eight = used(slots, 7), used(slots, 8)
    used(slots, 7)
    assert used(slots, 9) == eight
    assert used(slots, 7) == seven


def test_what_is_of_no_channel_leaves_the_channels_their_slots() -> None:
    slots = Slots(2)
    seven = used(slots, 7)
    assert {used(slots, None) for _ in range(5)} == {1 - seven}
    assert used(slots, 8) == 1 - seven
    # None is empty now: it takes the one that was silent longest, and then that one again.
    assert [used(slots, None) for _ in range(3)] == [seven] * 3
    assert used(slots, 8) == 1 - seven


def test_a_busy_slot_is_left_alone() -> None:
    slots = Slots(2)
    with slots.taken(7) as seven:
        assert used(slots, 8) == 1 - seven
        # Its own is busy: the talk moves.
        assert used(slots, 7) == 1 - seven
    assert used(slots, 7) == 1 - seven


def test_where_all_are_busy_the_engine_chooses() -> None:
    slots = Slots(2)
    with ExitStack() as stack:
        for channel in (7, 8):
            stack.enter_context(slots.taken(channel))
        assert used(slots, 9) == -1
    assert used(slots, 9) in (0, 1)
