"""Giving every message that may be remembered its vector: resumable, since what is pending is a query, not a state."""

import ctypes
import sys
from collections.abc import Callable
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.memory.embedding import Embedder, embedded_text

# Messages to a transaction: a kill loses no more than these few seconds of work.
_BATCH: Final = 512
# Messages that are looked at together for their lengths.
_READ: Final = 8192


def index(archive: Archive, embedder: Embedder, progress: Callable[[int, int], None] = lambda _done, _all: None) -> int:
    """Embed what is pending; give how many messages that were. `progress` is told (done, all)."""
    archive.vectors.use_embedder(embedder.name)
    everything = archive.vectors.count_pending()
    done = 0
    while waiting := archive.vectors.pending(_READ):
        # Texts of like length together: an encoder pads each batch to its longest.
        waiting.sort(key=lambda item: len(item.text))
        for pending in (waiting[start : start + _BATCH] for start in range(0, len(waiting), _BATCH)):
            matrix = embedder.embed([embedded_text(item.speaker, item.text) for item in pending])
            archive.vectors.put(pending, matrix)
            _give_memory_back()
            done += len(pending)
            progress(done, everything)
    return done


def _give_memory_back() -> None:
    """Return freed memory to the system: batches of every shape leave holes that the C library keeps otherwise.

    Over a whole server's history that is some hundred MB. GNU's C library alone has the call.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
