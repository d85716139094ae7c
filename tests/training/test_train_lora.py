"""The loop: its gradients are those of plain training, and what it says, keeps and publishes is what happened."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sususbot.errors import TrainingDiverged
from sususbot.training import checkpoints
from sususbot.training.batches import Steps
from sususbot.training.metrics import Event, Measured, Note, StepDone, rows
from sususbot.training.processes import Processes
from sususbot.training.recipe import Hardware, Recipe
from sususbot.training.train_lora import Data, Learner, fit
from tests.training.learning import (
    BY_HEART,
    CPU,
    RECIPE,
    data,
    documents,
    learner,
    little,
    published,
    stirred,
    trained,
    weights,
    with_weights,
)
from tests.training.loops import QLORA, loop, plain_gradients
from tests.training.loops import plain as plain

# -- what is told


def test_every_token_is_counted_once_an_epoch_and_nothing_else(base: Path, tmp_path: Path) -> None:
    some = data()
    told: list[Event] = []
    outcome, _ = trained(tmp_path, base, some=some, report=told.append)
    steps = [event for event in told if isinstance(event, StepDone)]
    planned = Steps(some.train, RECIPE)
    assert [event.step for event in steps] == list(range(1, planned.total + 1))
    assert outcome.step == planned.total
    for epoch in (1, 2):
        assert sum(event.tokens for event in steps if event.epoch == epoch) == sum(map(len, some.train))
    assert all(event.of == planned.total and event.tokens_per_s > 0 and event.skipped == 0 for event in steps)
    assert steps[-1].seconds_left == 0.0 < steps[0].seconds_left
    kept = list(rows(tmp_path))
    assert [(row["kind"], row["step"]) for row in kept] == [(event.kind, event.step) for event in told]
    assert [row["loss"] for row in kept if row["kind"] == "step"] == [event.loss for event in steps]


def test_losses_and_bits_per_byte_are_what_plain_training_says(base: Path, tmp_path: Path, plain: Any) -> None:
    some = data(8, 5)
    one = stirred(learner(base))
    told: list[Event] = []
    fit(one, some, replace(RECIPE, rows=99, epochs=1), CPU, tmp_path, Processes(cpu=True), report=told.append)
    before, step, after = told
    assert isinstance(before, Measured)
    assert isinstance(step, StepDone)
    assert isinstance(after, Measured)
    assert step.loss == pytest.approx(plain_gradients(plain, some.train)[0], rel=1e-5)
    nats = plain_gradients(plain, some.valid)[0] * sum(float(document.weights.sum()) for document in some.valid)
    learned = sum(document.learned_bytes for document in some.valid)
    assert before.bits_per_byte == pytest.approx(nats / math.log(2) / learned, rel=1e-5)


def test_the_learning_rate_rises_and_falls(base: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=4, rows=1, warmup_share=0.1, final_share=0.2, learning_rate=1e-3)
    told: list[Event] = []
    trained(tmp_path, base, recipe, some=Data(documents(40), []), report=told.append)
    rates = [event.learning_rate for event in told if isinstance(event, StepDone)]
    total = len(rates)
    rise = round(0.1 * total)
    assert rise > 4
    assert rates[:rise] == pytest.approx([1e-3 * step / rise for step in range(1, rise + 1)])
    middle = rise + (total - rise) // 2
    assert rates[middle] == pytest.approx(1e-3 * (0.2 + 0.8 * 0.5), rel=0.05)
    assert rates[-1] == pytest.approx(2e-4, rel=0.02)
    assert all(after < before for before, after in zip(rates[rise:], rates[rise + 1 :], strict=False))


def test_what_the_machine_says_is_told(base: Path, tmp_path: Path) -> None:
    def machine(tokens_per_s: float) -> tuple[Mapping[str, float | None], str | None]:
        return {"temperature": 61.0, "watts": None}, "too slow" if tokens_per_s > 0 else None

    told: list[Event] = []
    trained(tmp_path, base, some=Data(documents(4), []), report=told.append, machine=machine)
    assert next(event.machine for event in told if isinstance(event, StepDone)) == {"temperature": 61.0, "watts": None}
    assert next(event.text for event in told if isinstance(event, Note)) == "too slow"


# -- the best


def measured(run: Path) -> list[tuple[int, float, bool]]:
    return [(row["step"], row["bits_per_byte"], row["best"]) for row in rows(run) if row["kind"] == "measured"]


def bits_of(base: Path, adapter: Mapping[str, torch.Tensor], some: Data, run: Path) -> float:
    """Measured anew, on a fresh model."""
    one = learner(base)
    with torch.no_grad():
        for name, weight in one.weights().items():
            weight.copy_(adapter[name])
    return loop(one, some, run).bits_per_byte(some.valid)


def test_it_learns_and_the_best_weights_are_published(base: Path, tmp_path: Path) -> None:
    outcome, one = trained(tmp_path, base)
    assert outcome.bits_per_byte is not None
    assert outcome.bits_per_byte_before is not None
    assert outcome.bits_per_byte < 0.97 * outcome.bits_per_byte_before
    found = measured(tmp_path)
    assert outcome.bits_per_byte == min(bits for _, bits, _ in found)
    assert outcome.bits_per_byte_before == found[0][1]
    assert found[0][0] == 0
    assert bits_of(base, published(tmp_path), data(), tmp_path) == pytest.approx(outcome.bits_per_byte, rel=1e-6)
    assert all(torch.equal(weight, published(tmp_path)[name]) for name, weight in weights(one).items())
    # Nothing that nobody asked for, such as PEFT's model card.
    files = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}


def test_it_stops_when_it_gets_no_better_and_keeps_what_was_best(base: Path, tmp_path: Path) -> None:
    outcome, one = trained(tmp_path, base, BY_HEART, some=little())
    found = measured(tmp_path)
    best = min(found, key=lambda each: each[1])
    assert not outcome.stopped
    assert outcome.step < Steps(little().train, BY_HEART).total
    assert 0 < outcome.best_step < outcome.step
    assert (outcome.best_step, outcome.bits_per_byte) == best[:2]
    # The last three were no better, and no three in a row before.
    assert [better for _, _, better in found][-4:] == [True, False, False, False]
    assert found[-4][0] == outcome.best_step
    kept = checkpoints.at(tmp_path, outcome.best_step).weights()
    for name, weight in weights(one).items():
        assert torch.equal(weight, kept[name])
        assert torch.equal(weight, published(tmp_path)[name])
    assert not all(
        torch.equal(kept[name], last) for name, last in checkpoints.at(tmp_path, outcome.step).weights().items()
    )


def test_what_gets_better_again_is_given_patience_anew(base: Path, tmp_path: Path) -> None:
    """Measured by turns with weights that are known to be better and worse."""
    some = data()
    (tmp_path / "run").mkdir()
    _, good = trained(tmp_path / "good", base, some=some)
    of = loop(learner(base), some, tmp_path / "run")
    states = {"fresh": weights(of._learner), "good": weights(good)}
    # The other way.
    states["bad"] = {name: -weight if "lora_B" in name else weight for name, weight in states["good"].items()}
    counts = []
    for step, state in enumerate(("fresh", "bad", "bad", "good", "fresh", "good", "bad")):
        of._at.step = step
        of._load(states[state])
        of._measure()
        counts.append((of._at.since_best, of._at.best_step))
    assert counts == [(0, 0), (1, 0), (2, 0), (0, 3), (1, 3), (2, 3), (3, 3)]


def test_what_gets_no_better_at_all_publishes_what_it_began_with(base: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, learning_rate=1e-9, epochs=9, patience=2, evals_per_epoch=2)
    outcome, _ = trained(tmp_path, base, recipe)
    assert (outcome.best_step, len(measured(tmp_path))) == (0, 3)
    fresh = weights(learner(base, recipe))
    assert all(torch.equal(fresh[name], tensor) for name, tensor in published(tmp_path).items())


def test_with_nothing_kept_apart_the_last_weights_are_published(base: Path, tmp_path: Path) -> None:
    some = Data(documents(20), [])
    outcome, one = trained(tmp_path, base, some=some)
    total = Steps(some.train, RECIPE).total
    assert outcome == (False, total, total, None, None, 0)
    assert measured(tmp_path) == []
    assert all(torch.equal(weight, published(tmp_path)[name]) for name, weight in weights(one).items())
    assert not torch.equal(*(next(iter(weights(each).values())) for each in (one, learner(base))))


def test_it_is_measured_as_often_as_the_recipe_says(base: Path, tmp_path: Path) -> None:
    some = data()
    for evals in (1, 3):
        recipe = replace(RECIPE, evals_per_epoch=evals, patience=99)
        trained(tmp_path / str(evals), base, recipe, some=some)
        steps = [step for step, _, _ in measured(tmp_path / str(evals))]
        per_epoch = Steps(some.train, recipe).per_epoch
        assert len(steps) == 1 + 2 * evals
        assert {0, per_epoch[0], sum(per_epoch)} <= set(steps)


# -- steps that give nothing


def test_a_step_with_nothing_to_learn_moves_nothing(base: Path, tmp_path: Path) -> None:
    some = Data([with_weights(one, 0.0) for one in documents(6)], [])
    told: list[Event] = []
    outcome, one = trained(tmp_path, base, replace(RECIPE, weight_decay=0.1), some=some, report=told.append)
    assert outcome.skipped == 0
    assert {event.loss for event in told if isinstance(event, StepDone)} == {0.0}
    assert all(torch.equal(weight, weights(learner(base))[name]) for name, weight in weights(one).items())


def loud(base: Path, folder: Path, factor: float) -> Path:
    """The base with a head that is far too loud."""
    import shutil

    shutil.copytree(base, folder)
    stored = load_file(folder / "model.safetensors")
    stored["lm_head.weight"] *= factor
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_in_fp16_a_step_whose_gradients_overflow_is_skipped(base: Path, tmp_path: Path) -> None:
    """Scaled up they do; scaled down, after some steps that were skipped, they do not."""
    hardware = Hardware(precision="fp16")
    recipe = replace(RECIPE, warmup_share=0.5)
    told: list[Event] = []
    outcome, one = trained(
        tmp_path / "run", loud(base, tmp_path / "loud", 300.0), recipe, hardware,
        some=Data(documents(40), []), report=told.append,
    )  # fmt: skip
    steps = [event for event in told if isinstance(event, StepDone)]
    skipped = [event.step for event in steps if not math.isfinite(event.gradient_norm)]
    assert 0 < len(skipped) < 8
    assert outcome.skipped == len(skipped) == steps[-1].skipped
    assert skipped == list(range(1, len(skipped) + 1))
    # The scale is halved by each; the learning rate waits.
    assert [event.scale for event in steps[: len(skipped) + 1]] == [
        2.0 ** (14 - min(step, len(skipped))) for step in range(1, len(skipped) + 2)
    ]
    rates = [event.learning_rate for event in steps]
    assert len(set(rates[: len(skipped) + 1])) == 1
    assert rates[len(skipped) + 1] == pytest.approx(2 * rates[0])
    state = checkpoints.at(tmp_path / "run", outcome.step).state()
    assert state["progress"]["taken"] == outcome.step - len(skipped)
    assert {int(each["step"]) for each in state["optimizer"]["state"].values()} == {outcome.step - len(skipped)}
    assert state["scaler"]["scale"] == steps[-1].scale
    assert all(weight.isfinite().all() for weight in weights(one).values())


def diverged(run: Path, one: Learner, recipe: Recipe, hardware: Hardware) -> list[StepDone]:
    """A training that ends so, with a checkpoint after every step."""
    told: list[Event] = []
    run.mkdir()
    some = Data(documents(40), [])
    with pytest.raises(TrainingDiverged) as caught:
        fit(one, some, recipe, hardware, run, Processes(cpu=True), report=told.append, checkpoint_minutes=0.0)
    assert str(caught.value).startswith("8 steps in a row gave gradients that are no numbers: lower LEARNING_RATE")
    steps = [event for event in told if isinstance(event, StepDone)]
    assert [event.skipped for event in steps[-8:]] == list(range(1, 9))
    assert all(math.isfinite(event.gradient_norm) for event in steps[:-8])
    assert len({event.learning_rate for event in steps[-8:]}) == 1
    return steps


@pytest.mark.parametrize("hardware", [CPU, QLORA])
def test_a_learning_rate_beyond_all_measure_ends_it(base: Path, tmp_path: Path, hardware: Hardware) -> None:
    recipe = replace(RECIPE, learning_rate=1e32, epochs=9)
    one = learner(base, recipe, hardware)
    before = weights(one)
    steps = diverged(tmp_path / "run", one, recipe, hardware)
    # The last step that moved the weights ruined them; what was saved before it is what stays.
    moved = len(steps) - 8
    assert 0 < moved < 4
    assert not all(torch.equal(weight, before[name]) for name, weight in weights(one).items())
    assert all(weight.isfinite().all() for weight in weights(one).values())
    kept = checkpoints.latest(tmp_path / "run")
    assert kept is not None
    assert kept.step == moved - 1
    if not kept.step:
        assert all(torch.equal(kept.weights()[name], weight) for name, weight in before.items())
    assert all(rate.isfinite().all() for rate in kept.weights().values())


def test_weights_stay_where_every_step_is_skipped(base: Path, tmp_path: Path) -> None:
    one = stirred(learner(base))
    with torch.no_grad():
        for weight in one.weights().values():
            weight.mul_(1e25)
    before = weights(one)
    assert len(diverged(tmp_path / "run", one, replace(RECIPE, weight_decay=0.1), CPU)) == 8
    assert all(torch.equal(weight, before[name]) for name, weight in weights(one).items())
    kept = checkpoints.latest(tmp_path / "run")
    assert kept is not None
    assert all(torch.equal(kept.weights()[name], weight) for name, weight in before.items())


def test_a_measurement_that_is_no_number_ends_it_too(base: Path, tmp_path: Path) -> None:
    with pytest.raises(
        TrainingDiverged, match=r"after step 4 the loss of what was kept apart is no number: lower LEARN"
    ):
        trained(tmp_path, base, replace(RECIPE, learning_rate=1e32))
    kept = checkpoints.latest(tmp_path)
    assert kept is not None
    assert kept.step == 0
    assert [bits is not None for _, bits, _ in measured(tmp_path)] == [True, False]


def test_a_base_that_gives_no_numbers_is_not_trained(base: Path, tmp_path: Path) -> None:
    folder = loud(base, tmp_path / "loud", 1e6)
    with pytest.raises(TrainingDiverged, match=r"the base gives no numbers in fp16 before .*: set USE_FP16=false, or"):
        trained(tmp_path / "run", folder, hardware=Hardware(precision="fp16"))
    assert checkpoints.latest(tmp_path / "run") is None
    outcome, _ = trained(tmp_path / "again", folder, replace(RECIPE, epochs=1))
    assert outcome.skipped == 0
