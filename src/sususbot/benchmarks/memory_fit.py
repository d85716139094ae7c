"""Fitting what each feature of a memory counts: on questions whose answers are known.

Softmax over the candidates of each question, each answer with its share; a question with several answers counts as
often, since these are the hard ones. Ridge on features of unit spread. Newton's method; convex, so that nothing depends
on a start.

`python -m sususbot.benchmarks.memory_fit FILE` prints the weights for `memory/ranking.py`.
"""

import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from sususbot.archive.archive import Archive
from sususbot.benchmarks.locomo import Asked, Talk, read_talks
from sususbot.memory.embedding import Embedder, MiniLM
from sususbot.memory.indexing import index
from sususbot.memory.long_term import LongTerm
from sususbot.memory.ranking import WEIGHTS
from sususbot.memory.vector_index import ExactIndex

_RIDGE: Final = 0.01
_STEPS: Final = 30
_LEAST_STEP: Final = 1e-4
_ENOUGH: Final = 1e-6
_DAY_MS: Final = 86_400_000

Array = npt.NDArray[np.float64]


class Example(NamedTuple):
    """The candidates of a question, a row of features for each, and which of them answer it."""

    features: Array
    answers: npt.NDArray[np.intp]


def examples(talk: Talk, embedder: Embedder) -> list[Example]:
    """What a talk teaches: each question with its candidates. One that none of them answers teaches nothing."""
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder)) as archive:
        memory = indexed(archive, [talk], embedder)
        taught = (_example(memory, talk, asked) for asked in talk.asked)
        found = [one for one in taught if one is not None]
        memory.close()
    return found


def indexed(
    archive: Archive, talks: Iterable[Talk], embedder: Embedder, weights: dict[str, float] | None = None
) -> LongTerm:
    """Talks written into an archive, and a memory of them."""
    for talk in talks:
        talk.write(archive)
    index(archive, embedder)
    return LongTerm(archive, embedder, ExactIndex(embedder.dimensions), fitted=weights or WEIGHTS)


def asked_at(talk: Talk) -> int:
    """When its questions are asked (ms): the day after it ended."""
    return talk.messages[-1].created_at + _DAY_MS


def fit(taught: Sequence[Example]) -> dict[str, float]:
    """Feature -> weight."""
    spread = np.maximum(np.concatenate([one.features for one in taught]).std(0), 1e-6)
    scaled = [Example(one.features / spread, one.answers) for one in taught]
    weights = _newton(scaled) / spread
    return dict(zip(WEIGHTS, (round(float(weight), 3) for weight in weights), strict=True))


def _example(memory: LongTerm, talk: Talk, asked: Asked) -> Example | None:
    ids, features = memory.examined(asked.text, audience=frozenset([talk.channel.id]), now=asked_at(talk))
    answers = np.flatnonzero(np.isin(ids, [id_ for id_ in asked.evidence if id_ is not None]))
    if not len(answers):
        return None
    return Example(np.stack([features[name] for name in WEIGHTS], axis=1).astype(np.float64), answers)


def _newton(taught: Sequence[Example]) -> Array:
    weights = np.zeros(taught[0].features.shape[1])
    loss = _loss(taught, weights)
    for _ in range(_STEPS):
        gradient, curvature = _slopes(taught, weights)
        direction = np.linalg.solve(curvature, gradient)
        step, new = 1.0, np.inf
        while step > _LEAST_STEP and (new := _loss(taught, weights - step * direction)) >= loss:
            step /= 2
        if loss - new < _ENOUGH:
            break
        weights, loss = weights - step * direction, new
    return weights


def _loss(taught: Sequence[Example], weights: Array) -> float:
    loss = 0.0
    for features, answers in taught:
        scores = features @ weights
        most = scores.max()
        loss += len(answers) * (most + float(np.log(np.exp(scores - most).sum())) - float(scores[answers].mean()))
    return loss / _answers(taught) + _RIDGE * float(weights @ weights) / 2


def _slopes(taught: Sequence[Example], weights: Array) -> tuple[Array, Array]:
    gradient, curvature = np.zeros(len(weights)), np.zeros((len(weights), len(weights)))
    for features, answers in taught:
        scores = features @ weights
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        mean = shares @ features
        gradient += len(answers) * (mean - features[answers].mean(0))
        curvature += len(answers) * ((features * shares[:, None]).T @ features - np.outer(mean, mean))
    count = _answers(taught)
    return gradient / count + _RIDGE * weights, curvature / count + _RIDGE * np.eye(len(weights))


def _answers(taught: Sequence[Example]) -> int:
    return sum(len(one.answers) for one in taught)


if __name__ == "__main__":
    encoder = MiniLM()
    for name, weight in fit([one for talk in read_talks(Path(sys.argv[1])) for one in examples(talk, encoder)]).items():
        print(f'    "{name}": {weight},')
