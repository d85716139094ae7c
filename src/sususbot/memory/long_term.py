"""Finding what was said before, by meaning and by words together, whoever said it and however long ago.

Candidates are the nearest messages by vector, the best by words, alone or with what stands around them, and what the
owner pinned as lore. Each is scored by the same features (`ranking`), whichever way it was found; recency,
2^(-age / half-life), and engagement, e / (e + 3) for e = reactions + replies + 2 if pinned, are tie-breaks on top: as
equal partners they bury old lore (docs/memory.md). A pin of the owner's lifts what fits, and does not make it fit.
Only what may be remembered, only from channels that all readers of the answer may see: filtered before ranking.
Words and vectors are searched side by side, each on one core; messages are read once they have won.
Not here: what a question means (`question`), the indexes (`talk`, `postings`, `vector_index`), what of it fits into a
prompt (`context`).
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.vectors import Ids, Matrix
from sususbot.errors import VectorStoreError
from sususbot.memory import ranking, terms
from sususbot.memory.embedding import Embedder, embedded_text
from sususbot.memory.linking_pass import LivePass
from sususbot.memory.question import People, Question, understood
from sususbot.memory.server_words import ServerWords
from sususbot.memory.surroundings import Hit, Surroundings
from sususbot.memory.talk import Rows
from sususbot.memory.vector_index import Vector, VectorIndex
from sususbot.messages import Audience

T = TypeVar("T")
Places = npt.NDArray[np.intp]
logger = logging.getLogger(__name__)

_CANDIDATES: Final = 400
_DAY_MS: Final = 86_400_000
# Half of an engagement score: three reactions or replies.
_ENGAGED: Final = 3.0
# For each hit wanted, this many candidates are read, since some say the same.
_SPARE: Final = 2
# Messages embedded at once when they arrive live.
_LIVE_BATCH: Final = 64
# Questions whose vectors are kept: where a model failed, recall searches for the same one again.
_QUESTIONS: Final = 16
# Two texts that share so much of their words are one memory.
_ALIKE: Final = 0.8
# In shorter texts a number may be all that is said.
_FLOOD_WORDS: Final = 6
# Of so much of all messages, a member is called by name in lower case, too.
_TALKER: Final = 0.002


@dataclass(frozen=True, slots=True)
class Weights:
    """What meaning and words count beside how they were fitted, what recency and engagement add at most.

    After `half_life_days` a message's recency is halved. What the owner pinned scores by the share `lore` more.
    """

    semantic: float = 1.0
    words: float = 1.0
    recency: float = 0.03
    engagement: float = 0.05
    half_life_days: float = 30.0
    lore: float = 0.2


class _Scored(NamedTuple):
    """A candidate before its message is read."""

    score: float
    id: int
    parts: Mapping[str, float]


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
        fitted: Mapping[str, float] = ranking.WEIGHTS,
        linking: LivePass | None = None,
        neighbours: int = 2,
        neighbour_minutes: float = 10.0,
    ) -> None:
        """Without an embedder and an index, words alone are searched. `neighbours` on each side are taken in.

        `fitted`: what each feature counts. `linking` says what a new message answers.
        """
        self._archive = archive
        self._embedder = embedder
        self._linking = linking
        self._index = index
        self._weights = weights or Weights()
        self.fitted = fitted
        self._surroundings = Surroundings(archive, neighbours=neighbours, minutes=neighbour_minutes)
        self._lock = threading.Lock()
        self._beside = ThreadPoolExecutor(1, "words")
        self._vectors = lru_cache(_QUESTIONS)(self._embedded)
        # Set when the index could not be told of a change; it is filled anew once it answers again.
        self._behind = False
        terms.read(archive)
        self._words = ServerWords(archive)
        self._people = People(archive.names(), self._words.talkers(_TALKER))
        if index is not None:
            index.synchronise(archive.vectors.load())

    @property
    def by_meaning(self) -> bool:
        """Whether vectors take part, or words alone."""
        return self._embedder is not None and self._index is not None and len(self._index) > 0

    def weigh(self, weights: Weights) -> None:
        """Settings that were read anew; a search at work ends as it began or with these."""
        self._weights = weights

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
        now = now_ms() if now is None else now
        asked, forms, rows = self._candidates(question, audience, exclude, now, clock)
        ids, features = self._features(asked, forms, rows)
        clock.lap("rank")
        scored = self._scored(ids, features, now, limit)
        hits = list(islice(self._surroundings.placed(_distinct(self._read(scored, limit)), limit, exclude), limit))
        clock.lap("read")
        return Found(hits, clock.seconds)

    def examined(
        self, question: str, *, audience: Audience = None, now: int | None = None
    ) -> tuple[list[int], ranking.Features]:
        """The candidates for a question, and all of their features: what weights are fitted on."""
        found = self._candidates(question, audience, (), now_ms() if now is None else now, _Clock())
        return self._features(*found)

    def quotable(self, ids: Iterable[int]) -> dict[int, str]:
        """The words of these messages as they may be repeated, if they may; to be found is not enough for that."""
        return self._archive.consents.quotable(ids)

    def learn(self, ids: Sequence[int] | None = None) -> int:
        """Make new or edited messages findable by meaning, these or whatever waits, some at a time; gives how many.

        Raises VectorStoreError when the index does not answer; what was missed is made up for by a later call.
        """
        self._learn_words(ids)
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

    def _learn_words(self, ids: Sequence[int] | None) -> None:
        # An index that is made meanwhile by another program may have read them first.
        read = terms.read(self._archive, ids)
        if fresh := list({*read, *(ids or ())}):
            self._words.learn(fresh, read)
            if self._linking is not None:
                self._linking.link_new(fresh)
            for message in self._archive.messages(fresh).values():
                self._people.add(message.author.id, message.author.display_name)
                self._people.add(message.author.id, message.author.name)

    def drop_stale(self, ids: Sequence[int]) -> None:
        """Stop finding those of these whose words the archive has dropped (edited, deleted)."""
        self._words.drop(self._archive.terms.without(ids))
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

    def _embedded(self, forms: tuple[str, ...]) -> Matrix:
        """A row for each form of a question, and one for all of them together."""
        assert self._embedder is not None
        texts = list(dict.fromkeys(forms))
        each = dict(zip(texts, self._embedder.embed(texts), strict=True))
        rows = [each[form] for form in forms]
        together = np.sum(rows, axis=0)
        return np.stack([*rows, together / max(float(np.linalg.norm(together)), 1e-6)])

    def _candidates(
        self, question: str, audience: Audience, exclude: Collection[int], now: int, clock: "_Clock"
    ) -> tuple[Question, Matrix | None, Rows]:
        asked = understood(question, self._people, now)
        forms = self._vectors(asked.forms) if self.by_meaning and question.strip() else None
        clock.lap("embed")
        by_words = self._beside.submit(self._words.candidates, asked, _CANDIDATES, audience)
        near = [*self._nearest(forms, audience), *self._archive.lore.among(audience)]
        clock.lap("vectors")
        rows = self._words.with_rows(by_words.result(), near, exclude)
        clock.lap("words")
        return asked, forms, rows

    def _nearest(self, forms: Matrix | None, audience: Audience) -> list[int]:
        nearest = self._asked(forms, lambda index, of: index.search(of[-1], limit=_CANDIDATES, audience=audience))
        return [id_ for id_, _ in nearest or ()]

    def _asked(self, forms: Matrix | None, question: Callable[[VectorIndex, Matrix], T]) -> T | None:
        """What the index says of a question; nothing while it does not answer: words go on alone."""
        if forms is None or self._index is None:
            return None
        try:
            with self._lock:
                return question(self._index, forms)
        except VectorStoreError as error:
            logger.warning("searched by words alone: %s", error)
            return None

    def _features(self, asked: Question, forms: Matrix | None, rows: Rows) -> tuple[list[int], ranking.Features]:
        if not len(rows):
            return [], {}
        ids, around, features = self._words.features(asked, rows)
        vectors = self._asked(forms, lambda index, of: _rows_of(index, around.ids, of.shape[1]))
        if forms is not None and vectors is not None:
            features |= ranking.meaning_features(vectors, around.places, forms, around.asking)
        return ids, features

    def _scored(self, ids: Sequence[int], features: ranking.Features, now: int, limit: int) -> Iterator[_Scored]:
        """The candidates, best first."""
        if not ids:
            return
        weights = ranking.weighed(self.fitted, meaning=self._weights.semantic, words=self._weights.words)
        parts = ranking.parts(features, weights)
        likely = self._worth_weighing(np.sum(list(parts.values()), axis=0), limit)
        likely |= np.isin(ids, self._archive.lore.among(None))
        # Most often the first are enough; the others follow where many of these may not be remembered any more.
        yield from self._weighed(ids, parts, np.flatnonzero(likely), now)
        yield from self._weighed(ids, parts, np.flatnonzero(~likely), now)

    def _weighed(self, ids: Sequence[int], parts: ranking.Features, rows: Places, now: int) -> list[_Scored]:
        """With recency and engagement, best first."""
        chosen = rows.tolist()
        standings = self._archive.standings.of(ids[row] for row in chosen)
        scored = []
        for row in chosen:
            # None: gone since the search began.
            if (standing := standings.get(ids[row])) is not None:
                told = {name: float(part[row]) for name, part in parts.items()}
                told["recency"] = self._weights.recency * self._recency(standing.created_at, now)
                told["engagement"] = self._weights.engagement * standing.engagement / (standing.engagement + _ENGAGED)
                if standing.lore:
                    told["lore"] = self._weights.lore * max(0.0, sum(told.values()))
                scored.append(_Scored(sum(told.values()), ids[row], told))
        # The id settles ties, so that equal questions get equal answers.
        scored.sort(key=lambda one: (one.score, one.id), reverse=True)
        return scored

    def _read(self, scored: Iterator[_Scored], limit: int) -> Iterator[Hit]:
        """The messages themselves, some at a time: few searches need more than the first."""
        some = max(1, limit * _SPARE)
        while piece := list(islice(scored, some)):
            messages = self._archive.messages(one.id for one in piece)
            for score, id_, parts in piece:
                if (message := messages.get(id_)) is not None:
                    yield Hit(message, score, parts, (message,))

    def _worth_weighing(self, known: Vector, limit: int) -> npt.NDArray[np.bool_]:
        """Which recency and engagement, at their best, could still lift among the first `limit` texts."""
        spare = max(1, limit * _SPARE)
        if len(known) <= spare:
            return np.ones(len(known), np.bool_)
        least = np.partition(known, -spare)[-spare] - self._weights.recency - self._weights.engagement
        likely: npt.NDArray[np.bool_] = known >= least
        return likely

    def _recency(self, created_at: int, now: int) -> float:
        age_days = max(0, now - created_at) / _DAY_MS
        return float(2.0 ** (-age_days / self._weights.half_life_days))


class _Clock:
    """Seconds between laps, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now


def _rows_of(index: VectorIndex, ids: Ids, dimensions: int) -> Matrix:
    """The vectors of these ids, after a row of zeros for nobody."""
    return np.concatenate([np.zeros((1, dimensions), np.float32), index.rows(ids)])


def _distinct(hits: Iterable[Hit]) -> Iterator[Hit]:
    """The best of each text: the same line said twenty times, or almost the same, is one memory.

    Of one author also the same words with another number: what a flood is made of.
    """
    seen: list[tuple[int, frozenset[str], frozenset[str]]] = []
    for hit in hits:
        author, text = hit.message.author.id, " ".join(hit.message.rendered.lower().split())
        said = frozenset(terms.words(text)) or frozenset([text])
        plain = frozenset(word for word in said if not word.isdigit()) if len(said) >= _FLOOD_WORDS else said
        if not any(_alike(said, other) or (author == who and _alike(plain, its)) for who, other, its in seen):
            seen.append((author, said, plain))
            yield hit


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= _ALIKE * len(one | other)
