"""Causal attention document by document over one row of them, for any model that asks transformers for its attention.

Each document is one call of torch's attention, with neither a mask nor room between: what is not there cannot be
seen. Against one call with a block-diagonal mask over the whole row it computes a fraction (the sum of the squared
lengths, of which the causal half), and torch can choose its fast kernel on every card, also on those before Ampere,
where a mask or grouped heads (`enable_gqa`) leave only slow ones. Heads that share keys are spread out beforehand.
"""

from typing import Any, Final

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME: Final = "documents"


def by_document(
    module: torch.nn.Module,  # noqa: ARG001  (transformers' signature)
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    lengths: list[int] | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Query is (1, heads, T, d), key and value (1, kv heads, T, d); gives (1, T, heads, d), as transformers wants it.

    Raises ValueError without `lengths` (of the documents, in order, of sum T), or where somebody made a mask.
    """
    if lengths is None or attention_mask is not None:
        raise ValueError("attention by document takes the documents' lengths and no mask")
    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = key.repeat_interleave(shared, dim=1), value.repeat_interleave(shared, dim=1)
    parts = zip(*(states.split(lengths, 2) for states in (query, key, value)), strict=True)  # type: ignore[no-untyped-call]
    seen = [
        scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, dropout_p=dropout) for q, k, v in parts
    ]
    return torch.cat(seen, 2).transpose(1, 2).contiguous(), None


def register() -> str:
    """Make it known to transformers; gives the name to ask for it by. May be called again."""
    AttentionInterface.register(NAME, by_document)
    return NAME
