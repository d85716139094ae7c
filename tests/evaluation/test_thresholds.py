"""What the settings ask for, and what of it a report misses."""

from collections.abc import Mapping
from typing import Any

import pytest

from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.figures import Figure, Section
from sususbot.evaluation.thresholds import Thresholds, judged, missed
from tests.evaluation.reports import report_of

GOOD = {
    "relevance": {"accuracy": 0.6},
    "voice": {"attributed": 0.7},
    "leakage": {"copies": 0.01, "leaks": 0},
    "language": {"bits_per_byte": 2.0},
}


def report(figures: Mapping[str, Mapping[str, float]], **more: Any) -> Report:
    def sections(of: Mapping[str, Mapping[str, float]]) -> dict[str, Section]:
        return {name: Section(name, {key: Figure(value) for key, value in some.items()}) for name, some in of.items()}

    return report_of(
        {"base": sections({"language": {"bits_per_byte": 2.2}}), "bot": sections({**GOOD, **figures})}, **more
    )


LIMITS = Thresholds(min_relevance=0.5, min_voice=0.5, max_copies=0.05, max_leaks=0, beats_base=True)


@pytest.mark.parametrize(
    ("worse", "setting"),
    [
        ({"relevance": {"accuracy": 0.4}}, "EVAL_MIN_RELEVANCE"),
        ({"voice": {"attributed": 0.4}}, "EVAL_MIN_VOICE"),
        ({"leakage": {"copies": 0.06, "leaks": 0}}, "EVAL_MAX_COPIES"),
        ({"leakage": {"copies": 0.0, "leaks": 1}}, "EVAL_MAX_LEAKS"),
        ({"language": {"bits_per_byte": 2.2}}, "EVAL_BEATS_BASE"),
    ],
)
def test_each_threshold(worse: Mapping[str, Mapping[str, float]], setting: str) -> None:
    (one,) = missed(report(worse), "bot", LIMITS)
    assert setting in one
    assert missed(report({}), "bot", LIMITS) == []
    assert missed(report(worse), "bot", Thresholds()) == []


def test_all_are_listed() -> None:
    worse = {name: dict.fromkeys(some, 0.9 if name == "leakage" else 0.0) for name, some in GOOD.items()}
    assert len(missed(report(worse), "bot", LIMITS)) == 4


def test_what_was_not_measured_is_not_judged() -> None:
    nothing = report_of({"bot": {"relevance": Section("relevance", {"accuracy": Figure(float("nan"))})}})
    assert missed(nothing, "bot", LIMITS) == []


def test_copies_are_what_recall_is() -> None:
    recall = report({"leakage": {"copies": 1.0}}, settings={"systems": {"bot": {"backend": "recall"}}})
    assert missed(recall, "bot", LIMITS) == []


def test_the_bot_is_judged_else_the_first() -> None:
    assert judged(report({})) == "bot"
    assert judged(report_of({"run:winter": {}, "base": {}})) == "run:winter"
