"""What a training takes of a card's memory, reckoned beforehand and checked against bytes counted (`counting`).

What stays is known to the byte: the base as bitsandbytes packs it, embeddings, and the adapter with its gradients and
AdamW's two states in fp32. What comes and goes depends on the moment, and the fullest of three counts:

**head**     all layers are done, and the loss takes its first gradients, some rows of logits at a time;
**norm**     the way back begins: the last norm holds its input and five more of that size in fp32;
**layer**    a layer's way back begins: all it saved is there, with its down projection's gradients.

A layer that is computed twice leaves only its input; one that is kept leaves what autograd saves of it. Kept layers are
the last ones: they are gone before the first of the others is computed anew, so that one layer at work is never added
to all that are kept. What moves the weights (a third state's worth for a moment) comes when activations are gone.
"""

from dataclasses import replace
from typing import Final, NamedTuple

from sususbot.training.loss import ROWS
from sususbot.training.recipe import Hardware, Recipe
from sususbot.training.shape import Shape

# bitsandbytes: a scale for so many weights, a scale of scales for so many of those, and both tables of values.
_BLOCK: Final = 64
_BLOCK_OF_SCALES: Final = 256
_TABLES: Final = 4 * (16 + 256 + 1)
# What CUDA and its libraries keep of a card; what torch's allocator loses of what comes and goes, and of what stays.
# Allowances, where all else is arithmetic.
_CONTEXT: Final = 500_000_000
_LOST_OF_MOVING: Final = 0.10
_LOST_OF_STAYING: Final = 0.01


class Memory(NamedTuple):
    """Bytes by what they are for, at the fullest moment."""

    weights: int
    embeddings_and_head: int
    adapter: int
    gradients: int
    optimizer_states: int
    layer_inputs: int
    kept_layers: int
    layer_at_work: int
    unpacked_matrix: int
    gradients_in_flight: int
    loss_head: int
    batch: int
    fragments: int
    context: int

    @property
    def total(self) -> int:
        return sum(self)

    @property
    def allocated(self) -> int:
        """What torch itself holds in tensors."""
        return self.total - self.fragments - self.context


class _Moment(NamedTuple):
    """What is there at one moment beside layer inputs and kept layers."""

    layer_at_work: int = 0
    unpacked_matrix: int = 0
    gradients_in_flight: int = 0
    loss_head: int = 0


def memory(shape: Shape, recipe: Recipe, hardware: Hardware, loss_rows: int = ROWS) -> Memory:
    """What a training takes at its fullest moment."""
    return _Reckoning(shape, recipe, hardware, loss_rows).memory()


def plain_layers_that_fit(
    shape: Shape, recipe: Recipe, hardware: Hardware, free_bytes: int, loss_rows: int = ROWS
) -> int:
    """How many layers can be kept instead of computed twice. 0 also where not even that fits.

    `free_bytes` are those of a card in use (`hardware.find_cards` puts it in use) before the base is loaded.
    """
    for kept in range(shape.layers, 0, -1):
        taken = memory(shape, recipe, replace(hardware, plain_layers=kept), loss_rows)
        if taken.total - taken.context <= free_bytes:
            return kept
    return 0


class _Reckoning:
    """Sizes in bytes; `_h`, `_f`, `_q` and `_k` are a row of states, of the gated layer, of queries and of keys."""

    def __init__(self, shape: Shape, recipe: Recipe, hardware: Hardware, loss_rows: int) -> None:
        self._shape, self._recipe, self._hardware, self._loss_rows = shape, recipe, hardware, loss_rows
        self._size = 4 if hardware.precision == "fp32" else 2
        self._tokens = tokens = hardware.batch_rows * recipe.pack_tokens
        self._h, self._f, self._q, self._k = (
            tokens * width * self._size for width in (shape.hidden, shape.intermediate, shape.query, shape.key)
        )
        # Norms compute in fp32 and keep their input so.
        self._fp32 = tokens * shape.hidden * 4
        self._on_card = hardware.device.startswith("cuda")
        self._kept = min(hardware.plain_layers, shape.layers)

    def memory(self) -> Memory:
        shape, size, on_card = self._shape, self._size, self._on_card
        adapter = 4 * shape.adapter_weights(self._recipe.rank)
        inputs = (shape.layers - self._kept) * self._h
        kept = self._kept * self._saved_by_a_layer()
        if self._kept == shape.layers:
            # Nothing is asked of the embeddings, so the first norm keeps nothing.
            kept -= self._fp32
        moment = max((self._at_head(), self._at_norm(), self._at_layer()), key=sum)
        batch = self._tokens * (3 * 8 + 4 + 2 * shape.head_dim * size)
        weights, others = self._weights(), shape.other_weights * size
        staying, moving = weights + others + 4 * adapter, inputs + kept + sum(moment) + batch
        return Memory(
            weights=weights,
            embeddings_and_head=others,
            adapter=adapter,
            gradients=adapter,
            optimizer_states=2 * adapter,
            layer_inputs=inputs,
            kept_layers=kept,
            **moment._asdict(),
            batch=batch,
            fragments=round(_LOST_OF_STAYING * staying + _LOST_OF_MOVING * moving) if on_card else 0,
            context=_CONTEXT if on_card else 0,
        )

    def _weights(self) -> int:
        if not self._hardware.four_bit:
            return self._shape.linear_weights * self._size
        return self._shape.layers * sum(_packed(rows * columns) for rows, columns in self._shape.matrices)

    def _saved_by_a_layer(self) -> int:
        """What autograd saves of a layer that is kept, or at work."""
        shape, tokens, size = self._shape, self._tokens, self._size
        norms = 2 * (self._fp32 + self._h + tokens * 4)
        # Rotated queries and keys, values, attention's result of each document and of all, its sums.
        keys = self._q if shape.kv_heads < shape.heads else self._k
        attention = self._q + 2 * keys + 2 * self._q + tokens * shape.heads * 4
        if shape.normed_heads:
            attention += tokens * (shape.query + shape.key) * 4 + tokens * (shape.heads + shape.kv_heads) * 4
        # Gate, its activation, up, and their product.
        gated = 4 * self._f
        between = len(shape.matrices) * tokens * self._recipe.rank * size
        return norms + attention + gated + between + self._copies() + self._dropped()

    def _copies(self) -> int:
        """Autocast keeps a copy of each weight that learns in what it computes in."""
        if self._size == 4:
            return 0
        return self._shape.adapter_weights(self._recipe.rank) // self._shape.layers * self._size

    def _dropped(self) -> int:
        """Dropout gives each adapter an input and a mask of its own."""
        if not self._recipe.dropout:
            return 0
        mask = 1 if self._on_card else self._size
        masks = self._tokens * sum(columns for _, columns in self._shape.matrices) * mask
        return masks + 3 * self._h

    def _at_head(self) -> _Moment:
        # The last norm's input; its result, the places of it that are learned, and their gradient.
        states = self._fp32 + 3 * self._h
        copies = (self._shape.layers - self._kept) * self._copies()
        return _Moment(loss_head=states + self._logits() + copies)

    def _logits(self) -> int:
        """Those of a chunk while those of the one before are still there."""
        vocab, width = self._shape.vocab, self._shape.hidden
        first = min(self._tokens, self._loss_rows)
        second = min(self._tokens - first, self._loss_rows)
        if self._size == 4:
            return max(
                first * (8 * vocab + 4 * width), (8 * first + 4 * second) * vocab, (4 * first + 8 * second) * vocab
            )
        return max(10 * first, 6 * (first + second)) * vocab

    def _at_norm(self) -> _Moment:
        return _Moment(gradients_in_flight=6 * self._fp32 + self._h)

    def _at_layer(self) -> _Moment:
        work = 0 if self._kept else self._saved_by_a_layer()
        if work and self._size == 4:
            # The input that was saved is what its norm keeps.
            work -= self._h
        unpacked = self._shape.hidden * self._shape.intermediate * self._size if self._hardware.four_bit else 0
        # Gradients by adapter and base, for an input that is let go; then beside their sum, with no matrix unpacked.
        if unpacked > self._f:
            return _Moment(work, unpacked, self._f + self._h)
        return _Moment(work, 0, 2 * self._f + self._h)


def _packed(weights: int) -> int:
    """Bytes of a matrix in NF4 whose scales are quantised again."""
    scales = -(-weights // _BLOCK)
    return -(-weights // 2) + scales + 4 * -(-scales // _BLOCK_OF_SCALES) + _TABLES
