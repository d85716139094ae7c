"""Trainings of a tiny base, and documents from which it can learn something in a few steps."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from sususbot.training.base import attach_adapter, find_base, load_weights
from sususbot.training.documents import Document
from sususbot.training.processes import Processes
from sususbot.training.recipe import Hardware, Recipe
from sususbot.training.run_folder import publish_adapter
from sususbot.training.train_lora import Data, Learner, Outcome, Trainee, fit

# As `train` lays out so small a model: no layer is computed twice.
CPU: Final = Hardware(plain_layers=2)
RECIPE: Final = Recipe(learning_rate=5e-3, epochs=2, pack_tokens=128, rows=2, rank=4, alpha=8)
# Learned by heart: what was kept apart gets better at first, then worse and worse.
BY_HEART: Final = replace(RECIPE, epochs=200, learning_rate=8e-2, evals_per_epoch=1, patience=3)
# Of the tiny vocabulary, the pieces that documents are made of.
_PIECES: Final = 300
# A token has so many bytes: made up, but what bits per byte are counted by.
_BYTES: Final = 3


def learner(base: Path, recipe: Recipe = RECIPE, hardware: Hardware = CPU) -> Learner:
    """The base with a fresh adapter that learns."""
    found = find_base(str(base), download=False)
    model = attach_adapter(load_weights(found, hardware), recipe, hardware)
    return Learner(model, lambda folder: publish_adapter(model, found.name, folder))


def stirred(one: Learner, seed: int = 5) -> Learner:
    """Both halves of its adapter with random weights: in a fresh one half the gradients are 0."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in one.weights().values():
            weight.copy_(torch.randn(weight.shape, generator=random) * 0.1)
    return one


def gradients(
    one: Learner, documents: Sequence[Sequence[Document]], hardware: Hardware = CPU
) -> dict[str, torch.Tensor]:
    """Gradients of the loss summed over all, each inner group passed through the model as one row."""
    from sususbot.training.batches import batch

    trainee = Trainee(one.model, hardware).train()
    one.model.zero_grad(set_to_none=True)
    for group in documents:
        trainee(batch(group)).backward()
    return grads(one)


def grads(one: Learner) -> dict[str, torch.Tensor]:
    """The gradients that lie on the weights now."""
    return {name: weight.grad.clone() for name, weight in one.weights().items() if weight.grad is not None}


def furthest(these: dict[str, torch.Tensor], those: dict[str, torch.Tensor]) -> float:
    """How far two sets of tensors are apart: of each, the length of the difference to its own length; the largest."""
    assert these.keys() == those.keys()
    assert these
    return max(float((these[name] - that).norm()) / (float(that.norm()) or 1.0) for name, that in those.items())


def document(length: int, seed: int = 0, name: str = "") -> Document:
    """Counts up in threes from anywhere; some of it is learned, some only a little, some not."""
    chance = np.random.default_rng([seed, length])
    ids = 10 + (chance.integers(_PIECES) + 3 * np.arange(length)) % _PIECES
    weights = chance.choice(np.array([0.0, 0.2, 1.0], np.float32), length, p=[0.3, 0.2, 0.5])
    weights[0] = 0.0
    return Document(name or f"{seed}-{length}", ids.astype(np.int32), weights, float(weights.sum() * _BYTES), seed)


def documents(count: int, seed: int = 0, shortest: int = 8, longest: int = 100) -> list[Document]:
    lengths = np.random.default_rng(seed).integers(shortest, longest + 1, count)
    return [document(int(length), seed * 1000 + place, f"{seed}-{place}") for place, length in enumerate(lengths)]


def little() -> Data:
    """What is learned by heart soon."""
    return Data(documents(12, 1), documents(6, 2))


def data(train: int = 26, valid: int = 5) -> Data:
    return Data(documents(train, 1), documents(valid, 2))


def trained(
    run: Path,
    base: Path,
    recipe: Recipe = RECIPE,
    hardware: Hardware = CPU,
    some: Data | None = None,
    **options: Any,
) -> tuple[Outcome, Learner]:
    """A training in the folder `run`, from a fresh model, which is given back as the training left it."""
    run.mkdir(parents=True, exist_ok=True)
    one = learner(base, recipe, hardware)
    return fit(one, some or data(), recipe, hardware, run, Processes(cpu=True), **options), one


def weights(one: Learner) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in one.weights().items()}


def published(run: Path) -> dict[str, torch.Tensor]:
    """The adapter as it was published, by the names of the model's weights."""
    from safetensors.torch import load_file

    stored = load_file(run / "adapter" / "adapter_model.safetensors")
    return {name.replace(".weight", ".default.weight"): tensor for name, tensor in stored.items()}


def with_weights(one: Document, weight: float) -> Document:
    """The same, every token but the first with this weight."""
    weights = np.full(len(one), weight, np.float32)
    weights[0] = 0.0
    return replace(one, weights=weights, learned_bytes=float(weights.sum() * _BYTES))
