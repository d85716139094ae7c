"""Two processes that share a step (torchrun, gloo) train as one does."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sususbot.training.metrics import rows
from tests.training import in_processes, killable
from tests.training.in_processes import SCENARIOS
from tests.training.learning import furthest, published, trained
from tests.training.test_resume import assert_same_run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs libuv there, and its wheels have none")


def fared(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{name}-{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]


def test_two_processes_train_as_one_does(base: Path, tmp_path: Path) -> None:
    # One test, for starting processes takes longer than all they do.
    done, alone = tmp_path / "two", tmp_path / "one"
    done.mkdir()
    killable.run(in_processes.launch, base, done)
    for name in SCENARIOS:
        assert_same_losses_and_adapter(done, base, alone, name)
    assert_only_the_first_writes_and_speaks(done)
    assert_a_wish_of_one_is_done_by_all(done)


def assert_same_losses_and_adapter(done: Path, base: Path, alone: Path, name: str) -> None:
    recipe, hardware, some = SCENARIOS[name]
    outcome, _ = trained(alone / name, base, recipe, hardware, some)
    exact = hardware.precision == "fp32"
    for mine, theirs in zip(rows(done / name), rows(alone / name), strict=True):
        assert (mine["kind"], mine["step"]) == (theirs["kind"], theirs["step"])
        for key in {"loss", "bits_per_byte", "gradient_norm"} & mine.keys():
            assert mine[key] == pytest.approx(theirs[key], rel=1e-5 if exact else 2e-2)
        for key in {"tokens", "learning_rate", "scale", "skipped"} & mine.keys():
            assert mine[key] == theirs[key]
    assert furthest(published(done / name), published(alone / name)) < (1e-3 if exact else 0.1)
    first, second = fared(done, name)
    assert first["weights"] == second["weights"]
    assert first["outcome"] == second["outcome"]
    assert first["outcome"]["step"] == outcome.step


def assert_only_the_first_writes_and_speaks(done: Path) -> None:
    first, second = fared(done, "alone")
    assert first["told"] == len(list(rows(done / "folder-0")))
    assert second["told"] == 0
    assert {path.name for path in (done / "folder-0").iterdir()} == {"adapter", "checkpoints", "metrics.jsonl"}
    assert list((done / "folder-1").iterdir()) == []


def assert_a_wish_of_one_is_done_by_all(done: Path) -> None:
    """To stop, or to save; and what was stopped goes on to the same end."""
    for each in fared(done, "stopped"):
        assert (each["outcome"]["stopped"], each["outcome"]["step"]) == (True, 4)
    assert_same_run(done / "stopped", done / "whole")
    first, second = fared(done, "resumed")
    assert first["weights"] == second["weights"] == fared(done, "whole")[0]["weights"]
