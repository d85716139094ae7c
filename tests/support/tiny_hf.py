"""The model of `tiny_gguf` as transformers has models: a folder of config, weights and a SentencePiece vocabulary.

It says the same: CYCLE, round and round. Not the same numbers, since llama.cpp turns pairs of neighbours where
transformers turns halves. Written without torch.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import save_file
from sentencepiece import sentencepiece_model_pb2

from tests.support import tiny_gguf

_NAMES: Final = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
TARGETS: Final = ("q_proj", "v_proj")


def write_base(folder: Path, *, seed: int = 7, **config: Any) -> Path:
    """The base as a folder; `config` overrides any of its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces, scores, kinds = tiny_gguf._vocabulary()
    tensors = tiny_gguf._tensors(pieces, np.random.default_rng(seed))
    save_file({_theirs(name): tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    settings = {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "vocab_size": len(pieces),
        "hidden_size": tiny_gguf.WIDTH,
        "intermediate_size": tiny_gguf.INNER,
        "num_hidden_layers": tiny_gguf.LAYERS,
        "num_attention_heads": tiny_gguf.HEADS,
        "num_key_value_heads": tiny_gguf.KV_HEADS,
        "head_dim": tiny_gguf.WIDTH // tiny_gguf.HEADS,
        "max_position_embeddings": tiny_gguf.CONTEXT,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "sliding_window": None,
        "bos_token_id": tiny_gguf.BEGIN,
        "eos_token_id": tiny_gguf.EOS,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(settings | config), encoding="utf-8")
    (folder / "tokenizer.model").write_bytes(_sentencepiece(pieces, scores, kinds))
    return folder


def write_adapter(folder: Path, *, seed: int = 11, alpha: float = 64.0, width: int = tiny_gguf.WIDTH) -> Path:
    """A LoRA on q and v of every layer, as peft saves it; another width fits another model."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in range(tiny_gguf.LAYERS):
        for name, rows in (("q_proj", width), ("v_proj", width * tiny_gguf.KV_HEADS // tiny_gguf.HEADS)):
            module = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{module}.lora_A.weight"] = tiny_gguf._normal(random, tiny_gguf.RANK, width, scale=0.3)
            tensors[f"{module}.lora_B.weight"] = tiny_gguf._normal(random, rows, tiny_gguf.RANK, scale=0.3)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": tiny_gguf.RANK,
        "lora_alpha": alpha,
        "target_modules": list(TARGETS),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def _theirs(name: str) -> str:
    *block, part, end = name.split(".")
    return f"model.layers.{block[1]}.{_NAMES[part]}.{end}" if block else f"{_NAMES[part]}.{end}"


def _sentencepiece(pieces: list[str], scores: list[float], kinds: list[int]) -> bytes:
    """GGUF's kinds of tokens are SentencePiece's, number by number."""
    model: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.vocab_size = len(pieces)
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.remove_extra_whitespaces = False
    for piece, score, kind in zip(pieces, scores, kinds, strict=True):
        model.pieces.add(piece=piece, score=score, type=kind)
    return bytes(model.SerializeToString())
