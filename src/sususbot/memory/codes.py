"""Unit vectors in 8 bits a number: a quarter of float32's bytes, read as fast as the memory can hand them out.

Each row is stretched until its largest number is 127 and rounded; the length of what comes out is kept beside it, so a
row has unit length again when it is read. That moves a cosine by 0.0005 on average. Over all rows, whole numbers are
multiplied (`simsimd`: AVX-512, AVX2, NEON; without it numpy, with the same results, some five times slower).
Rows stand in blocks, so that growing copies nothing and a million rows never stand in memory twice; in few of them,
since each call of numpy or simsimd lets other threads run Python meanwhile, and has to wait for its turn afterwards.
Not here: which message a row is (`vector_index`).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from sususbot.archive.vectors import Ids, Matrix

Vector = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]
# (rows, query): the dot product of each row.
Dots = Callable[[Bytes, Bytes], Vector]

# The least rows of a block; else a share of what is held already.
_BLOCK: Final = 1 << 16
_SHARE: Final = 8
_LARGEST: Final = 127
# Rows that numpy widens at once: they stay in the processor's cache.
_WIDENED: Final = 512


class Codes:
    """A growing table of coded rows; the caller says which row is whose, and how many count."""

    def __init__(self, dimensions: int, dots: Dots) -> None:
        self._dimensions = dimensions
        self._dots = dots
        self._blocks: list[Bytes] = []
        # The first row of each block, and where the next one would begin.
        self._starts: Ids = np.zeros(1, np.int64)
        # What makes each row's codes a unit vector.
        self._scales: Vector = np.zeros(0, np.float32)

    def reserve(self, count: int) -> None:
        """Be ready for so many rows, and some more."""
        if count > (room := int(self._starts[-1])):
            more = max(_BLOCK, count - room + count // _SHARE)
            # Zeros that nobody touched take no memory yet.
            self._blocks.append(np.zeros((more, self._dimensions), np.int8))
            self._starts = np.append(self._starts, room + more)
            self._scales = np.concatenate([self._scales, np.zeros(more, np.float32)])

    def write(self, rows: Ids, matrix: Matrix) -> None:
        """Code the vectors into these rows."""
        if len(rows):
            self.reserve(int(rows.max()) + 1)
            codes, self._scales[rows] = coded(matrix)
            self._put(rows, codes)

    def move(self, source: Ids, target: Ids) -> None:
        """Copy rows over others."""
        self._put(target, self._taken(source))
        self._scales[target] = self._scales[source]

    def wipe(self, first: int, end: int) -> None:
        """Leave nothing of the rows from `first` to before `end`."""
        rows = np.arange(first, end)
        self._put(rows, np.zeros((len(rows), self._dimensions), np.int8))
        self._scales[rows] = 0

    def scores(self, query: Vector, count: int) -> Vector:
        """What orders the first `count` rows by their cosines, nearly: the query is coded, too."""
        code = coded(query[None])[0]
        scores: Vector = np.empty(count, np.float32)
        for start, block in zip(self._starts.tolist(), self._blocks, strict=False):
            if start < count:
                rows = slice(start, min(start + len(block), count))
                np.multiply(self._dots(block[: rows.stop - start], code), self._scales[rows], out=scores[rows])
        return scores

    def scores_of(self, query: Vector, rows: Ids) -> Vector:
        """The same for some rows."""
        scores: Vector = self._dots(self._taken(rows), coded(query[None])[0]) * self._scales[rows]
        return scores

    def cosines(self, query: Vector, rows: Ids) -> Vector:
        """The cosines of some rows, with the query as it is."""
        cosines: Vector = np.vecdot(self._taken(rows).astype(np.float32), query) * self._scales[rows]
        return cosines

    def read(self, rows: Ids) -> Matrix:
        """Rows as they were written, but for the rounding."""
        matrix: Matrix = self._taken(rows).astype(np.float32)
        matrix *= self._scales[rows, None]
        return matrix

    def _put(self, rows: Ids, codes: Bytes) -> None:
        for block, among in self._by_block(rows):
            self._blocks[block][rows[among] - self._starts[block]] = codes[among]

    def _taken(self, rows: Ids) -> Bytes:
        if len(self._blocks) == 1:
            return self._blocks[0][rows]
        codes: Bytes = np.empty((len(rows), self._dimensions), np.int8)
        for block, among in self._by_block(rows):
            codes[among] = self._blocks[block][rows[among] - self._starts[block]]
        return codes

    def _by_block(self, rows: Ids) -> list[tuple[int, Ids]]:
        """Which of the rows stand in which block."""
        blocks = np.searchsorted(self._starts, rows, side="right") - 1
        return [(int(block), np.flatnonzero(blocks == block)) for block in np.unique(blocks)]


def coded(matrix: Matrix) -> tuple[Bytes, Vector]:
    """Codes, and what makes each row of them a unit vector (a row of zeros stays one)."""
    largest = np.maximum(matrix.max(axis=1, initial=0), -matrix.min(axis=1, initial=0))
    whole = np.rint(matrix * (_LARGEST * _inverse(largest))[:, None])
    return whole.astype(np.int8), _inverse(np.sqrt(np.vecdot(whole, whole)))


def fastest_dots() -> Dots:
    """The best way that this machine has."""
    try:
        import simsimd
    except ImportError:
        return numpy_dots

    def dots(rows: Bytes, query: Bytes) -> Vector:
        # It refuses no rows at all. Not with its own `out`: it then gives None away without counting (6.5.16).
        if not len(rows):
            return np.zeros(0, np.float32)
        return np.asarray(simsimd.cdist(rows, query, "dot", out_dtype="float32"))[:, 0]

    return dots


def numpy_dots(rows: Bytes, query: Bytes) -> Vector:
    """Without SIMD of our own. Sums of whole numbers are exact in float32 up to some 1,000 dimensions."""
    wide = query[0].astype(np.float32)
    dots: Vector = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _WIDENED):
        # Not `@`: it would use all cores, and leave OpenBLAS's threads spinning beside whatever comes next.
        np.vecdot(rows[start : start + _WIDENED].astype(np.float32), wide, out=dots[start : start + _WIDENED])
    return dots


def _inverse(values: Vector) -> Vector:
    """One through each; of zero, zero."""
    inverse: Vector = np.divide(1, values, out=np.zeros_like(values), where=values > 0)
    return inverse
