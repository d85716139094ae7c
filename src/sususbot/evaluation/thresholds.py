"""What the settings ask of a bot at least, and which of it a report misses. What was not measured is not judged."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.figures import Section

_JUDGED: Final = "bot"
_BASE: Final = "base"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """None: any will do. `beats_base`: fewer bits per byte than the base, where that was measured, too."""

    min_relevance: float | None = None
    min_voice: float | None = None
    max_copies: float | None = None
    max_leaks: int | None = None
    beats_base: bool = False


def judged(report: Report) -> str:
    """The system that thresholds are for: the one that the settings serve, else the first."""
    return _JUDGED if _JUDGED in report.systems else next(iter(report.systems))


def missed(report: Report, system: str, limits: Thresholds) -> list[str]:
    """Each threshold that the system misses, with figure and limit."""
    return list(_missed(report, system, limits))


def _missed(report: Report, system: str, limits: Thresholds) -> Iterator[str]:
    def figure(section: str, name: str, of: str = system) -> float:
        found = report.systems[of].get(section, Section(section)).figures.get(name)
        return math.nan if found is None else found.value

    # A server without likelihoods is judged by what it said.
    relevance, said = figure("relevance", "accuracy"), figure("relevance", "said_accuracy")
    relevance, voice = said if math.isnan(relevance) else relevance, figure("voice", "attributed")
    if limits.min_relevance is not None and relevance < limits.min_relevance:
        yield f"it finds {relevance:.1%} of the true replies, EVAL_MIN_RELEVANCE is {limits.min_relevance:.1%}"
    if limits.min_voice is not None and voice < limits.min_voice:
        yield f"{voice:.1%} of its replies are taken for the persona's, EVAL_MIN_VOICE is {limits.min_voice:.1%}"
    copies, leaks = figure("leakage", "copies"), figure("leakage", "leaks")
    if limits.max_copies is not None and copies > limits.max_copies and not _quotes(report, system):
        yield f"{copies:.1%} of its replies are lines it learned, EVAL_MAX_COPIES is {limits.max_copies:.1%}"
    if limits.max_leaks is not None and leaks > limits.max_leaks:
        yield f"{leaks:.0f} replies give away who is forgotten or said no, EVAL_MAX_LEAKS is {limits.max_leaks}"
    if limits.beats_base and _BASE in report.systems and system != _BASE:
        mine, its = figure("language", "bits_per_byte"), figure("language", "bits_per_byte", _BASE)
        if mine >= its:
            yield f"it needs {mine:.3f} bits per byte and its base {its:.3f}: it learned nothing (EVAL_BEATS_BASE)"


def _quotes(report: Report, system: str) -> bool:
    """Whether it says nothing but what members said, so that copies are what it is."""
    made_of = report.settings.get("systems", {}).get(system, {})
    return bool(made_of.get("backend") == "recall")
