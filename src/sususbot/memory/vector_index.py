"""Searching vectors: one protocol, and exact search in memory as the default.

At the size of a server (67k messages, 384 numbers) the cosines of all take 3 ms and are complete; there is nothing to
build, and what is removed is gone. The vectors' home is the archive: an index is filled from it at the start and told
of every change (`memory/long_term`). To add another: a file, and a line in `INDEXES`.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from sususbot.archive.vectors import Ids, Matrix
from sususbot.archive.words import Hits
from sususbot.errors import SettingsError
from sususbot.messages import Audience

Vector = npt.NDArray[np.float32]


class VectorIndex(Protocol):
    """Message ids by the direction of their vectors. All vectors have unit length: the score is the cosine."""

    def synchronise(self, pieces: Iterable[tuple[Ids, Ids, Matrix]]) -> None:
        """Hold exactly these: message ids, channel ids and rows, in pieces. What is not among them goes."""

    def add(self, ids: Sequence[int], channels: Sequence[int], matrix: Matrix) -> None:
        """Take rows in; an id that is there already gets its new row."""

    def remove(self, ids: Sequence[int]) -> None:
        """Forget ids; those that are not there are no error."""

    def search(self, query: Vector, *, limit: int, audience: Audience = None) -> Hits:
        """The nearest (id, cosine), best first, only from channels of the audience."""

    def cosines(self, query: Vector, ids: Sequence[int]) -> dict[int, float]:
        """The exact cosine of each of these ids that is there."""

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


class ExactIndex:
    """All vectors in one float32 array; rows are in no order, and a removed row is filled by the last one."""

    def __init__(self, dimensions: int) -> None:
        self._matrix: Matrix = np.empty((0, dimensions), np.float32)
        self._ids: Ids = np.empty(0, np.int64)
        self._channels: Ids = np.empty(0, np.int64)
        self._rows: dict[int, int] = {}
        # Every channel that ever had a row: an audience that sees them all needs no filter.
        self._all_channels: set[int] = set()

    def synchronise(self, pieces: Iterable[tuple[Ids, Ids, Matrix]]) -> None:
        self._rows.clear()
        for ids, channels, matrix in pieces:
            self.add(ids.tolist(), channels.tolist(), matrix)

    def add(self, ids: Sequence[int], channels: Sequence[int], matrix: Matrix) -> None:
        held = len(self._rows)
        self._reserve(held + len(ids))
        self._all_channels.update(channels)
        if not any(id_ in self._rows for id_ in ids) and len(set(ids)) == len(ids):
            rows = slice(held, held + len(ids))
            self._ids[rows], self._channels[rows], self._matrix[rows] = ids, channels, matrix
            self._rows.update(zip(ids, range(held, held + len(ids)), strict=True))
            return
        for id_, channel, vector in zip(ids, channels, matrix, strict=True):
            row = self._rows.setdefault(id_, len(self._rows))
            self._ids[row], self._channels[row], self._matrix[row] = id_, channel, vector

    def remove(self, ids: Sequence[int]) -> None:
        for id_ in ids:
            row = self._rows.pop(id_, None)
            if row is None:
                continue
            last = len(self._rows)
            if row != last:
                self._ids[row], self._channels[row] = self._ids[last], self._channels[last]
                self._matrix[row] = self._matrix[last]
                self._rows[int(self._ids[row])] = row
            self._matrix[last] = 0

    def search(self, query: Vector, *, limit: int, audience: Audience = None) -> Hits:
        count = len(self._rows)
        if audience is None or self._all_channels <= audience:
            rows = None
            scores = _dots(self._matrix[:count], query)
        else:
            rows = np.flatnonzero(np.isin(self._channels[:count], list(audience)))
            few = len(rows) < count // 4
            scores = _dots(self._matrix[rows], query) if few else _dots(self._matrix[:count], query)[rows]
        best = np.argpartition(-scores, limit)[:limit] if limit < len(scores) else np.arange(len(scores))
        best = best[np.argsort(-scores[best], kind="stable")]
        ids = self._ids[best if rows is None else rows[best]]
        return list(zip(ids.tolist(), scores[best].tolist(), strict=True))

    def cosines(self, query: Vector, ids: Sequence[int]) -> dict[int, float]:
        known = [id_ for id_ in ids if id_ in self._rows]
        scores = _dots(self._matrix[[self._rows[id_] for id_ in known]], query)
        return dict(zip(known, scores.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self._rows)

    def close(self) -> None:
        self._rows.clear()

    def _reserve(self, count: int) -> None:
        """Room for `count` rows; grows by half, so that adding one message costs no copy of all."""
        if count <= len(self._ids):
            return
        room = max(count, len(self._ids) * 3 // 2)
        held = len(self._rows)
        matrix = np.zeros((room, self._matrix.shape[1]), np.float32)
        matrix[:held] = self._matrix[:held]
        self._matrix = matrix
        self._ids = np.resize(self._ids, room) if held else np.zeros(room, np.int64)
        self._channels = np.resize(self._channels, room) if held else np.zeros(room, np.int64)


def _dots(matrix: Matrix, query: Vector) -> Vector:
    """The dot product of each row, on this thread alone.

    `matrix @ query` would use all cores, and after each product OpenBLAS keeps its threads spinning for some 20 ms, in
    which the rest of a reply waits for a core: alone the product is as fast, beside others it is three times slower.
    """
    dots: Vector = np.vecdot(matrix, query)
    return dots
