"""Rate limits as Discord keeps them: a window per bucket and resource, and one over everything.

A window opens with its first request and admits `limit` of them until it ends. The headers tell the truth unless a
window is set to lie or to say nothing. Refused requests do not count against a window.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from hashlib import blake2s


class Headers(Enum):
    HONEST = "honest"
    LYING = "lying"
    """A thousand requests left, until the refusal tells the true limit."""
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Window:
    limit: int
    per: float
    headers: Headers = Headers.HONEST


@dataclass(frozen=True, slots=True)
class RateLimits:
    post: Window = Window(5, 5.0)
    history: Window = Window(5, 5.0)
    edit: Window = Window(5, 5.0)
    delete: Window = Window(5, 1.0)
    reaction: Window = Window(1, 0.25)
    typing: Window = Window(5, 5.0)
    threads: Window = Window(5, 5.0)
    search: Window = Window(5, 5.0)
    commands: Window = Window(5, 20.0)
    webhook: Window = Window(5, 2.0)
    other: Window = Window(50, 1.0)
    overall: Window = Window(50, 1.0)

    @classmethod
    def fast(cls, limit: int = 5, per: float = 0.05) -> "RateLimits":
        """The same shape in short windows, for tests."""
        short = {name: Window(limit, per) for name in _names() if name not in ("reaction", "other", "overall")}
        return cls(**short, reaction=Window(1, per / 20), other=Window(50, per), overall=Window(200, per))

    @classmethod
    def none(cls) -> "RateLimits":
        """Windows that never close, for throughput."""
        wide = Window(1_000_000_000, 3600.0)
        return cls(**dict.fromkeys(_names(), wide))

    def window(self, bucket: str) -> Window:
        found = getattr(self, bucket)
        assert isinstance(found, Window)
        return found


def _names() -> list[str]:
    return [field.name for field in fields(RateLimits)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`retry_after` is None for an admitted request."""

    headers: dict[str, str]
    retry_after: float | None = None
    scope: str = "user"


@dataclass(slots=True)
class _Count:
    ends: float = 0.0
    used: int = 0


class Limiter:
    def __init__(self, rates: RateLimits, now: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._now = now
        self._counts: dict[tuple[str, str], _Count] = {}
        self._overall = _Count()
        self._hashes: dict[str, str] = {}

    def admit(self, bucket: str, resource: str, *, apart: bool = False) -> Verdict:
        """Takes a request into account. `bucket` names a field of `RateLimits`, `resource` the channel or guild.

        `apart`: it does not count against the window over everything.
        """
        now = self._now()
        overall = self._rates.overall
        wait = None if apart else _take(self._overall, overall, now)
        if wait is not None:
            return Verdict({}, wait, scope="global")
        window = self._rates.window(bucket)
        count = self._counts.setdefault((bucket, resource), _Count())
        wait = _take(count, window, now)
        return Verdict(self._headers(bucket, window, count, now, refused=wait is not None), wait)

    def _headers(self, bucket: str, window: Window, count: _Count, now: float, *, refused: bool) -> dict[str, str]:
        if window.headers is Headers.ABSENT:
            return {}
        lying = window.headers is Headers.LYING and not refused
        left = _ceil(count.ends - now)
        return {
            "X-RateLimit-Limit": "1000" if lying else str(window.limit),
            "X-RateLimit-Remaining": "999" if lying else str(window.limit - count.used),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": self.bucket_hash(bucket),
        }

    def bucket_hash(self, bucket: str) -> str:
        if bucket not in self._hashes:
            self._hashes[bucket] = blake2s(bucket.encode(), digest_size=16).hexdigest()
        return self._hashes[bucket]


def _take(count: _Count, window: Window, now: float) -> float | None:
    """Seconds to wait, or None where there was room."""
    if now >= count.ends:
        count.ends, count.used = now + window.per, 0
    if count.used >= window.limit:
        return _ceil(count.ends - now)
    count.used += 1
    return None


def _ceil(seconds: float) -> float:
    """Up to the next millisecond: a client that waits as long as it is told must find the window open."""
    return math.ceil(seconds * 1000) / 1000
