"""Export files as DiscordChatExporter writes them: objects in its key order, indented or not; and a way to import them.

Key order: Tyrrrz/DiscordChatExporter, `JsonMessageWriter`.
"""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sususbot.archive.archive import Archive
from sususbot.messages import Message
from sususbot.sources.discord_export import DiscordExport
from sususbot.sources.ingest import Ingested, ingest
from sususbot.sources.source import Messages, Source

Json = dict[str, Any]

NOON = datetime(2024, 3, 3, 12, tzinfo=UTC)
NOON_MS = 1_709_467_200_000


def user(id_: int = 101, name: str = "mia", nickname: str | None = None, **changes: Any) -> Json:
    return {
        "id": str(id_),
        "name": name,
        "discriminator": "0000",
        "nickname": nickname or name.capitalize(),
        "color": None,
        "isBot": False,
        "roles": [],
        "avatarUrl": f"https://cdn.example/{id_}.png",
        **changes,
    }


def time(minute: float) -> str:
    return (NOON + timedelta(minutes=minute)).isoformat(timespec="milliseconds")


def item(number: int, content: str = "hello", **changes: Any) -> Json:
    """The exporter's object of one message; `number` gives its id and minute."""
    return {
        "id": str(1_213_800_000_000_000_000 + number * 251_658_240_000),
        "type": "Default",
        "timestamp": time(number),
        "timestampEdited": None,
        "callEndedTimestamp": None,
        "isPinned": False,
        "content": content,
        "author": user(),
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        "mentions": [],
        "inlineEmojis": [],
        **changes,
    }


def varied() -> list[Json]:
    """Five messages with everything that a message can have."""
    tom = user(102, "tom", "Tom 🫖")
    return [
        item(1, 'plain «tea» 🫖\nsecond line, "quoted" {\\}, [1, 2]'),
        item(
            2,
            "hi @Tom 🫖 :pot:",
            timestampEdited=time(9),
            isPinned=True,
            mentions=[tom],
            inlineEmojis=[{"id": "7", "name": "pot", "code": "pot", "isAnimated": False, "imageUrl": "https://e/7"}],
        ),
        item(
            3,
            "yes",
            type="Reply",
            author=tom,
            reference={"type": "Default", "messageId": item(2)["id"], "channelId": "20", "guildId": "10"},
        ),
        item(
            4,
            "",
            attachments=[{"id": "55", "url": "https://e/pot.png", "fileName": "pot.png", "fileSizeBytes": 1234}],
            reactions=[{"emoji": {"id": "", "name": "🫖", "code": "teapot"}, "count": 3, "users": [tom, user()]}],
        ),
        item(5, 'Mia said: {"id": "1", "type": "Default"}, "messages": [', author=user(103, "susu", isBot=True)),
    ]


def root(messages: list[Json], **changes: Any) -> Json:
    return {
        "guild": {"id": "10", "name": "Tea house", "iconUrl": "https://cdn.example/10.png"},
        "channel": {
            "id": "20",
            "type": "GuildTextChat",
            "categoryId": "15",
            "category": "Rooms",
            "name": "kitchen",
            "topic": 'all about "messages": [tea]',
        },
        "dateRange": {"after": None, "before": None},
        "exportedAt": time(60 * 24),
        "messages": messages,
        "messageCount": len(messages),
        **changes,
    }


def written(export: object, *, indent: int | str | None = 2, ascii_only: bool = False) -> bytes:
    separators = (",", ":") if indent is None else None
    return json.dumps(export, indent=indent, separators=separators, ensure_ascii=ascii_only).encode()


@cache
def spans(text: bytes) -> list[tuple[int, int]]:
    """The first byte of each message in a whole export, and the one after its last."""
    found = []
    decoder = json.JSONDecoder()
    at = text.index(b"[", text.index(b'\n  "messages": [' if b"\n" in text else b'"messages":[')) + 1
    while (at := text.find(b"{", at)) >= 0:
        # Offsets of characters, brought back to bytes.
        _, end = decoder.raw_decode(text[at:].decode())
        length = len(text[at:].decode()[:end].encode())
        found.append((at, at + length))
        at += length
    return found


def stored(folder: Path, content: bytes, name: str = "export.json") -> Path:
    path = folder / name
    # A new file, not an overwritten one: file systems hurry to write those to the disk.
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path


def parsed(path: Path) -> tuple[list[Message], DiscordExport]:
    """All messages of a file, and the export with its faults."""
    export = DiscordExport.open(path)
    return messages_of(export), export


def messages_of(source: Source) -> list[Message]:
    """All messages of a source, read to its end."""
    return [message for part in source.parts() if isinstance(part, Messages) for message in part.messages]


def imported(folder: Path, *paths: Path) -> list[Ingested]:
    """Import files into the archive of a folder; it must be whole afterwards."""
    with Archive(folder) as archive:
        done = [ingest(archive, path) for path in paths]
        assert archive.check() == []
    return done
