"""Faults on demand: a script of what goes wrong, for which requests and how often.

HTTP faults are queued per method and path and used up in order; gateway faults are armed by kind. Without any, the
stand-in behaves. Faults decide nothing themselves; `api` and `gateway` ask for them.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Literal

Scope = Literal["user", "global", "shared"]
Kind = Literal["status", "rate_limited", "cloudflare", "reset", "truncated", "html", "slow"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way for a request to go wrong. `after` lets the request take effect first."""

    kind: Kind
    status: int = 200
    after: bool = False
    code: int = 0
    retry_after: float = 0.0
    scope: Scope = "user"
    via: bool = True

    def __str__(self) -> str:
        return f"{self.kind} {self.status}" + (" after" if self.after else "")


def failing(status: int, *, after: bool = False, code: int = 0) -> Fault:
    """An error answer with a JSON body."""
    return Fault("status", status, after, code)


def rate_limited(retry_after: float = 0.05, *, scope: Scope = "user", via: bool = True) -> Fault:
    """A 429 that no window explains. Without `via` it looks like one of Cloudflare's."""
    return Fault("rate_limited", 429, retry_after=retry_after, scope=scope, via=via)


def cloudflare(status: int = 429, *, retry_after: float = 600.0) -> Fault:
    """The page of a banned address."""
    return Fault("cloudflare", status, retry_after=retry_after, via=False)


def reset(*, after: bool = False) -> Fault:
    """The connection is reset instead of an answer."""
    return Fault("reset", 0, after)


def truncated() -> Fault:
    """The request takes effect, half of the answer arrives."""
    return Fault("truncated", after=True)


def html() -> Fault:
    """A page with status 200 where JSON should be; the request has no effect."""
    return Fault("html")


def slow(seconds: float) -> Fault:
    """The request waits before it is looked at."""
    return Fault("slow", retry_after=seconds)


class GatewayFault(Enum):
    REFUSE_CONNECT = "503 instead of an upgrade"
    RESET_CONNECT = "the connection is reset instead of upgraded; aiohttp tries such a request twice"
    NO_HELLO = "silence after the upgrade"
    RECONNECT_FIRST = "op 7 where HELLO is due"
    NO_ACK = "heartbeats are not acknowledged"
    CLOSE_AT_IDENTIFY = "IDENTIFY is answered with a close code"
    CLOSE_AT_RESUME = "RESUME is answered with a close code"
    INVALID_SESSION = "IDENTIFY and RESUME are answered with op 9 false"
    DUPLICATE_REPLAY = "RESUME replays message events that were delivered before, and the missed ones twice"
    SHUFFLED_REPLAY = "RESUME replays the missed events last first"
    NO_GUILD = "READY without GUILD_CREATE"
    GUILD_UNAVAILABLE = "READY, then a GUILD_CREATE that says unavailable"
    UNPARSABLE = "READY and GUILD_CREATE, then a CHANNEL_UPDATE without the fields that discord.py needs"


@dataclass(slots=True)
class _Scripted:
    method: str
    pattern: str
    fault: Fault
    left: int | None

    def matches(self, method: str, path: str, route: str | None) -> bool:
        return self.method in ("*", method) and (self.pattern == route or fnmatchcase(path, self.pattern))


class Weather:
    """Each request goes wrong by chance: every fault has its share of them. The same seed strikes the same requests."""

    def __init__(self, shares: Mapping[Fault, float], *, seed: int = 0, method: str = "GET", path: str = "*") -> None:
        self._shares = dict(shares)
        self._random = random.Random(seed)
        self._method = method
        self._path = path

    def strike(self, method: str, path: str) -> Fault | None:
        if self._method not in ("*", method) or not fnmatchcase(path, self._path):
            return None
        roll = self._random.random()
        for fault, share in self._shares.items():
            roll -= share
            if roll < 0:
                return fault
        return None


@dataclass(slots=True)
class Armed:
    left: int | None
    code: int


class Faults:
    def __init__(self) -> None:
        self.weather: Weather | None = None
        self.struck: Counter[Kind] = Counter()
        """How often each kind went wrong by now."""
        self._scripted: list[_Scripted] = []
        self._armed: dict[GatewayFault, Armed] = {}

    def add(self, method: str, path: str, fault: Fault, times: int | None = 1) -> None:
        """For the next `times` requests of `method` ("*" for any) to `path`: a route as the API description writes it
        or a shell pattern on the path behind `/api/v10`. `None` is for ever."""
        self._scripted.append(_Scripted(method, path, fault, times))

    def arm(self, fault: GatewayFault, times: int | None = 1, *, code: int = 4000) -> None:
        """`code` is the close code, for the faults that close."""
        self._armed[fault] = Armed(times, code)

    def disarm(self, fault: GatewayFault) -> None:
        """No more of it, also of one that was for ever."""
        self._armed.pop(fault, None)

    def clear(self) -> None:
        self.weather = None
        self._scripted.clear()
        self._armed.clear()

    @property
    def pending(self) -> int:
        """Scripted and armed faults that are not used up; those without end are not counted."""
        left = [entry.left for entry in self._scripted] + [armed.left for armed in self._armed.values()]
        return sum(count for count in left if count is not None)

    def take(self, method: str, path: str, route: str | None) -> Fault | None:
        fault = self._next(method, path, route)
        if fault is not None:
            self.struck[fault.kind] += 1
        return fault

    def _next(self, method: str, path: str, route: str | None) -> Fault | None:
        for index, entry in enumerate(self._scripted):
            if entry.matches(method, path, route):
                if entry.left is not None:
                    entry.left -= 1
                    if entry.left == 0:
                        del self._scripted[index]
                return entry.fault
        return None if self.weather is None else self.weather.strike(method, path)

    def strike(self, fault: GatewayFault) -> Armed | None:
        """Uses up one armed fault of that kind."""
        armed = self._armed.get(fault)
        if armed is not None and armed.left is not None:
            armed.left -= 1
            if armed.left == 0:
                del self._armed[fault]
        return armed
