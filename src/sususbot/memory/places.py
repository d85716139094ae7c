"""A small number for each id, such as its row, without a Python object for every id: a dict of a million would take
130 MB, this takes 12.

Sorted arrays hold what was there at the last sorting, a dict what came since.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from sususbot.archive.vectors import Ids
from sususbot.messages import Audience

# Newcomers until all are sorted anew: this many, and one for so many that are sorted.
_NEWCOMERS: Final = 20_000
_SHARE: Final = 16
_GONE: Final = -1


class Places:
    """Id -> row, or another number that is not below zero."""

    def __init__(self) -> None:
        self._ids: Ids = np.empty(0, np.int64)
        self._rows: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._new: dict[int, int] = {}

    def reset(self, ids: Ids) -> None:
        """Row after row, these ids and no others."""
        self._new = {}
        self._sort(ids, np.arange(len(ids)))

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
            every = self.all()
            self._new = {}
            self._sort(*every)

    def drop(self, ids: Ids) -> None:
        at, known = self._sorted(ids)
        self._rows[at[known]] = _GONE
        for id_ in ids[~known].tolist():
            self._new.pop(id_, None)

    def all(self) -> tuple[Ids, Ids]:
        """Every id, and its row."""
        held = self._rows >= 0
        ids: Ids = np.concatenate([self._ids[held], np.array([*self._new.keys()], np.int64)])
        rows: Ids = np.concatenate([self._rows[held].astype(np.int64), np.array([*self._new.values()], np.int64)])
        return ids, rows

    def _sorted(self, ids: Ids) -> tuple[Ids, npt.NDArray[np.bool_]]:
        """Where each id would stand among the sorted ones, and whether it does."""
        at = np.searchsorted(self._ids, ids)
        known = at < len(self._ids)
        known[known] = self._ids[at[known]] == ids[known]
        return at, known

    def _sort(self, ids: Ids, rows: Ids) -> None:
        order = np.argsort(ids, kind="stable")
        self._ids, self._rows = ids[order], rows[order].astype(np.int32)


class Channels:
    """Which channel each id was said in."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._places = Places()
        # Ids by the number of their channel.
        self._counts = np.zeros(0, np.int64)

    def put(self, ids: Ids, channels: Ids) -> None:
        """Say where ids belong now. No id comes twice."""
        self.drop(ids)
        different, which = np.unique(channels, return_inverse=True)
        numbers = np.array([self._numbers.setdefault(one, len(self._numbers)) for one in different.tolist()], np.int64)
        more = len(self._numbers) - len(self._counts)
        self._counts = np.concatenate([self._counts, np.zeros(more, np.int64)])
        self._counts[numbers] += np.bincount(which, minlength=len(numbers))
        self._places.put(ids, numbers[which])

    def drop(self, ids: Ids) -> None:
        numbers = self._places.of(ids)
        self._counts -= np.bincount(numbers[numbers >= 0], minlength=len(self._counts))
        self._places.drop(ids)

    def audible(self, ids: Ids, audience: Audience = None) -> npt.NDArray[np.bool_]:
        """Whether each id is held, in a channel of the audience."""
        numbers = self._places.of(ids)
        audible = numbers >= 0
        audible[audible] = self._allowed(audience)[numbers[audible]]
        return audible

    def all_audible(self, audience: Audience) -> Ids:
        ids, numbers = self._places.all()
        return ids[self._allowed(audience)[numbers]]

    def count(self, audience: Audience = None) -> int:
        """How many ids an audience may see."""
        return int(self._counts[self._allowed(audience)].sum())

    def _allowed(self, audience: Audience) -> npt.NDArray[np.bool_]:
        """Of each number."""
        return np.array([audience is None or channel in audience for channel in self._numbers], np.bool_)
