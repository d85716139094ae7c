"""Two processes that share a step (torchrun, gloo) train as one does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sususbot.training.metrics import rows
from tests.training.in_processes import SCENARIOS
from tests.training.learning import furthest, published, trained
from tests.training.test_resume import assert_same_run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs libuv there, and its wheels have none")


@pytest.fixture(scope="module")
def done(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all trainings by two processes."""
    folder = tmp_path_factory.mktemp("processes")
    command = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "tests.training.in_processes",
    ]
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, *command, str(base), str(folder)],
        capture_output=True, text=True, check=False, env=settings, cwd=Path(__file__).parents[2], timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return folder


def fared(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_losses_and_adapter_are_those_of_one_process(done: Path, base: Path, tmp_path: Path, name: str) -> None:
    recipe, hardware, some = SCENARIOS[name]
    outcome, _ = trained(tmp_path, base, recipe, hardware, some)
    exact = hardware.precision == "fp32"
    for mine, theirs in zip(rows(done / name), rows(tmp_path), strict=True):
        assert (mine["kind"], mine["step"]) == (theirs["kind"], theirs["step"])
        for key in {"loss", "bits_per_byte", "gradient_norm"} & mine.keys():
            assert mine[key] == pytest.approx(theirs[key], rel=1e-5 if exact else 2e-2)
        for key in {"tokens", "learning_rate", "scale", "skipped"} & mine.keys():
            assert mine[key] == theirs[key]
    assert furthest(published(done / name), published(tmp_path)) < (1e-3 if exact else 0.1)
    first, second = fared(done, name)
    assert first["weights"] == second["weights"]
    assert first["outcome"] == second["outcome"]
    assert first["outcome"]["step"] == outcome.step


def test_only_the_first_writes_and_speaks(done: Path) -> None:
    first, second = fared(done, "alone")
    assert first["told"] == len(list(rows(done / "folder-0")))
    assert second["told"] == 0
    assert {path.name for path in (done / "folder-0").iterdir()} == {"adapter", "checkpoints", "metrics.jsonl"}
    assert list((done / "folder-1").iterdir()) == []


def test_a_wish_of_one_is_done_by_all_and_it_goes_on(done: Path) -> None:
    for each in fared(done, "stopped"):
        assert (each["outcome"]["stopped"], each["outcome"]["step"]) == (True, 4)
    assert_same_run(done / "stopped", done / "whole")
    first, second = fared(done, "resumed")
    assert first["weights"] == second["weights"] == fared(done, "whole")[0]["weights"]
