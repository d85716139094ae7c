"""Giving every message that may be remembered its vector: resumable, since what is pending is a query, not a state."""

import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.archive.vectors import Matrix, Pending
from sususbot.memory.embedding import Embedder, embedded_text

# Messages to a transaction, and their characters: a kill loses no more than these few seconds of work.
_BATCH: Final = 2048
_CHARACTERS: Final = 100_000
# Messages that are looked at together for their lengths.
_READ: Final = 16384


def index(archive: Archive, embedder: Embedder, progress: Callable[[int, int], None] = lambda _done, _all: None) -> int:
    """Embed what is pending; give how many messages that were. `progress` is told (done, all)."""
    archive.vectors.use_embedder(embedder.name)
    everything = archive.vectors.count_pending()
    if not everything:
        return 0
    done = 0
    with ThreadPoolExecutor(1, "vectors") as writer:
        while waiting := archive.vectors.pending(_READ):
            # Texts of like length together are embedded faster, and a text that is there twice only once.
            waiting.sort(key=lambda item: (len(item.text), item.text))
            for count in _written(archive, embedder, waiting, writer):
                done += count
                progress(done, everything)
    return done


def _written(archive: Archive, embedder: Embedder, waiting: Sequence[Pending], writer: Executor) -> Iterator[int]:
    """How many messages each transaction had, once it is done. One is written while the next is embedded."""
    writing: Future[int] | None = None
    for pending in _batches(waiting):
        matrix = embedder.embed([embedded_text(item.speaker, item.text) for item in pending])
        if writing is not None:
            yield writing.result()
        writing = writer.submit(_write, archive, pending, matrix)
    if writing is not None:
        yield writing.result()


def _batches(waiting: Sequence[Pending]) -> Iterator[Sequence[Pending]]:
    """Runs of messages that take about equally long: few long ones, or many short ones."""
    start = characters = 0
    for place, item in enumerate(waiting):
        if place - start == _BATCH or (place > start and characters + len(item.text) > _CHARACTERS):
            yield waiting[start:place]
            start, characters = place, 0
        characters += len(item.text)
    yield waiting[start:]


def _write(archive: Archive, pending: Sequence[Pending], matrix: Matrix) -> int:
    archive.vectors.put(pending, matrix)
    _give_memory_back()
    return len(pending)


def _give_memory_back() -> None:
    """Return freed memory to the system: batches of every shape leave holes that the C library keeps otherwise.

    Over a whole server's history that is some hundred MB. GNU's C library alone has the call.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
