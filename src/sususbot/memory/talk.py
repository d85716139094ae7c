"""The messages of a server as talk, in memory: who said each and when, what stands before and after it.

Columns, a row for each message. Row 0 is nobody: it stands before the first and after the last. Messages of a channel
are a chain, which a silence breaks; what hangs together by it is a sitting. A removed message leaves its row empty in
the chain, and an edited one takes its old place.
Not here: their words (`postings`), their vectors (`vector_index`).
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from sususbot.archive.terms import TermRows
from sususbot.archive.vectors import Ids
from sususbot.memory.places import Places
from sususbot.messages import Audience

Rows = npt.NDArray[np.int32]

# So many on each side stand around a message.
REACH: Final = 2
# After so much silence what follows is something else.
SILENCE_MS: Final = 30 * 60_000


class Lengths(NamedTuple):
    """Mean numbers of words: of a message, and of what is said within REACH messages of one."""

    alone: float
    near: float


class Talk:
    """All messages that may be searched. One thread changes it at a time."""

    def __init__(self) -> None:
        self._begin()

    def synchronise(self, pieces: Iterable[TermRows]) -> Iterator[tuple[Rows, TermRows]]:
        """Hold exactly these, which come channel by channel, oldest first; gives each piece with its rows."""
        self._begin()
        for piece in pieces:
            rows = self._put(piece)
            self._chain(rows)
            yield rows, piece
        self._places.reset(self.ids[: self.count])

    def add(self, piece: TermRows) -> Rows:
        """Take messages in that are not there; gives their rows."""
        rows = self._put(piece)
        for row in rows.tolist():
            self._insert(row)
        self._places.put(self.ids[rows], rows.astype(np.int64))
        return rows

    def remove(self, ids: Collection[int]) -> None:
        """Forget messages; those that are not there are no error."""
        wanted = np.unique(np.array(list(ids), np.int64))
        rows = self._places.of(wanted)
        there = rows > 0
        self._places.drop(wanted[there])
        self._living -= int(there.sum())
        for id_, row in zip(wanted[there].tolist(), rows[there].tolist(), strict=True):
            self._empty[id_] = row
        for column in (self.alive, self.lengths, self.traits, self.rarity):
            column[rows[there]] = 0

    def rows_of(self, ids: Collection[int]) -> Ids:
        """The row of each id; below 1 where it has none."""
        return self._places.of(np.array(list(ids), np.int64))

    def around(self, rows: Rows) -> Rows:
        """(rows, 2 · REACH + 1): each with what stands around it, itself in the middle; 0 where nothing does."""
        steps = [rows]
        for _ in range(REACH):
            steps = [self.before[steps[0]], *steps, self.after[steps[-1]]]
        return np.stack(steps, axis=1)

    def audible(self, audience: Audience) -> npt.NDArray[np.bool_] | None:
        """For each number in `channels`, whether an audience may read it; None: it may read all."""
        if audience is None or self._channels.keys() <= audience:
            return None
        return np.array([False, *(channel in audience for channel in self._channels)])

    def number_of(self, author_id: int) -> int:
        """The number in `authors` of a member; 0 where nothing of theirs is here."""
        return self._authors.get(author_id, 0)

    def talkers(self, share: float) -> set[int]:
        """The members who said at least so much of all."""
        said = np.bincount(self.authors[: self.count][self.alive[: self.count]], minlength=len(self._authors) + 1)
        return {author for author, number in self._authors.items() if said[number] >= share * self._living}

    def mean_lengths(self) -> Lengths:
        """As they are now; at least one word."""
        rows = np.flatnonzero(self.alive[: self.count]).astype(np.int32)
        if not len(rows):
            return Lengths(1.0, 1.0)
        # A sample is enough, and a million rows would take a second.
        sample = rows[:: max(1, len(rows) // 20_000)]
        near = self.lengths[self.around(sample)].sum(1)
        return Lengths(max(1.0, float(self.lengths[sample].mean())), max(1.0, float(near.mean())))

    @property
    def living(self) -> int:
        """How many messages may be found."""
        return self._living

    def _begin(self) -> None:
        self.count = 1
        self.ids: Ids = np.zeros(1, np.int64)
        self.times: Ids = np.zeros(1, np.int64)
        # Channels and members by small numbers from 1 on.
        self.channels: Rows = np.zeros(1, np.int32)
        self.authors: Rows = np.zeros(1, np.int32)
        self.lengths: Rows = np.zeros(1, np.int32)
        self.before: Rows = np.zeros(1, np.int32)
        self.after: Rows = np.zeros(1, np.int32)
        # Known by their first row.
        self.sittings: Rows = np.zeros(1, np.int32)
        self.traits: npt.NDArray[np.uint8] = np.zeros(1, np.uint8)
        # How rare its rarest word is (idf).
        self.rarity: npt.NDArray[np.float32] = np.zeros(1, np.float32)
        self.alive: npt.NDArray[np.bool_] = np.zeros(1, np.bool_)
        self._channels: dict[int, int] = {}
        self._authors: dict[int, int] = {}
        self._places = Places()
        self._last: dict[int, int] = {}
        # Where removed messages stood.
        self._empty: dict[int, int] = {}
        self._living = 0

    def _put(self, piece: TermRows) -> Rows:
        first, self.count = self.count, self.count + len(piece.ids)
        self._reserve(self.count)
        self._living += len(piece.ids)
        rows = np.arange(first, self.count, dtype=np.int32)
        self.ids[rows], self.times[rows], self.lengths[rows] = piece.ids, piece.times, piece.lengths
        self.traits[rows], self.alive[rows] = piece.traits, True
        self.channels[rows] = _numbers(self._channels, piece.channels)
        self.authors[rows] = _numbers(self._authors, piece.authors)
        return rows

    def _reserve(self, count: int) -> None:
        """Room for rows; grows by half, so that adding one message costs no copy of all."""
        if count <= len(self.ids):
            return
        room = max(count, len(self.ids) * 3 // 2)
        for name in _COLUMNS:
            column = getattr(self, name)
            wider = np.zeros(room, column.dtype)
            wider[: len(column)] = column
            setattr(self, name, wider)

    def _chain(self, rows: Rows) -> None:
        """Link rows that follow each other, the first to the last that was there before."""
        if not len(rows):
            return
        earlier = np.concatenate([[rows[0] - 1], rows[:-1]])
        joined = (self.channels[earlier] == self.channels[rows]) & (
            self.times[rows] - self.times[earlier] <= SILENCE_MS
        )
        self.before[rows] = np.where(joined, earlier, 0)
        self.after[earlier[joined]] = rows[joined]
        starts = np.where(joined, 0, rows)
        starts[0] = self.sittings[earlier[0]] if joined[0] else rows[0]
        self.sittings[rows] = np.maximum.accumulate(starts)
        borders = np.flatnonzero(np.diff(self.channels[rows])).tolist()
        for _, end in pairwise([-1, *borders, len(rows) - 1]):
            self._last[int(self.channels[rows[end]])] = int(rows[end])

    def _insert(self, row: int) -> None:
        """Link one row at its place: the one it had, or by its id, which a channel is in the order of."""
        id_, channel = int(self.ids[row]), int(self.channels[row])
        last = self._last.get(channel, 0)
        if (old := self._empty.pop(id_, None)) is not None:
            before, after = int(self.before[old]), int(self.after[old])
            self.before[old] = self.after[old] = 0
        else:
            old, before, after = 0, last, 0
            while before and self.ids[before] > id_:
                before, after = int(self.before[before]), before
            if before and self.times[row] - self.times[before] > SILENCE_MS:
                before = 0
            if after and self.times[after] - self.times[row] > SILENCE_MS:
                after = 0
        self.before[row], self.after[row] = before, after
        beside = old or before or after
        self.sittings[row] = self.sittings[beside] if beside else row
        if before:
            self.after[before] = row
        if after:
            self.before[after] = row
        if last == old or id_ > int(self.ids[last]):
            self._last[channel] = row


_COLUMNS: Final = (
    "ids", "times", "channels", "authors", "lengths", "before", "after", "sittings", "traits", "rarity", "alive"
)  # fmt: skip


def _numbers(known: dict[int, int], ids: Ids) -> Rows:
    """Small numbers for large ids, new ones as they come."""
    different, which = np.unique(ids, return_inverse=True)
    numbers = [known.setdefault(id_, len(known) + 1) for id_ in different.tolist()]
    return np.array(numbers, np.int32)[which]
