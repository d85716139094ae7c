"""What long-term memory is measured against: the usual ways to search a talk, over the same messages.

- the recipe: the cosines of a message, of it with one and with two neighbours on each side, summed; BM25 of the same
  three, each scaled to 0…1 over all messages, summed; 0.6 of the first and 0.4 of the second. It was the best of 96
  that were tried when this project began.
- vectors alone, words alone: what most bots do.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from sususbot.archive.vectors import Ids, Matrix
from sususbot.memory.embedding import Embedder
from sususbot.memory.postings import Postings, keys_of
from sususbot.memory.terms import term, words
from sususbot.messages import Message, day

Scores = npt.NDArray[np.float32]

_K1: Final = 1.2
_B: Final = 0.75
_BEST: Final = 200
_VECTORS: Final = 0.6
# The stop words it was measured with.
_STOP: Final = frozenset(
    """a an and are as at be but by for if in into is it no not of on or such that the their then there these they this
    to was will with what when where who which how why did does do has have had would could were s t about from her his
    she he""".split()
)


class Recipe:
    """Messages in the order of their channels, and the lists that the recipe searches."""

    def __init__(
        self,
        messages: Sequence[Message],
        session_of: Mapping[int, int],
        embedder: Embedder,
        known: Mapping[int, npt.NDArray[np.float32]] | None = None,
    ) -> None:
        """`session_of`: id -> sitting, within a channel; without one a message has no neighbours in vectors.

        `known`: vectors of messages that stand for their neighbourhoods, too.
        """
        known = known or {}
        self.ids: Ids = np.array([one.id for one in messages], np.int64)
        self._embedder = embedder
        self._messages = messages
        self._sittings = [(one.channel_id, session_of.get(one.id, 0)) for one in messages]
        lines = [f"{one.author.display_name}: {one.rendered}" for one in messages]
        dated = [f"[{day(one.created_at)}] {line}" for one, line in zip(messages, lines, strict=True)]
        windows = [
            lines,
            *(
                ["\n".join(lines[row] for row in self._window(place, reach)) for place in range(len(lines))]
                for reach in (1, 2)
            ),
        ]
        self._lists = [_Bm25(texts) for texts in (dated, *windows[1:])]
        said = [f'{one.author.display_name} said, "{one.rendered}"' for one in messages]
        self._vectors = [self._embedded(texts, known) for texts in (said, *windows[1:])]

    def by_recipe(self, question: str) -> Scores:
        vector = self._embedder.embed([question])[0]
        meaning = _scaled(np.sum([matrix @ vector for matrix in self._vectors], axis=0))
        terms = question_terms(question)
        lexical = _scaled(np.sum([_scaled(_cut(one.scores(terms))) for one in self._lists], axis=0))
        mixed: Scores = _VECTORS * meaning + (1 - _VECTORS) * lexical
        return mixed

    def by_vectors(self, question: str) -> Scores:
        scores: Scores = self._vectors[0] @ self._embedder.embed([question])[0]
        return scores

    def by_words(self, question: str) -> Scores:
        return self._lists[0].scores(question_terms(question))

    def best(self, scores: Scores, among: npt.NDArray[np.bool_], limit: int) -> list[int]:
        """The ids of the highest scores among some messages."""
        rows = np.flatnonzero(among)
        ids: list[int] = self.ids[rows[np.argsort(-scores[rows], kind="stable")[:limit]]].tolist()
        return ids

    def _window(self, place: int, reach: int) -> list[int]:
        near = range(max(0, place - reach), min(len(self._sittings), place + reach + 1))
        return [row for row in near if self._sittings[row] == self._sittings[place]]

    def _embedded(self, texts: Sequence[str], known: Mapping[int, npt.NDArray[np.float32]]) -> Matrix:
        matrix = np.empty((len(texts), self._embedder.dimensions), np.float32)
        unknown = [row for row, id_ in enumerate(self.ids.tolist()) if id_ not in known]
        matrix[unknown] = self._embedder.embed([texts[row] for row in unknown])
        for row, id_ in enumerate(self.ids.tolist()):
            if id_ in known:
                matrix[row] = known[id_]
        return matrix


class _Bm25:
    """BM25 as SQLite's full text has it."""

    def __init__(self, texts: Sequence[str]) -> None:
        terms = [np.array([term(word) for word in words(text)], np.uint32) for text in texts]
        lengths = np.array([len(one) for one in terms], np.int64)
        self._postings = Postings()
        self._postings.fill([keys_of(np.arange(len(texts), dtype=np.int32), lengths, np.concatenate(terms))])
        self._lengths = (lengths / max(1.0, lengths.mean())).astype(np.float32)

    def scores(self, terms: Sequence[int]) -> Scores:
        scores: Scores = np.zeros(len(self._lengths), np.float32)
        for one in terms:
            rows, counts = self._postings.of(one)
            told = max(1e-6, float(np.log((len(scores) - len(rows) + 0.5) / (len(rows) + 0.5))))
            scores[rows] += told * counts * (_K1 + 1) / (counts + _K1 * (1 - _B + _B * self._lengths[rows]))
        return scores


def question_terms(question: str) -> list[int]:
    said = words(question)
    return list(dict.fromkeys(term(word) for word in [one for one in said if one not in _STOP] or said))


def _cut(scores: Scores) -> Scores:
    if len(scores) <= _BEST:
        return scores
    least = np.partition(scores, -_BEST)[-_BEST]
    return np.where(scores >= least, scores, 0)


def _scaled(values: Scores) -> Scores:
    low, high = float(values.min()), float(values.max())
    scaled: Scores = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return scaled
