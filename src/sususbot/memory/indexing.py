"""Giving every message that may be remembered its vector: resumable, since what is pending is a query, not a state."""

from collections.abc import Callable
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.memory.embedding import Embedder, embedded_text

# Messages to a transaction: a kill loses no more than these few seconds of work.
_BATCH: Final = 512


def index(archive: Archive, embedder: Embedder, progress: Callable[[int, int], None] = lambda _done, _all: None) -> int:
    """Embed what is pending; give how many messages that were. `progress` is told (done, all)."""
    archive.vectors.use_embedder(embedder.name)
    everything = archive.vectors.count_pending()
    done = 0
    while pending := archive.vectors.pending(_BATCH):
        matrix = embedder.embed([embedded_text(item.speaker, item.text) for item in pending])
        archive.vectors.put(pending, matrix)
        done += len(pending)
        progress(done, everything)
    return done
