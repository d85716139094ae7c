"""A llama model of half a megabyte that says something known, and an adapter that makes it say something else.

The weights are random but for one thing: after each token of CYCLE the output layer prefers the next one, and after
any other token some token of CYCLE. So the greedy text is CYCLE from somewhere, round and round, with an emoji made of
four byte tokens, and tests can name the words that come. After the word END the model ends its reply. A temperature
well above 1 gives variety. Text of any kind can be tokenised: what has no piece of its own becomes bytes.
"""

from pathlib import Path
from typing import Final

import gguf
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

CYCLE: Final = ("▁the", "▁quick", "▁fox", "▁eats", "▁cake", "<0xF0>", "<0x9F>", "<0x8E>", "<0x89>", "▁and", "▁naps")
CYCLE_TEXT: Final = " the quick fox eats cake🎉 and naps"
END: Final = "bye"
CONTEXT: Final = 65_536

LAYERS, WIDTH, HEADS, KV_HEADS, INNER = 2, 64, 4, 2, 128
UNKNOWN, BEGIN, EOS = 0, 1, 2
RANK = 4


def write_model(path: Path, *, seed: int = 7) -> Path:
    """The base model, F32; the same bytes for the same seed."""
    pieces, scores, kinds = _vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(EOS)
    for name, tensor in _tensors(pieces, np.random.default_rng(seed)).items():
        writer.add_tensor(name, tensor)
    return _finish(writer, path)


def write_adapter(path: Path, *, seed: int = 11, alpha: float = 64.0, width: int = WIDTH) -> Path:
    """A LoRA on q and v of every layer, strong enough to change the greedy text; another width fits another model."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for layer in range(LAYERS):
        for name, rows in (("attn_q", width), ("attn_v", width * KV_HEADS // HEADS)):
            writer.add_tensor(f"blk.{layer}.{name}.weight.lora_a", _normal(random, RANK, width, scale=0.3))
            writer.add_tensor(f"blk.{layer}.{name}.weight.lora_b", _normal(random, rows, RANK, scale=0.3))
    return _finish(writer, path)


def _finish(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary() -> tuple[list[str], list[float], list[int]]:
    kinds = gguf.TokenType
    entries = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
    entries += [(f"<0x{byte:02X}>", kinds.BYTE) for byte in range(256)]
    entries += [(piece, kinds.NORMAL) for piece in ("▁", *map(chr, range(0x21, 0x7F)))]
    # SentencePiece merges two neighbours into a piece at a time, so every beginning of a word is a piece too.
    words = [piece for piece in CYCLE if piece.startswith("▁")] + [f"▁{END}"]
    beginnings = {word[:length] for word in words for length in range(2, len(word) + 1)}
    entries += [(piece, kinds.NORMAL) for piece in sorted(beginnings, key=lambda piece: (len(piece), piece))]
    pieces = [piece for piece, _ in entries]
    return pieces, [-float(index) for index in range(len(pieces))], [int(kind) for _, kind in entries]


def _tensors(pieces: list[str], random: np.random.Generator) -> dict[str, Array]:
    chain = [pieces.index(piece) for piece in CYCLE]
    # Token i speaks in dimension slot[i]; the output row of a successor listens there.
    slot = random.integers(0, len(chain), len(pieces))
    slot[chain] = np.arange(len(chain))
    slot[pieces.index(f"▁{END}")] = len(chain)
    embedding = _normal(random, len(pieces), WIDTH, scale=0.03)
    embedding[np.arange(len(pieces)), slot] += 1.0
    output = _normal(random, len(pieces), WIDTH, scale=0.03)
    output[[*chain[1:], chain[0], EOS], np.arange(len(chain) + 1)] += 0.7
    tensors = {
        "token_embd.weight": embedding,
        "output.weight": output,
        "output_norm.weight": np.ones(WIDTH, np.float32),
    }
    for layer in range(LAYERS):
        tensors |= {f"blk.{layer}.{name}.weight": tensor for name, tensor in _layer(random).items()}
    return tensors


def _layer(random: np.random.Generator) -> dict[str, Array]:
    narrow = WIDTH * KV_HEADS // HEADS
    shapes = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (narrow, WIDTH),
        "attn_v": (narrow, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (INNER, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }
    norms = {name: np.ones(WIDTH, np.float32) for name in ("attn_norm", "ffn_norm")}
    return norms | {name: _normal(random, *shape) for name, shape in shapes.items()}


def _normal(random: np.random.Generator, rows: int, columns: int, scale: float = 0.03) -> Array:
    return (random.standard_normal((rows, columns)) * scale).astype(np.float32)
