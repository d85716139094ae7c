"""Which messages hold a word, in memory: an inverted index of what `talk` knows by rows.

For each term the rows that hold it, ascending, and how often. Sorted arrays hold what was there at the last sorting
(five bytes an entry), a dict what came since. A removed message's entries stay; its row says that it is gone.
"""

from array import array
from typing import Final

import numpy as np
import numpy.typing as npt

from sususbot.archive.terms import TermIds
from sususbot.memory.talk import Rows, Talk

Counts = npt.NDArray[np.uint8]

# New entries until all are sorted anew: this many, and one for so many that are sorted.
_NEW: Final = 100_000
_SHARE: Final = 8
_ROW_BITS: Final = np.uint64(32)
_COUNT_BITS: Final = 8
_NO_ROWS: Final = np.empty(0, np.int32)
_NO_COUNTS: Final = np.empty(0, np.uint8)


class Postings:
    """Term -> rows and counts."""

    def __init__(self, new: int = _NEW) -> None:
        """`new` entries wait unsorted at most, beside one for so many that are sorted."""
        self._most = new
        self._terms: TermIds = np.empty(0, np.uint32)
        self._starts: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self._rows: Rows = _NO_ROWS
        self._counts: Counts = _NO_COUNTS
        # Row and count of each entry in one number: eight bytes instead of ninety.
        self._new: dict[int, array[int]] = {}
        self._waiting = 0

    def fill(self, keys: list[npt.NDArray[np.uint64]]) -> None:
        """Hold exactly these (`keys_of`); the list is emptied on the way."""
        joined = np.concatenate(keys) if keys else np.empty(0, np.uint64)
        keys.clear()
        joined.sort()
        first = np.flatnonzero(np.concatenate([[True], joined[1:] != joined[:-1]])) if len(joined) else np.empty(0, int)
        counts = np.diff(np.concatenate([first, [len(joined)]]))
        joined = joined[first]
        self._new, self._waiting = {}, 0
        self._keep(joined, np.minimum(counts, 255).astype(np.uint8))

    def add(self, rows: Rows, lengths: npt.NDArray[np.int64], terms: TermIds) -> None:
        """Take in messages whose rows are higher than all before."""
        ends = np.cumsum(lengths).tolist()
        for row, length, end in zip(rows.tolist(), lengths.tolist(), ends, strict=True):
            theirs = terms[end - length : end]
            for term, count in zip(*(part.tolist() for part in np.unique(theirs, return_counts=True)), strict=True):
                if (held := self._new.get(term)) is None:
                    held = self._new[term] = array("Q")
                held.append(row << _COUNT_BITS | min(count, 255))
                self._waiting += 1
        if self._waiting > self._most + len(self._rows) // _SHARE:
            self._merge()

    def of(self, term: int) -> tuple[Rows, Counts]:
        """The rows that hold a term, ascending, and how often each does."""
        place = int(np.searchsorted(self._terms, term))
        rows, counts = _NO_ROWS, _NO_COUNTS
        if place < len(self._terms) and self._terms[place] == term:
            start, end = self._starts[place], self._starts[place + 1]
            rows, counts = self._rows[start:end], self._counts[start:end]
        if new := self._new.get(term):
            packed = np.array(new, np.uint64)
            rows = np.concatenate([rows, (packed >> np.uint64(_COUNT_BITS)).astype(np.int32)])
            counts = np.concatenate([counts, packed.astype(np.uint8)])
        return rows, counts

    def frequency(self, term: int) -> int:
        """In how many messages it stands."""
        return len(self.of(term)[0])

    def frequencies(self, terms: TermIds) -> npt.NDArray[np.int64]:
        """The same of many at once."""
        found = np.zeros(len(terms), np.int64)
        if len(self._terms):
            places = np.minimum(np.searchsorted(self._terms, terms), len(self._terms) - 1)
            held = self._terms[places] == terms
            found[held] = (self._starts[places + 1] - self._starts[places])[held]
        if self._new:
            found += np.array([len(self._new.get(term, ())) for term in terms.tolist()], np.int64)
        return found

    def _merge(self) -> None:
        lengths = np.diff(self._starts)
        keys = [np.repeat(self._terms, lengths).astype(np.uint64) << _ROW_BITS | self._rows.astype(np.uint64)]
        packed = np.concatenate([np.array(entries, np.uint64) for entries in self._new.values()])
        lengths = np.array([len(entries) for entries in self._new.values()])
        terms = np.repeat(np.array(list(self._new), np.uint64), lengths)
        keys.append(terms << _ROW_BITS | packed >> np.uint64(_COUNT_BITS))
        joined, counts = np.concatenate(keys), np.concatenate([self._counts, packed.astype(np.uint8)])
        order = np.argsort(joined, kind="stable")
        self._new, self._waiting = {}, 0
        self._keep(joined[order], counts[order])

    def _keep(self, keys: npt.NDArray[np.uint64], counts: Counts) -> None:
        self._rows = (keys & np.uint64(0xFFFFFFFF)).astype(np.int32)
        terms = (keys >> _ROW_BITS).astype(np.uint32)
        first = np.flatnonzero(np.concatenate([[True], terms[1:] != terms[:-1]])) if len(terms) else np.empty(0, int)
        self._terms = terms[first]
        self._starts = np.concatenate([first, [len(terms)]]).astype(np.int64)
        self._counts = counts


def keys_of(rows: Rows, lengths: npt.NDArray[np.int64], terms: TermIds) -> npt.NDArray[np.uint64]:
    """What `Postings.fill` is made of: a number for each word of these messages."""
    return terms.astype(np.uint64) << _ROW_BITS | np.repeat(rows, lengths).astype(np.uint64)


def rarity(postings: Postings, talk: Talk, lengths: npt.NDArray[np.int64], terms: TermIds) -> npt.NDArray[np.float32]:
    """How rare the rarest word of each message is (idf)."""
    rare = np.zeros(len(lengths), np.float32)
    some = lengths > 0
    if some.any():
        starts = np.cumsum(lengths)[some] - lengths[some]
        least = np.minimum.reduceat(postings.frequencies(terms), starts)
        # A word that comes for the first time is counted with this message.
        rare[some] = idf(np.maximum(least, 1), talk.living)
    return rare


def idf(frequency: npt.NDArray[np.int64], messages: int) -> npt.NDArray[np.float32]:
    """How much a word tells that stands in so many of so many messages (Robertson; Lucene's variant, never below 0)."""
    # Entries of removed messages count as well: there may be more of them than messages.
    known = np.minimum(frequency, messages)
    told: npt.NDArray[np.float32] = np.log1p((messages - known + 0.5) / (known + 0.5)).astype(np.float32)
    return told
