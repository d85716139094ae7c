"""Trainings by two processes at once, as torchrun starts them.

Each writes down how it fared in FOLDER/NAME-RANK.json.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from sususbot.training.metrics import Event
from sususbot.training.processes import Processes
from sususbot.training.recipe import Hardware, Recipe
from sususbot.training.train_lora import Data, fit
from tests.training.learning import CPU, RECIPE, data, documents, learner

FP16: Final = Hardware(precision="fp16")
DROPPING: Final = replace(RECIPE, dropout=0.1)
# Of what was kept apart, one document: one process has nothing to measure.
FEW: Final = Data(documents(20, 1), documents(1, 2))

SCENARIOS: Final[dict[str, tuple[Recipe, Hardware, Data]]] = {
    "even": (RECIPE, CPU, data()),
    "fewer bins than processes": (replace(RECIPE, rows=1, epochs=1), CPU, FEW),
    "uneven": (replace(RECIPE, rows=3), replace(CPU, batch_rows=2), FEW),
    "fp16": (replace(RECIPE, rows=3, epochs=1), FP16, data()),
}


def launch(base: Path, folder: Path) -> None:
    """What torchrun does; where forks are safe, of this process, which has loaded everything (`killable`)."""
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        run_id="trainings",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="fork" if sys.platform == "linux" else "spawn",
    )
    elastic_launch(config, main)(base, folder)


def main(base: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    processes = Processes(cpu=True)

    def train(
        name: str, recipe: Recipe, hardware: Hardware, some: Data, run: str | None = None, **options: Any
    ) -> None:
        told: list[Event] = []
        one = learner(base, recipe, hardware)
        place = folder / (run or name)
        place.mkdir(exist_ok=True)
        outcome = fit(one, some, recipe, hardware, place, processes, report=told.append, **options)
        digest = hashlib.sha256(b"".join(weight.detach().numpy().tobytes() for weight in one.weights().values()))
        fared = {"weights": digest.hexdigest(), "outcome": outcome._asdict(), "told": len(told)}
        (folder / f"{name}-{processes.index}.json").write_text(json.dumps(fared), encoding="utf-8")
        processes.wait()

    for name, (recipe, hardware, some) in SCENARIOS.items():
        train(name, recipe, hardware, some)
    # Each writes to a folder of its own, if it writes.
    train("alone", RECIPE, CPU, data(), f"folder-{processes.index}")
    # Wishes of one process alone: the second one to stop, the first one to save.
    train("whole", DROPPING, CPU, data())
    mine = 0.0 if processes.first else 99.0
    train("stopped", DROPPING, CPU, data(), stop=_after(4, processes.index == 1), checkpoint_minutes=mine)
    train("resumed", DROPPING, CPU, data(), "stopped", resume=True)
    processes.end()


def _after(steps: int, wanted: bool) -> Callable[[], bool]:
    left = iter([False] * (steps - 1))
    return lambda: wanted and next(left, True)
