"""Searching vectors: one protocol, and exact search in memory as the default.

Every vector is compared with the question, so nothing is missed and nothing has to be built, and what is removed is
gone: 1 ms for a server of 67k messages, 20 ms and 400 MB for a million. The vectors' home is the archive: an index is
filled from it at the start and told of every change (`memory/long_term`). To add another: a file, and a line in
`INDEXES`.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from sususbot.archive.vectors import Ids, Loading, Matrix
from sususbot.errors import SettingsError
from sususbot.memory.codes import Codes, Dots, Vector, fastest_dots
from sususbot.memory.places import Places
from sususbot.messages import Audience

__all__ = ["INDEXES", "ExactIndex", "Hits", "Vector", "VectorIndex", "make_index"]

# Message ids and their scores, best first.
Hits = list[tuple[int, float]]


class VectorIndex(Protocol):
    """Message ids by the direction of their vectors. All vectors have unit length: the score is the cosine.

    A cosine may be off by the rounding of an index (0.002 of int8), but is the same whichever way it is asked for.
    """

    def synchronise(self, pieces: Iterable[tuple[Ids, Ids, Matrix]]) -> None:
        """Hold exactly these: message ids, channel ids and rows, in pieces. What is not among them goes."""

    def add(self, ids: Sequence[int], channels: Sequence[int], matrix: Matrix) -> None:
        """Take rows in; an id that is there already gets its new row."""

    def remove(self, ids: Sequence[int]) -> None:
        """Forget ids; those that are not there are no error."""

    def search(self, query: Vector, *, limit: int, audience: Audience = None) -> Hits:
        """The nearest (id, cosine), best first, only from channels of the audience."""

    def cosines(self, query: Vector, ids: Sequence[int]) -> dict[int, float]:
        """The cosine of each of these ids that is there."""

    def cosines_of(self, query: Vector, ids: Ids) -> Vector:
        """The cosine of each of these ids, in their order; not a number where one is not there."""

    def rows(self, ids: Ids) -> Matrix:
        """The vector of each of these ids, in their order; zeros where one is not there."""

    def __len__(self) -> int: ...

    def close(self) -> None: ...


# Name in the settings -> where its factory (dimensions, url) is.
INDEXES: Final = {
    "exact": "sususbot.memory.vector_index:exact_index",
    "chroma": "sususbot.memory.chroma_index:chroma_index",
}


def make_index(name: str, *, dimensions: int, folder: str, url: str | None) -> VectorIndex:
    """The index of this name; `folder` and `url` say where one that is not in memory keeps its files or its server."""
    if name not in INDEXES:
        raise SettingsError(f"VECTOR_DB={name} is not known: choose one of {', '.join(INDEXES)}")
    module, _, factory = INDEXES[name].partition(":")
    make: Callable[[int, str, str | None], VectorIndex] = getattr(import_module(module), factory)
    return make(dimensions, folder, url)


def exact_index(dimensions: int, _folder: str, _url: str | None) -> VectorIndex:
    return ExactIndex(dimensions)


# An audience that sees less than one row in so many: theirs are picked out first.
_FEW: Final = 16
# More than the wanted are compared once more with the question as it is, not as it was rounded.
_SPARE: Final = 32


class ExactIndex:
    """All vectors in one table; rows are in no order, and a removed row is filled by one from the end."""

    def __init__(self, dimensions: int, dots: Dots | None = None) -> None:
        """`dots` multiplies; the fastest that there is by itself."""
        self._dimensions = dimensions
        self._dots = dots or fastest_dots()
        self._count = 0
        self._begin()

    def synchronise(self, pieces: Iterable[tuple[Ids, Ids, Matrix]]) -> None:
        self._begin()
        if isinstance(pieces, Loading):
            self._codes.reserve(pieces.at_most())
        for ids, channels, matrix in pieces:
            rows = np.arange(self._count, self._count + len(ids))
            self._write(rows, ids, channels, matrix)
            self._count += len(ids)
        self._places.reset(self._ids[: self._count])

    def add(self, ids: Sequence[int], channels: Sequence[int], matrix: Matrix) -> None:
        # Of an id that comes twice, the last one counts.
        unique, from_end = np.unique(np.array(ids, np.int64)[::-1], return_index=True)
        chosen = len(ids) - 1 - from_end
        rows = self._places.of(unique)
        new = rows < 0
        rows[new] = np.arange(self._count, self._count + np.count_nonzero(new))
        self._write(rows, unique, np.array(channels, np.int64)[chosen], matrix[chosen])
        self._places.put(unique[new], rows[new])
        self._count += int(np.count_nonzero(new))

    def remove(self, ids: Sequence[int]) -> None:
        wanted = np.unique(np.array(ids, np.int64))
        rows = self._places.of(wanted)
        rows = rows[rows >= 0]
        self._places.drop(wanted)
        left = self._count - len(rows)
        holes = rows[rows < left]
        last = np.setdiff1d(np.arange(left, self._count), rows)
        self._codes.move(last, holes)
        self._ids[holes], self._channels[holes] = self._ids[last], self._channels[last]
        self._places.put(self._ids[holes], holes)
        self._codes.wipe(left, self._count)
        self._ids[left : self._count] = 0
        self._count = left

    def search(self, query: Vector, *, limit: int, audience: Audience = None) -> Hits:
        rows = self._audible(audience)
        if rows is None:
            scores = self._codes.scores(query, self._count)
        elif len(rows) < self._count // _FEW:
            scores = self._codes.scores_of(query, rows)
        else:
            scores = self._codes.scores(query, self._count)[rows]
        best = _largest(scores, limit * 2 + _SPARE)
        found = best if rows is None else rows[best]
        cosines = self._codes.cosines(query, found)
        order = np.argsort(-cosines, kind="stable")[:limit]
        return list(zip(self._ids[found[order]].tolist(), cosines[order].tolist(), strict=True))

    def cosines(self, query: Vector, ids: Sequence[int]) -> dict[int, float]:
        cosines = self.cosines_of(query, np.array(ids, np.int64)).tolist()
        # What is no number differs from itself.
        return {id_: cosine for id_, cosine in zip(ids, cosines, strict=True) if cosine == cosine}

    def cosines_of(self, query: Vector, ids: Ids) -> Vector:
        rows = self._places.of(ids)
        cosines: Vector = np.full(len(ids), np.nan, np.float32)
        cosines[rows >= 0] = self._codes.cosines(query, rows[rows >= 0])
        return cosines

    def rows(self, ids: Ids) -> Matrix:
        rows = self._places.of(ids)
        if (rows >= 0).all():
            return self._codes.read(rows)
        matrix: Matrix = np.zeros((len(ids), self._dimensions), np.float32)
        matrix[rows >= 0] = self._codes.read(rows[rows >= 0])
        return matrix

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._codes = Codes(self._dimensions, self._dots)
        self._places = Places()
        self._count = 0
        self._ids: Ids = np.zeros(0, np.int64)
        # Small numbers for the channels that ever had a row, so that each row's takes four bytes.
        self._numbers: dict[int, int] = {}
        self._channels: npt.NDArray[np.int32] = np.zeros(0, np.int32)

    def _write(self, rows: Ids, ids: Ids, channels: Ids, matrix: Matrix) -> None:
        if len(rows) and (end := int(rows.max()) + 1) > len(self._ids):
            # Grows by half, so that adding one message costs no copy of all.
            more = max(end, len(self._ids) * 3 // 2) - len(self._ids)
            self._ids = np.concatenate([self._ids, np.zeros(more, np.int64)])
            self._channels = np.concatenate([self._channels, np.zeros(more, np.int32)])
        self._codes.write(rows, matrix)
        self._ids[rows] = ids
        different, which = np.unique(channels, return_inverse=True)
        numbers = [self._numbers.setdefault(channel, len(self._numbers)) for channel in different.tolist()]
        self._channels[rows] = np.array(numbers, np.int32)[which]

    def _audible(self, audience: Audience) -> Ids | None:
        """The rows that an audience may see; None: all of them."""
        if audience is None or self._numbers.keys() <= audience:
            return None
        allowed = np.array([channel in audience for channel in self._numbers])
        return np.flatnonzero(allowed[self._channels[: self._count]])


def _largest(scores: Vector, count: int) -> Ids:
    """Where the `count` largest stand, in no order."""
    if count >= len(scores):
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - count)[len(scores) - count :]
