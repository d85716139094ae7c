"""Export files into the archive, batch by batch: what was committed stays, whatever happens to the rest."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sususbot.archive.archive import Added, Archive
from sususbot.errors import NotAnExport
from sususbot.messages import Channel
from sususbot.sources.discord_export import DiscordExport, Fault

# Told after each batch: messages so far, bytes of the file read so far.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one file gave."""

    path: Path
    channel: Channel
    added: Added
    faults: tuple[Fault, ...]


def ingest(archive: Archive, path: Path, progress: Progress = lambda _messages, _bytes: None) -> Ingested:
    """Take a file in. Raises NotAnExport, and ArchiveError when it cannot be written.

    A file that is not whole is no error here: what is whole is taken in, and `faults` says what was not.
    """
    export = DiscordExport.open(path)
    archive.add_channel(export.guild, export.channel, origin="export", seen_at=export.exported_at)
    source = archive.add_source("export", path.name)
    added, count = Added(), 0
    try:
        with _collector_at_rest():
            for batch in export.batches():
                added += archive.add(batch.messages, source=source, fetched_at=export.exported_at)
                count += len(batch.messages)
                progress(count, batch.position)
    except OSError as error:
        raise NotAnExport(f"{path} can no longer be read ({error.strerror or error}): import it again") from error
    return Ingested(path, export.channel, added, tuple(export.faults))


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Messages make no reference cycles, but each batch of them would have the collector look at all again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
