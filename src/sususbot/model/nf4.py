"""A base in 4 bits (NF4, its scales quantised again), the same for training and for serving.

An adapter is fitted to the errors of this rounding: another one here, and every adapter there is fits less well.
"""

from typing import Any

import torch


def quantization(computed_in: torch.dtype) -> dict[str, Any]:
    """What `from_pretrained` is told. `computed_in` is the type that products are computed in."""
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=computed_in,
    )
    return {"quantization_config": config}


def keep_packed(model: torch.nn.Module) -> None:
    """Have weights stay as they are, whatever processor they are on.

    On processors with AVX512-BF16, bitsandbytes would repack them when they are first used outside of training, for a
    product in bf16 that has no gradient: what is learned after a measurement would be wrong.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            setattr(module, "support_avx512bf16_for_cpu", False)  # noqa: B010
