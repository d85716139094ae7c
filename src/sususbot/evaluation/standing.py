"""Whether two voices can be told apart, and where between two a third stands: shares and their resampled intervals.

In: what a classifier makes of lines that it never saw. Out: figures. Where it tells nothing, nobody stands anywhere:
the figure is NaN, not a number that means nothing.
Not here: the classifier (`voice`).
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sususbot.evaluation.figures import CONFIDENCE, Better, Figure, Section

Floats = NDArray[np.float64]

_RESAMPLES: Final = 1000
# Beyond these it only says that floor and ceiling are near each other.
_LEAST: Final = -1.0
_MOST: Final = 2.0


def accuracy(own: Sequence[float], other: Sequence[float], *, seed: int) -> Figure:
    """Right of lines that it never saw, as if there were as many of the one as of the other."""

    def right(own: Floats, other: Floats) -> float:
        return float(((own > 0.5).mean() + (other <= 0.5).mean()) / 2)

    return _resampled(right, own, other, seed=seed)


def area(own: Sequence[float], other: Sequence[float], *, seed: int) -> Figure:
    """The chance that of two lines, one of each, the persona's is thought the more likely one."""
    return _resampled(_area, own, other, seed=seed)


def can_tell(own: Sequence[float], other: Sequence[float], *, seed: int) -> bool:
    """Whether the area is above one half, and the ceiling above the floor, by more than chance."""

    def apart(own: Floats, other: Floats) -> float:
        return float((own > 0.5).mean() - (other > 0.5).mean())

    gap = _resampled(apart, own, other, seed=seed)
    ranked = area(own, other, seed=seed)
    return (ranked.low or 0.0) > 0.5 and (gap.low or 0.0) > 0.0


def normalised(hits: Sequence[float], own: Sequence[float], other: Sequence[float], *, seed: int) -> Figure:
    """Where between floor (0) and ceiling (1) replies are; NaN where the two cannot be told apart."""
    if not can_tell(own, other, seed=seed):
        return Figure(float("nan"), of=0, better="higher")

    def place(said: Floats, own: Floats, other: Floats) -> float:
        return _place(said.mean(), (own > 0.5).mean(), (other > 0.5).mean())

    return _resampled(place, hits, own, other, seed=seed, better="higher")


def normalised_by(section: Section, base: Section, *, seed: int = 0) -> Figure:
    """Where a system stands between its base (0) and the persona's own later lines (1), by the voice of both.

    The replies are resampled in pairs. NaN where base and ceiling are not apart by more than chance.
    """
    said, its = (np.asarray(one.items.get("attributed", ()), np.float64) for one in (section, base))
    top = section.figures.get("ceiling")
    if top is None or not top.of or not len(said) or len(said) != len(its):
        return Figure(float("nan"), of=0, better="higher")
    random = np.random.default_rng(seed)
    places = random.integers(0, len(said), (_RESAMPLES, len(said)))
    ours, floors = said[places].mean(axis=1), its[places].mean(axis=1)
    tops = random.binomial(top.of, top.value, _RESAMPLES) / top.of
    if _bounds(tops - floors)[0] <= 0:
        return Figure(float("nan"), of=0, better="higher")
    drawn = [_place(*one) for one in zip(ours, tops, floors, strict=True)]
    return Figure(_place(said.mean(), top.value, its.mean()), *_bounds(drawn), len(said), "higher")


def _place(share: float, top: float, floor: float) -> float:
    return float(np.clip((share - floor) / (top - floor), _LEAST, _MOST)) if top > floor else float("nan")


def _area(own: Floats, other: Floats) -> float:
    ranked = np.sort(other)
    below = np.searchsorted(ranked, own, "left") + np.searchsorted(ranked, own, "right")
    return float(below.mean() / 2 / len(other))


def _resampled(measure: Callable[..., float], *groups: Sequence[float], seed: int, better: Better = None) -> Figure:
    """A measure of several groups, with its bootstrap interval; NaN where a group is empty."""
    taken = [np.asarray(group, np.float64) for group in groups]
    if not all(map(len, taken)):
        return Figure(float("nan"), of=0, better=better)
    random = np.random.default_rng(seed)
    drawn = [measure(*(random.choice(group, len(group)) for group in taken)) for _ in range(_RESAMPLES)]
    return Figure(measure(*taken), *_bounds(drawn), len(taken[0]), better)


def _bounds(drawn: Sequence[float] | Floats) -> tuple[float, float]:
    edge = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [edge, 1 - edge])
    return float(low), float(high)
