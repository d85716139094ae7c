"""Where a model goes: how many of its layers onto the cards, with how long a context; and what is tried when memory
runs out after all.

Counted, not guessed, where the file tells: weights to the byte, keys and values by their type. What the engine needs to
compute in is an upper estimate. Windows puts what does not fit into main memory without an error and then crawls, so
some of the card is left free for other programs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from sususbot.model.gguf_header import ModelSize

KVType = Literal["f16", "q8_0", "q5_1", "q4_0"]
Flash = Literal["auto", "on", "off"]
Where = Literal["card", "main"]

# Bytes of a number: a block of 32 with its scale.
KV_BYTES: Final[dict[KVType, float]] = {"f16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q4_0": 18 / 32}
_FLOAT: Final = 4
# Rows of the width of a layer that are there at once while a batch is computed.
_ROWS: Final = 8
# A shorter context is of no use: hardly a message and a reply.
LEAST_CONTEXT: Final = 512
_STEP: Final = 256
# Of the layers that were tried, so many are tried next.
_FEWER: Final = 0.75


@dataclass(frozen=True, slots=True)
class Placement:
    """`gpu_layers` counts what stands behind the last layer as one more; `context_tokens` is for each slot."""

    gpu_layers: int
    context_tokens: int

    def __str__(self) -> str:
        card = f"{self.gpu_layers} layers on the card, " if self.gpu_layers else ""
        return f"{card}{self.context_tokens} tokens of context"

    def smaller(self, where: Where) -> "Placement | None":
        """What to try when memory ran out `where`; None when there is nothing smaller that is of use."""
        if where == "card" and self.gpu_layers:
            return replace(self, gpu_layers=int(self.gpu_layers * _FEWER))
        if self.context_tokens > LEAST_CONTEXT:
            half = self.context_tokens // 2 // _STEP * _STEP
            return replace(self, context_tokens=max(LEAST_CONTEXT, half))
        return None


@dataclass(frozen=True, slots=True)
class Demand:
    """What is to be placed. `adapter` in bytes; `flash`: attention that never has its whole matrix in memory."""

    model: ModelSize
    context_tokens: int
    slots: int = 1
    kv: KVType = "f16"
    batch: int = 512
    adapter: int = 0
    flash: bool = True

    def needed(self, gpu_layers: int) -> int:
        """Bytes on the cards with so many of the last layers there."""
        if not gpu_layers:
            return 0
        model = self.model
        behind = len(model.layers)
        layers = model.layers[max(0, behind + 1 - gpu_layers) :]
        weights = sum(layers) + model.output
        share = len(layers) / max(1, behind)
        tokens = self.context_tokens * self.slots
        cache = len(layers) * tokens * (model.key + model.value) * KV_BYTES[self.kv]
        attention = 2 * tokens if self.flash else _FLOAT * tokens * model.heads
        scratch = self.batch * (_FLOAT * (model.vocabulary + _ROWS * model.width) + attention)
        return int(weights + cache + scratch + self.adapter * share)

    def fitting(self, free: Sequence[int], reserve: int) -> int:
        """How many layers fit onto cards with so many bytes free, when `reserve` of each stays free."""
        room = sum(max(0, one - reserve) for one in free)
        most = len(self.model.layers) + 1
        return next(count for count in range(most, -1, -1) if self.needed(count) <= room)
