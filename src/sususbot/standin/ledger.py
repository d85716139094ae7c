"""The record of all that came and went: each request with its answer, each gateway frame, each heartbeat.

Counts are kept for ever, the entries themselves up to `keep` of each kind, so a long benchmark does not grow memory.
Tokens are never recorded.
"""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sususbot.standin.objects import Json

Direction = Literal["in", "out"]

_INVALID = frozenset({401, 403, 429})


@dataclass(frozen=True, slots=True)
class Request:
    at: float
    """Monotonic seconds at which the answer was ready."""
    method: str
    path: str
    route: str | None
    """The path as the API description writes it, None where there is none."""
    status: int
    """0 for a connection cut without an answer."""
    bucket: str | None
    body: Any
    fault: str | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    at: float
    connection: int
    direction: Direction
    op: int
    event: str | None = None
    seq: int | None = None
    data: Any = None
    """Payload of incoming frames, the token blotted out; outgoing ones are not kept."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    at: float
    connection: int
    lateness: float
    """Seconds past the interval since the heartbeat before it (or since HELLO); 0 when in time."""
    missed: bool = False
    """It never came; the connection was given up."""


class Ledger:
    def __init__(self, keep: int | None = None, changed: Callable[[], None] | None = None) -> None:
        self.requests: deque[Request] = deque(maxlen=keep)
        self.frames: deque[Frame] = deque(maxlen=keep)
        self.heartbeats: deque[Heartbeat] = deque(maxlen=keep)
        self.latest_heartbeat = 0.0
        """The greatest lateness of all heartbeats, also of those no longer kept."""
        self.connects = 0
        self._by_request: Counter[tuple[str, str | None, int]] = Counter()
        self._by_frame: Counter[tuple[Direction, int, str | None]] = Counter()
        self._invalid = 0
        self._changed = changed or (lambda: None)

    def on_change(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def request(self, entry: Request) -> None:
        self.requests.append(entry)
        self._by_request[entry.method, entry.route, entry.status] += 1
        if entry.status in _INVALID and not entry.shared:
            self._invalid += 1
        self._changed()

    def frame(
        self,
        connection: int,
        direction: Direction,
        op: int,
        *,
        event: str | None = None,
        seq: int | None = None,
        data: Any = None,
    ) -> None:
        if isinstance(data, dict) and "token" in data:
            data = {**data, "token": "***"}
        self.frames.append(Frame(time.monotonic(), connection, direction, op, event, seq, data))
        self._by_frame[direction, op, event] += 1
        self._changed()

    def heartbeat(self, connection: int, lateness: float, *, missed: bool = False) -> None:
        self.heartbeats.append(Heartbeat(time.monotonic(), connection, lateness, missed))
        self.latest_heartbeat = max(self.latest_heartbeat, lateness)
        self._changed()

    def connect(self) -> int:
        """Counts a gateway connection and gives it its number."""
        self.connects += 1
        self._changed()
        return self.connects

    @property
    def invalid(self) -> int:
        """Requests that count towards Discord's ban of an address: 401, 403 and 429 of other than shared scope."""
        return self._invalid

    def count(self, method: str | None = None, route: str | None = None, status: int | None = None) -> int:
        """Requests so far; None matches any."""
        return sum(
            n
            for (m, r, s), n in self._by_request.items()
            if method in (None, m) and route in (None, r) and status in (None, s)
        )

    def count_frames(self, direction: Direction, op: int, event: str | None = None) -> int:
        return sum(n for (d, o, e), n in self._by_frame.items() if d == direction and o == op and event in (None, e))

    def bodies(self, method: str, route: str) -> list[Json]:
        """What was sent to a route, oldest first, of the requests still kept."""
        return [entry.body for entry in self.requests if entry.method == method and entry.route == route]
