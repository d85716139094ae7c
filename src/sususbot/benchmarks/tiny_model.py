"""A model of ten million weights and an adapter for it, as GGUF: for measuring speed, not words.

Mistral's shape, Q8_0, a vocabulary learned from the archive at hand, so that prompts have as many tokens as they would
elsewhere; the weights are random, since they cost the same to compute with. The adapter is of rank 16 on all linear
layers, as ours are.
"""

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from peft import LoraConfig, get_peft_model

from sususbot.training import from_scratch
from sususbot.training.gguf_adapter import adapter_to_gguf
from sususbot.training.gguf_base import base_to_gguf

_SIZE: Final = "medium"
_SEED: Final = 20_261_129


def tiny_model(folder: Path, texts: Sequence[str]) -> tuple[Path, Path]:
    """Both files, in a folder beside the archives; made on the first call."""
    place = folder / f"model-{_SIZE}"
    if not place.is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as aside:
            _make(Path(aside), texts)
            shutil.copytree(Path(aside), place, ignore=shutil.ignore_patterns("base", "adapter"))
    return place / "base.gguf", place / "adapter.gguf"


def _make(folder: Path, texts: Sequence[str]) -> None:
    base, adapter = folder / "base", folder / "adapter"
    tokenizer = from_scratch.make_tokenizer(texts, base, from_scratch.SIZES[_SIZE].vocabulary)
    model = from_scratch.new_base(base, from_scratch.base_config(len(tokenizer), _SIZE), _SEED)
    config = LoraConfig(
        r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        torch.manual_seed(_SEED)
        get_peft_model(model, config).save_pretrained(str(adapter))
    base_to_gguf(base, folder / "base.gguf", "Q8_0")
    adapter_to_gguf(adapter, folder / "adapter.gguf", base)
