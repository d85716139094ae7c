"""How far a collection is: messages, requests, rate, the share done and the time left.

Discord counts the messages of a thread, and those of a channel where its search index is ready. Where something is not
counted the share is one of time: how much of the channel's life was read.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

_PAGE: Final = 100
# More messages than a channel holds.
_UNCOUNTED: Final = 1e12
# What one channel gives, whatever the pace over all: 5 pages in 5 seconds.
_PAGES_PER_SECOND: Final = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a running collection; None is not known."""

    messages: int
    new: int
    requests: int
    channels: int
    channels_done: int
    share: float
    per_second: float
    total: int | None
    seconds_left: float | None


@dataclass(slots=True)
class Track:
    """One channel: how many messages are expected, if that is known, and how far its ids were read."""

    changed: Callable[[], None]
    expected: int | None = None
    read: int = 0
    done: bool = False
    counted_before: bool = False
    _begin: int = 0
    _end: int = 0
    _at: int = 0

    def aim(self, begin: int, end: int) -> None:
        """Reading goes from one id to another, up or down."""
        self._begin = self._at = begin
        self._end = end

    def reach(self, at: int, messages: int) -> None:
        """A page of so many messages leads to this id."""
        self._at = at
        self.read += messages
        self.changed()

    def finish(self) -> None:
        self.done = True
        self.changed()

    @property
    def share(self) -> float:
        if self.done:
            return 1.0
        if self.expected:
            return min(1.0, self.read / self.expected)
        way = self._end - self._begin
        return min(1.0, max(0.0, (self._at - self._begin) / way)) if way else 0.0

    @property
    def left(self) -> int | None:
        if self.done:
            return 0
        return None if self.expected is None else max(0, self.expected - self.read)


def estimate(messages: Sequence[int], requests_per_second: float) -> float:
    """Seconds that the limits demand for channels with so many messages: each by itself, and all together."""
    pages = [math.ceil(count / _PAGE) for count in messages]
    return max(max(pages, default=0) / _PAGES_PER_SECOND, sum(pages) / requests_per_second)


@dataclass(slots=True)
class Tracks:
    """All channels of a run. `counts` gives the new messages and the requests so far."""

    requests_per_second: float
    counts: Callable[[], tuple[int, int]]
    tell: Callable[[Progress], None]
    _tracks: dict[int, Track] = field(default_factory=dict)
    _begun: float = field(default_factory=time.monotonic)

    def track(self, channel_id: int) -> Track:
        """A channel's own; made when it is first asked for."""
        if channel_id not in self._tracks:
            self._tracks[channel_id] = Track(self.report)
        return self._tracks[channel_id]

    def rank(self, track: Track) -> float:
        """The longer the rest of a channel, the lower: it decides when the run ends.

        While some are not counted yet, those that Discord counts beforehand (threads) come after all others, and these
        keep step: a wrong guess would leave one behind.
        """
        if all(other.expected is not None for other in self._tracks.values()) or track.counted_before:
            return -(track.left or 0)
        return track.read - _UNCOUNTED

    @property
    def messages(self) -> int:
        return sum(track.read for track in self._tracks.values())

    def report(self) -> None:
        """Tell how it stands."""
        self.tell(self._now())

    def _now(self) -> Progress:
        tracks = list(self._tracks.values())
        seconds = max(time.monotonic() - self._begun, 1e-6)
        messages = self.messages
        left = [track.left for track in tracks]
        known = [count for count in left if count is not None]
        counted = len(known) == len(tracks)
        if counted:
            share = messages / (messages + sum(known)) if messages + sum(known) else 1.0
            seconds_left: float | None = estimate(known, self.requests_per_second)
        else:
            share = sum(track.share for track in tracks) / len(tracks)
            seconds_left = seconds * (1 - share) / share if share else None
        new, requests = self.counts()
        return Progress(
            messages=messages,
            new=new,
            requests=requests,
            channels=len(tracks),
            channels_done=sum(track.done for track in tracks),
            share=share,
            per_second=messages / seconds,
            total=messages + sum(known) if counted else None,
            seconds_left=seconds_left,
        )
