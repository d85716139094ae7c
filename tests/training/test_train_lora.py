"""The loop: its gradients are those of plain training, and what it says, keeps and publishes is what happened."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from sususbot.errors import TrainingDiverged
from sususbot.training import checkpoints
from sususbot.training.base import attach_adapter, find_base, load_weights
from sususbot.training.batches import Steps
from sususbot.training.documents import Document
from sususbot.training.metrics import Event, Measured, Note, StepDone, rows
from sususbot.training.processes import Processes
from sususbot.training.recipe import Hardware, Recipe
from sususbot.training.train_lora import Data, Learner, _Loop, fit
from tests.training import tiny
from tests.training.learning import (
    BY_HEART,
    CPU,
    RECIPE,
    data,
    document,
    documents,
    furthest,
    gradients,
    grads,
    learner,
    little,
    published,
    stirred,
    trained,
    weights,
    with_weights,
)

QLORA = Hardware(four_bit=True, precision="fp16")
TARGETS_OF_A_BLOCK = 7


def loop(one: Learner, some: Data, run: Path, recipe: Recipe = RECIPE, hardware: Hardware = CPU) -> _Loop:
    return _Loop(
        one, some, recipe, hardware, run, Processes(cpu=True), lambda _: None, lambda: False, lambda _: ({}, None)
    )


def step_gradients(of: _Loop, step: int, micro_tokens: int) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of a step as the optimiser gets them, taken so many tokens at once."""
    of._at.micro_tokens = micro_tokens
    nats, weight = of._gradients(of._steps[step])
    of._scaler.unscale_(of._optimizer)
    of._scaler.update()
    return nats / weight, grads(of._learner)


def plain_gradients(model: Any, some: Sequence[Document]) -> tuple[float, dict[str, torch.Tensor]]:
    """Nothing of ours: transformers' own model, each document by itself, all logits, torch's cross entropy."""
    model.train()
    model.zero_grad(set_to_none=True)
    total = sum(float(one.weights.sum()) for one in some)
    nats = 0.0
    for one in some:
        logits = model(input_ids=torch.from_numpy(one.ids.astype(np.int64))[None]).logits[0]
        each = cross_entropy(logits[:-1], torch.from_numpy(one.ids[1:].astype(np.int64)), reduction="none")
        part = (each * torch.from_numpy(one.weights[1:])).sum() / total
        torch.autograd.backward(part)
        nats += float(part.detach())
    return nats, {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.fixture(scope="module")
def plain(base: Path) -> Any:
    """The base and its adapter with transformers' own attention."""
    load: Any = AutoModelForCausalLM.from_pretrained
    model = attach_adapter(load(base, attn_implementation="sdpa").requires_grad_(False), RECIPE, CPU)
    return stirred(Learner(model, lambda _: None)).model


@pytest.fixture(scope="module")
def ours(base: Path) -> Learner:
    return stirred(learner(base))


# -- gradients


@given(
    lengths=st.lists(st.integers(2, 128), min_size=2, max_size=12), seed=st.integers(0, 99), micro=st.integers(1, 300)
)
@settings(max_examples=25, deadline=None)
def test_a_packed_step_has_the_gradients_of_its_documents_alone(
    ours: Learner, plain: Any, tmp_path_factory: pytest.TempPathFactory, lengths: list[int], seed: int, micro: int
) -> None:
    some = [with_weights(document(length, seed + place), 1.0) for place, length in enumerate(lengths)]
    some[-1] = document(lengths[-1], seed)
    assert_same(ours, plain, some, micro, tmp_path_factory.getbasetemp())


def assert_same(ours: Learner, plain: Any, some: list[Document], micro: int, run: Path) -> None:
    # One step that reads everything, in the order that packing gives it.
    recipe = replace(RECIPE, rows=1000, seed=len(some))
    loss, found = step_gradients(loop(ours, Data(some, []), run, recipe), 0, micro)
    plain_loss, expected = plain_gradients(plain, some)
    assert loss == pytest.approx(plain_loss, rel=1e-5)
    assert furthest(found, expected) < 1e-5


def test_weights_as_uneven_as_can_be(ours: Learner, plain: Any, tmp_path: Path) -> None:
    """A step is divided by all that it learns: a micro-batch of a few heavy tokens counts for what it is."""
    some = [
        with_weights(document(100, 1), 1e-3),
        with_weights(document(9, 2), 1.0),
        with_weights(document(90, 3), 0.0),
        with_weights(document(60, 4), 0.2),
        document(2, 5),
    ]
    for micro in (1, 60, 100, 190, 10_000):
        assert_same(ours, plain, some, micro, tmp_path)


@pytest.mark.parametrize(("hardware", "tolerance"), [
    (Hardware(precision="fp16"), 8e-3),
    (Hardware(precision="bf16"), 4e-2),
    (Hardware(four_bit=True), 1e-5),
    (QLORA, 8e-3),
])  # fmt: skip
def test_packing_changes_nothing_in_other_types(
    base: Path, tmp_path: Path, hardware: Hardware, tolerance: float
) -> None:
    one = stirred(learner(base, RECIPE, hardware))
    of = loop(one, Data(documents(30, 3), []), tmp_path, replace(RECIPE, rows=6), hardware)
    loss, found = step_gradients(of, 0, 10_000)
    alone_loss, alone = step_gradients(of, 0, 1)
    assert loss == pytest.approx(alone_loss, rel=tolerance / 10)
    assert furthest(found, alone) < tolerance


def test_documents_end_to_end_in_any_order_have_one_gradient(ours: Learner) -> None:
    some = documents(12, 7)
    expected = gradients(ours, [[one] for one in some])
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(some))
        assert furthest(gradients(ours, [[some[place] for place in order]]), expected) < 1e-5


@pytest.mark.parametrize("tied", [True, False])
def test_all_weights_of_a_small_base_can_learn(tmp_path: Path, tied: bool) -> None:
    folder = tiny.base(tmp_path / "base", tie_word_embeddings=tied)
    found = find_base(str(folder), download=False)
    one = Learner(load_weights(found, CPU).requires_grad_(True), lambda _: None)
    some = documents(5, 8)
    load: Any = AutoModelForCausalLM.from_pretrained
    loss, slopes = step_gradients(loop(one, Data(some, []), tmp_path, replace(RECIPE, rows=9)), 0, 128)
    plain_loss, expected = plain_gradients(load(folder, attn_implementation="sdpa"), some)
    assert loss == pytest.approx(plain_loss, rel=1e-5)
    assert len(slopes) == 1 + 2 * (TARGETS_OF_A_BLOCK + 2) + 1 + (not tied)
    assert furthest(slopes, expected) < 1e-5


def test_how_a_step_is_cut_up_changes_nothing(base: Path, tmp_path: Path) -> None:
    """The whole way: losses, lengths of gradients and the adapter, whatever goes through at once and is kept."""
    recipe = replace(RECIPE, rows=4, epochs=1, learning_rate=1e-3)
    told: dict[str, list[Event]] = {}
    for name, hardware in {
        "one": Hardware(), "two": Hardware(batch_rows=2), "four": Hardware(batch_rows=4, plain_layers=1),
    }.items():  # fmt: skip
        events = told[name] = []
        trained(tmp_path / name, base, recipe, hardware, report=events.append)
    for name in ("two", "four"):
        for mine, theirs in zip(told[name], told["one"], strict=True):
            assert figures(mine) == pytest.approx(figures(theirs), rel=1e-5)
        assert furthest(published(tmp_path / name), published(tmp_path / "one")) < 1e-3


def figures(event: Event) -> list[float]:
    if isinstance(event, StepDone):
        return [event.step, event.loss, event.gradient_norm, event.learning_rate, event.tokens]
    return [event.step, event.bits_per_byte] if isinstance(event, Measured) else [event.step]


def test_dropout_follows_from_seed_and_step(base: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, dropout=0.3)
    some = Data(documents(30), [])
    of = loop(stirred(learner(base, recipe)), some, tmp_path, recipe)
    first, again = step_gradients(of, 0, 128)[1], step_gradients(of, 0, 128)[1]
    assert all(torch.equal(slope, again[name]) for name, slope in first.items())
    of._at.step = 1
    other = step_gradients(of, 0, 128)[1]
    assert furthest(other, first) > 0.01
    seeded = loop(stirred(learner(base, recipe)), some, tmp_path, replace(recipe, seed=7))
    seeded._steps = of._steps
    assert furthest(step_gradients(seeded, 0, 128)[1], first) > 0.01


@pytest.mark.parametrize("hardware", [CPU, Hardware(precision="fp16")])
def test_long_gradients_are_cut_to_their_limit_and_short_ones_are_not(
    base: Path, tmp_path: Path, hardware: Hardware
) -> None:
    """What AdamW has seen after one step, a tenth of it, has the length of the gradient; a scale is out of it again."""
    some = Data(documents(40), [])
    lengths = {}
    for limit in (1e-3, 1e3):
        run = tmp_path / str(limit)
        told: list[Event] = []
        recipe = replace(RECIPE, max_grad_norm=limit)
        trained(run, base, recipe, hardware, some, report=told.append, stop=lambda: True)
        (step,) = (event for event in told if isinstance(event, StepDone))
        moments = checkpoints.at(run, 1).state()["optimizer"]["state"].values()
        seen = 10 * math.sqrt(sum(float(each["exp_avg"].square().sum()) for each in moments))
        assert seen == pytest.approx(min(limit, step.gradient_norm), rel=1e-3)
        lengths[limit] = step.gradient_norm
    assert 0.01 < lengths[1e3] < 100
    assert lengths[1e-3] == pytest.approx(lengths[1e3])
    one = learner(base)
    _, exact = step_gradients(loop(one, some, tmp_path), 0, 128)
    assert lengths[1e3] == pytest.approx(
        math.sqrt(sum(float(slope.square().sum()) for slope in exact.values())), rel=0.02
    )


def test_nothing_is_dropped_when_measuring(base: Path, tmp_path: Path) -> None:
    some = data()
    dropping = replace(RECIPE, dropout=0.5)
    plain, other = (loop(stirred(learner(base, recipe)), some, tmp_path, recipe) for recipe in (RECIPE, dropping))
    for measured in (other, plain):
        step_gradients(measured, 0, 128)
    assert other.bits_per_byte(some.valid) == plain.bits_per_byte(some.valid)


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
