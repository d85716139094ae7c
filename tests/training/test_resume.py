"""A training that goes on is the training that was never stopped, bit by bit, however it ended."""

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sususbot.errors import RunMissing
from sususbot.training import checkpoints
from sususbot.training.metrics import rows
from sususbot.training.recipe import Hardware, Recipe
from tests.training import killable
from tests.training.learning import BY_HEART, CPU, RECIPE, data, little, published, trained, weights

FP16 = Hardware(precision="fp16")
QLORA = Hardware(four_bit=True, precision="fp16")
# Every layer computed twice, as where memory is small.
TWICE = Hardware()
DROPPING = replace(RECIPE, dropout=0.1)

# What a clock says, or a machine.
TIMES = frozenset({"tokens_per_s", "seconds_left", "machine"})


def after(steps: int) -> Callable[[], bool]:
    """A wish to stop after so many of them."""
    left = iter([False] * (steps - 1))
    return lambda: next(left, True)


def told(run: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows(run)]


def assert_same_state(these: Any, those: Any) -> None:
    """Bit by bit."""
    if isinstance(those, torch.Tensor):
        assert these.dtype == those.dtype
        assert torch.equal(these, those)
    elif isinstance(those, Mapping):
        assert these.keys() == those.keys()
        for key in those:
            assert_same_state(these[key], those[key])
    elif isinstance(those, list | tuple):
        assert len(these) == len(those)
        for this, that in zip(these, those, strict=True):
            assert_same_state(this, that)
    else:
        assert these == those


def assert_same_run(one: Path, other: Path) -> None:
    """The same checkpoints, the same adapter byte by byte, the same told."""
    last, its = checkpoints.latest(one), checkpoints.latest(other)
    assert last is not None
    assert its is not None
    assert last.step == its.step
    assert_same_state(last.weights(), its.weights())
    assert_same_state(last.state(), its.state())
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (one / "adapter" / file).read_bytes() == (other / "adapter" / file).read_bytes()
    assert told(one) == told(other)


@pytest.mark.parametrize(("recipe", "hardware"), [
    (DROPPING, TWICE),
    (DROPPING, QLORA),
    (replace(RECIPE, weight_decay=0.1), replace(CPU, batch_rows=2, plain_layers=1)),
])  # fmt: skip
def test_stopped_and_resumed_is_never_stopped(base: Path, tmp_path: Path, recipe: Recipe, hardware: Hardware) -> None:
    whole, _ = trained(tmp_path / "whole", base, recipe, hardware)
    stopped = tmp_path / "stopped"
    outcome, one = trained(stopped, base, recipe, hardware, stop=after(3))
    assert (outcome.stopped, outcome.step) == (True, 3)
    kept = checkpoints.at(stopped, 3)
    assert_same_state(kept.weights(), weights(one))
    state = kept.state()
    assert state["progress"]["taken"] == 3
    assert state["scaler"] == {} if hardware.precision == "fp32" else state["scaler"]["_growth_tracker"] == 3
    # Again, in the second epoch, right where it is measured.
    outcome, _ = trained(stopped, base, recipe, hardware, resume=True, stop=after(whole.step // 2 + 1))
    assert (outcome.stopped, outcome.step) == (True, whole.step // 2 + 4)
    outcome, _ = trained(stopped, base, recipe, hardware, resume=True)
    assert outcome == whole
    assert_same_run(stopped, tmp_path / "whole")


def test_resumed_at_every_step(base: Path, tmp_path: Path) -> None:
    recipe, some = replace(DROPPING, epochs=1), data(20, 3)
    whole, _ = trained(tmp_path / "whole", base, recipe, some=some)
    for step in range(1, whole.step + 1):
        outcome, _ = trained(tmp_path / "stopped", base, recipe, some=some, resume=step > 1, stop=after(1))
        assert (outcome.stopped, outcome.step) == (True, step)
    outcome, _ = trained(tmp_path / "stopped", base, recipe, some=some, resume=True)
    assert outcome == whole
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_a_finished_one_resumed_changes_nothing(base: Path, tmp_path: Path) -> None:
    whole, _ = trained(tmp_path, base)
    before, adapter = told(tmp_path), published(tmp_path)
    outcome, one = trained(tmp_path, base, resume=True)
    assert outcome == whole
    assert told(tmp_path) == before
    assert_same_state(published(tmp_path), adapter)
    assert_same_state(weights(one), adapter)


def test_nothing_to_resume_begins_and_nothing_is_told_twice(base: Path, tmp_path: Path) -> None:
    """As after a kill before the first checkpoint."""
    trained(tmp_path / "whole", base)
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / "metrics.jsonl").write_bytes(b'{"kind":"measured","step":0,"bits_per_byte":3.0,"best":true}\n')
    trained(killed, base, resume=True)
    assert_same_run(killed, tmp_path / "whole")


def test_patience_goes_on(base: Path, tmp_path: Path) -> None:
    """Stopped while it gets worse, it stops where it would have, with the best of before."""
    recipe, some = BY_HEART, little()
    whole, _ = trained(tmp_path / "whole", base, recipe, some=some)
    assert whole.best_step < whole.step
    per_epoch = (whole.step - whole.best_step) // 3
    outcome, _ = trained(tmp_path / "stopped", base, recipe, some=some, stop=after(whole.step - per_epoch))
    assert outcome.best_step == whole.best_step
    assert outcome.step == whole.step - per_epoch
    # The best so far can be used already.
    best = checkpoints.at(tmp_path / "stopped", whole.best_step).weights()
    assert_same_state(published(tmp_path / "stopped"), best)
    outcome, one = trained(tmp_path / "stopped", base, recipe, some=some, resume=True)
    assert outcome == whole
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    assert_same_state(weights(one), published(tmp_path / "whole"))


def test_hardware_set_anew_counts(base: Path, tmp_path: Path) -> None:
    """A smaller BATCH_SIZE is what its owner is told to try: it must not be that of the checkpoint."""
    wide = replace(CPU, batch_rows=2, plain_layers=1)
    trained(tmp_path, base, hardware=wide, stop=after(2))
    assert progress(tmp_path)["micro_tokens"] == 256
    trained(tmp_path, base, hardware=wide, resume=True, stop=after(1))
    assert (progress(tmp_path)["micro_tokens"], progress(tmp_path)["plain_layers"]) == (256, 1)
    trained(tmp_path, base, hardware=TWICE, resume=True, stop=after(1))
    assert (progress(tmp_path)["micro_tokens"], progress(tmp_path)["plain_layers"]) == (128, 0)


@pytest.mark.parametrize(("before", "then"), [(CPU, FP16), (FP16, CPU)])
def test_another_precision_goes_on_too(base: Path, tmp_path: Path, before: Hardware, then: Hardware) -> None:
    trained(tmp_path, base, hardware=before, stop=after(2))
    outcome, _ = trained(tmp_path, base, hardware=then, resume=True)
    assert outcome.skipped == 0
    assert [row["scale"] for row in rows(tmp_path) if row["kind"] == "step"][2] == (1.0 if then == CPU else 2.0**14)


def progress(run: Path) -> dict[str, Any]:
    last = checkpoints.latest(run)
    assert last is not None
    found: dict[str, Any] = last.state()["progress"]
    return found


def test_a_damaged_checkpoint_is_said_and_the_one_before_goes_on(base: Path, tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "whole", base)
    run = tmp_path / "run"
    trained(run, base, stop=after(3), checkpoint_minutes=0.0)
    last = checkpoints.latest(run)
    assert last is not None
    file = last.folder / checkpoints.WEIGHTS
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(RunMissing, match="step-000003 is damaged"):
        trained(run, base, resume=True)
    shutil.rmtree(last.folder)
    outcome, _ = trained(run, base, resume=True)
    assert outcome == whole
    assert_same_run(run, tmp_path / "whole")


def test_a_best_one_that_was_taken_away_is_no_best(base: Path, tmp_path: Path) -> None:
    recipe, some = replace(BY_HEART, patience=2), little()
    outcome, _ = trained(tmp_path, base, recipe, some=some)
    assert outcome.best_step < outcome.step
    shutil.rmtree(checkpoints.at(tmp_path, outcome.best_step).folder)
    again, one = trained(tmp_path, base, recipe, some=some, resume=True)
    assert again.best_step == outcome.step
    assert_same_state(weights(one), published(tmp_path))


# -- kills

KILLED = replace(DROPPING, rows=1)


def train_killably(run: Path, base: Path, hardware: Hardware) -> None:
    """Saves after each step, so that many kills fall into a save."""
    trained(run, base, KILLED, hardware, resume=True, checkpoint_minutes=0.0)


@pytest.mark.parametrize("hardware", [CPU, replace(QLORA, plain_layers=2)])
def test_killed_again_and_again_it_comes_to_the_same_end(base: Path, tmp_path: Path, hardware: Hardware) -> None:
    whole = tmp_path / "whole"
    seconds = killable.run(train_killably, whole, base, hardware)
    assert seconds is not None
    chance = random.Random(1)
    kills = attempt = 0
    while kills < 2:
        assert attempt < 8, "it cannot be killed twice before its end"
        killed = tmp_path / f"killed-{attempt}"
        # Where the clean run was held up, kills after its seconds come too late.
        instants = [chance.uniform(0.0, 0.3) * seconds / 2**attempt for _ in range(8)]
        kills = killable.run_killed(train_killably, killed, base, hardware, instants=instants)
        attempt += 1
    assert_same_run(killed, whole)
    steps = [row["step"] for row in rows(killed) if row["kind"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
