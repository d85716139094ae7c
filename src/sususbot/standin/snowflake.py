"""Ids and time: 64-bit snowflakes drawn from a clock that a test may replace.

Ids are unique and rising whatever the clock does, and carry their own creation time. No clock is read here unasked.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from sususbot.standin.errors import form_error

DISCORD_EPOCH_MS = 1_420_070_400_000
"""First millisecond of 2015, the zero of Discord's ids."""

Clock = Callable[[], float]
"""Seconds since 1970, as `time.time` gives them."""


class TickingClock:
    """A clock that moves only when read, by `step` seconds, or when told to: the same calls give the same ids."""

    def __init__(self, start: float = 1_767_323_045.0, step: float = 0.001) -> None:
        self.now = start
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Snowflakes:
    """The source of ids of one world."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._dated = 0

    def next(self) -> int:
        fresh = (int(self._clock() * 1000) - DISCORD_EPOCH_MS) << 22
        self._last = max(fresh, self._last + 1)
        return self._last

    def at(self, seconds: float) -> int:
        """An id for a moment in the past, for seeded history. Rising moments, equal ones included, give rising ids."""
        self._dated = (self._dated + 1) & 0x3FFFFF
        return (int(seconds * 1000) - DISCORD_EPOCH_MS) << 22 | self._dated


def checked_id(field: str, raw: object) -> int:
    """An id from outside: a number, or a string of one."""
    text = str(raw)
    if isinstance(raw, bool) or not text.isdecimal() or int(text) >= 1 << 64:
        raise form_error(field, "NUMBER_TYPE_COERCE", f'Value "{text}" is not snowflake.')
    return int(text)


def created_at(snowflake: int) -> float:
    """The moment an id was made, in seconds since 1970."""
    return ((snowflake >> 22) + DISCORD_EPOCH_MS) / 1000


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
