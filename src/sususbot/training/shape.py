"""What a decoder of the Llama family is made of, in numbers, and what it costs to teach it. Light: arithmetic only."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Operations(NamedTuple):
    """Floating point operations of a training, by what they are for.

    `recomputed` are those of the layers that are computed a second time instead of kept: work, but no progress.
    """

    forward: float
    backward: float
    recomputed: float

    @property
    def needed(self) -> float:
        """What the mathematics asks for, as MFU counts it."""
        return self.forward + self.backward

    @property
    def done(self) -> float:
        """What is computed in fact."""
        return self.needed + self.recomputed


@dataclass(frozen=True, slots=True)
class Shape:
    """`normed_heads`: queries and keys have a norm of their own (Qwen3)."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool = False
    normed_heads: bool = False

    @classmethod
    def of(cls, config: "PreTrainedConfig") -> "Shape":
        """That of a base, from its config."""
        heads = config.num_attention_heads
        return cls(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            intermediate=config.intermediate_size,
            heads=heads,
            kv_heads=getattr(config, "num_key_value_heads", None) or heads,
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
            vocab=config.vocab_size,
            tied=bool(config.tie_word_embeddings),
            normed_heads=config.model_type == "qwen3",
        )

    @property
    def query(self) -> int:
        """Width of all heads' queries."""
        return self.heads * self.head_dim

    @property
    def key(self) -> int:
        """Width of all heads' keys, and of their values."""
        return self.kv_heads * self.head_dim

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of a layer's seven: q, k, v, o, gate, up, down."""
        h, f, q, k = self.hidden, self.intermediate, self.query, self.key
        return (q, h), (k, h), (k, h), (h, q), (f, h), (f, h), (h, f)

    @property
    def linear_weights(self) -> int:
        """Of all layers together."""
        return self.layers * sum(rows * columns for rows, columns in self.matrices)

    @property
    def other_weights(self) -> int:
        """Embeddings, head and norms."""
        tables = (1 if self.tied else 2) * self.vocab * self.hidden
        norms = (2 * self.layers + 1) * self.hidden
        return tables + norms + (2 * self.layers * self.head_dim if self.normed_heads else 0)

    def adapter_weights(self, rank: int) -> int:
        """Of a LoRA on all seven matrices of each layer."""
        return self.layers * rank * sum(rows + columns for rows, columns in self.matrices)

    def operations(
        self, tokens: int, pairs: float, learned: int, *, rank: int = 16, plain_layers: int = 0
    ) -> Operations:
        """What it takes to teach an adapter on a frozen base.

        `pairs` are the places that attention compares: n(n+1)/2 of each document; `learned` the places with a loss,
        the only ones that go through the head. A frozen matrix costs two operations a weight forwards and two for the
        gradient of its input, an adapter's also two for its own.
        """
        base = 2.0 * self.linear_weights * tokens
        adapter = 2.0 * self.adapter_weights(rank) * tokens
        attention = 4.0 * self.query * self.layers * pairs
        head = 2.0 * self.vocab * self.hidden * learned
        layers = base + adapter + attention
        return Operations(
            forward=layers + head,
            backward=base + 2 * adapter + 2 * attention + head,
            recomputed=layers * (self.layers - plain_layers) / self.layers,
        )


def pairs(lengths: "list[int]") -> float:
    """The places that causal attention compares in documents of such lengths."""
    return sum(length * (length + 1) / 2 for length in lengths)
