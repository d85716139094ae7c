"""The gradients of a step are those of its documents, each alone by plain means, however the step is cut up."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from sususbot.training import checkpoints
from sususbot.training.base import find_base, load_weights
from sususbot.training.documents import Document
from sususbot.training.metrics import Event, Measured, StepDone
from sususbot.training.recipe import Hardware
from sususbot.training.train_lora import Data, Learner
from tests.training import tiny
from tests.training.learning import (
    CPU,
    RECIPE,
    data,
    document,
    documents,
    furthest,
    gradients,
    learner,
    published,
    stirred,
    trained,
    with_weights,
)
from tests.training.loops import QLORA, TARGETS_OF_A_BLOCK, loop, plain_gradients, step_gradients
from tests.training.loops import ours as ours
from tests.training.loops import plain as plain

# -- gradients


@given(
    lengths=st.lists(st.integers(2, 128), min_size=2, max_size=12), seed=st.integers(0, 99), micro=st.integers(1, 300)
)
@settings(max_examples=12, deadline=None)
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
