"""What the settings ask of a bot at least, and which of it a report misses.

A measure that was left out is not judged. One that was asked for and gave no figure counts as missed, but where it
broke: `failures` says that.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sususbot.evaluation.compare import Side, compare
from sususbot.evaluation.evaluation import BASE, Report
from sususbot.messages import joined_names

_JUDGED: Final = "bot"
_BASE: Final = BASE
_RUN: Final = "run:"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """None: any will do. `beats_base`: fewer bits per byte than the base, where that was measured, too."""

    min_relevance: float | None = None
    min_voice: float | None = None
    max_copies: float | None = None
    max_leaks: int | None = None
    beats_base: bool = False


def judged(report: Report) -> str:
    """The system that a report is about first of all: the one that the settings serve, else the first."""
    return _JUDGED if _JUDGED in report.systems else next(iter(report.systems))


def all_judged(report: Report) -> list[str]:
    """Those that thresholds are for: what the settings serve, and every run that was named; else the first."""
    return [name for name in report.systems if name == _JUDGED or name.startswith(_RUN)] or [judged(report)]


def failures(report: Report, system: str) -> list[str]:
    """Each reason why something that was to be measured of the system was not, with what."""
    reasons: dict[str, list[str]] = {}
    for measure, why in report.failures.get(system, {}).items():
        reasons.setdefault(why, []).append(measure)
    return [f"{joined_names(measures)} not measured: {why}" for why, measures in reasons.items()]


def missed(report: Report, system: str, limits: Thresholds) -> list[str]:
    """Each threshold that the system misses, with figure and limit."""
    return list(_missed(report, system, limits))


def _missed(report: Report, system: str, limits: Thresholds) -> Iterator[str]:
    figures = _Figures(report, system)
    if limits.min_relevance is not None and figures.wanted("relevance"):
        yield from _relevance(figures, limits.min_relevance)
    if limits.min_voice is not None and figures.wanted("voice"):
        yield from _voice(figures, limits.min_voice)
    if figures.wanted("leakage"):
        yield from _leakage(figures, limits, only_quotes=quotes(report, system))
    if limits.beats_base and figures.wanted("language") and _learned(report, system):
        yield from _base(report, system)


class _Figures:
    """A system's figures, NaN where there is none."""

    def __init__(self, report: Report, system: str) -> None:
        self._sections = report.systems[system]
        self._broken = report.failures.get(system, {})

    def wanted(self, measure: str) -> bool:
        """Whether it was asked for, and did not break."""
        return measure in self._sections and measure not in self._broken

    def value(self, measure: str, name: str) -> float:
        found = self._sections[measure].figures.get(name)
        return math.nan if found is None else found.value


def _relevance(figures: _Figures, least: float) -> Iterator[str]:
    # A server without likelihoods is judged by what it said.
    likeliest, said = figures.value("relevance", "accuracy"), figures.value("relevance", "said_accuracy")
    found = said if math.isnan(likeliest) else likeliest
    if math.isnan(found):
        yield f"its relevance was not measured, EVAL_MIN_RELEVANCE is {least:.1%}"
    elif found < least:
        yield f"it finds {found:.1%} of the true replies, EVAL_MIN_RELEVANCE is {least:.1%}"


def _voice(figures: _Figures, least: float) -> Iterator[str]:
    taken = figures.value("voice", "attributed")
    if figures.value("voice", "can_tell") == 0:
        yield f"its voice cannot be told from other chat here, EVAL_MIN_VOICE is {least:.1%}"
    elif math.isnan(taken):
        yield f"its voice was not measured, EVAL_MIN_VOICE is {least:.1%}"
    elif taken < least:
        yield f"{taken:.1%} of its replies are taken for the persona's, EVAL_MIN_VOICE is {least:.1%}"


def _leakage(figures: _Figures, limits: Thresholds, *, only_quotes: bool) -> Iterator[str]:
    copies, leaks = figures.value("leakage", "copies"), figures.value("leakage", "leaks")
    if limits.max_copies is not None and not only_quotes:
        if math.isnan(copies):
            yield f"copies were not measured, EVAL_MAX_COPIES is {limits.max_copies:.1%}"
        elif copies > limits.max_copies:
            yield f"{copies:.1%} of its replies are lines it learned, EVAL_MAX_COPIES is {limits.max_copies:.1%}"
    if limits.max_leaks is not None:
        if math.isnan(leaks):
            yield f"leaks were not measured, EVAL_MAX_LEAKS is {limits.max_leaks}"
        elif leaks > limits.max_leaks:
            yield f"{leaks:.0f} replies give away what must not come out, EVAL_MAX_LEAKS is {limits.max_leaks}"


def _base(report: Report, system: str) -> Iterator[str]:
    """By pairs where there are any: a difference that may be chance is none."""
    section, name = "language", "bits_per_byte"
    if section in report.failures.get(_BASE, {}):
        yield "its base was not measured (EVAL_BEATS_BASE)"
        return
    sides = Side.of(report, system), Side.of(report, _BASE)
    found = next((one for one in compare(*sides) if (one.section, one.name) == (section, name)), None)
    if found is None or math.isnan(found.first.value + found.second.value):
        return
    mine, its = found.first.value, found.second.value
    if mine >= its:
        yield f"it needs {mine:.3f} bits per byte and its base {its:.3f}: it learned nothing (EVAL_BEATS_BASE)"
    elif found.verdict == "no difference that counts":
        yield f"it needs {mine:.3f} bits per byte and its base {its:.3f}, which may be chance (EVAL_BEATS_BASE)"


def _learned(report: Report, system: str) -> bool:
    """Whether there is a base beside it that is not the same model with the same adapter, or none."""
    return _BASE in report.systems and system != _BASE and not same_model(report, system, _BASE)


def same_model(report: Report, first: str, second: str) -> bool:
    """Whether two systems of a report are made of the same, as far as it says."""
    made_of = report.settings.get("systems", {})
    return first in made_of and second in made_of and made_of[first] == made_of[second]


def quotes(report: Report, system: str) -> bool:
    """Whether it says nothing but what members said, so that copies are what it is."""
    made_of = report.settings.get("systems", {}).get(system, {})
    return bool(made_of.get("backend") == "recall")
