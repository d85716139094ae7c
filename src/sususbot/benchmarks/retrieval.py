"""How long does it take to find the memories for a question, once the question is embedded?

Questions are real ones from the archive. The search runs in a process of its own that is given their vectors, so that
its memory is what a search needs, without the encoder. Bare minimum, in another: one matrix product of float32 over all
vectors and the best 10 rows of it: no words, no filter, no score, no text. It also says which are the nearest.
"""

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from sususbot.archive.archive import Archive
from sususbot.archive.vectors import Ids, Matrix
from sususbot.benchmarks.haystack import haystack, larger, questions
from sususbot.benchmarks.report import Result, in_new_process, peak_rss_mb, percentile_ms, startup_s, timed
from sususbot.memory.embedding import Embedder
from sususbot.memory.long_term import LongTerm
from sususbot.memory.vector_index import make_index

_QUESTIONS: Final = 300
_WARM_UP: Final = 10
_HITS: Final = 10
_NEAREST: Final = 20
# Texts that are equal have vectors that are equal but for the order of sums.
_EQUAL: Final = 1e-6


@dataclass(frozen=True, slots=True)
class _Asked:
    """Questions and their vectors, made before."""

    name: str
    questions: Sequence[str]
    matrix: Matrix


class _Known:
    """An embedder of questions whose vectors are known. Whatever else is asked gets the vector of one of them."""

    def __init__(self, asked: _Asked) -> None:
        self.name = asked.name
        self.dimensions = asked.matrix.shape[1]
        self._matrix = asked.matrix
        self._rows = {question: row for row, question in enumerate(asked.questions)}

    def embed(self, texts: Sequence[str]) -> Matrix:
        others = len(self._matrix)
        return self._matrix[[self._rows.get(text, zlib.crc32(text.encode()) % others) for text in texts]]


@dataclass(slots=True)
class _Searched:
    """What the searching process saw: seconds, and the nearest messages of each question."""

    load: float
    seconds: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    nearest: list[list[int]] = field(default_factory=list)
    messages: int = 0
    peak_rss_mb: float | None = None


def bench_retrieval(
    exports: Sequence[Path],
    embedder: Embedder,
    vector_db: str,
    folder: Path,
    progress: Callable[[int, int], None],
    messages: int | None = None,
    owner: Archive | None = None,
) -> Result:
    """Search in the exports, or in `messages` made of them where they hold fewer."""
    with haystack(folder, exports, embedder, progress, owner) as archive:
        texts = questions(archive, _QUESTIONS + _WARM_UP)
    asked = _Asked(embedder.name, texts, embedder.embed(texts))
    place = larger(folder, exports, messages, progress)
    ours: _Searched = in_new_process(_search, place, vector_db, asked)
    bare, recall = in_new_process(_bare, place, asked, ours.nearest)
    return Result(
        "retrieval",
        {
            "messages": ours.messages,
            "questions": len(ours.seconds),
            "p50_ms": percentile_ms(ours.seconds, 50),
            "p95_ms": percentile_ms(ours.seconds, 95),
            "share_of_bare": percentile_ms(bare, 50) / percentile_ms(ours.seconds, 50),
            **{f"{stage}_p95_ms": percentile_ms(laps, 95) for stage, laps in ours.stages.items()},
            f"recall_at_{_NEAREST}_vs_exact": recall,
            "load_s": ours.load,
            "peak_rss_mb": ours.peak_rss_mb,
            "startup_s": startup_s(),
        },
        {"p50_ms": percentile_ms(bare, 50), "p95_ms": percentile_ms(bare, 95)},
        f"{_HITS} memories for {len(ours.seconds)} real questions among {ours.messages:,} messages ({vector_db})",
        "one float32 matrix product and the best rows",
    )


def _search(place: Path, vector_db: str, asked: _Asked) -> _Searched:
    embedder = _Known(asked)
    with Archive(place) as archive:
        index = make_index(vector_db, dimensions=embedder.dimensions, folder=str(place / "chroma"), url=None)
        memory, load = timed(lambda: LongTerm(archive, embedder, index))
        searched = _Searched(load)
        for question in asked.questions[-_WARM_UP:]:
            memory.search(question, limit=_HITS)
        for question in _measured(asked):
            begun = time.perf_counter()
            found = memory.search(question, limit=_HITS)
            searched.seconds.append(time.perf_counter() - begun - found.seconds.get("embed", 0.0))
            for stage, lap in found.seconds.items():
                searched.stages.setdefault(stage, []).append(lap)
        # Before anything is added that a search does not need.
        searched.peak_rss_mb = peak_rss_mb()
        for vector in embedder.embed(_measured(asked)):
            searched.nearest.append([id_ for id_, _ in index.search(vector, limit=_NEAREST)])
        searched.messages = archive.counts().messages
        memory.close()
    return searched


def _bare(place: Path, asked: _Asked, found: Sequence[Sequence[int]]) -> tuple[list[float], float]:
    """The seconds of the bare minimum, and the share of the nearest that was found."""
    with Archive(place) as archive:
        # Filled piece by piece: a million rows twice would be 3 GB.
        matrix = np.empty((archive.vectors.count(), asked.matrix.shape[1]), np.float32)
        ids = np.empty(len(matrix), np.int64)
        held = 0
        for some, _, piece in archive.vectors.load():
            ids[held : held + len(some)], matrix[held : held + len(some)] = some, piece
            held += len(some)
    ids, matrix = ids[:held], matrix[:held]
    seconds: list[float] = []
    recalls: list[float] = []
    for vector, nearest in zip(_Known(asked).embed(_measured(asked)), found, strict=True):
        seconds.append(timed(lambda vector=vector: np.argpartition(-(matrix @ vector), _HITS)[:_HITS])[1])  # type: ignore[misc]
        recalls.append(_recall(ids, matrix @ vector, nearest))
    return seconds, float(np.mean(recalls))


def _recall(ids: Ids, scores: npt.NDArray[np.float32], found: Sequence[int]) -> float:
    """The share of what was found that is as near as the nearest are; which of several equal texts is no matter."""
    count = min(_NEAREST, len(scores))
    least = np.partition(scores, -count)[-count] - _EQUAL
    return float(np.count_nonzero(scores[np.searchsorted(ids, found)] >= least)) / count


def _measured(asked: _Asked) -> Sequence[str]:
    """Without those that only warm up; all where there are few."""
    return asked.questions[:-_WARM_UP] or asked.questions
