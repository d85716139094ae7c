"""Documents to what goes through a model at once: packed, without a single padded position.

Documents are packed into bins of `pack_tokens` (what the card's memory is planned for), bins into steps. A micro-batch
is some bins laid end to end as **one row**: attention runs document by document (`attention`), so nothing has to be
filled up, and no document can see another.

What a step reads follows from documents, recipe and number of the step alone. So a run that goes on from step N needs
no state but N, and any number of processes can share a step without speaking about it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from sususbot.training.documents import Document
from sususbot.training.recipe import Recipe

# Bins are filled from so many documents at a time: enough to leave no gaps, few enough that who meets whom is chance.
_WINDOW: Final = 1024

Bin = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents end to end.

    `ids` and `positions` are (1, T), positions begin again with each document; `targets` and `weights` are (T,): at
    place i stand the token that follows and what predicting it counts, 0 at each document's last place.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    lengths: list[int]
    targets: torch.Tensor
    weights: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(
            self.ids.to(device, non_blocking=True),
            self.positions.to(device, non_blocking=True),
            self.lengths,
            self.targets.to(device, non_blocking=True),
            self.weights.to(device, non_blocking=True),
        )

    def unlearned(self) -> "Batch":
        """The same with nothing to learn: for a process that has no share in a step but must take part in it."""
        return Batch(self.ids, self.positions, self.lengths, self.targets, torch.zeros_like(self.weights))


def batch(documents: Sequence[Document]) -> Batch:
    """Some documents as one row."""
    lengths = [len(document) for document in documents]
    ids = np.concatenate([document.ids for document in documents]).astype(np.int64)
    weights = np.concatenate([document.weights for document in documents])
    # What is predicted stands one place further; a document's first token has the weight 0 and is predicted by nobody.
    targets = np.concatenate([ids[1:], ids[:1]])
    ahead = np.concatenate([weights[1:], weights[:1]])
    return Batch(
        torch.from_numpy(ids)[None],
        torch.from_numpy(np.concatenate([np.arange(length) for length in lengths]))[None],
        lengths,
        torch.from_numpy(targets),
        torch.from_numpy(ahead),
    )


def pack(lengths: Sequence[int], capacity: int) -> list[Bin]:
    """Places of `lengths` in bins that hold `capacity` at most: best fit, the longest first.

    Best-fit decreasing needs at most 11/9 of the fewest bins, and next to none more when lengths are small.
    Raises ValueError where one length is above the capacity.
    """
    bins: list[list[int]] = []
    # Bins by the room left in them: with rooms of at most `capacity`, the best fit is the first that is not empty.
    by_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        length = lengths[place]
        if length > capacity:
            raise ValueError(f"a document of {length} tokens does not fit into {capacity}")
        room = next((room for room in range(length, capacity + 1) if by_room[room]), None)
        if room is None:
            bins.append([])
            chosen, room = len(bins) - 1, capacity
        else:
            chosen = by_room[room].pop()
        bins[chosen].append(place)
        by_room[room - length].append(chosen)
    return [tuple(places) for places in bins]


class Steps:
    """Which bins each step of a training reads."""

    def __init__(self, documents: Sequence[Document], recipe: Recipe) -> None:
        self._documents = documents
        self._recipe = recipe
        self._lengths = np.array([len(document) for document in documents])
        self._epochs: dict[int, list[list[Bin]]] = {}
        self.per_epoch = [len(self._epoch(epoch)) for epoch in range(recipe.epochs)]
        self.total = sum(self.per_epoch)

    def __getitem__(self, step: int) -> list[Bin]:
        """The bins of a step, numbered from 0."""
        epoch, place = self.place(step)
        return self._epoch(epoch)[place]

    def place(self, step: int) -> tuple[int, int]:
        """(epoch, step within it) of a step."""
        for epoch, size in enumerate(self.per_epoch):
            if step < size:
                return epoch, step
            step -= size
        raise IndexError(step)

    @property
    def fill(self) -> float:
        """How much of its bins' room the first epoch takes, from 0 to 1."""
        bins = sum(len(step) for step in self._epoch(0))
        return float(self._lengths.sum()) / (bins * self._recipe.pack_tokens) if bins else 0.0

    def _epoch(self, epoch: int) -> list[list[Bin]]:
        if epoch not in self._epochs:
            self._epochs = {epoch: self._planned(epoch)}
        return self._epochs[epoch]

    def _planned(self, epoch: int) -> list[list[Bin]]:
        chance = np.random.default_rng([self._recipe.seed, epoch])
        order = chance.permutation(len(self._documents))
        bins: list[Bin] = []
        for begin in range(0, len(order), _WINDOW):
            some = order[begin : begin + _WINDOW]
            bins += [
                tuple(int(some[place]) for place in places)
                for places in pack(self._lengths[some].tolist(), self._recipe.pack_tokens)
            ]
        chance.shuffle(bins)
        # Steps of equal size, rather than a last one of a few documents that counts as much as the others.
        count = -(-len(bins) // self._recipe.rows)
        return [list(map(tuple, some)) for some in np.array_split(np.array(bins, object), count)] if bins else []


def micro_batches(bins: Sequence[Bin], documents: Sequence[Document], tokens: int) -> Iterator[list[Document]]:
    """The documents of some bins in groups of at most `tokens`; a document longer than that goes alone."""
    group: list[Document] = []
    size = 0
    for place in (place for places in bins for place in places):
        document = documents[place]
        if group and size + len(document) > tokens:
            yield group
            group, size = [], 0
        group.append(document)
        size += len(document)
    if group:
        yield group
