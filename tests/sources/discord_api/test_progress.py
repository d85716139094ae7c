"""Progress: shares with and without counts, time left as the limits demand it, and whose turn it is."""

import pytest

from sususbot.sources.discord_api.progress import Progress, Tracks, estimate


def told() -> tuple[Tracks, list[Progress]]:
    seen: list[Progress] = []
    return Tracks(40.0, lambda: (3, 7), seen.append), seen


@pytest.mark.parametrize(
    ("messages", "seconds"),
    [([], 0), ([63_000], 630), ([100], 1), ([101], 2), ([1575] * 40, 16), ([100] * 4000, 100), ([5000, 100], 50)],
)
def test_the_estimate_is_what_the_limits_demand(messages: list[int], seconds: float) -> None:
    assert estimate(messages, 40.0) == seconds


def test_with_counts_share_total_and_time_left() -> None:
    tracks, seen = told()
    one, other = tracks.track(1), tracks.track(2)
    one.expected, other.expected = 300, 100
    one.reach(5, 200)
    assert seen[-1].total == 400
    assert seen[-1].share == 0.5
    assert seen[-1].seconds_left == 1
    assert (seen[-1].messages, seen[-1].new, seen[-1].requests) == (200, 3, 7)
    # More than Discord counted.
    one.reach(1, 150)
    assert seen[-1].total == 450
    one.finish()
    other.finish()
    assert (seen[-1].share, seen[-1].channels_done, seen[-1].seconds_left) == (1.0, 2, 0.0)


@pytest.mark.parametrize(("begin", "at", "end"), [(1000, 750, 0), (0, 250, 1000)])
def test_without_counts_the_share_of_the_channels_life(begin: int, at: int, end: int) -> None:
    tracks, seen = told()
    track = tracks.track(1)
    track.aim(begin, end)
    track.reach(at, 100)
    assert seen[-1].share == 0.25
    assert seen[-1].total is None
    assert seen[-1].seconds_left is not None
    track.reach(end - 1 if end else -1, 100)
    assert 0.9 < seen[-1].share <= 1.0


def test_an_empty_run_is_a_whole_one() -> None:
    tracks, seen = told()
    tracks.track(1).expected = 0
    tracks.report()
    assert (seen[-1].share, seen[-1].total) == (1.0, 0)


def test_the_longest_rest_goes_first_and_what_is_uncounted_before_threads() -> None:
    tracks, _ = told()
    long, short, thread = tracks.track(1), tracks.track(2), tracks.track(3)
    thread.expected, thread.counted_before = 5000, True
    long.reach(0, 300)
    assert tracks.rank(short) < tracks.rank(long) < tracks.rank(thread)
    long.expected, short.expected = 9000, 10
    assert tracks.rank(long) < tracks.rank(thread) < tracks.rank(short)
