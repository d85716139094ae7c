"""In which row each id stands, without a Python object for every id: a dict of a million would take 130 MB, this 12.

Sorted arrays hold what was there at the last sorting, a dict what came since.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from sususbot.archive.vectors import Ids

# Newcomers until all are sorted anew: this many, and one for so many that are sorted.
_NEWCOMERS: Final = 20_000
_SHARE: Final = 16
_GONE: Final = -1


class Places:
    """Id -> row."""

    def __init__(self) -> None:
        self._ids: Ids = np.empty(0, np.int64)
        self._rows: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._new: dict[int, int] = {}

    def reset(self, ids: Ids) -> None:
        """Row after row, these ids and no others."""
        self._new = {}
        self._sort(ids, np.arange(len(ids), dtype=np.int32))

    def of(self, ids: Ids) -> Ids:
        """The row of each id; below zero where it has none."""
        at, known = self._sorted(ids)
        rows: Ids = np.full(len(ids), _GONE, np.int64)
        rows[known] = self._rows[at[known]]
        if self._new:
            for place in np.flatnonzero(rows < 0):
                rows[place] = self._new.get(int(ids[place]), _GONE)
        return rows

    def put(self, ids: Ids, rows: Ids) -> None:
        """Say where ids stand now. No id comes twice."""
        at, known = self._sorted(ids)
        self._rows[at[known]] = rows[known]
        self._new.update(zip(ids[~known].tolist(), rows[~known].tolist(), strict=True))
        if len(self._new) > _NEWCOMERS + len(self._ids) // _SHARE:
            held = self._rows >= 0
            new = np.array([*self._new.items()], np.int64)
            self._new = {}
            self._sort(
                np.concatenate([self._ids[held], new[:, 0]]),
                np.concatenate([self._rows[held], new[:, 1].astype(np.int32)]),
            )

    def drop(self, ids: Ids) -> None:
        at, known = self._sorted(ids)
        self._rows[at[known]] = _GONE
        for id_ in ids[~known].tolist():
            self._new.pop(id_, None)

    def _sorted(self, ids: Ids) -> tuple[Ids, npt.NDArray[np.bool_]]:
        """Where each id would stand among the sorted ones, and whether it does."""
        at = np.searchsorted(self._ids, ids)
        known = at < len(self._ids)
        known[known] = self._ids[at[known]] == ids[known]
        return at, known

    def _sort(self, ids: Ids, rows: npt.NDArray[np.int32]) -> None:
        order = np.argsort(ids, kind="stable")
        self._ids, self._rows = ids[order], rows[order]
