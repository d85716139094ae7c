"""Discord's own data package: the zip that a member asks Discord for, with all that this one member wrote.

Folders are translated and renamed, so nothing is known by where it lies: a channel is a folder with a `channel.json`
beside a `messages.json` (or, in old packages, a `messages.csv`), and the account is a JSON object with an id and a
user name. Messages hold `ID`, `Timestamp`, `Contents` and `Attachments`: no replies, no reactions, nobody else's words.
Direct messages are nobody's server: they are left out and counted. The zip is not trusted: see `zip_file`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

import orjson

from sususbot.errors import NotAnExport
from sususbot.messages import DISCORD_EPOCH_MS, Author, Channel, Guild, Message, iso_ms
from sususbot.sources.csv_rows import CsvRows
from sususbot.sources.exported_message import MALFORMED, int64
from sususbot.sources.json_items import JsonItems, Shape
from sususbot.sources.raw_text import attachment_at, mentioned_ids, without_emoji_ids
from sususbot.sources.source import ChannelSeen, Fault, Part, batches
from sususbot.sources.zip_file import Entry, ZipFile

_COLUMNS: Final = ("ID", "Timestamp", "Contents", "Attachments")
_ITEM: Final = re.compile(rb'\{\s*"ID"\s*:\s*"?-?\d+"?\s*,')
_ROW: Final = re.compile(rb'^"?\d+"?,"?\d{4}-\d\d-\d\d[ T]', re.MULTILINE)
_SHAPE: Final = Shape(None, _ITEM, lambda text, _: None if text.strip() == "]" else "the end of the list is missing")
_LARGEST_OBJECT: Final = 1 << 26
_MOST_OBJECTS: Final = 500
_PRIVATE: Final = frozenset({"1", "3", "DM", "GROUP_DM"})
# Within a day a time and an id's time mean the same moment, whatever the time zone; the id has the milliseconds.
_DAY_MS: Final = 86_400_000


@dataclass(slots=True)
class Folder:
    """What belongs to one channel."""

    channels: list[Entry] = field(default_factory=list)
    messages: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class DataPackage:
    """One member's package."""

    path: Path
    author: Author
    seen_at: int
    faults: list[Fault] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    position: int = 0

    @staticmethod
    def recognises(head: bytes) -> bool:
        return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))

    @classmethod
    def open(cls, path: Path) -> "DataPackage":
        """Raises NotAnExport where the zip holds no messages or does not say whose they are."""
        with ZipFile(path) as zip_:
            if not any(folder.messages for folder in _folders(zip_).values()):
                raise NotAnExport(
                    f"{path} holds no messages as Discord's data package does: ask Discord for it again, with messages"
                )
            author = _author(zip_)
        if author is None:
            raise NotAnExport(
                f"{path} does not say whose messages it holds (its account/user.json is missing): "
                "ask Discord for the package again, with your account"
            )
        return cls(path, author, int(path.stat().st_mtime * 1000))

    def parts(self) -> Iterator[Part]:
        with ZipFile(self.path) as zip_:
            self.faults += zip_.faults
            for name, folder in _folders(zip_).items():
                if folder.messages:
                    yield from self._channel(zip_, name, folder)
            self.position = zip_.length

    def _channel(self, zip_: ZipFile, name: str, folder: Folder) -> Iterator[Part]:
        try:
            about = next(filter(None, (_object(zip_, entry) for entry in folder.channels)), {})
            channel_id, guild = int64(about["id"]), about.get("guild")
            private = "recipients" in about or str(about.get("type")) in _PRIVATE
            seen = None if private or not guild else _seen(about, guild, self.seen_at)
        except MALFORMED:
            self.faults.append(
                Fault(0, 1, "its channel.json is missing or broken: nobody can tell where this was said", "file", name)
            )
            return
        left_out = "direct messages" if private else "in channels of which the package does not name the server"
        for entry in folder.messages:
            messages = self._messages(zip_, entry, channel_id)
            if seen is None:
                self.skipped[left_out] += sum(1 for _ in messages)
            else:
                yield seen
                yield from batches(messages, "package", self.seen_at)

    def _messages(self, zip_: ZipFile, entry: Entry, channel_id: int) -> Iterator[Message]:
        stream = zip_.read(entry)
        rows: JsonItems | CsvRows
        if entry.name.lower().endswith(".json"):
            rows = JsonItems(stream, _SHAPE, entry.name)
        else:
            rows = CsvRows(stream, _ROW, len(_COLUMNS), entry.name)
        for byte, row in rows:
            self.position = stream.position
            try:
                fields = dict(zip(_COLUMNS, row, strict=True)) if isinstance(row, list) else row
                yield self._message(fields, channel_id)
            except MALFORMED as error:
                rows.fault(byte, f"not a message ({type(error).__name__}: {error})")
        self.faults += rows.faults

    def _message(self, item: dict[str, Any], channel_id: int) -> Message:
        """Raises one of MALFORMED when the object is not a message."""
        if isinstance(item["ID"], float):
            raise TypeError("the id was rounded")
        id_, written_at = int64(item["ID"]), iso_ms(item["Timestamp"])
        exact = (id_ >> 22) + DISCORD_EPOCH_MS
        content = item["Contents"] or ""
        if not isinstance(content, str):
            raise TypeError("Contents is not text")
        return Message(
            id=id_,
            channel_id=channel_id,
            author=self.author,
            created_at=exact if abs(exact - written_at) < _DAY_MS else written_at,
            content=content,
            rendered=without_emoji_ids(content),
            mentions=mentioned_ids(content),
            attachments=tuple(map(attachment_at, (item.get("Attachments") or "").split())),
        )


def _folders(zip_: ZipFile) -> dict[str, Folder]:
    """Folder -> its channel and messages, for every folder that has one of them."""
    folders: dict[str, Folder] = {}
    for entry in zip_.entries:
        parent, _, name = entry.name.rpartition("/")
        if name.lower() == "channel.json":
            folders.setdefault(parent, Folder()).channels.append(entry)
        elif name.lower() in ("messages.json", "messages.csv"):
            folders.setdefault(parent, Folder()).messages.append(entry)
    return folders


def _object(zip_: ZipFile, entry: Entry) -> dict[str, Any] | None:
    """A small JSON object, or None where there is none."""
    stream, text = zip_.read(entry), b""
    while (piece := stream.read()) and len(text) < _LARGEST_OBJECT:
        text += piece
    if stream.fault:
        return None
    try:
        found = orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _author(zip_: ZipFile) -> Author | None:
    """Whose package this is: the outermost object that has an id and a user name."""
    candidates = [
        entry
        for entry in zip_.entries
        if (path := PurePosixPath(entry.name.lower())).suffix == ".json"
        and path.name not in ("channel.json", "messages.json", "index.json")
    ]
    candidates.sort(key=lambda entry: (not entry.name.lower().endswith("user.json"), entry.name.count("/"), entry.name))
    for entry in candidates[:_MOST_OBJECTS]:
        found = _object(zip_, entry)
        try:
            if found and isinstance(found["username"], str):
                return Author(int64(found["id"]), found["username"], str(found.get("global_name") or found["username"]))
        except MALFORMED:
            continue
    return None


def _seen(about: dict[str, Any], guild: dict[str, Any], seen_at: int) -> ChannelSeen:
    of = Guild(int64(guild["id"]), str(guild["name"]))
    channel = Channel(int64(about["id"]), of.id, str(about.get("name") or about["id"]), str(about.get("type", 0)))
    return ChannelSeen(of, channel, "package", seen_at)
