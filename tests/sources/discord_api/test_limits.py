"""Limits in simulated time: never refused by an honest server, nor far below what it allows; taught by refusals."""

import asyncio
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.errors import RateLimited
from sususbot.sources.discord_api.limits import FIRST, LAST, Limiter, Pace, Refusals, Told, Window
from sususbot.standin import ratelimit
from sususbot.standin.ratelimit import Headers, RateLimits


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Sliding:
    """A server that allows so many requests in any stretch of time, wherever it begins, and says nothing of it."""

    def __init__(self, limit: int, per: float) -> None:
        self._limit = limit
        self._per = per
        self._at: deque[float] = deque()

    def __call__(self, now: float) -> tuple[dict[str, str], float | None]:
        while self._at and self._at[0] <= now - self._per:
            self._at.popleft()
        if len(self._at) >= self._limit:
            return {}, self._at[0] + self._per - now + 0.001
        self._at.append(now)
        return {}, None


def fixed(
    limit: int, per: float, headers: Headers, time: Time
) -> Callable[[float], tuple[dict[str, str], float | None]]:
    """A server whose windows open with their first request."""
    wide = RateLimits.none().overall
    limiter = ratelimit.Limiter(RateLimits(history=ratelimit.Window(limit, per, headers), overall=wide), time)

    def admit(_now: float) -> tuple[dict[str, str], float | None]:
        verdict = limiter.admit("history", "1")
        return verdict.headers, verdict.retry_after

    return admit


def send(
    window: Window,
    admit: Callable[[float], tuple[dict[str, str], float | None]],
    time: Time,
    count: int,
    delays: Callable[[int], tuple[float, float]] = lambda _n: (0.01, 0.01),
) -> int:
    """So many requests, each on its way for a while, and its answer too; gives how many were refused."""
    refused = admitted = 0
    while admitted < count:
        there, back = delays(admitted)
        time.now = window.opens_at(time.now) + there
        headers, wait = admit(time.now)
        time.now += back
        if wait is None:
            window.answered(Told.read(headers), time.now)
            admitted += 1
        else:
            window.refused(Told.read(headers), wait, time.now)
            refused += 1
    return refused


delay = st.floats(0, 3)


@given(st.lists(st.tuples(delay, delay), min_size=30, max_size=30), st.sampled_from(Headers), st.integers(5, 9))
def test_never_refused_within_the_measured_limit(
    delays: list[tuple[float, float]], headers: Headers, limit: int
) -> None:
    """However long requests and answers are on their way, and whatever the headers say."""
    time = Time()
    assert send(Window(5, 5.0), fixed(limit, 5.0, headers, time), time, 30, lambda n: delays[n]) == 0


@given(st.lists(st.tuples(delay, delay), min_size=30, max_size=30))
def test_never_refused_where_windows_slide(delays: list[tuple[float, float]]) -> None:
    time = Time()
    assert send(Window(5, 5.0), Sliding(5, 5.0), time, 30, lambda n: delays[n]) == 0


@pytest.mark.parametrize(("limit", "per"), [(5, 0.05), (5, 5.0), (5, 12.0), (2, 5.0), (1, 1.0)])
def test_honest_headers_teach_the_pace_faster_and_slower(limit: int, per: float) -> None:
    time = Time()
    begun = time.now
    assert send(Window(5, 5.0), fixed(limit, per, Headers.HONEST, time), time, 101, lambda _n: (0.001, 0.001)) == 0
    assert time.now - begun < (100 // limit) * (per + 0.01) + 0.5


def test_lying_headers_do_not_raise_the_pace() -> None:
    time = Time()
    begun = time.now
    assert send(Window(5, 5.0), fixed(1000, 5.0, Headers.HONEST, time), time, 51) == 0
    assert time.now - begun > 49


def test_one_refusal_tells_a_lower_limit_that_headers_lied_about() -> None:
    time = Time()
    window = Window(5, 5.0)
    assert send(window, fixed(3, 5.0, Headers.LYING, time), time, 100) == 1
    assert window.limit == 3


def test_refusals_in_a_row_tell_a_limit_that_no_header_does() -> None:
    time = Time()
    window = Window(5, 5.0)
    assert send(window, fixed(3, 5.0, Headers.ABSENT, time), time, 14) == 4
    assert window.limit == 3
    assert send(window, fixed(3, 5.0, Headers.ABSENT, time), time, 100) <= 5, "a raise is tried, and taken back"


def test_a_limit_told_by_chance_is_given_up_again() -> None:
    time = Time()
    window = Window(5, 5.0)
    send(window, fixed(2, 5.0, Headers.ABSENT, time), time, 9)
    assert window.limit == 2
    send(window, fixed(5, 5.0, Headers.ABSENT, time), time, 120)
    assert window.limit == 5


def test_a_single_refusal_is_only_waited_for() -> None:
    window = Window(5, 5.0)
    window.answered(None, 1.0)
    window.refused(None, 0.5, 2.0)
    assert window.opens_at(2.0) == 2.5
    assert window.limit == 5


def test_absurd_resets_are_not_believed_for_long() -> None:
    window = Window(5, 5.0)
    window.answered(Told(5, 0, 1e9), 0.0)
    assert window.opens_at(0.0) < 61


def test_a_lost_answer_counts_as_one() -> None:
    window = Window(5, 5.0)
    window.answered(Told(5, 1, 4.0), 0.0)
    window.lost(0.1)
    assert 4.0 < window.opens_at(0.1) < 4.1
    window.lost(6.0)
    assert window.opens_at(6.0) == 6.0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Limit": "5"},
        {"X-RateLimit-Limit": "x", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset-After": "1"},
        {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset-After": "1"},
        {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "-1", "X-RateLimit-Reset-After": "1"},
        {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset-After": "nan"},
        {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset-After": "inf"},
        {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "1"},
    ],
)
def test_headers_without_sense_tell_nothing(headers: dict[str, str]) -> None:
    assert Told.read(headers) is None


@pytest.mark.parametrize("rate", [1.0, 40.0, 50.0])
def test_the_pace_over_all_is_kept_in_every_second(rate: float) -> None:
    pace, now, sent = Pace(rate), 0.0, []
    for number in range(400):
        now = pace.opens_at(now + (0.5 if number % 100 == 50 else 0.0))
        pace.sent(now)
        sent.append(now)
    most = max(sum(at <= other < at + 0.999 for other in sent) for at in sent)
    assert most <= 50
    assert len(sent) / (sent[-1] - sent[0]) > 0.8 * rate


def test_a_refusal_of_everything_silences_and_slows_everything() -> None:
    pace = Pace(40.0)
    pace.refused(3.0, 10.0)
    assert pace.opens_at(10.0) == 13.0
    pace.sent(13.0)
    pace.sent(13.05)
    assert pace.opens_at(13.05) >= 13.05 + 0.05 - 1e-9
    pace.sent(30.0)
    assert pace.opens_at(30.0) <= 30.025 + 1e-9


def test_refusals_far_below_a_ban_end_the_run() -> None:
    refusals = Refusals(allowed=5, seconds=600.0)
    for second in (0, 10, 20, 30):
        refusals.count(second)
    refusals.count(605)
    with pytest.raises(RateLimited, match="ban"):
        refusals.count(606)


async def test_routes_of_one_bucket_share_a_window_and_channels_do_not() -> None:
    limiter = Limiter(1000.0, limit=2, per=60.0)
    headers = {"X-RateLimit-Bucket": "abc"}
    for route in ("/a", "/b"):
        async with limiter.turn(route, "1") as turn:
            turn.answered(headers)
    async with asyncio.timeout(30):
        async with limiter.turn("/a", "2") as turn:
            turn.answered(headers)
        async with limiter.turn("/b", "1") as turn:
            turn.answered(headers)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), limiter.turn("/a", "1"):
            pass


async def test_of_those_that_wait_for_the_pace_the_lowest_rank_goes_first() -> None:
    limiter = Limiter(200.0)
    order: list[float] = []

    async def one(rank: float) -> None:
        async with limiter.turn("/route", str(rank), rank=rank):
            order.append(rank)

    async with asyncio.TaskGroup() as group:
        for rank in [*range(60, 40, -1), LAST, *range(40, 0, -1), FIRST]:
            group.create_task(one(rank))
    # A few went at once, before the others came.
    late = order[order.index(FIRST) :]
    assert late == sorted(late)
    assert late[-1] == LAST
    assert len(late) > 30


async def test_who_gives_up_waiting_takes_no_place() -> None:
    limiter = Limiter(1000.0)

    async def one(resource: str) -> None:
        async with limiter.turn("/route", resource):
            pass

    async with asyncio.timeout(60):
        tasks = [asyncio.create_task(one(str(number))) for number in range(100)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results[1::2] if result is not None] == []


async def test_a_wait_beyond_all_patience_ends_the_run() -> None:
    async with Limiter().turn("/route", "1") as turn:
        with pytest.raises(RateLimited, match="60 minutes"):
            turn.refused({}, 3600.0, everywhere=False)
