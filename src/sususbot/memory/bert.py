"""BERT as an encoder, on rows without padding: what short chat lines need to be read fast on a processor.

The tokens of a batch stand in one flat row, text after text. All that works on single tokens takes the row as it is, so
nothing is computed for padding; attention takes texts of equal length together. The scores' exponentials are taken
without looking for the largest first, which costs more than all else in attention when texts are short (measured: 1.0
of 1.7 µs a token and layer); bounded as they are, they can neither overflow nor vanish.
Equal to transformers' BERT within rounding. Not here: tokens, batches (`embedding`); a single question (`bare_bert`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sususbot.archive.vectors import Matrix

if TYPE_CHECKING:
    import torch

    Tensor = torch.Tensor
    Linear = tuple[torch.Tensor, torch.Tensor]

# e^80 is still a number in bfloat16 and float32, and so is the sum of some hundred of them.
_BOUND: Final = 80.0
# A row is filled up to a multiple of this: oneDNN compiles a kernel for each size, which takes longer than a question.
_ROWS: Final = 16
_EMBEDDINGS: Final = ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm")
_PARTS: Final = (
    *(f"attention.self.{name}" for name in ("query", "key", "value")),
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What `config.json` says of a BERT."""

    layers: int
    heads: int
    width: int
    epsilon: float
    longest: int


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """The shape, or None for a model that is no BERT as it is computed here."""
    usual = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    if any(config.get(key, value if key != "model_type" else None) != value for key, value in usual.items()):
        return None
    return Shape(
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config["hidden_size"],
        config["layer_norm_eps"],
        config["max_position_embeddings"],
    )


def missing(shape: Shape, weights: Path) -> list[str]:
    """The layers that a file of weights lacks. Reads its head alone; raises what safetensors does for a broken one."""
    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        keys: list[str] = file.keys()
    there = {key.removeprefix("bert.") for key in keys}
    needed = [f"embeddings.{name}.weight" for name in _EMBEDDINGS]
    for layer in range(shape.layers):
        needed += [f"encoder.layer.{layer}.{part}.{kind}" for part in _PARTS for kind in ("weight", "bias")]
    return [name for name in needed if name not in there]


def arrays(weights: Path) -> dict[str, Matrix]:
    """A file of weights, for who does without torch."""
    from safetensors.numpy import load_file

    return {key.removeprefix("bert."): np.asarray(array, np.float32) for key, array in load_file(weights).items()}


class Bert:
    """The weights of a BERT, laid out for `encode`."""

    def __init__(self, shape: Shape, weights: Path, dtype: "torch.dtype") -> None:
        import torch
        from safetensors.torch import load_file

        self._torch = torch
        self._shape = shape
        self._dtype = dtype
        tensors = {key.removeprefix("bert."): tensor for key, tensor in load_file(weights).items()}
        with torch.inference_mode():
            self._words = tensors["embeddings.word_embeddings.weight"].to(dtype)
            # Every token is of the first type.
            places = (
                tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
            )
            self._places = places.to(dtype)
            self._norm = self._linear(tensors, "embeddings.LayerNorm")
            self._layers = [self._layer(tensors, f"encoder.layer.{layer}.") for layer in range(shape.layers)]

    def encode(self, tokens: Sequence[Sequence[int]]) -> Matrix:
        """The mean over each text's tokens, of unit length. Few runs of equal length make it fast: give them sorted."""
        torch, functional = self._torch, self._torch.nn.functional
        runs = [(len(list(run)), length) for length, run in groupby(tokens, len)]
        with torch.inference_mode():
            ids = np.concatenate([np.asarray(text, np.int64) for text in tokens])
            spare = -len(ids) % _ROWS
            places = [self._places[:length].repeat(count, 1) for count, length in [*runs, (spare, 1)]]
            words = self._words[torch.from_numpy(np.pad(ids, (0, spare)))]
            states = self._normalised(words.add_(torch.cat(places)), self._norm)
            for layer in self._layers:
                states = self._through(layer, states, runs)
            sums = [states[piece].view(*of, -1).float().mean(1) for piece, of in _pieces(runs)]
            unit: Matrix = functional.normalize(torch.cat(sums), dim=1).numpy()
        return unit

    def _through(self, layer: "_Layer", states: "Tensor", runs: "Sequence[tuple[int, int]]") -> "Tensor":
        linear, gelu = self._torch.nn.functional.linear, self._torch.nn.functional.gelu
        seen = linear(self._attend(linear(states, *layer.asked), runs), *layer.seen)
        states = self._normalised(seen.add_(states), layer.first_norm)
        made = linear(gelu(linear(states, *layer.wide)), *layer.narrow)
        return self._normalised(made.add_(states), layer.second_norm)

    def _attend(self, asked: "Tensor", runs: "Sequence[tuple[int, int]]") -> "Tensor":
        """Queries, keys and values of the row, side by side, to what each token sees of its own text."""
        heads = self._shape.heads
        out = asked.new_zeros(len(asked), self._shape.width)
        for piece, (count, length) in _pieces(runs):
            parts = asked[piece].view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4).contiguous()
            query, key, value = parts.view(3, count * heads, length, -1)
            scores = self._torch.bmm(query, key.transpose(1, 2)).clamp_(-_BOUND, _BOUND).exp_()
            seen = self._torch.bmm(scores, value).div_(scores.sum(-1, keepdim=True))
            out[piece].view(count, length, heads, -1).copy_(seen.view(count, heads, length, -1).transpose(1, 2))
        return out

    def _normalised(self, states: "Tensor", norm: "Linear") -> "Tensor":
        functional = self._torch.nn.functional
        normalised: Tensor = functional.layer_norm(states, (self._shape.width,), *norm, self._shape.epsilon)
        return normalised

    def _linear(self, tensors: "Mapping[str, Tensor]", name: str, scale: float = 1.0) -> "Linear":
        weight, bias = ((tensors[f"{name}.{kind}"] * scale).to(self._dtype) for kind in ("weight", "bias"))
        return weight, bias

    def _layer(self, tensors: "Mapping[str, Tensor]", prefix: str) -> "_Layer":
        # The scale of the scores is part of what makes the queries.
        scale = (self._shape.width / self._shape.heads) ** -0.5
        asked = [
            self._linear(tensors, f"{prefix}attention.self.{name}", scale if name == "query" else 1.0)
            for name in ("query", "key", "value")
        ]
        weights, biases = zip(*asked, strict=True)
        rest = [self._linear(tensors, prefix + part) for part in _PARTS[3:]]
        return _Layer((self._torch.cat(weights), self._torch.cat(biases)), *rest)


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weight and bias of each step, in the order of `_PARTS`."""

    asked: "Linear"
    seen: "Linear"
    first_norm: "Linear"
    wide: "Linear"
    narrow: "Linear"
    second_norm: "Linear"


def _pieces(runs: Sequence[tuple[int, int]]) -> Iterator[tuple[slice, tuple[int, int]]]:
    """Where each run of (texts, tokens to a text) stands in the row."""
    start = 0
    for count, length in runs:
        yield slice(start, start + count * length), (count, length)
        start += count * length
