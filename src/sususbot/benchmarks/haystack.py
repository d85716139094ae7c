"""An archive to search in: exports imported and indexed once, kept beside the data for the next run."""

import hashlib
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.archive.leaving_out import leave_out
from sususbot.benchmarks.multiplied import multiplied
from sususbot.memory.embedding import Embedder
from sususbot.memory.indexing import index
from sususbot.sources.formats import open_source
from sususbot.sources.ingest import ingest
from sususbot.sources.source import ChannelSeen, Messages

_SEED: Final = 20_261_122
_SHORTEST_QUESTION: Final = 20


def fill(archive: Archive, exports: Sequence[Path], limit: int | None = None, *, owner: Archive | None = None) -> None:
    """Import messages, at most `limit` of them, without what `owner`, the archive of the data folder, leaves out."""
    if owner is not None:
        leave_out(archive, owner)
    if limit is None:
        for path in exports:
            ingest(archive, path)
        return
    for path in exports:
        source = archive.add_source("export", path.name)
        for part in open_source(path).parts():
            match part:
                case ChannelSeen(guild, channel, origin, seen_at):
                    archive.add_channel(guild, channel, origin=origin, seen_at=seen_at)
                case Messages(messages, _, fetched_at):
                    archive.add(messages[:limit], source=source, fetched_at=fetched_at)
                    limit -= len(messages[:limit])


def haystack(
    folder: Path,
    exports: Sequence[Path],
    embedder: Embedder,
    progress: Callable[[int, int], None],
    owner: Archive | None = None,
) -> Archive:
    """The indexed archive of these exports, made on the first call; `owner` as for `fill`."""
    archive = Archive(_place(folder, exports))
    if archive.newest() is None:
        fill(archive, exports, owner=owner)
    elif owner is not None:
        leave_out(archive, owner)
    index(archive, embedder, progress)
    return archive


def larger(folder: Path, exports: Sequence[Path], messages: int | None, progress: Callable[[int, int], None]) -> Path:
    """Where an archive of `messages` stands: the haystack (which must be closed), or one made of it."""
    small = _place(folder, exports)
    with Archive(small) as archive:
        held = archive.counts().messages
    if messages is None or messages <= held:
        return small
    large = small.with_name(f"{small.name}-{messages}")
    if not large.exists():
        multiplied(small, large, messages, progress)
    return large


def copied(folder: Path, exports: Sequence[Path], target: Path) -> Path:
    """A copy of the haystack, which must be closed, in `target`."""
    shutil.copytree(_place(folder, exports), target, dirs_exist_ok=True)
    return target


def questions(archive: Archive, count: int) -> list[str]:
    """Real questions that were asked in the archive, the same ones in every run."""
    asked = sorted(
        {
            message.rendered
            for channel in archive.channels()
            for message in archive.window(channel.id, limit=1_000_000)
            if message.rendered.rstrip().endswith("?") and len(message.rendered) >= _SHORTEST_QUESTION
        }
    )
    return random.Random(_SEED).sample(asked, min(count, len(asked)))


def _place(folder: Path, exports: Sequence[Path]) -> Path:
    names = "\n".join(f"{path.name} {path.stat().st_size}" for path in exports)
    return folder / hashlib.sha256(names.encode()).hexdigest()[:12]
