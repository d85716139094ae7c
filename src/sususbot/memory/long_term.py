"""Finding what was said before, by meaning and by words together, whoever said it and however long ago.

Candidates are the nearest messages by vector and the best by BM25; each gets the exact cosine, so that both lists are
judged by the same measure. Score = weighted sum of four parts, each from 0 to 1 and kept on the hit:

- semantic: the cosine, min-max scaled over the candidates
- words: BM25, min-max scaled likewise
- recency: 2^(-age / half-life)
- engagement: e / (e + 3) for e = reactions + replies + 2 if pinned

Recency and engagement are tie-breaks: as equal partners they bury old lore (measured; see docs/memory.md).
Only what may be remembered, only from channels that all readers of the answer may see: filtered before ranking.
Words and vectors are searched side by side, each on one core; messages are read once they have won.
Not here: what of it fits into a prompt (`context`).
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

import numpy as np

from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.words import question_words
from sususbot.errors import VectorStoreError
from sususbot.memory.embedding import Embedder, embedded_text
from sususbot.memory.vector_index import Vector, VectorIndex
from sususbot.messages import Audience, Message

logger = logging.getLogger(__name__)

_CANDIDATES: Final = 200
_DAY_MS: Final = 86_400_000
# Half of an engagement score: three reactions or replies.
_ENGAGED: Final = 3.0
# For each hit wanted, this many candidates are read, since some say the same.
_SPARE: Final = 2
# Messages embedded at once when they arrive live.
_LIVE_BATCH: Final = 64
# Questions whose vectors are kept: where a model failed, recall searches for the same one again.
_QUESTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part of a score counts, and after how many days a message's recency is halved."""

    semantic: float = 0.5
    words: float = 0.5
    recency: float = 0.05
    engagement: float = 0.05
    half_life_days: float = 30.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a score, each from 0 to 1, before weighting."""

    semantic: float
    words: float
    recency: float
    engagement: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A remembered message, why it was found, and what stood around it (itself included), oldest first."""

    message: Message
    score: float
    parts: Parts
    around: tuple[Message, ...]


class _Scored(NamedTuple):
    """A candidate before its message is read."""

    score: float
    id: int
    parts: Parts


@dataclass(slots=True)
class Found:
    """What a search gave, and the seconds of its stages. `words` is what it took longer than `vectors` beside it."""

    hits: list[Hit] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


class LongTerm:
    """Search over everything that may be remembered. Blocks; safe to use from several threads."""

    def __init__(
        self,
        archive: Archive,
        embedder: Embedder | None,
        index: VectorIndex | None,
        *,
        weights: Weights | None = None,
        neighbours: int = 2,
        neighbour_minutes: float = 10.0,
    ) -> None:
        """Without an embedder and an index, words alone are searched. `neighbours` on each side are taken in."""
        self._archive = archive
        self._embedder = embedder
        self._index = index
        self._weights = weights or Weights()
        self._neighbours = neighbours
        self._neighbour_ms = neighbour_minutes * 60_000
        self._lock = threading.Lock()
        self._beside = ThreadPoolExecutor(1, "words")
        self._vector = lru_cache(_QUESTIONS)(self._embedded)
        # Set when the index could not be told of a change; it is filled anew once it answers again.
        self._behind = False
        if index is not None:
            index.synchronise(archive.vectors.load())

    @property
    def by_meaning(self) -> bool:
        """Whether vectors take part, or words alone."""
        return self._embedder is not None and self._index is not None and len(self._index) > 0

    def search(
        self,
        question: str,
        *,
        limit: int,
        audience: Audience = None,
        exclude: Collection[int] = (),
        now: int | None = None,
    ) -> Found:
        """The messages that matter to a question, best first. `exclude` are ids that the reader sees anyway."""
        clock = _Clock()
        vector = self._vector(question) if self.by_meaning and question.strip() else None
        clock.lap("embed")
        by_words = self._beside.submit(
            self._archive.words.search, question_words(question), limit=_CANDIDATES, audience=audience
        )
        cosines = self._asked(vector, lambda index, of: dict(index.search(of, limit=_CANDIDATES, audience=audience)))
        clock.lap("vectors")
        words = dict(by_words.result())
        clock.lap("words")
        if cosines:
            others = [id_ for id_ in words if id_ not in cosines]
            cosines |= self._asked(vector, lambda index, of: index.cosines(of, others))
        candidates = [id_ for id_ in cosines.keys() | words.keys() if id_ not in exclude]
        scored = self._scored(candidates, cosines, words, now_ms() if now is None else now, limit)
        clock.lap("rank")
        placed = (self._with_neighbours(hit, exclude) for hit in _distinct(self._read(scored, limit)))
        hits = list(islice((hit for hit in placed if hit is not None), limit))
        clock.lap("read")
        return Found(hits, clock.seconds)

    def may_quote(self, author_ids: Iterable[int]) -> set[int]:
        """Those of these members whose words may be repeated as they are; to be found is not enough for that."""
        return self._archive.consents.may_quote(author_ids)

    def learn(self, ids: Sequence[int] | None = None) -> int:
        """Make new or edited messages findable by meaning, these or whatever waits, some at a time; gives how many.

        Raises VectorStoreError when the index does not answer; what was missed is made up for by a later call.
        """
        if self._embedder is None or self._index is None:
            return 0
        if self._behind:
            with self._changing() as index:
                index.synchronise(self._archive.vectors.load())
                self._behind = False
        pending = self._archive.vectors.pending(_LIVE_BATCH, ids)
        if not pending:
            return 0
        matrix = self._embedder.embed([embedded_text(item.speaker, item.text) for item in pending])
        kept = set(self._archive.vectors.put(pending, matrix))
        with self._changing() as index:
            # Asked with the index in hand: what is deleted from now on is removed from it afterwards.
            channels = self._archive.messages(kept)
            rows = [row for row, item in enumerate(pending) if item.id in channels]
            ids = [pending[row].id for row in rows]
            index.add(ids, [channels[id_].channel_id for id_ in ids], matrix[rows])
        return len(pending)

    def drop_stale(self, ids: Sequence[int]) -> None:
        """Stop finding by meaning those of these whose vector the archive has dropped (edited, deleted)."""
        if self._index is None:
            return
        stale = self._archive.vectors.without(ids)
        with self._changing() as index:
            index.remove(stale)

    def close(self) -> None:
        self._beside.shutdown()
        if self._index is not None:
            self._index.close()

    @contextmanager
    def _changing(self) -> Iterator[VectorIndex]:
        assert self._index is not None
        with self._lock:
            try:
                yield self._index
            except VectorStoreError:
                self._behind = True
                raise

    def _embedded(self, question: str) -> Vector:
        assert self._embedder is not None
        vector: Vector = self._embedder.embed([question])[0]
        return vector

    def _asked(
        self, vector: Vector | None, question: Callable[[VectorIndex, Vector], dict[int, float]]
    ) -> dict[int, float]:
        """What the index says of a vector; nothing while it does not answer: words go on alone."""
        if vector is None or self._index is None:
            return {}
        try:
            with self._lock:
                return question(self._index, vector)
        except VectorStoreError as error:
            logger.warning("searched by words alone: %s", error)
            return {}

    def _scored(
        self, candidates: Sequence[int], cosines: dict[int, float], words: dict[int, float], now: int, limit: int
    ) -> list[_Scored]:
        """The candidates that could be among the first `limit`, best first."""
        if not candidates:
            return []
        semantic = _scaled([cosines.get(id_, 0.0) for id_ in candidates])
        lexical = _scaled([words.get(id_, 0.0) for id_ in candidates])
        rows = self._worth_weighing(semantic, lexical, limit)
        standings = self._archive.standings.of(candidates[row] for row in rows)
        scored = []
        for row in rows:
            # None: gone since the search began.
            if (standing := standings.get(candidates[row])) is not None:
                engagement = standing.engagement / (standing.engagement + _ENGAGED)
                parts = Parts(semantic[row], lexical[row], self._recency(standing.created_at, now), engagement)
                scored.append(_Scored(self._weigh(parts), candidates[row], parts))
        # The id settles ties, so that equal questions get equal answers.
        scored.sort(key=lambda one: (one.score, one.id), reverse=True)
        return scored

    def _read(self, scored: Sequence[_Scored], limit: int) -> Iterator[Hit]:
        """The messages themselves, some at a time: few searches need more than the first."""
        some = max(1, limit * _SPARE)
        for start in range(0, len(scored), some):
            piece = scored[start : start + some]
            messages = self._archive.messages(one.id for one in piece)
            for score, id_, parts in piece:
                if (message := messages.get(id_)) is not None:
                    yield Hit(message, score, parts, (message,))

    def _worth_weighing(self, semantic: Sequence[float], lexical: Sequence[float], limit: int) -> list[int]:
        """The rows that recency and engagement, at their best, could still lift among the first `limit` texts."""
        weights = self._weights
        known = weights.semantic * np.asarray(semantic) + weights.words * np.asarray(lexical)
        spare = limit * _SPARE
        if len(known) <= spare:
            return list(range(len(known)))
        least = np.partition(known, -spare)[-spare] - weights.recency - weights.engagement
        return [int(row) for row in np.flatnonzero(known >= least)]

    def _weigh(self, parts: Parts) -> float:
        weights = self._weights
        return (
            weights.semantic * parts.semantic
            + weights.words * parts.words
            + weights.recency * parts.recency
            + weights.engagement * parts.engagement
        )

    def _recency(self, created_at: int, now: int) -> float:
        age_days = max(0, now - created_at) / _DAY_MS
        return float(2.0 ** (-age_days / self._weights.half_life_days))

    def _with_neighbours(self, hit: Hit, exclude: Collection[int]) -> Hit | None:
        """The hit with what was said around it, as far as no silence lies between.

        None when it may not be remembered: an index does not know who opted out since it was filled.
        """
        around = self._archive.around(hit.message, reach=self._neighbours)
        places = [place for place, message in enumerate(around) if message.id == hit.message.id]
        if not places:
            return None
        first = last = places[0]
        while first > 0 and self._joined(around[first - 1], around[first], exclude):
            first -= 1
        while last + 1 < len(around) and self._joined(around[last], around[last + 1], exclude):
            last += 1
        return Hit(hit.message, hit.score, hit.parts, tuple(around[first : last + 1]))

    def _joined(self, earlier: Message, later: Message, exclude: Collection[int]) -> bool:
        seen = earlier.id in exclude or later.id in exclude
        return not seen and later.created_at - earlier.created_at <= self._neighbour_ms


class _Clock:
    """Seconds between laps, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now


def _scaled(values: Sequence[float]) -> list[float]:
    """Min-max to 0…1; all zeros when nothing differs and nothing is above zero."""
    array = np.asarray(values)
    low, high = float(array.min()), float(array.max())
    if high == low:
        return [1.0 if high > 0 else 0.0] * len(values)
    scaled: list[float] = ((array - low) / (high - low)).tolist()
    return scaled


def _distinct(hits: Iterable[Hit]) -> Iterator[Hit]:
    """The best of each text: the same line said twenty times is one memory."""
    seen: set[str] = set()
    for hit in hits:
        key = " ".join(hit.message.rendered.lower().split())
        if key not in seen:
            seen.add(key)
            yield hit
