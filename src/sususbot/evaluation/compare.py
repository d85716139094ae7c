"""Two systems, figure by figure: which is better, and whether the difference counts.

Where both have the items behind a figure for the same exchanges, they are compared pair by pair, which tells small
differences from accidents; else by whether their intervals are apart, which needs a larger difference.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.figures import Figure, Section, difference

Verdict = Literal["better", "worse", "no difference that counts", "too few to tell", "not to be told"]
"""Of the first system, seen from the second."""

# Fewer items give intervals that mean little.
FEWEST: Final = 30


@dataclass(frozen=True, slots=True)
class Side:
    """A system of a report. `exchanges` are the ids that its items belong to, in their order, `made_of` what its
    figures depend on besides the system."""

    title: str
    exchanges: Sequence[int]
    sections: Mapping[str, Section]
    made_of: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, report: Report, system: str) -> "Side":
        return cls(f"{report.name}/{system}", report.exchanges, report.systems[system], _made_of(report))


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure of both sides; `difference` (first less second) where it is known pair by pair."""

    section: str
    name: str
    first: Figure
    second: Figure
    difference: Figure | None
    verdict: Verdict


def compare(first: Side, second: Side) -> list[Compared]:
    """Every figure that both have and of which it is said which way is good."""
    return list(_compared(first, second))


def _compared(first: Side, second: Side) -> Iterator[Compared]:
    for section, ours in first.sections.items():
        theirs = second.sections.get(section)
        if theirs is None:
            continue
        for name, mine in ours.figures.items():
            its = theirs.figures.get(name)
            if its is None or mine.better is None:
                continue
            pairs = _pairs(first, second, section, name)
            apart = difference(*pairs, mine.better) if pairs[0] else None
            yield Compared(section, name, mine, its, apart, verdict(mine, its, apart))


def verdict(first: Figure, second: Figure, apart: Figure | None) -> Verdict:
    """What two figures say of the first. A distance is the better the lower it is, as one that is "near"."""
    if math.isnan(first.value) or math.isnan(second.value):
        return "not to be told"
    bounds = _bounds(first, second) if apart is None else _both(apart)
    if bounds is None:
        return "not to be told"
    if 0 < _least(first, second, apart) < FEWEST:
        return "too few to tell"
    low, high = bounds
    if low <= 0 <= high:
        return "no difference that counts"
    return "better" if (low > 0) == (first.better == "higher") else "worse"


def differing(first: Side, second: Side) -> list[str]:
    """What is not the same for both, so that their figures may differ by it: `seed 0 and 1`."""
    both = [(name, first.made_of[name], second.made_of[name]) for name in first.made_of if name in second.made_of]
    told = [f"{name} {mine} and {its}" for name, mine, its in both if mine != its and name not in _LONG]
    told += [name for name, mine, its in both if mine != its and name in _LONG]
    return told + ["exchanges"] * (list(first.exchanges) != list(second.exchanges))


_LONG: Final = frozenset({"files of the corpus"})


def _made_of(report: Report) -> dict[str, Any]:
    shared = {name.upper(): value for name, value in report.settings.items() if name != "systems"}
    corpus = {"corpus": report.corpus.get("name"), "files of the corpus": report.corpus.get("files")}
    return {**corpus, "seed": report.seed, **shared}


def _least(first: Figure, second: Figure, apart: Figure | None) -> int:
    """On how few items it stands; 0 where that is not known."""
    return apart.of if apart is not None else min(first.of, second.of)


def _bounds(first: Figure, second: Figure) -> tuple[float, float] | None:
    """Between which their difference lies for certain, where both have an interval."""
    ours, theirs = _both(first), _both(second)
    return None if ours is None or theirs is None else (ours[0] - theirs[1], ours[1] - theirs[0])


def _both(figure: Figure) -> tuple[float, float] | None:
    return None if figure.low is None or figure.high is None else (figure.low, figure.high)


def _pairs(first: Side, second: Side, section: str, name: str) -> tuple[list[float], list[float]]:
    """The items that belong together: of exchanges that both were measured on, or in the order of a fixed list."""
    ours, theirs = _items(first, section, name), _items(second, section, name)
    both = [id_ for id_ in ours if id_ in theirs and not math.isnan(ours[id_] + theirs[id_])]
    return [ours[id_] for id_ in both], [theirs[id_] for id_ in both]


def _items(side: Side, section: str, name: str) -> dict[int, float]:
    items = side.sections[section].items.get(name, ())
    ids = side.exchanges if len(items) == len(side.exchanges) else range(len(items))
    return dict(zip(ids, items, strict=True))
