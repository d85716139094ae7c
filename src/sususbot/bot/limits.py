"""Who gets an answer now, and which sign says why not: rates, a pause for each member, quiet hours, who is blocked.

A rate is a sliding window: never more than so many answers within any minute. Only answers count; who is refused has
lost nothing and need not wait longer for having asked. All is in memory: after a restart everybody begins anew.
Not here: the reaction itself, and the log line and the counter of each refusal (`answering`).
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from typing import Final, Literal

Cause = Literal["blocked", "quiet", "cooldown", "member", "channel"]

WINDOW_SECONDS: Final = 60.0
# Blocking is not being heard: a sign would be an answer, and an invitation to go on.
_REACTIONS: Final[dict[Cause, str | None]] = {
    "blocked": None,
    "quiet": "💤",
    "cooldown": "🧊",
    "member": "🐢",
    "channel": "🚦",
}


@dataclass(frozen=True, slots=True)
class Sign:
    """Why there is no answer. `reaction` is the emoji that tells the member; None says nothing to anybody."""

    cause: Cause
    reaction: str | None


SIGNS: Final = {cause: Sign(cause, reaction) for cause, reaction in _REACTIONS.items()}


class Limits:
    """Of one running bot; used on its event loop alone.

    `member_rate` and `channel_rate` are answers a minute, 0 for as many as are wanted; `cooldown` is in seconds from an
    answer to a member to the next; `quiet` are spans of a day, over midnight where one ends before it begins; `zone`
    is where their clock hangs, None for this machine's.
    """

    def __init__(
        self,
        *,
        member_rate: int = 0,
        channel_rate: int = 0,
        cooldown: float = 0.0,
        quiet: Sequence[tuple[time, time]] = (),
        zone: tzinfo | None = None,
        blocked: Collection[int] = (),
    ) -> None:
        self._members = _Window(member_rate)
        self._channels = _Window(channel_rate)
        self._pauses = _Window(1, cooldown)
        self._quiet = tuple(quiet)
        self._zone = zone
        self._blocked = frozenset(blocked)

    def blocks(self, member_id: int) -> bool:
        """Whether a member is not heard at all."""
        return member_id in self._blocked

    def check(self, member_id: int, channel_id: int, *, now: float) -> Sign | None:
        """None when the question is to be answered, which counts it; else the sign. `now` is in seconds since 1970."""
        cause = self._cause(member_id, channel_id, now)
        if cause is not None:
            return SIGNS[cause]
        self._members.count(member_id, now)
        self._channels.count(channel_id, now)
        self._pauses.count(member_id, now)
        return None

    def _cause(self, member_id: int, channel_id: int, now: float) -> Cause | None:
        """What concerns the member alone comes before what concerns all."""
        if member_id in self._blocked:
            return "blocked"
        if self._is_quiet(now):
            return "quiet"
        if self._pauses.full(member_id, now):
            return "cooldown"
        if self._members.full(member_id, now):
            return "member"
        return "channel" if self._channels.full(channel_id, now) else None

    def _is_quiet(self, now: float) -> bool:
        if not self._quiet:
            return False
        # By the clock on the wall, whatever summer time does to it.
        clock = datetime.fromtimestamp(now, self._zone).time()
        return any(_within(clock, begin, end) for begin, end in self._quiet)


class _Window:
    """When the last answers were, by whom they were for: at most `most` within `seconds`; nobody is kept for longer."""

    def __init__(self, most: int, seconds: float = WINDOW_SECONDS) -> None:
        self._most = most if seconds > 0 else 0
        self._seconds = seconds
        # Who was answered last stands last.
        self._times: OrderedDict[int, list[float]] = OrderedDict()

    def full(self, key: int, now: float) -> bool:
        return 0 < self._most <= len(self._recent(key, now))

    def count(self, key: int, now: float) -> None:
        if self._most == 0:
            return
        self._times[key] = [*self._recent(key, now), now]
        self._times.move_to_end(key)
        while (oldest := next(iter(self._times))) != key and not self._recent(oldest, now):
            del self._times[oldest]

    def _recent(self, key: int, now: float) -> list[float]:
        # What lies ahead was counted before the clock was set back.
        return [at for at in self._times.get(key, ()) if now - self._seconds < at <= now]


def _within(clock: time, begin: time, end: time) -> bool:
    if begin <= end:
        return begin <= clock < end
    return clock >= begin or clock < end
