"""What the settings ask for, and what of it a report misses."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.figures import Figure, Section, mean
from sususbot.evaluation.thresholds import Thresholds, all_judged, failures, judged, missed
from tests.evaluation.reports import EXCHANGES, report_of

GOOD = {
    "relevance": {"accuracy": 0.6},
    "voice": {"attributed": 0.7},
    "leakage": {"copies": 0.01, "leaks": 0},
    "language": {"bits_per_byte": 2.0},
}


def report(figures: Mapping[str, Mapping[str, float]], **more: Any) -> Report:
    def sections(of: Mapping[str, Mapping[str, float]]) -> dict[str, Section]:
        return {
            name: Section(name, {key: Figure(value, better="lower") for key, value in some.items()})
            for name, some in of.items()
        }

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


def test_what_was_left_out_is_not_judged_and_what_gave_no_figure_is_missed() -> None:
    assert missed(report_of({"bot": {}}), "bot", LIMITS) == []
    nan = Figure(float("nan"))
    names = {"relevance": "accuracy", "voice": "attributed", "leakage": "leaks", "language": "bits_per_byte"}
    nothing = report_of({"bot": {name: Section(name, {key: nan}) for name, key in names.items()}, "base": {}})
    told = " ".join(missed(nothing, "bot", LIMITS))
    assert all(f"EVAL_{name}" in told for name in ("MIN_RELEVANCE", "MIN_VOICE", "MAX_COPIES", "MAX_LEAKS"))
    # A server without likelihoods says nothing of bits.
    assert "EVAL_BEATS_BASE" not in told


def test_what_broke_is_told_once() -> None:
    broken = report({}, failures={"bot": {"relevance": "it is dead", "voice": "it is dead"}, "base": {"language": "x"}})
    assert failures(broken, "bot") == ["relevance and voice not measured: it is dead"]
    assert missed(broken, "bot", LIMITS) == ["its base was not measured (EVAL_BEATS_BASE)"]


def test_voices_that_cannot_be_told_apart_are_no_voice() -> None:
    (one,) = missed(report({"voice": {"attributed": 0.9, "can_tell": 0.0}}), "bot", LIMITS)
    assert "EVAL_MIN_VOICE" in one


def test_the_same_model_needs_not_beat_itself() -> None:
    made_of = {"backend": "llamacpp", "model": "m", "adapter": None}
    equal = {"language": {"bits_per_byte": 2.2}}
    same = report(equal, settings={"systems": {"bot": made_of, "base": made_of}})
    assert missed(same, "bot", LIMITS) == []
    adapted = report(equal, settings={"systems": {"bot": {**made_of, "adapter": "a"}, "base": made_of}})
    assert len(missed(adapted, "bot", LIMITS)) == 1


def test_a_base_is_beaten_by_more_than_chance() -> None:
    chance = random.Random(0)
    base = [chance.uniform(1, 3) for _ in EXCHANGES]

    def told(bits: list[float]) -> list[str]:
        sections = [
            Section("language", {"bits_per_byte": mean(one, "lower")}, {"bits_per_byte": one}) for one in (bits, base)
        ]
        both = report_of(dict(zip(("bot", "base"), ({"language": one} for one in sections), strict=True)), settings={})
        return missed(both, "bot", LIMITS)

    assert told([bit - 0.1 for bit in base]) == []
    (one,) = told([bit - (3.9 if place == 0 else -0.09) for place, bit in enumerate(base)])
    assert "may be chance" in one


def test_copies_are_what_recall_is() -> None:
    recall = report({"leakage": {"copies": 1.0, "leaks": 0}}, settings={"systems": {"bot": {"backend": "recall"}}})
    assert missed(recall, "bot", LIMITS) == []


def test_the_bot_is_judged_else_the_first() -> None:
    assert judged(report({})) == "bot"
    assert judged(report_of({"run:winter": {}, "base": {}})) == "run:winter"


def test_every_run_that_was_named_is_judged_beside_the_bot() -> None:
    assert all_judged(report_of({"bot": {}, "run:new": {}, "base": {}, "recall": {}})) == ["bot", "run:new"]
    assert all_judged(report_of({"base": {}, "recall": {}})) == ["base"]
