"""How fast do messages become findable by meaning, against the encoder alone on the same texts?

Bare minimum: one call of the encoder with all texts at once (sorted by length, each text once): no archive read, no
vector written. Beside it the static table that is distilled from the encoder, and a restart with nothing new.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from sususbot.archive.archive import Archive
from sususbot.benchmarks.haystack import fill
from sususbot.benchmarks.report import Result, in_new_process, peak_rss_mb, startup_s, timed
from sususbot.memory.embedding import MiniLM, embedded_text
from sususbot.memory.indexing import index
from sususbot.memory.static import StaticEmbedder

_ROUNDS: Final = 3
_QUESTIONS: Final = 40


class Run(NamedTuple):
    messages: int
    seconds: list[float]
    bare_seconds: list[float]
    cpu_share: float
    static_seconds: list[float]
    distil_s: float
    question_ms: float
    static_question_ms: float
    peak_rss_mb: float | None


def bench_index(exports: Sequence[Path], model: str, messages: int, scratch: Path | None = None) -> Result:
    """All in turns in one fresh process, written below `scratch`; medians."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        run = in_new_process(_measure, Path(folder), exports, model, messages)
        restart = median(timed(lambda: _restart(Path(folder), model))[1] for _ in range(_ROUNDS))
    return Result(
        "index",
        {
            "messages": run.messages,
            "messages_per_s": run.messages / median(run.seconds),
            "share_of_bare": median(its / mine for mine, its in zip(run.seconds, run.bare_seconds, strict=True)),
            "cpu_share_of_bare": run.cpu_share,
            "question_ms": run.question_ms,
            "static_messages_per_s": run.messages / median(run.static_seconds),
            "static_question_ms": run.static_question_ms,
            "static_distil_s": run.distil_s,
            "peak_rss_mb": run.peak_rss_mb,
            "restart_s": restart,
            "startup_s": startup_s(),
        },
        {"messages": run.messages, "messages_per_s": run.messages / median(run.bare_seconds)},
        f"{run.messages:,} archived messages to vectors in the archive, median of {_ROUNDS} runs",
        "the encoder on the same texts in one call",
    )


def _measure(folder: Path, exports: Sequence[Path], model: str, messages: int) -> Run:
    with Archive(folder) as archive:
        fill(archive, exports, messages)
        texts = [embedded_text(item.speaker, item.text) for item in archive.vectors.pending(messages)]
        embedder = MiniLM(model)
        embedder.embed(texts[:64])
        table, distil_s = timed(lambda: StaticEmbedder(model, folder / "static.npz"))
        seconds, bare, static, shares = [], [], [], []
        for number in range(_ROUNDS):
            static.append(timed(lambda: index(archive, table))[1])
            archive.vectors.use_embedder(f"none yet, round {number}")
            begun = time.process_time()
            bare.append(timed(lambda: embedder.embed(texts))[1])
            between = time.process_time()
            seconds.append(timed(lambda: index(archive, embedder))[1])
            # In processor time, which other programs on the machine change little.
            shares.append((between - begun) / (time.process_time() - between))
        asked = texts[:: max(1, len(texts) // _QUESTIONS)]
        question, static_question = (
            1000 * median(timed(lambda of=of, text=text: of.embed([text]))[1] for text in asked)  # type: ignore[misc]
            for of in (embedder, table)
        )
    return Run(len(texts), seconds, bare, median(shares), static, distil_s, question, static_question, peak_rss_mb())


def _restart(folder: Path, model: str) -> None:
    """`sususbot index` over what was indexed already, from the start of its process to its end."""
    subprocess.run(
        [sys.executable, "-m", "sususbot", "--data", str(folder), "index"],
        cwd=folder,
        env={**os.environ, "EMBEDDING_MODEL": model},
        check=True,
        capture_output=True,
    )
