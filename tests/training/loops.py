"""A training loop as tests look into it: its gradients, and the same by plain means."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from sususbot.training.base import attach_adapter
from sususbot.training.documents import Document
from sususbot.training.processes import Processes
from sususbot.training.recipe import Hardware, Recipe
from sususbot.training.train_lora import Data, Learner, _Loop
from tests.training.learning import (
    CPU,
    RECIPE,
    grads,
    learner,
    stirred,
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
