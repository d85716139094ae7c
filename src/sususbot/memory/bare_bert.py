"""BERT for a question or two, in numpy: what a program that answers once does not wait for torch for.

Loading torch takes over a second of a processor; a question through this, some hundredths. Many texts are faster in
`bert`, which computes the same within rounding.
Not here: tokens (`embedding`); what a BERT is, and whether a file has all of one (`bert`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from sususbot.archive.vectors import Matrix
from sususbot.memory.bert import Shape, arrays

Array = npt.NDArray[np.float32]

# The error function by Abramowitz and Stegun, 7.1.26: off by 1.5e-7 at most, which is float32's own rounding.
_ERF: Final = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
_ERF_P: Final = 0.3275911


class BareBert:
    """The weights of a BERT as they stand in the file."""

    def __init__(self, shape: Shape, weights: Path) -> None:
        self._shape = shape
        self._tensors: Mapping[str, Array] = arrays(weights)

    def encode(self, tokens: Sequence[Sequence[int]]) -> Matrix:
        """The mean over each text's tokens, of unit length."""
        means = np.stack([self._states(ids).mean(axis=0) for ids in tokens])
        unit: Matrix = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return unit

    def _states(self, ids: Sequence[int]) -> Array:
        tensors = self._tensors
        words = tensors["embeddings.word_embeddings.weight"][np.asarray(ids)]
        places = tensors["embeddings.position_embeddings.weight"][: len(ids)]
        # Every token is of the first type.
        states = self._normalised(
            words + places + tensors["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm"
        )
        for layer in range(self._shape.layers):
            states = self._through(f"encoder.layer.{layer}.", states)
        return states

    def _through(self, layer: str, states: Array) -> Array:
        seen = self._linear(self._attend(f"{layer}attention.self.", states), f"{layer}attention.output.dense")
        states = self._normalised(seen + states, f"{layer}attention.output.LayerNorm")
        made = self._linear(_gelu(self._linear(states, f"{layer}intermediate.dense")), f"{layer}output.dense")
        return self._normalised(made + states, f"{layer}output.LayerNorm")

    def _attend(self, name: str, states: Array) -> Array:
        heads = self._shape.heads
        query, key, value = (
            self._linear(states, name + part).reshape(len(states), heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / np.sqrt(np.float32(query.shape[-1]))
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        attended: Array = (shares @ value).swapaxes(0, 1).reshape(len(states), -1)
        return attended

    def _linear(self, states: Array, name: str) -> Array:
        out: Array = states @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"]
        return out

    def _normalised(self, states: Array, name: str) -> Array:
        states = states - states.mean(axis=-1, keepdims=True)
        states /= np.sqrt((states**2).mean(axis=-1, keepdims=True) + self._shape.epsilon)
        out: Array = states * self._tensors[f"{name}.weight"] + self._tensors[f"{name}.bias"]
        return out


def _gelu(values: Array) -> Array:
    size = np.abs(values) * np.float32(0.5**0.5)
    fraction = 1 / (1 + np.float32(_ERF_P) * size)
    tail = np.polyval(np.asarray((*_ERF, 0.0), np.float32), fraction) * np.exp(-size * size)
    out: Array = values * (0.5 + 0.5 * np.sign(values) * (1 - tail))
    return out.astype(np.float32, copy=False)
