"""DiscordChatExporter's JSON files, plain or gzipped: read as a stream, whatever their size.

Format (Tyrrrz/DiscordChatExporter, `JsonMessageWriter`): one object with `guild`, `channel`, `exportedAt`, then
`messages`, each of which begins with its `id` and `type`. A quote inside a JSON string is always escaped, so the
beginning of a message cannot occur inside a text: the stream is cut there and each piece is parsed on its own. A piece
that does not parse costs only itself; all others are whole, and its place in the file is known to the byte.
Not here: turning the exporter's objects into messages (`exported_message`), unpacking (`byte_stream`).
"""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.errors import NotAnExport
from sususbot.messages import Channel, Guild, Message, iso_ms
from sususbot.sources.byte_stream import ByteStream
from sususbot.sources.exported_message import MALFORMED, MessageReader, int64

# Messages to a transaction: large enough that commits do not count, small enough that a kill costs a second at most.
_BATCH: Final = 16_384
# A piece longer than this (Discord allows 2,000 characters and 10 embeds a message) is a file gone wrong.
_LONGEST: Final = 1 << 25
_START: Final = re.compile(rb'\{\s*"id"\s*:\s*"-?\d+"\s*,\s*"type"\s*:')
_MESSAGES: Final = re.compile(rb'"messages"\s*:\s*\[')
_BETWEEN: Final = re.compile(r"[\s,]*", re.ASCII)
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Fault:
    """A place where the file is not whole: its byte (of the unpacked text), the message's number from 1, and why."""

    byte: int
    number: int
    reason: str

    def __str__(self) -> str:
        return f"byte {self.byte:,}, message {self.number:,}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some messages, and how many bytes of the file on disk were read to get so far."""

    messages: list[Message]
    position: int


@dataclass(slots=True)
class DiscordExport:
    """One export file. `faults` is complete once `batches` is exhausted."""

    path: Path
    guild: Guild
    channel: Channel
    exported_at: int
    faults: list[Fault] = field(default_factory=list)
    _number: int = 0

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
            )
        except OSError as error:
            raise NotAnExport(f"{path} cannot be read ({error.strerror or error}): check the path") from error
        except MALFORMED as error:
            raise NotAnExport(
                f"{path} is not a DiscordChatExporter JSON file: export the channel again, as JSON"
            ) from error

    def batches(self) -> Iterator[Batch]:
        """All whole messages, in the order of the file."""
        reader = MessageReader(self.channel.id)
        messages: list[Message] = []
        with ByteStream(self.path) as stream:
            for start, item in self._objects(stream):
                try:
                    messages.append(reader.message(item))
                except MALFORMED as error:
                    self._fault(start, f"not a message ({type(error).__name__}: {error})")
                if len(messages) == _BATCH:
                    yield Batch(messages, stream.position)
                    messages = []
            yield Batch(messages, stream.position)

    def _objects(self, stream: ByteStream) -> Iterator[tuple[int, Any]]:
        """(byte, parsed object) of every object in the list of messages that is whole."""
        for start, piece, last in _pieces(stream):
            if not last:
                try:
                    item = orjson.loads(piece.rstrip(b" \t\r\n,"))
                except orjson.JSONDecodeError:
                    pass
                else:
                    self._number += 1
                    yield start, item
                    continue
            yield from self._salvage(start, piece, last=last)
        if stream.fault:
            self._fault(stream.length, stream.fault)

    def _salvage(self, start: int, piece: bytes, *, last: bool) -> Iterator[tuple[int, Any]]:
        """The whole objects of a piece that is more, or less, than one message."""
        text = piece.decode(errors="surrogateescape")
        at = _BETWEEN.match(text).end()  # type: ignore[union-attr]  # matches always
        byte = start + at
        while at < len(text) and not (last and text[at] == "]"):
            self._number += 1
            try:
                item, end = _DECODER.raw_decode(text, at)
                size = len(text[at:end].encode())
                # Escaped halves of surrogate pairs are valid JSON, but no text that can be stored.
                item = orjson.loads(json.dumps(item, ensure_ascii=False).encode(errors="replace"))
            except (ValueError, RecursionError):
                self._fault(byte, "cut off or garbled")
                return
            yield byte, item
            at = _BETWEEN.match(text, end).end()  # type: ignore[union-attr]
            byte += size + at - end
        if last:
            self._check_end(byte, text[at:])

    def _check_end(self, byte: int, end: str) -> None:
        """A whole file closes its list and says how many messages it holds (very old ones do not say)."""
        try:
            count = orjson.loads(f'{{"messages": [{end}').get("messageCount")
        except orjson.JSONDecodeError:
            self._fault(byte, "the end of the file is missing or garbled")
        else:
            if count not in (None, self._number):
                self._fault(byte, f"the file says that it holds {count} messages")

    def _fault(self, byte: int, reason: str) -> None:
        self.faults.append(Fault(byte, max(1, self._number), reason))


def _head(stream: ByteStream) -> dict[str, Any]:
    """Everything before the messages, as an object of its own."""
    text = b""
    while not (found := _MESSAGES.search(text)):
        chunk = stream.read()
        if not chunk or len(text) > _LONGEST:
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


def _pieces(stream: ByteStream) -> Iterator[tuple[int, bytes, bool]]:
    """What stands between the beginnings of messages: byte, text, and whether the list's end is in it."""
    buffer, base, begun = b"", 0, False
    while chunk := stream.read():
        searched = max(0, len(buffer) - 256)
        buffer += chunk
        if not begun and (found := _MESSAGES.search(buffer)):
            buffer, base, searched, begun = buffer[found.end() :], found.end(), 0, True
        if not begun:
            continue
        starts = [0, *(match.start() for match in _START.finditer(buffer, searched) if match.start())]
        for here, there in itertools.pairwise(starts):
            if buffer[here:there].strip():
                yield base + here, buffer[here:there], False
        buffer, base = buffer[starts[-1] :], base + starts[-1]
        if len(buffer) > _LONGEST:
            yield base, buffer, False
            buffer, base = b"", base + len(buffer)
    yield base, buffer, True
