"""The loss: weighted cross entropy over the places that count, without ever holding all their logits.

Where nothing is learned nothing is projected. The rest goes through the head some rows at a time, and the gradient of
each chunk is taken at once, so that neither logits nor anything else of that size outlives its chunk (the idea of
fused linear cross entropy, Liger-Kernel 2024, in plain torch).
"""

from typing import Any, Final

import torch
from torch.nn.functional import cross_entropy

ROWS: Final = 512


def weighted_nats(
    hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor, weights: torch.Tensor, rows: int = ROWS
) -> torch.Tensor:
    """Sum over places of weight × −ln p(target), a float32 scalar with a gradient.

    `hidden` is (T, d), `targets` and `weights` are (T,); the head has no bias. Weights have no gradient.
    """
    learned = weights.nonzero().flatten()
    needed = torch.is_grad_enabled() and (hidden.requires_grad or head.weight.requires_grad)
    nats: torch.Tensor = _Nats.apply(  # type: ignore[no-untyped-call]
        hidden[learned], head.weight, targets[learned], weights[learned], rows, needed
    )
    return nats


class _Nats(torch.autograd.Function):
    """Takes the gradients on the way forward; `backward` only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor,
        rows: int,
        needed: bool,
    ) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        of_hidden = torch.empty_like(hidden) if needed else None
        of_weight = torch.zeros_like(weight, dtype=torch.float32) if needed and weight.requires_grad else None
        for begin in range(0, len(hidden), rows):
            part = slice(begin, begin + rows)
            logits = (hidden[part] @ weight.t()).float()
            nats = cross_entropy(logits, targets[part], reduction="none")
            total += (nats * weights[part]).sum()
            if of_hidden is None:
                continue
            # d nats / d logits = p − 1 at the target.
            slope = logits.softmax(-1)
            slope[torch.arange(len(slope), device=slope.device), targets[part]] -= 1.0
            slope *= weights[part, None]
            slope = slope.to(hidden.dtype)
            of_hidden[part] = slope @ weight
            if of_weight is not None:
                of_weight += (slope.t() @ hidden[part]).float()
        ctx.save_for_backward(of_hidden, of_weight)
        ctx.weight_dtype = weight.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_hidden, of_weight = ctx.saved_tensors
        (scale,) = grads
        return (
            None if of_hidden is None else (of_hidden * scale).to(of_hidden.dtype),
            None if of_weight is None else (of_weight * scale).to(ctx.weight_dtype),
            None,
            None,
            None,
            None,
        )
