"""DiscordChatExporter's CSV files, plain or gzipped: less than its JSON, but often all that is left.

Columns (Tyrrrz/DiscordChatExporter, `CsvMessageWriter`): AuthorID, Author, Date, Content, Attachments, Reactions, each
value quoted. There is no id of the message, no type, no reply, no list of mentions, and no channel: that is read from
the exporter's file name, `Guild - Category - channel [id] (after …) [part 2].csv`. Ids are made from time and content
(`derived_id`); where the archive knows the real message, that one counts, whichever came first (`archive/upsert`).
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from sususbot.errors import NotAnExport
from sususbot.messages import Author, Channel, Guild, Message, Reaction, iso_ms
from sususbot.sources.byte_stream import ByteStream
from sususbot.sources.csv_rows import CsvRows, header_of
from sususbot.sources.derived_id import DerivedIds
from sususbot.sources.exported_message import MALFORMED, int64
from sususbot.sources.raw_text import attachment_at, without_emoji_ids
from sususbot.sources.source import ChannelSeen, Fault, Part, batches

_COLUMNS: Final = ["AuthorID", "Author", "Date", "Content", "Attachments", "Reactions"]
# The exporter quotes every value; a spreadsheet that saved the file again does not.
_START: Final = re.compile(rb'^(?:"\d+","|\d{15,20},[^\n]{1,80},"?\d{4}-\d\d-\d\dT)', re.MULTILINE)
_CHANNEL_ID: Final = re.compile(r"(.*)\[(\d+)\]")
_REACTION: Final = re.compile(r"(?:^|,)(.+?) \((\d+)\)(?=,|$)")
_NEXT_URL: Final = re.compile(r",(?=https?://)")
# What the exporter calls the guild of messages that are on no server.
_NO_SERVER: Final = "Direct Messages"


class FileName(NamedTuple):
    """What an exporter's file name tells."""

    guild: Guild
    channel: Channel


@dataclass(slots=True)
class CsvExport:
    """One CSV file, of one channel or a part of it."""

    path: Path
    name: FileName
    seen_at: int
    faults: list[Fault] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    position: int = 0

    @staticmethod
    def recognises(head: bytes) -> bool:
        return header_of(head) == _COLUMNS

    @classmethod
    def open(cls, path: Path) -> "CsvExport":
        """Raises NotAnExport where the file's name does not say of which channel it is."""
        name = _file_name(path.name)
        if name is None:
            raise NotAnExport(
                f"{path.name} does not say of which channel it is: CSV files need the name that their exporter gave "
                'them, such as "Tea house - kitchen [123456789012345678].csv"'
            )
        return cls(path, name, int(path.stat().st_mtime * 1000))

    def parts(self) -> Iterator[Part]:
        yield ChannelSeen(self.name.guild, self.name.channel, "csv", self.seen_at)
        yield from batches(self._messages(), "csv", self.seen_at)

    def _messages(self) -> Iterator[Message]:
        reader = RowReader(self.name.channel.id)
        with ByteStream(self.path) as stream:
            rows = CsvRows(stream, _START, len(_COLUMNS))
            self.faults = rows.faults
            for byte, row in rows:
                self.position = stream.position
                try:
                    yield reader.message(row)
                except MALFORMED as error:
                    rows.fault(byte, f"not a message ({type(error).__name__}: {error})")
            self.position = stream.position


class RowReader:
    """Reads the rows of one channel; remembers authors, so that each is built once."""

    def __init__(self, channel_id: int) -> None:
        self._channel_id = channel_id
        self._authors: dict[tuple[str, str], Author] = {}
        self._derived = DerivedIds(channel_id)

    def message(self, row: list[str]) -> Message:
        """Raises one of MALFORMED when the row is not a message."""
        author_id, name, date, content, attachments, reactions = row
        author = self._authors.get((author_id, name))
        if author is None:
            author = self._authors[author_id, name] = Author(int64(author_id), name, name)
        created_at = iso_ms(date)
        return Message(
            id=self._derived.next(created_at, author.id, content),
            channel_id=self._channel_id,
            author=author,
            created_at=created_at,
            content=content,
            rendered=without_emoji_ids(content),
            reactions=tuple(Reaction(emoji, int64(count)) for emoji, count in _REACTION.findall(reactions)),
            attachments=tuple(map(attachment_at, _NEXT_URL.split(attachments))) if attachments else (),
        )


def _file_name(name: str) -> FileName | None:
    found = _CHANNEL_ID.match(name)
    if found is None or int(found[2]) >= 1 << 63:
        return None
    names = found[1].strip().split(" - ")
    guild_name = names[0] if len(names) > 1 else "unknown server"
    channel_name = names[-1] or found[2]
    guild = Guild(nameless_guild_id(guild_name), guild_name)
    return FileName(guild, Channel(int(found[2]), guild.id, channel_name))


def nameless_guild_id(name: str) -> int:
    """An id for a guild of which only the name is known: below zero, where Discord has none."""
    return 0 if name == _NO_SERVER else -1 - zlib.crc32(name.encode(errors="replace"))
