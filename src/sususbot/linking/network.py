"""The scores of the candidates: a network of two hidden layers over scaled features, in numpy.

A file of it holds numbers, and words of chat at large with how common they are; nothing of a server's members.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from sususbot.errors import LinkerUnfit
from sususbot.linking.channel import Numbers
from sususbot.linking.features import NAMES

SHIPPED: Final = Path(__file__).with_name("model.npz")

_LINEAR: Final = frozenset(
    "shared shared_rarest shared_cosine shared_relative like_a_bot strength by_named by_also_named".split()
)
# Small counts mean something each: the values that get a flag of their own.
_FLAGGED: Final[Mapping[str, tuple[float, ...]]] = {
    "distance": (0, 1, 2, 3, 4, 5, 6),
    "minutes": (0, 1, 2),
    "turns": (0, 1, 2, 3),
    "author_lines_since": (0, 1, 2),
    "my_lines_since": (0, 1, 2),
    "rank_to_me": (-1, 0, 1),
    "rank_by_named": (-1, 0, 1, 2),
    "rank_by_named_to_me": (-1, 0, 1),
    "rank_open": (-1, 0, 1, 2),
    "since_i_spoke": (1, 2, 3),
    "since_named": (-1, 1, 2, 3),
    "strength": (0, 1, 2, 2.5, 3),
    "names": (0, 1),
    "my_length": (0, 1, 2, 3),
    "line_length": (0, 1, 2, 3),
    "my_lines": (0, 1, 2),
    "answered": (0, 1),
    "minutes_since_i_spoke": (0, 1, 2),
    "thread_age": (1, 2, 3),
    "thread_lines": (1, 2),
    "thread_members": (1, 2),
    "waiting": (0, 1, 2),
    "calls": (0, 1),
}
_LOGGED: Final = np.array([name not in _LINEAR for name in NAMES])
_FLAG_OF: Final = np.array([NAMES.index(name) for name, values in _FLAGGED.items() for _ in values])
_FLAG_AT: Final = np.array([value for values in _FLAGGED.values() for value in values], np.float32)
_INPUTS: Final = [*NAMES, *(f"{name} is {value:g}" for name, values in _FLAGGED.items() for value in values)]

Layer = tuple[Numbers, Numbers]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Weights and offsets of each layer, the inputs' scaling folded into the first."""

    layers: tuple[Layer, ...]
    common: Mapping[str, float]

    def scores(self, found: Numbers) -> Numbers:
        """One number a row of features; their softmax says how likely each row is."""
        value = inputs(found)
        for weights, offsets in self.layers[:-1]:
            value = np.maximum(value @ weights + offsets, 0)
        weights, offsets = self.layers[-1]
        return (value @ weights + offsets)[:, 0]

    def save(self, path: Path, **also: Numbers | npt.NDArray[np.int64]) -> None:
        """`also` is kept in the file beside the network, under these names."""
        words = json.dumps({word: round(share, 5) for word, share in sorted(self.common.items())})
        arrays: dict[str, Any] = {
            "features": np.array(json.dumps(_INPUTS)),
            "common": np.frombuffer(words.encode(), np.uint8),
            **also,
        }
        for place, (weights, offsets) in enumerate(self.layers):
            arrays |= {f"w{place}": weights.astype(np.float16), f"b{place}": offsets.astype(np.float16)}
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises LinkerUnfit for what is no network over these features."""
        try:
            with np.load(path) as file:
                features = json.loads(str(file["features"]))
                layers = tuple(
                    (file[f"w{place}"].astype(np.float32), file[f"b{place}"].astype(np.float32)) for place in range(3)
                )
                common = json.loads(file["common"].tobytes())
        except (OSError, ValueError, KeyError) as error:
            raise LinkerUnfit(f"{path} is no linker ({error}): remove it, and the shipped one is used") from error
        if features != _INPUTS:
            raise LinkerUnfit(f"{path} was made by another version: run sususbot index --fit-links again")
        return cls(layers, common)


def inputs(found: Numbers) -> Numbers:
    """Features as the network takes them: counts as logarithms, small ones as flags too."""
    scaled = np.where(_LOGGED, np.sign(found) * np.log1p(np.abs(found)), found)
    return np.concatenate([scaled, found[:, _FLAG_OF] == _FLAG_AT], axis=1, dtype=np.float32)


@cache
def shipped() -> Network:
    return Network.load(SHIPPED)
