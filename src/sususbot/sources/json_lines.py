"""Lines of JSON, plain or gzipped: what `sususbot dump` writes, and message objects as Discord's API shows them.

A dump names the `kind` of each line: `header`, `guild`, `channel`, `author`, `consent`, `message`, `tombstone`,
`deleted` (before it was ever seen), `erased`, `lore` (what the owner pinned), `feedback` (thumbs on replies). Guilds,
channels and authors stand before what refers to them; where such a line is lost, they are known by their id alone.
Lines of other tools are messages of the API with `guild_id` and `channel_id` added, perhaps with `fetched_at` (ms).
Every line is read on its own, so a broken one costs only itself. Not here: writing dumps (`dump_lines`).
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from sususbot.archive.consents import Statement
from sususbot.archive.feedback import Rated
from sususbot.errors import NotAnExport
from sususbot.messages import Attachment, Author, Channel, Guild, Message, Origin, Reaction
from sususbot.sources import source as limits
from sususbot.sources.byte_stream import ByteStream
from sususbot.sources.discord_api.api_message import MessageReader
from sususbot.sources.exported_message import MALFORMED, int64
from sususbot.sources.json_items import Stream, storable
from sususbot.sources.source import (
    LONGEST,
    AuthorSeen,
    ChannelSeen,
    Deleted,
    Erased,
    Fault,
    GuildSeen,
    Messages,
    NameSpan,
    Part,
    Pinned,
    Said,
    Thumb,
)

Json = dict[str, Any]

FORMAT: Final = "sususbot"
VERSION: Final = 1
_KINDS: Final = frozenset("header guild channel author consent message tombstone deleted erased lore feedback".split())
_ORIGINS: Final = frozenset({"api", "gateway", "export", "csv", "package", "jsonl"})
_BOM: Final = b"\xef\xbb\xbf"
_DECODER: Final = json.JSONDecoder()
# How often to look for something whole in a line that is not.
_TRIES: Final = 20
# So begins a DiscordChatExporter file, whatever lines stand in it.
_EXPORTER: Final = re.compile(rb'\s*\{\s*"guild"\s*:\s*\{')


class Seen(NamedTuple):
    """When and how messages were seen; those alike go to the archive together."""

    origin: Origin
    fetched_at: int
    state_at: int | None


@dataclass(slots=True)
class JsonLines:
    """One file of lines."""

    path: Path
    seen_at: int
    faults: list[Fault] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    position: int = 0
    _guilds: dict[int, Guild] = field(default_factory=dict)
    _channels: set[int] = field(default_factory=set)
    _authors: dict[int, Author] = field(default_factory=dict)
    _api: MessageReader = field(default_factory=lambda: MessageReader({}, {}))
    _messages: dict[Seen, list[Message]] = field(default_factory=lambda: defaultdict(list))
    _deleted: dict[int, int] = field(default_factory=dict)

    @staticmethod
    def recognises(head: bytes) -> bool:
        head = head.removeprefix(_BOM)
        return not _EXPORTER.match(head) and any(_is_ours(line) for line in head.split(b"\n")[:100])

    @classmethod
    def open(cls, path: Path) -> "JsonLines":
        """Raises NotAnExport where a newer program wrote the file."""
        with ByteStream(path) as stream:
            _, line = next(_lines(stream), (0, b""))
        header = _parsed(line)
        if isinstance(header, dict) and header.get("kind") == "header" and header.get("version") != VERSION:
            raise NotAnExport(f"{path} was written by a newer sususbot: update this one")
        return cls(path, int(path.stat().st_mtime * 1000))

    def parts(self) -> Iterator[Part]:
        waiting, number = 0, 0
        with ByteStream(self.path) as stream:
            for number, (byte, line) in enumerate(_lines(stream), 1):
                self.position = stream.position
                for item in self._items(byte, number, line):
                    try:
                        yield from self._parts_of(item)
                    except MALFORMED as error:
                        self._fault(byte, number, f"not what it should be ({type(error).__name__}: {error})")
                    waiting += 1
                if waiting >= limits.BATCH:
                    yield from self._settled()
                    waiting = 0
            yield from self._settled()
            if stream.fault:
                self._fault(stream.length, max(1, number), stream.fault)
            self.position = stream.position

    def _items(self, byte: int, number: int, line: bytes) -> Iterator[Json]:
        """The object of a line; of one that is no object, those that stand whole in it."""
        item = _parsed(line)
        if isinstance(item, dict):
            yield item
        elif line.strip():
            yield from _whole_objects(line)
            self._fault(byte, number, "cut off or garbled")

    def _fault(self, byte: int, number: int, reason: str) -> None:
        self.faults.append(Fault(byte, number, reason, "line"))

    def _settled(self) -> Iterator[Part]:
        """The messages that were gathered, then the deletions among them."""
        for seen, messages in self._messages.items():
            yield Messages(messages, *seen)
        if self._deleted:
            yield Deleted(self._deleted)
        self._messages.clear()
        self._deleted = {}

    def _parts_of(self, item: Json) -> Iterator[Part]:
        """What a line gives at once; messages are gathered. Raises one of MALFORMED."""
        match item.get("kind"):
            case None:
                yield from self._api_message(item)
            case "guild":
                guild = Guild(int64(item["id"]), text(item["name"]))
                self._guilds[guild.id] = guild
                yield GuildSeen(guild, _origin(item), int64(item["seen_at"]))
            case "channel":
                yield self._channel(item)
            case "author":
                yield self._author(item)
            case "consent":
                yield Said([_statement(item)])
            case "message" | "tombstone":
                yield from self._message(item)
            case "deleted":
                self._deleted[int64(item["id"])] = int64(item["deleted_at"])
            case "erased":
                # What an erased member left are tombstones, and those keep the time of their own deletion.
                yield from self._settled()
                yield Erased(int64(item["author_id"]), int64(item["erased_at"]), bool(item.get("may_return")))
            case "lore":
                yield from self._settled()
                yield Pinned(int64(item["id"]), int64(item["at"]))
            case "feedback":
                yield from self._settled()
                yield Thumb(_rated(item))
            case "header":
                pass
            case _:
                self.skipped["lines of an unknown kind"] += 1

    def _channel(self, item: Json) -> ChannelSeen:
        guild_id, parent = int64(item["guild_id"]), item.get("parent_id")
        channel = Channel(
            int64(item["id"]),
            guild_id,
            text(item["name"]),
            text(item["type"]),
            None if parent is None else int64(parent),
            None if item.get("topic") is None else text(item["topic"]),
        )
        seen = ChannelSeen(
            self._guilds.get(guild_id, Guild(guild_id, str(guild_id))), channel, _origin(item), int64(item["seen_at"])
        )
        self._channels.add(channel.id)
        return seen

    def _author(self, item: Json) -> AuthorSeen:
        author = Author(int64(item["id"]), text(item["name"]), text(item["display_name"]), bool(item.get("is_bot")))
        names = tuple(
            NameSpan(text(name), int64(first_at), int64(last_at)) for name, first_at, last_at in item.get("names", ())
        )
        seen = AuthorSeen(author, int64(item["named_at"]), names)
        # The names are told by this line: the messages only say who it was.
        self._authors[author.id] = Author(author.id, "", "", author.is_bot)
        return seen

    def _message(self, item: Json) -> Iterator[Part]:
        """Raises before anything is given, so that what is malformed leaves nothing behind."""
        author_id, state_at = int64(item["author_id"]), item.get("state_at")
        seen = Seen(_origin(item), int64(item["fetched_at"]), None if state_at is None else int64(state_at))
        author = self._authors.get(author_id) or Author(author_id, "", "")
        message = _message(item, author)
        if item["kind"] == "tombstone":
            self._deleted[message.id] = int64(item["deleted_at"])
        yield from self._known_channel(message.channel_id, 0)
        self._authors[author_id] = author
        self._messages[seen].append(message)

    def _api_message(self, item: Json) -> Iterator[Part]:
        if not item.get("guild_id"):
            self.skipped["messages of no server (without guild_id)"] += 1
            return
        message = self._api.message(item)
        guild_id, fetched_at = int64(item["guild_id"]), int64(item.get("fetched_at", self.seen_at))
        yield from self._known_channel(message.channel_id, guild_id)
        self._messages[Seen("jsonl", fetched_at, None)].append(message)

    def _known_channel(self, channel_id: int, guild_id: int) -> Iterator[Part]:
        """A channel that no line told of, with its id for a name: whatever else is known of it counts more."""
        if channel_id not in self._channels:
            self._channels.add(channel_id)
            channel = Channel(channel_id, guild_id, str(channel_id))
            yield ChannelSeen(Guild(guild_id, str(guild_id)), channel, "csv", 0)


def _lines(stream: Stream) -> Iterator[tuple[int, bytes]]:
    """(byte, line) of every line; one that is far too long comes in pieces."""
    buffer, base = b"", 0
    while chunk := stream.read():
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            yield base, line
            base += len(line) + 1
        if len(buffer) > LONGEST:
            yield base, buffer
            buffer, base = b"", base + len(buffer)
    if buffer:
        yield base, buffer


def _parsed(line: bytes) -> Any:
    """The value of a line, None where it is not JSON."""
    line = line.removeprefix(_BOM)
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        return storable(json.loads(line))
    except (ValueError, RecursionError):
        return None


def _whole_objects(line: bytes) -> Iterator[Json]:
    """What a lost line break, or something odd between two lines, left whole."""
    text = line.decode(errors="surrogateescape")
    at = -1
    for _ in range(_TRIES):
        if (at := text.find('{"', at + 1)) < 0:
            return
        try:
            item, end = _DECODER.raw_decode(text, at)
            item = storable(item)
        except (ValueError, RecursionError):
            continue
        if _says_what_it_is(item):
            yield item
        at = end - 1


def _is_ours(line: bytes) -> bool:
    return line.lstrip().startswith(b"{") and _says_what_it_is(_parsed(line))


def _says_what_it_is(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    kind = item.get("kind")
    return (isinstance(kind, str) and kind in _KINDS) or {"id", "channel_id", "author"} <= item.keys()


def _message(item: Json, author: Author) -> Message:
    edited_at, reply_to, content = item.get("edited_at"), item.get("reply_to"), text(item.get("content", ""))
    return Message(
        id=int64(item["id"]),
        channel_id=int64(item["channel_id"]),
        author=author,
        created_at=int64(item["created_at"]),
        content=content,
        rendered=text(item.get("rendered", content)),
        type=int64(item.get("type", 0)),
        edited_at=None if edited_at is None else int64(edited_at),
        reply_to=None if reply_to is None else int64(reply_to),
        pinned=bool(item.get("pinned")),
        mentions=tuple(map(int64, item.get("mentions", ()))),
        reactions=tuple(Reaction(text(emoji), int64(count)) for emoji, count in item.get("reactions", ())),
        attachments=tuple(
            Attachment(int64(id_), text(name), int64(size), text(url))
            for id_, name, size, url in item.get("attachments", ())
        ),
    )


def _statement(item: Json) -> Statement:
    if (by := item["by"]) not in ("member", "owner"):
        raise ValueError(f"{by} is nobody who can agree")
    answers = {purpose: item.get(purpose) for purpose in ("learn", "remember", "quote")}
    if any(answer not in (None, True, False) for answer in answers.values()):
        raise TypeError("an answer is neither yes nor no")
    return Statement(int64(item["author_id"]), by, text(item["way"]), int64(item["at"]), **answers)


def _rated(item: Json) -> Rated:
    rating, sampling = item["rating"], item["sampling"]
    if rating not in (-1, 1):
        raise ValueError(f"{rating!r} is no thumb")
    if any(not isinstance(value, int | float | None) for value in sampling.values()):
        raise TypeError("a knob is no number")
    return Rated(
        int64(item["at"]),
        rating,
        text(item.get("asked", "")),
        text(item.get("said", "")),
        text(item["engine"]),
        text(item.get("adapter", "")),
        sampling,
        tuple(map(int64, item.get("of", ()))),
    )


def _origin(item: Json) -> Origin:
    if (origin := item["origin"]) not in _ORIGINS:
        raise ValueError(f"{origin!r} is no origin")
    found: Origin = origin
    return found


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
