"""Which of an engine's slots answers: the one that has read the channel's talk already.

A slot keeps what it computed of its last prompt, so a channel comes back to its own. A request without a channel, or of
a new one, takes a slot that nobody's talk is in, else the one whose channel has been silent longest.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# The engine's word for: any.
_ANY: Final = -1


class Slots:
    """The slots of one engine, numbered from 0. Thread-safe."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        # Least recently used first.
        self._channels: dict[int, int | None] = dict.fromkeys(range(count))
        self._busy: set[int] = set()

    @contextmanager
    def taken(self, channel_id: int | None) -> Iterator[int]:
        """A slot for one reply; -1 where all are busy: the engine then takes the first that gets free."""
        slot = self._take(channel_id)
        try:
            yield slot
        finally:
            with self._lock:
                self._busy.discard(slot)

    def _take(self, channel_id: int | None) -> int:
        with self._lock:
            free = [slot for slot in self._channels if slot not in self._busy]
            if not free:
                return _ANY
            own = [slot for slot in free if channel_id is not None and self._channels[slot] == channel_id]
            empty = [slot for slot in free if self._channels[slot] is None]
            slot = (own or empty or free)[0]
            del self._channels[slot]
            # At the end: just used. In whose slot a request without channel was, nothing of that channel is left.
            if channel_id is not None:
                self._forget(channel_id)
                self._channels[slot] = channel_id
            else:
                self._channels = {slot: None, **self._channels}
            self._busy.add(slot)
            return slot

    def _forget(self, channel_id: int) -> None:
        """A channel whose own slot was busy has its talk in two; the later one counts."""
        for slot, channel in self._channels.items():
            if channel == channel_id:
                self._channels[slot] = None
