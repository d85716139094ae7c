"""DiscordChatExporter's JSON files, plain or gzipped: read as a stream, whatever their size.

Format (Tyrrrz/DiscordChatExporter, `JsonMessageWriter`): one object with `guild`, `channel`, `exportedAt`, then
`messages`, each of which begins with its `id` and `type`, then `messageCount`, by which a finished file is known.
Not here: turning the exporter's objects into messages (`exported_message`), cutting the list (`json_items`).
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.errors import NotAnExport
from sususbot.messages import Channel, Guild, Message, iso_ms
from sususbot.sources.byte_stream import ByteStream
from sususbot.sources.exported_message import MALFORMED, MessageReader, int64
from sususbot.sources.json_items import JsonItems, Shape
from sususbot.sources.source import LONGEST, ChannelSeen, Fault, Part, batches

_MESSAGES: Final = re.compile(rb'"messages"\s*:\s*\[')
_START: Final = re.compile(rb'\{\s*"id"\s*:\s*"-?\d+"\s*,\s*"type"\s*:')
_ROOT: Final = re.compile(rb'\s*\{.*?"(?:guild|messages)"\s*:', re.DOTALL)


@dataclass(slots=True)
class DiscordExport:
    """One export file, of one channel or a part of it."""

    path: Path
    guild: Guild
    channel: Channel
    exported_at: int
    # Where other programs sorted the keys, it stands before the messages.
    message_count: object = None
    faults: list[Fault] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    position: int = 0

    @staticmethod
    def recognises(head: bytes) -> bool:
        return _ROOT.match(head) is not None

    @classmethod
    def open(cls, path: Path) -> "DiscordExport":
        """Read the head of a file. Raises NotAnExport."""
        try:
            with ByteStream(path) as stream:
                head = _head(stream)
            guild, channel, exported_at = head["guild"], head["channel"], head.get("exportedAt")
            return cls(
                path,
                Guild(int64(guild["id"]), str(guild["name"])),
                _channel(channel, int64(guild["id"])),
                # Old exporters do not say when; the file's own time is the best witness then.
                iso_ms(exported_at) if exported_at else int(path.stat().st_mtime * 1000),
                head.get("messageCount"),
            )
        except MALFORMED as error:
            raise NotAnExport(
                f"{path} does not say of which channel it is: export the channel again, as JSON"
            ) from error

    def parts(self) -> Iterator[Part]:
        yield ChannelSeen(self.guild, self.channel, "export", self.exported_at)
        yield from batches(self._messages(), "export", self.exported_at)

    def _messages(self) -> Iterator[Message]:
        reader = MessageReader(self.channel.id)
        with ByteStream(self.path) as stream:
            items = JsonItems(stream, Shape(_MESSAGES, _START, self._ending))
            self.faults = items.faults
            for byte, item in items:
                self.position = stream.position
                try:
                    yield reader.message(item)
                except MALFORMED as error:
                    items.fault(byte, f"not a message ({type(error).__name__}: {error})")
            self.position = stream.position

    def _ending(self, text: str, number: int) -> str | None:
        """A finished file closes its list and says how many messages it holds."""
        try:
            root = orjson.loads(f'{{"messages": [{text}')
        except orjson.JSONDecodeError:
            return "the end of the file is missing or garbled"
        count = root.get("messageCount", self.message_count)
        if count is None:
            return "the file does not say how many messages it holds, as a finished export does"
        return None if count == number else f"the file says that it holds {count} messages"


def _head(stream: ByteStream) -> dict[str, Any]:
    """Everything before the messages, as an object of its own."""
    text = b""
    while not (found := _MESSAGES.search(text)):
        chunk = stream.read()
        if not chunk or len(text) > LONGEST:
            raise ValueError("no list of messages")
        text += chunk
    head: dict[str, Any] = orjson.loads(text[: found.end()].removeprefix(b"\xef\xbb\xbf") + b"]}")
    return head


def _channel(channel: dict[str, Any], guild_id: int) -> Channel:
    # For a thread the exporter's "category" is the channel it belongs to.
    category = channel.get("categoryId")
    return Channel(
        int64(channel["id"]),
        guild_id,
        str(channel["name"]),
        str(channel.get("type", "GuildTextChat")),
        int64(category) if category else None,
        str(channel["topic"]) if channel.get("topic") else None,
    )
