"""Sources into the archive, part by part: what was committed stays, whatever happens to the rest."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sususbot.archive.archive import Archive
from sususbot.archive.long_pass import collector_at_rest
from sususbot.archive.upsert import Added
from sususbot.errors import NotAnExport
from sususbot.messages import Channel, Origin
from sususbot.sources import source as limits
from sususbot.sources.formats import open_source
from sususbot.sources.source import (
    AuthorSeen,
    ChannelSeen,
    Deleted,
    Erased,
    Fault,
    GuildSeen,
    Messages,
    Part,
    Pinned,
    Said,
    Source,
    Thumb,
)

# Told after each transaction: messages so far, bytes of the file read so far.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one file gave. `skipped` counts what is whole and was left out, by reason."""

    path: Path
    channels: tuple[Channel, ...]
    added: Added
    faults: tuple[Fault, ...]
    skipped: Counter[str]


@dataclass(slots=True)
class Survey:
    """What one file holds, for who wants to know before it is taken in."""

    path: Path
    channels: dict[int, Channel] = field(default_factory=dict)
    messages: int = 0
    authors: set[int] = field(default_factory=set)
    first_at: int | None = None
    last_at: int | None = None
    deleted: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    faults: tuple[Fault, ...] = ()


def ingest(archive: Archive, path: Path, progress: Progress = lambda _messages, _bytes: None) -> Ingested:
    """Take a file in. Raises NotAnExport, and ArchiveError when it cannot be written.

    Whom it names as erased is so on record afterwards, and no more: `Forgetting.resume` does the rest.
    A file that is not whole is no error here: what is whole is taken in, and `faults` says what was not.
    """
    source = open_source(path)
    writer = _Writer(archive, path.name)
    with collector_at_rest(), archive.bulk():
        for group in _groups(_parts(source)):
            writer.write(group)
            progress(writer.messages, source.position)
    return Ingested(path, tuple(writer.channels.values()), writer.added, tuple(source.faults), source.skipped)


def survey(path: Path, progress: Progress = lambda _messages, _bytes: None) -> Survey:
    """Read a file and write nothing. Raises NotAnExport."""
    source = open_source(path)
    found = Survey(path)
    for part in _parts(source):
        match part:
            case ChannelSeen(_, channel):
                found.channels[channel.id] = channel
            case Deleted():
                found.deleted += len(part.times)
            case Messages(messages):
                found.messages += len(messages)
                found.authors |= {message.author.id for message in messages}
                times = [message.created_at for message in messages]
                found.first_at = min(times if found.first_at is None else [found.first_at, *times])
                found.last_at = max(times if found.last_at is None else [found.last_at, *times])
        progress(found.messages, source.position)
    found.skipped, found.faults = source.skipped, tuple(source.faults)
    return found


class _Writer:
    """Writes parts, each kind its way."""

    def __init__(self, archive: Archive, name: str) -> None:
        self._archive = archive
        self._name = name
        self._sources: dict[Origin, int] = {}
        self.channels: dict[int, Channel] = {}
        self.messages = 0
        self.added = Added()

    def write(self, group: list[Part]) -> None:
        """All of a group or nothing."""
        with self._archive.together():
            for part in group:
                self._write(part)

    def _write(self, part: Part) -> None:
        match part:
            case Messages(messages, origin, fetched_at, state_at):
                source = self._source(origin)
                self.added += self._archive.add(messages, source=source, fetched_at=fetched_at, state_at=state_at)
                self.messages += len(messages)
            case ChannelSeen(guild, channel, origin, seen_at):
                self._archive.add_channel(guild, channel, origin=origin, seen_at=seen_at)
                self.channels[channel.id] = channel
            case GuildSeen(guild, origin, seen_at):
                self._archive.add_guild(guild, origin=origin, seen_at=seen_at)
            case AuthorSeen(author, named_at, names):
                spans = [(name.display_name, name.first_at, name.last_at) for name in names]
                self._archive.dump.put_author(author, named_at, spans)
            case Deleted(times):
                self._archive.delete_each(times)
            case Said(statements):
                self._archive.consents.add(statements)
            case Erased(author_id, at, may_return):
                self._begin_erasing(author_id, at, may_return=may_return)
            case Pinned(message_id, at):
                self._archive.lore.pin(message_id, at=at)
            case Thumb(rated):
                self._archive.feedback.restore(rated)

    def _begin_erasing(self, author_id: int, at: int, *, may_return: bool) -> None:
        """Only on record: while the names are known, other files can be searched for them (`forgetting`)."""
        erasure = self._archive.erasure
        known = erasure.withheld([author_id]) if may_return else erasure.forgotten([author_id])
        if not known:
            erasure.begin(author_id, at=at, may_return=may_return)

    def _source(self, origin: Origin) -> int:
        if origin not in self._sources:
            self._sources[origin] = self._archive.add_source(origin, self._name)
        return self._sources[origin]


def _parts(source: Source) -> Iterator[Part]:
    try:
        yield from source.parts()
    except OSError as error:
        raise NotAnExport(
            f"{source.path} can no longer be read ({error.strerror or error}): import it again"
        ) from error


def _groups(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """As many parts as suit a transaction: what a running bot saw, it saw message by message."""
    group: list[Part] = []
    messages = 0
    for part in parts:
        group.append(part)
        messages += len(part.messages) if isinstance(part, Messages) else 0
        if messages >= limits.BATCH or len(group) >= limits.BATCH:
            yield group
            group, messages = [], 0
    if group:
        yield group
