"""How long does it take to find the memories for a question, once the question is embedded?

Questions are real ones from the archive. Bare minimum: one matrix product over all vectors and the best 10 rows of it:
no words, no filter, no score, no text.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from sususbot.benchmarks.haystack import haystack, questions
from sususbot.benchmarks.report import Result, peak_rss_mb, percentile_ms, startup_s, timed
from sususbot.memory.embedding import Embedder
from sususbot.memory.long_term import LongTerm
from sususbot.memory.vector_index import make_index

_QUESTIONS: Final = 300
_HITS: Final = 10


def bench_retrieval(
    exports: Sequence[Path],
    embedder: Embedder,
    vector_db: str,
    folder: Path,
    progress: Callable[[int, int], None],
) -> Result:
    """Ours for all questions, then the bare minimum for all."""
    with haystack(folder, exports, embedder, progress) as archive:
        index = make_index(vector_db, dimensions=embedder.dimensions, folder=str(folder / "chroma"), url=None)
        memory = LongTerm(archive, embedder, index)
        asked = questions(archive, _QUESTIONS)
        matrix = np.concatenate([piece for _, _, piece in archive.vectors.load()])
        seconds: list[float] = []
        bare: list[float] = []
        stages: dict[str, list[float]] = {}
        for question in asked:
            found = memory.search(question, limit=_HITS)
            seconds.append(sum(found.seconds.values()) - found.seconds["embed"])
            for stage, lap in found.seconds.items():
                stages.setdefault(stage, []).append(lap)
        # Afterwards, not in turns: a matrix product leaves threads spinning for some 20 ms, which would slow ours.
        for question in asked:
            vector = embedder.embed([question])[0]
            bare.append(timed(lambda vector=vector: np.argpartition(-(matrix @ vector), _HITS)[:_HITS])[1])  # type: ignore[misc]
        memory.close()
        count = len(matrix)
    return Result(
        "retrieval",
        {
            "messages": count,
            "questions": len(asked),
            "p50_ms": percentile_ms(seconds, 50),
            "p95_ms": percentile_ms(seconds, 95),
            "share_of_bare": percentile_ms(bare, 50) / percentile_ms(seconds, 50),
            **{f"{stage}_p95_ms": percentile_ms(laps, 95) for stage, laps in stages.items()},
            "peak_rss_mb": peak_rss_mb(),
            "startup_s": startup_s(),
        },
        {"p50_ms": percentile_ms(bare, 50), "p95_ms": percentile_ms(bare, 95)},
        f"{_HITS} memories and their neighbours for {len(asked)} real questions, {count:,} vectors ({vector_db})",
        "one matrix product and the best rows",
    )
