"""Rows of metrics outlive kills, and what they hold can be drawn."""

import math
from pathlib import Path
from typing import Any

import pytest

from sususbot.training.metrics import CURVE, FILE, Measured, Metrics, Note, StepDone, draw_curve, rows


def step(number: int, loss: float = 2.0) -> StepDone:
    return StepDone(number, 9, 1, loss, 1e-3, 0.5, 1.0, 0, 100, 1e4, 3.0, {"vram_gb": None, "temperature": 61.0})


def kinds(run: Path) -> list[tuple[str, int]]:
    return [(row["kind"], row["step"]) for row in rows(run)]


def test_what_is_added_can_be_read(tmp_path: Path) -> None:
    assert list(rows(tmp_path)) == []
    metrics = Metrics(tmp_path)
    for event in (Measured(0, 2.5, True), step(1), Note(2, "memory ran out")):
        metrics.add(event)
    assert kinds(tmp_path) == [("measured", 0), ("step", 1), ("note", 2)]
    read: list[dict[str, Any]] = list(rows(tmp_path))
    assert read[0] == {"kind": "measured", "step": 0, "bits_per_byte": 2.5, "best": True}
    assert read[1]["machine"] == {"vram_gb": None, "temperature": 61.0}
    assert (read[1]["loss"], read[1]["tokens"]) == (2.0, 100)


def test_going_back_takes_back_what_came_after_and_a_torn_row(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for number in range(1, 6):
        metrics.add(step(number))
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-20])
    assert kinds(tmp_path) == [("step", number) for number in range(1, 5)]
    metrics.rewind(3)
    metrics.add(step(4))
    assert kinds(tmp_path) == [("step", number) for number in range(1, 5)]
    metrics.begin()
    metrics.begin()
    assert kinds(tmp_path) == []


@pytest.mark.parametrize("losses", [[3.0, 2.0, 1.5], [3.0, math.nan, math.inf, 1.5], [math.nan], []])
def test_a_curve_is_drawn_whatever_was_measured(tmp_path: Path, losses: list[float]) -> None:
    metrics = Metrics(tmp_path)
    for number, loss in enumerate(losses, start=1):
        metrics.add(step(number, loss))
    for number, bits in enumerate([*losses[:2], math.nan]):
        metrics.add(Measured(number, bits, False))
    drawn = draw_curve(tmp_path)
    assert drawn == tmp_path / CURVE
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".*"))


def test_a_curve_of_a_training_with_nothing_kept_apart(tmp_path: Path) -> None:
    Metrics(tmp_path).add(step(1))
    assert draw_curve(tmp_path).stat().st_size > 1000
