"""Ids for messages that come without one: older than Discord, converted from elsewhere, or from a CSV file.

Made as Discord makes them: the time above, and where Discord counts, a hash. The same message always gets the same
id, and ids still sort by time (below zero before 2015).
"""

import zlib

from sususbot.messages import DISCORD_EPOCH_MS

_LOW_BITS = 22


class DerivedIds:
    """Ids for the messages of one channel, in the order of its file, oldest or newest first."""

    def __init__(self, channel_id: int) -> None:
        self._channel_id = channel_id
        self._moment = 0
        self._taken: set[int] = set()

    def next(self, created_at: int, author_id: int, text: str) -> int:
        """Who says the same thing again within the same millisecond has said it twice: the next free id.

        What stands elsewhere in the file with the same time is the same message once more. Raises OverflowError.
        """
        if created_at != self._moment:
            self._moment = created_at
            self._taken.clear()
        low = zlib.crc32(f"{self._channel_id} {author_id} {text}".encode()) & ((1 << _LOW_BITS) - 1)
        id_ = ((created_at - DISCORD_EPOCH_MS) << _LOW_BITS) | low
        while id_ in self._taken:
            id_ += 1
        self._taken.add(id_)
        if not -(1 << 63) <= id_ < 1 << 63:
            raise OverflowError(f"{created_at} is beyond the times of ids")
        return id_
