"""What is told of the newest training: by its files, whatever state they are in."""

import os
from pathlib import Path

from sususbot.artifacts import write_manifest
from sususbot.training.latest import latest
from sususbot.training.metrics import Measured, Metrics, StepDone


def run(data: Path, name: str, state: str) -> Path:
    folder = data / "runs" / name
    folder.mkdir(parents=True)
    write_manifest(folder, {"name": name, "state": state})
    return folder


def step(number: int) -> StepDone:
    return StepDone(number, 400, 2, 1.75 - number / 1000, 1e-4, 1.0, 1.0, 0, 8192, 1000.0, 9000.0, {})


def test_the_newest_run_tells_its_step_loss_and_time_left(tmp_path: Path) -> None:
    old = run(tmp_path, "old", "finished")
    os.utime(old / "manifest.json", (1, 1))
    metrics = Metrics(run(tmp_path, "new", "training"))
    metrics.add(Measured(0, 1.5, best=True))
    for number in range(1, 300):
        metrics.add(step(number))
    metrics.add(Measured(299, 1.25, best=True))
    metrics.add(Measured(299, 1.35, best=False))
    with (tmp_path / "runs" / "new" / "metrics.jsonl").open("ab") as file:
        file.write(b'{"kind": "step", "st')
    found = latest(tmp_path)
    assert found is not None
    assert found.sentence() == (
        "run new is training; step 299 of 400, epoch 2; loss 1.451; 1.250 bits per byte on what was kept apart, "
        "at best; 2 h 30 min left"
    )
    os.utime(tmp_path / "runs" / "new" / "manifest.json", (1, 1))
    os.utime(tmp_path / "runs" / "new" / "metrics.jsonl", (1000, 1000))
    killed = latest(tmp_path, now=1000 + 3600)
    assert killed is not None
    assert killed.stalled
    assert "nothing was heard of it for 60 min: go on with  sususbot train --resume" in killed.sentence()


def test_runs_that_say_nothing_or_cannot_be_read(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    run(tmp_path, "begun", "finished")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "manifest.json").write_bytes(b"{")
    found = latest(tmp_path)
    assert found is not None
    assert found.sentence() == "run begun: finished"
