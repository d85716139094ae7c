"""The chunked loss is plain weighted cross entropy, and never makes anything of the size of all logits."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, linear
from torch.utils._python_dispatch import TorchDispatchMode

from sususbot.training.loss import weighted_nats

WIDTH, VOCABULARY = 24, 57


class Case(NamedTuple):
    hidden: torch.Tensor
    head: torch.nn.Linear
    targets: torch.Tensor
    weights: torch.Tensor


def case(places: int, *, seed: int = 0, dtype: torch.dtype = torch.float32, vocabulary: int = VOCABULARY) -> Case:
    random = torch.Generator().manual_seed(seed)
    head = torch.nn.Linear(WIDTH, vocabulary, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.randn(vocabulary, WIDTH, generator=random))
    weights = torch.rand(places, generator=random) * torch.randint(0, 2, (places,), generator=random)
    hidden = torch.randn(places, WIDTH, generator=random).to(dtype).requires_grad_()
    return Case(hidden, head.to(dtype), torch.randint(vocabulary, (places,), generator=random), weights)


def full(one: Case) -> torch.Tensor:
    """By torch alone, over all places at once."""
    logits = linear(one.hidden, one.head.weight).float()
    return (cross_entropy(logits, one.targets, reduction="none") * one.weights).sum()


def slopes(nats: torch.Tensor, of: Sequence[torch.Tensor], scale: float = 1.0) -> list[torch.Tensor]:
    return list(torch.autograd.grad(nats * scale, of))


@given(places=st.integers(1, 40), rows=st.integers(1, 45), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_value_and_gradients_are_those_of_the_whole(places: int, rows: int, seed: int) -> None:
    one = case(places, seed=seed)
    mine, theirs = weighted_nats(*one, rows), full(one)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    of = (one.hidden, one.head.weight)
    for found, expected in zip(slopes(mine, of, 0.37), slopes(theirs, of, 0.37), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_is_that_of_a_finite_difference() -> None:
    one = case(5).hidden.detach().double().requires_grad_()
    plain = case(5, dtype=torch.float64)
    torch.autograd.gradcheck(
        lambda hidden, weight: weighted_nats(hidden, _Head(weight), plain.targets, plain.weights, 2),  # type: ignore[arg-type]
        (one, plain.head.weight.detach().requires_grad_()),
        # The sum is kept in float32.
        eps=1e-2,
        atol=1e-3,
        nondet_tol=0.0,
    )


class _Head:
    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight


def test_nothing_to_learn_costs_nothing_and_still_has_a_gradient() -> None:
    one = case(9)
    nats = weighted_nats(one.hidden, one.head, one.targets, torch.zeros(9))
    assert nats.item() == 0.0
    assert nats.dtype == torch.float32
    assert all(not slope.any() for slope in slopes(nats, (one.hidden, one.head.weight)))


def test_where_nothing_is_learned_nothing_is_computed() -> None:
    one = case(30)
    with torch.no_grad():
        one.hidden[one.weights == 0] = torch.nan
    nats = weighted_nats(*one, 7)
    (slope,) = slopes(nats, [one.hidden])
    assert nats.isfinite()
    assert (slope.abs().sum(1) > 0).tolist() == (one.weights > 0).tolist()


def test_a_frozen_head_gets_no_gradient_and_no_gradients_cost_nothing() -> None:
    one = case(9)
    one.head.requires_grad_(False)
    torch.autograd.backward(weighted_nats(*one, 4))
    assert one.head.weight.grad is None
    assert one.hidden.grad is not None
    with torch.no_grad():
        alone = weighted_nats(*one, 4)
    assert not alone.requires_grad
    torch.testing.assert_close(alone, full(one).detach())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 4e-3), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("stored", [torch.float32, None])
def test_in_half_precision_it_is_what_autocast_makes_of_the_whole(
    dtype: torch.dtype, tolerance: float, stored: torch.dtype | None
) -> None:
    one = case(40, dtype=stored or dtype)
    exact = Case(one.hidden.detach().float().requires_grad_(), _head(one), one.targets, one.weights)
    with torch.autocast("cpu", dtype):
        mine = weighted_nats(*one, 16)
        theirs = full(one)
    assert mine.dtype == torch.float32
    for other in (theirs, full(exact)):
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=0.0)
    for found, expected in zip(
        slopes(mine, (one.hidden, one.head.weight)), slopes(full(exact), (exact.hidden, exact.head.weight)), strict=True
    ):
        assert found.dtype == one.hidden.dtype
        assert (found.float() - expected).norm() < tolerance * expected.norm()


def test_half_precision_is_left_before_the_softmax() -> None:
    one = case(40, dtype=torch.float16)
    torch.testing.assert_close(weighted_nats(*one, 16), full(one), rtol=1e-5, atol=0.0)


def _head(one: Case) -> torch.nn.Linear:
    head = torch.nn.Linear(WIDTH, VOCABULARY, bias=False)
    head.weight = torch.nn.Parameter(one.head.weight.detach().float())
    return head


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers the size of the largest tensor that any operation gave."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        for one in given if isinstance(given, tuple | list) else (given,):
            if isinstance(one, torch.Tensor):
                self.elements = max(self.elements, one.numel())
        return given


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_no_tensor_of_all_logits_is_ever_made(dtype: torch.dtype) -> None:
    places, rows, vocabulary = 300, 16, 2000
    one = case(places, vocabulary=vocabulary)
    one.head.requires_grad_(False)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        with Largest() as chunked:
            torch.autograd.backward(weighted_nats(*one, rows))
        with Largest() as whole:
            torch.autograd.backward(full(one))
    assert whole.elements == places * vocabulary
    assert chunked.elements == max(rows * vocabulary, vocabulary * WIDTH)
    assert one.hidden.grad is not None
