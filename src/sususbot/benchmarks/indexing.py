"""How fast do messages become findable by meaning, against the encoder alone on the same texts?

Bare minimum: one call of the encoder with all texts at once: no archive read, no vector written.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from sususbot.archive.archive import Archive
from sususbot.benchmarks.haystack import fill
from sususbot.benchmarks.report import Result, in_new_process, peak_rss_mb, startup_s, timed
from sususbot.memory.embedding import MiniLM, embedded_text
from sususbot.memory.indexing import index

_ROUNDS: Final = 3


class Run(NamedTuple):
    messages: int
    seconds: list[float]
    bare_seconds: list[float]
    peak_rss_mb: float | None


def bench_index(exports: Sequence[Path], model: str, messages: int) -> Result:
    """Both in turns in one fresh process; medians."""
    run = in_new_process(_measure, exports, model, messages)
    return Result(
        "index",
        {
            "messages": run.messages,
            "messages_per_s": run.messages / median(run.seconds),
            "share_of_bare": median(its / mine for mine, its in zip(run.seconds, run.bare_seconds, strict=True)),
            "peak_rss_mb": run.peak_rss_mb,
            "startup_s": startup_s(),
        },
        {"messages": run.messages, "messages_per_s": run.messages / median(run.bare_seconds)},
        f"{run.messages:,} archived messages to vectors in the archive, median of {_ROUNDS} runs",
        "the encoder on the same texts in one call",
    )


def _measure(exports: Sequence[Path], model: str, messages: int) -> Run:
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder)) as archive:
        fill(archive, exports, messages)
        pending = archive.vectors.pending(messages)
        texts = [embedded_text(item.speaker, item.text) for item in pending]
        embedder = MiniLM(model)
        embedder.embed(texts[:64])
        seconds, bare = [], []
        for number in range(_ROUNDS):
            archive.vectors.use_embedder(f"none yet, round {number}")
            bare.append(timed(lambda: embedder.embed(texts))[1])
            seconds.append(timed(lambda: index(archive, embedder))[1])
    return Run(len(texts), seconds, bare, peak_rss_mb())
