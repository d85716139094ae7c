"""A base of a few hundred kilobytes with random weights and a real vocabulary, and adapters for it, as folders.

The weights are larger than those a training begins with, so that what a model says next is told apart clearly.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from sususbot.training import vocabulary
from sususbot.training.recipe import TARGETS

CONTEXT: Final = 1024
_STRENGTH: Final = 0.12

TEXTS: Final = (
    "mia: did anybody feed the sourdough starter today? it looks hungry",
    "bob: I did, at seven 😂  the jar nearly exploded ⏎ flour everywhere",
    "percival: the printer is on strike again!! it says PC LOAD LETTER",
    "mia: hahahaha of course it does… turn it off and on, wait 30 seconds",
    "zoë: Übrigens, die Pilze sind da! 東京では雨です ☔ and here it is sunny",
    "bob: ok so the raid is on friday at 20:00, bring potions & snacks ⏎ no kettles",
    "percival: why no kettles?",
    "mia: you know why.   we all know why",
)


@cache
def vocabulary_model() -> bytes:
    """A SentencePiece model learned from TEXTS."""
    return vocabulary.learn(TEXTS * 20, 420)


def base(
    folder: Path, *, family: str = "mistral", dtype: torch.dtype = torch.float32, seed: int = 0, **config: Any
) -> Path:
    """A model of the family as a folder: weights, config, tokenizer. `config` overrides any of its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.write(vocabulary_model(), folder)
    random_model(config_of(family, **config), seed).to(dtype).save_pretrained(folder)
    return folder


def config_of(family: str = "mistral", **config: Any) -> PreTrainedConfig:
    sizes = {
        "vocab_size": pieces(),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": False,
        "sliding_window": None,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": None,
        "dtype": "float32",
    }
    return AutoConfig.for_model(family, **{**sizes, **config})


def pieces() -> int:
    """How many pieces the vocabulary has."""
    import sentencepiece

    return len(sentencepiece.SentencePieceProcessor(model_proto=vocabulary_model()))


def random_model(config: PreTrainedConfig, seed: int = 0) -> Any:
    """Every weight drawn anew, norms and biases too, so that none can be left out unnoticed."""
    model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            centre = 1.0 if name.endswith("norm.weight") else 0.0
            weight.copy_(torch.randn(weight.shape, generator=random) * _STRENGTH + centre)
    return model.eval()


def load(folder: Path) -> Any:
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    return model.eval()


def adapter(folder: Path, base: Path, *, seed: int = 1, strength: float = 0.15, **config: Any) -> Path:
    """A LoRA on all linear layers with random weights in both of its matrices. `config` goes to LoraConfig."""
    adapted(load(base), seed=seed, strength=strength, **config).save_pretrained(
        str(folder), save_embedding_layers=False
    )
    return folder


def adapted(model: PreTrainedModel, *, seed: int = 1, strength: float = 0.15, **config: Any) -> PeftModel:
    settings: dict[str, Any] = {"r": 8, "lora_alpha": 16, "target_modules": list(TARGETS), "task_type": "CAUSAL_LM"}
    with known_warnings():
        learned: PeftModel = get_peft_model(model, LoraConfig(**{**settings, **config}))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in learned.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn(weight.shape, generator=random) * strength)
    return learned.eval()


@contextmanager
def known_warnings() -> Iterator[None]:
    """peft asks transformers whether it checkpoints by a name that is to go."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield
