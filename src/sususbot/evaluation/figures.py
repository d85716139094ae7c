"""Figures as a report shows them: a value, its interval, of how many; and where the intervals come from.

Kept reports hold them as they are here: fields may be added, with a default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

Better = Literal["higher", "lower", "near"] | None
"""Which way is good; "near": the closer to the persona's own the better; None: it is only told."""

CONFIDENCE: Final = 0.95
# 97.5 % of a normal distribution lie below so many standard deviations.
_Z: Final = 1.959964
_RESAMPLES: Final = 2000


@dataclass(frozen=True, slots=True)
class Figure:
    """`low` and `high` bound the 95 % interval; None where there is none. `of` is how many items it was measured on."""

    value: float
    low: float | None = None
    high: float | None = None
    of: int = 0
    better: Better = None


@dataclass(frozen=True, slots=True)
class Section:
    """What one measure says of one system.

    `figures` by name, the unit in the name where it has one (`first_token_ms`), shares from 0 to 1. `items` are the
    values behind a figure of the same name, one for each exchange in their order, so that two systems can be compared
    pair by pair. `notes` are sentences for the reader: what was not measured and why, what to keep in mind.
    """

    name: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    items: Mapping[str, Sequence[float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def mean(values: Sequence[float], better: Better, *, seed: int = 0) -> Figure:
    """The mean, with its bootstrap interval (percentile, 2,000 resamples)."""
    taken = np.asarray(values, np.float64)
    if not len(taken):
        return Figure(float("nan"), of=0, better=better)
    low, high = _resampled(taken, seed)
    return Figure(float(taken.mean()), low, high, len(taken), better)


def share(hits: float, of: int, better: Better) -> Figure:
    """A share, with Wilson's interval, which stays within 0 and 1 and means something at 0 hits, too.

    A hit that is shared with others (a tie) may count in part.
    """
    if not of:
        return Figure(float("nan"), of=0, better=better)
    part, z2 = hits / of, _Z * _Z
    middle = (part + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z / (1 + z2 / of) * float(np.sqrt(part * (1 - part) / of + z2 / (4 * of * of)))
    # Exact where rounding would leave a trace.
    low, high = (0.0 if not hits else middle - half), (1.0 if hits == of else middle + half)
    return Figure(part, max(0.0, low), min(1.0, high), of, better)


def count(hits: int, of: int, better: Better) -> Figure:
    """A number of hits; the interval is the share's, so it says how many there may be among as many others."""
    part = share(hits, of, better)
    low, high = (None if edge is None else edge * of for edge in (part.low, part.high))
    return Figure(float(hits), low, high, of, better)


def ratio(tops: Sequence[float], bottoms: Sequence[float], better: Better, *, seed: int = 0) -> Figure:
    """A sum over a sum (bits over bytes), with the interval of resampled pairs."""
    top, bottom = np.asarray(tops, np.float64), np.asarray(bottoms, np.float64)
    if not len(top) or not bottom.sum():
        return Figure(float("nan"), of=0, better=better)
    places = np.random.default_rng(seed).integers(0, len(top), (_RESAMPLES, len(top)))
    low, high = _bounds(top[places].sum(axis=1) / np.maximum(bottom[places].sum(axis=1), 1e-12))
    return Figure(float(top.sum() / bottom.sum()), low, high, len(top), better)


def difference(ours: Sequence[float], theirs: Sequence[float], better: Better, *, seed: int = 0) -> Figure:
    """The mean difference of pairs, with its interval: above or below 0 as a whole, it is no accident."""
    return mean(np.subtract(ours, theirs).tolist(), better, seed=seed)


def percentile(values: Sequence[float], part: float, better: Better, *, seed: int = 0) -> Figure:
    """The value that `part` (0 to 1) of the others lie below, with its bootstrap interval."""
    taken = np.asarray(values, np.float64)
    if not len(taken):
        return Figure(float("nan"), of=0, better=better)
    places = np.random.default_rng(seed).integers(0, len(taken), (_RESAMPLES, len(taken)))
    low, high = _bounds(np.percentile(taken[places], part * 100, axis=1))
    return Figure(float(np.percentile(taken, part * 100)), low, high, len(taken), better)


def _resampled(values: np.ndarray, seed: int) -> tuple[float, float]:
    places = np.random.default_rng(seed).integers(0, len(values), (_RESAMPLES, len(values)))
    return _bounds(values[places].mean(axis=1))


def _bounds(means: np.ndarray) -> tuple[float, float]:
    edge = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(means, [edge, 100 - edge])
    return float(low), float(high)
