"""Two ways to train the same adapter on the same documents: packed, as `train` does it, and padded, as is usual.

    python -m sususbot.benchmarks.training_ways packed|padded ORDER.json

A way runs in a process of its own, so that its memory is its own, and trains a round of documents for each line it
reads; what that took it answers as a line of JSON. `training_trl` is the third way and speaks alike.
**packed**: `train_lora.fit` itself, with its checkpoints kept out of the time.
**padded**: batches of 8 documents filled up to the longest of them, torch's attention under a mask, gradients added up
over as many batches as hold about the tokens of a packed step. Model, adapter, loss, clipping, optimiser are the same.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import torch
from transformers import AutoModelForCausalLM

from sususbot.training.base import attach_adapter, find_base, load_weights
from sususbot.training.batches import batch
from sususbot.training.documents import Document
from sususbot.training.hardware import matmul_rate
from sususbot.training.loss import weighted_nats
from sususbot.training.metrics import Event, StepDone
from sususbot.training.processes import Processes
from sususbot.training.recipe import TARGETS, Hardware, Recipe
from sususbot.training.shape import Shape, pairs
from sususbot.training.train_lora import Data, Learner, fit

# What TRL's trainer takes at once if it is not told otherwise (`per_device_train_batch_size`).
BATCH: Final = 8
# Nothing is computed twice, in none of the ways: that saves memory, of which there is enough here, and costs time.
HARDWARE: Final = Hardware(plain_layers=1000)


class Taken(NamedTuple):
    """What a round took. `positions` went through the model, `tokens` of them are of documents.

    Of the packed way alone: the floating point operations it needed, and how many a second the processor does in
    products of large matrices, just before and after.
    """

    tokens: int
    positions: int
    seconds: float
    operations: float = 0.0
    rate: float = 0.0


# -- packed


class Packed:
    """The training loop as it is."""

    def __init__(self, base: Path, recipe: Recipe) -> None:
        found = find_base(str(base), download=False)
        self._recipe = recipe
        self._shape = Shape.of(found.config)
        model = attach_adapter(load_weights(found, HARDWARE), recipe, HARDWARE)
        self._learner = Learner(model, lambda _run: None)
        self._seen = Seen(model)

    def __call__(self, documents: Sequence[Document]) -> Taken:
        told: list[tuple[float, StepDone]] = []

        def note(event: Event) -> None:
            if isinstance(event, StepDone):
                told.append((time.monotonic(), event))

        with tempfile.TemporaryDirectory() as run:
            before = _rate()
            fit(self._learner, Data(documents, []), self._recipe, HARDWARE, Path(run), Processes(cpu=True), report=note)
            after = _rate()
        (first_end, first), (last_end, _) = told[0], told[-1]
        return Taken(
            tokens=sum(map(len, documents)),
            positions=self._seen.taken(),
            seconds=last_end - first_end + first.tokens / first.tokens_per_s,
            operations=operations(self._shape, documents, self._recipe.rank),
            rate=(before + after) / 2,
        )


def operations(shape: Shape, documents: Sequence[Document], rank: int) -> float:
    """Floating point operations that a training on these documents needs, forward and backward.

    As `Shape.operations` counts them, less what nobody asks for: gradients with respect to the embeddings.
    """
    lengths = [len(document) for document in documents]
    learned = sum(int(np.count_nonzero(document.weights)) for document in documents)
    counted = shape.operations(sum(lengths), pairs(lengths), learned, rank=rank, plain_layers=shape.layers).needed
    into_first = sum(rows * columns + rank * columns for rows, columns in shape.matrices[:3])
    return counted - 2.0 * into_first * sum(lengths)


def _rate() -> float:
    return matmul_rate(torch.device("cpu"), torch.float32, seconds=0.3)


# -- padded


class Padded:
    """The same training in batches filled up to the longest document."""

    def __init__(self, base: Path, recipe: Recipe, accumulate: int) -> None:
        self.model = attach_adapter(stock_model(base), recipe, HARDWARE)
        self._accumulate = accumulate
        self._norm = recipe.max_grad_norm
        self._weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(self._weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self._seen = Seen(self.model)

    def __call__(self, documents: Sequence[Document]) -> Taken:
        self.model.train()
        begun = time.monotonic()
        for step in _groups(documents, BATCH * self._accumulate):
            weight = float(sum(document.weights.sum() for document in step))
            for some in _groups(step, BATCH):
                (padded_nats(self.model, some) / weight).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._weights, self._norm)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
        return Taken(sum(map(len, documents)), self._seen.taken(), time.monotonic() - begun)


def stock_model(base: Path) -> torch.nn.Module:
    """A base as transformers loads it if it is not told otherwise, frozen."""
    load: Any = AutoModelForCausalLM.from_pretrained
    model: torch.nn.Module = load(base, local_files_only=True, dtype=torch.float32, attn_implementation="sdpa")
    return model.requires_grad_(False)


def padded_nats(model: Any, documents: Sequence[Document]) -> torch.Tensor:
    """The sum of weight × nats over a padded batch."""
    rows = [batch([document]) for document in documents]
    longest = max(map(len, documents))
    ids, targets, weights = (
        torch.zeros(len(rows), longest, dtype=kind) for kind in (torch.long, torch.long, torch.float)
    )
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for place, row in enumerate(rows):
        size = row.lengths[0]
        ids[place, :size], targets[place, :size], weights[place, :size] = row.ids[0], row.targets, row.weights
        mask[place, :size] = 1
    causal = model.get_base_model()
    states = causal.get_decoder()(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    return weighted_nats(states.flatten(0, 1), causal.get_output_embeddings(), targets.flatten(), weights.flatten())


def _groups(documents: Sequence[Document], size: int) -> Iterator[Sequence[Document]]:
    return (documents[begin : begin + size] for begin in range(0, len(documents), size))


# -- both


class Seen:
    """Counts the positions that go through a model."""

    def __init__(self, model: Any) -> None:
        self._positions = 0
        model.get_base_model().get_input_embeddings().register_forward_pre_hook(self._count)

    def _count(self, _module: torch.nn.Module, given: tuple[torch.Tensor]) -> None:
        self._positions += given[0].numel()

    def taken(self) -> int:
        """Those since it was asked last."""
        positions, self._positions = self._positions, 0
        return positions


def write_order(path: Path, base: Path, rounds: Sequence[Sequence[Document]], recipe: Recipe, accumulate: int) -> None:
    """What a way is to do, as its process reads it."""
    documents = [
        [{"ids": one.ids.tolist(), "weights": one.weights.tolist()} for one in documents] for documents in rounds
    ]
    order = {
        "base": str(base),
        "recipe": recipe.as_json(),
        "targets": list(TARGETS),
        "batch": BATCH,
        "accumulate": accumulate,
        "rounds": documents,
    }
    path.write_bytes(orjson.dumps(order))


def _documents(rows: Sequence[dict[str, Any]]) -> list[Document]:
    return [
        Document(str(place), np.array(row["ids"], np.int32), np.array(row["weights"], np.float32), 0.0, 0)
        for place, row in enumerate(rows)
    ]


def main(name: str, path: str) -> None:
    # What libraries print is not an answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    order = orjson.loads(Path(path).read_bytes())
    base, recipe = Path(order["base"]), Recipe(**order["recipe"])
    way: Callable[[Sequence[Document]], Taken] = (
        Packed(base, recipe) if name == "packed" else Padded(base, recipe, order["accumulate"])
    )
    for rows in order["rounds"]:
        sys.stdin.readline()
        answers.write(orjson.dumps(way(_documents(rows))._asdict(), option=orjson.OPT_APPEND_NEWLINE))
        answers.flush()
    # Until whoever asks has looked how much memory was held.
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
