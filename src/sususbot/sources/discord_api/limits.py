"""How fast Discord may be asked: a window per route and channel, a pace over all, and a budget of refusals.

What headers say is believed as long as it is no more than what is known to be allowed: they have shown a thousand
requests left until the sixth was refused. So each route starts at the limit that was measured (5 in 5 s); headers can
make it slower, or faster by a shorter window, and a refusal (429) is always believed.
Counted so that no server sees more than its limit in a window, however it lays its windows: a request counts from when
its answer came. Requests that share a window go one after another.
"""

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from sususbot.errors import RateLimited

Clock = Callable[[], float]

# Ranks of requests: before all others, and after them.
FIRST: Final = float("-inf")
LAST: Final = float("inf")

# Discord bans an address for 10,000 answers of 401, 403 and 429 in 10 minutes.
_REFUSALS_ALLOWED: Final = 500
_REFUSALS_SECONDS: Final = 600.0
# Resets in headers are sometimes absurd; the wait of a refusal is obeyed up to where a person should decide.
_LONGEST_TOLD: Final = 60.0
_LONGEST_WAIT: Final = 900.0
# Added to each wait for a window, so that no clock's rounding ends it early.
_MARGIN: Final = 0.002
# Refusals in a row, each after the same number of requests, that together tell a limit no header does: three may be
# chance where one request in twenty is refused.
_TELLING: Final = 4
# Windows without a refusal until a pace that was lowered so is raised again, twice as many each time.
_CLEAN_WINDOWS: Final = 5
# What Discord allows per second over all, how far a late loop may catch up, and how long a refusal of everything slows.
_OVERALL: Final = 50.0
_CREDIT_SECONDS: Final = 0.125
_SLOW_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer's headers say of its window."""

    limit: int
    remaining: int
    reset_after: float

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> "Told | None":
        """None where they are absent or make no sense."""
        try:
            told = cls(
                int(headers["X-RateLimit-Limit"]),
                int(headers["X-RateLimit-Remaining"]),
                float(headers["X-RateLimit-Reset-After"]),
            )
        except (KeyError, ValueError):
            return None
        sane = 0 <= told.remaining < told.limit and 0 <= told.reset_after < float("inf")
        return told if sane else None

    @property
    def wait(self) -> float:
        return min(self.reset_after, _LONGEST_TOLD) + _MARGIN


class Window:
    """The window of one route and channel: when the next request may go. Reads no clock itself.

    Two accounts: the server's own, while its headers can be believed, and the times of the last answers otherwise.
    """

    def __init__(self, limit: int, per: float) -> None:
        self.limit = limit
        """Requests in a window, as far as is known; never more than it began with."""
        self._most = limit
        self._per = per
        self._answered: deque[float] = deque(maxlen=limit)
        self._told: Told | None = None
        self._left = 0
        self._ends = 0.0
        self._blocked_until = 0.0
        self._since_refusal = 0
        self._pattern: list[int] = []
        self._patience = _CLEAN_WINDOWS

    def opens_at(self, now: float) -> float:
        """The time from which a request may go: `now` when that is at once."""
        at = self._blocked_until
        if self._told is not None:
            at = self._ends if self._left <= 0 else at
        elif len(self._answered) >= self.limit:
            at = max(at, self._answered[-self.limit] + self._per + _MARGIN)
        return max(at, now)

    def answered(self, told: Told | None, now: float) -> None:
        """An answer that is no refusal, with what it told."""
        self._count(now)
        before, self._told = self._told, told if told is not None and told.limit <= self.limit else None
        if self._told is None:
            return
        # Each answer is late by its way here: of all that tell the end of one window, the first is nearest the truth.
        same = before is not None and self._told.remaining < self._left and now < self._ends
        ends = now + self._told.wait
        self._left, self._ends = self._told.remaining, min(ends, self._ends) if same else ends
        if self._told.remaining == self._told.limit - 1:
            self._per = self._told.wait

    def lost(self, now: float) -> None:
        """A request without an answer: the server may have counted it all the same."""
        self._count(now)
        if self._told is not None:
            if now >= self._ends:
                self._left, self._ends = self._told.limit, now + self._per
            self._left -= 1

    def _count(self, now: float) -> None:
        self._answered.append(now)
        self._since_refusal += 1
        if self.limit < self._most and self._since_refusal >= self._patience * self.limit:
            self.limit += 1
            self._since_refusal = 0

    def refused(self, told: Told | None, wait: float, now: float) -> None:
        """A 429 that says to wait so many seconds."""
        self._blocked_until = now + wait
        self._told = None
        if told is not None and told.limit <= self._most:
            self._most = told.limit
            self.limit = min(self.limit, told.limit)
        else:
            self._learn(self._since_refusal)
        self._since_refusal = 0

    def _learn(self, admitted: int) -> None:
        """A single refusal may be the weather; several after the same number of requests are a limit."""
        if admitted == 0:
            return
        self._pattern = [*self._pattern, admitted] if self._pattern[-1:] == [admitted] else [admitted]
        if len(self._pattern) >= _TELLING and self.limit > 1:
            self.limit = max(1, min(self.limit - 1, admitted))
            self._patience *= 2
            self._pattern = []


class Pace:
    """The pace over all requests: evenly spaced, with a little credit for a loop that came late."""

    def __init__(self, per_second: float) -> None:
        self._step = 1 / per_second
        # At full pace the credit comes on top, within one second.
        self._credit = max(0.0, min(_CREDIT_SECONDS, _OVERALL / per_second - 1))
        self._next = 0.0
        self._slow_until = 0.0

    def opens_at(self, now: float) -> float:
        """The time from which the next request may go: `now` when that is at once."""
        return max(self._next, now)

    def sent(self, now: float) -> None:
        step = self._step * (2 if now < self._slow_until else 1)
        self._next = max(self._next, now - self._credit) + step

    def refused(self, wait: float, now: float) -> None:
        """A 429 for everything: silence for as long as it says, then half the pace for a while."""
        self._next = max(self._next, now + wait)
        self._slow_until = self._next + _SLOW_SECONDS


class Refusals:
    """The refusals of the last minutes. Far below what gets an address banned, all stops."""

    def __init__(self, allowed: int = _REFUSALS_ALLOWED, seconds: float = _REFUSALS_SECONDS) -> None:
        self._allowed = allowed
        self._seconds = seconds
        self._at: deque[float] = deque()

    def count(self, now: float) -> None:
        """One more. Raises RateLimited when that is enough."""
        self._at.append(now)
        while self._at[0] <= now - self._seconds:
            self._at.popleft()
        if len(self._at) >= self._allowed:
            raise RateLimited(
                f"Discord refused {len(self._at)} requests within {self._seconds / 60:.0f} minutes, and more of them "
                "would ban this address: check the bot's permissions, and run the same command again in 10 minutes"
            )


class Limiter:
    """Gives out turns. Every route begins with `limit` requests in `per` seconds; all together keep to `per_second`."""

    def __init__(
        self, per_second: float = 40.0, *, limit: int = 5, per: float = 5.0, now: Clock = time.monotonic
    ) -> None:
        self.per_second = per_second
        self.refusals = Refusals()
        self.now = now
        self._pace = Pace(per_second)
        self._queue: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._limit = limit
        self._per = per
        self._windows: dict[tuple[str, str], tuple[Window, asyncio.Lock]] = {}
        self._buckets: dict[str, str] = {}

    @asynccontextmanager
    async def turn(self, route: str, resource: str, *, rank: float = FIRST) -> AsyncIterator["Turn"]:
        """Wait for the window of this route and resource (channel, guild) and for the pace, then hold the window.

        Of all that wait for the pace, the lowest rank goes first.
        """
        window, lock = self._window(route, resource)
        async with lock:
            await self._until(window.opens_at)
            await self._place(rank)
            yield Turn(self, route, window)

    async def _place(self, rank: float) -> None:
        """Wait for a place in the pace over all."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._queue, (rank, next(self._numbers), place))
        if self._timer is None:
            self._give_places()
        await place

    def _give_places(self) -> None:
        """To the first in the queue, as soon as the pace allows, and so on until nobody waits."""
        self._timer = None
        while self._queue:
            now = self.now()
            at = self._pace.opens_at(now)
            if at > now:
                self._timer = asyncio.get_running_loop().call_later(at - now, self._give_places)
                return
            place = heappop(self._queue)[2]
            if not place.done():
                self._pace.sent(now)
                place.set_result(None)

    async def _until(self, opens_at: Callable[[float], float]) -> None:
        """Until that time has come; it may be put off meanwhile."""
        while True:
            now = self.now()
            at = opens_at(now)
            if at <= now:
                return
            await asyncio.sleep(at - now)

    def _window(self, route: str, resource: str) -> tuple[Window, asyncio.Lock]:
        key = (self._buckets.get(route, route), resource)
        if key not in self._windows:
            own = self._windows.get((route, resource))
            self._windows[key] = own or (Window(self._limit, self._per), asyncio.Lock())
        return self._windows[key]

    def belongs(self, route: str, bucket: str) -> None:
        """Routes whose answers name the same bucket share their windows from then on."""
        self._buckets[route] = bucket

    def refused_all(self, wait: float) -> None:
        self._pace.refused(wait, self.now())


class Turn:
    """One request's place in its window, and what became of it."""

    def __init__(self, limiter: Limiter, route: str, window: Window) -> None:
        self._limiter = limiter
        self._route = route
        self._window = window

    def answered(self, headers: Mapping[str, str]) -> None:
        """An answer that is no 429."""
        self._window.answered(Told.read(headers), self._limiter.now())
        if bucket := headers.get("X-RateLimit-Bucket"):
            self._limiter.belongs(self._route, bucket)

    def lost(self, times: int) -> None:
        """The request went out so many times without an answer."""
        for _ in range(times):
            self._window.lost(self._limiter.now())

    def refused(self, headers: Mapping[str, str], wait: float, *, everywhere: bool) -> None:
        """A 429. Raises RateLimited when it asks for more patience than a program should have."""
        if wait > _LONGEST_WAIT:
            raise RateLimited(
                f"Discord asks to wait {wait / 60:.0f} minutes: run the same command again after that, it goes on "
                "where it stopped"
            )
        wait += random.uniform(0.02, 0.1) * min(wait, 10.0) + _MARGIN
        if everywhere:
            self._limiter.refused_all(wait)
        else:
            self._window.refused(Told.read(headers), wait, self._limiter.now())
