"""One small file of each format, and one chat told by all of them: what the tests of all sources run on."""

import csv
import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sususbot.messages import DISCORD_EPOCH_MS
from tests.sources.exports import NOON_MS, root, stored, written
from tests.sources.exports import item as exported_item
from tests.sources.exports import time as exported_time
from tests.sources.exports import user as exported_user

Json = dict[str, Any]

KITCHEN_CSV: Final = "Tea house - Rooms - kitchen [20].csv"
# When the files were made, where they do not say so themselves.
MADE_AT: Final = NOON_MS / 1000 + 90_000

TEXTS: Final = (
    "who has the kettle",
    'two lines,\nwith "quotes" and, commas',
    "tea 🫖 for all :pot:",
    "",
    "the pot is {empty}, [really]; \\",
    "123,2024-03-03 12:00:00,not a row,",
)


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the chat, before any format has it."""

    number: int
    text: str
    author: int = 101
    edited: bool = False

    @property
    def at(self) -> int:
        return NOON_MS + self.number * 60_000 + 123

    @property
    def id(self) -> int:
        return ((self.at - DISCORD_EPOCH_MS) << 22) + self.number


@dataclass(frozen=True, slots=True)
class Sample:
    """A file in one format: the class that reads it, what it holds, and where each message stands (first byte, end).

    `spans` is None where messages are packed, so that they stand nowhere in the file.
    """

    reader: str
    content: bytes
    messages: int
    spans: tuple[tuple[int, int], ...] | None
    name: str = "export"


NAMES: Final = {101: ("mia", "Mia"), 102: ("tom", "Tom 🫖"), 103: ("ann", "Ann")}
CHAT: Final = tuple(Said(number, text, 101 + number % 2) for number, text in enumerate(TEXTS))


def iso(ms: int, places: int = 3) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}{'0' * (places - 3)}+00:00"


# -- DiscordChatExporter JSON


def as_export(chat: list[Said], *, at: float = 60 * 24, **changes: Any) -> bytes:
    messages = [
        exported_item(
            said.number,
            said.text,
            id=str(said.id),
            timestamp=iso(said.at),
            timestampEdited=iso(said.at + 5000) if said.edited else None,
            author=exported_user(said.author, NAMES[said.author][0], NAMES[said.author][1]),
        )
        for said in chat
    ]
    return written(root(messages, exportedAt=exported_time(at), **changes))


# -- DiscordChatExporter CSV


def as_csv(chat: list[Said], **changes: str) -> bytes:
    rows = [
        (str(said.author), NAMES[said.author][0], iso(said.at, 7), said.text, "", changes.get("reactions", ""))
        for said in chat
    ]
    lines = [",".join('"' + field.replace('"', '""') + '"' for field in row) for row in rows]
    return ("\r\n".join(["AuthorID,Author,Date,Content,Attachments,Reactions", *lines]) + "\r\n").encode()


# -- Discord's data package


def as_package(
    chat: list[Said],
    *,
    author: int = 101,
    compression: int = zipfile.ZIP_DEFLATED,
    old: bool = False,
    streamed: bool = False,
) -> bytes:
    """The package of one member; `old` as it was before 2023."""
    own = [said for said in chat if said.author == author]
    rows = [
        {"ID": said.id, "Timestamp": iso(said.at)[:19].replace("T", " "), "Contents": said.text, "Attachments": ""}
        for said in own
    ]
    about = {"id": "20", "type": "GUILD_TEXT", "name": "kitchen", "guild": {"id": "10", "name": "Tea house"}}
    files = {
        "Konto/user.json": {"id": str(author), "username": NAMES[author][0], "global_name": NAMES[author][1]},
        "Nachrichten/index.json": {"20": "kitchen in Tea house", "30": "Direct Message with tom"},
        "Nachrichten/c20/channel.json": about,
        f"Nachrichten/c20/messages.{'csv' if old else 'json'}": package_csv(rows) if old else rows,
        "Nachrichten/c30/channel.json": {"id": "30", "type": "DM", "recipients": ["101", "102"]},
        "Nachrichten/c30/messages.json": rows[:1],
    }
    return zipped(files, compression, streamed=streamed)


def package_csv(rows: list[Json]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["ID", "Timestamp", "Contents", "Attachments"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


class Pipe(io.BytesIO):
    """A zip file written into one cannot say beforehand how long its entries are."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def zipped(files: dict[str, Any], compression: int = zipfile.ZIP_DEFLATED, *, streamed: bool = False) -> bytes:
    out = Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as package:
        for name, content in files.items():
            text = content if isinstance(content, str | bytes) else json.dumps(content, ensure_ascii=False)
            package.writestr(zipfile.ZipInfo(name), text, compression)
    return out.getvalue()


# -- lines of JSON


def as_api(chat: list[Said], *, fetched_at: int = NOON_MS + 90_000_000) -> bytes:
    return lines(
        {
            "id": str(said.id),
            "type": 0,
            "guild_id": "10",
            "channel_id": "20",
            "author": {
                "id": str(said.author),
                "username": NAMES[said.author][0],
                "global_name": NAMES[said.author][1],
                "avatar": None,
            },
            "content": said.text,
            "timestamp": iso(said.at, 6),
            "edited_timestamp": iso(said.at + 5000, 6) if said.edited else None,
            "mentions": [],
            "attachments": [],
            "embeds": [],
            "pinned": False,
            "fetched_at": fetched_at,
        }
        for said in chat
    )


def as_dump(chat: list[Said], *, deleted: int | None = None, erased: int | None = None, at: int = 80_000_000) -> bytes:
    """A dump with everything in it; `deleted` is the number of a message that is gone."""
    head: list[Json] = [
        {"kind": "header", "format": "sususbot", "version": 1},
        {"kind": "guild", "id": "10", "name": "Tea house", "origin": "api", "seen_at": NOON_MS},
        {
            "kind": "channel", "id": "20", "guild_id": "10", "name": "kitchen", "type": "0", "origin": "api",
            "seen_at": NOON_MS,
        },
        *(
            {
                "kind": "author", "id": str(id_), "name": name, "display_name": display, "named_at": NOON_MS,
                "names": [[display, NOON_MS, NOON_MS]],
            }
            for id_, (name, display) in NAMES.items()
            if id_ != erased
        ),
        {"kind": "consent", "author_id": "102", "by": "member", "way": "test", "at": NOON_MS, "learn": False},
    ]  # fmt: skip
    body = [_dump_line(said, deleted, erased, at) for said in chat]
    tail: list[Json] = [{"kind": "deleted", "id": "4242", "deleted_at": NOON_MS}]
    if erased is not None:
        tail.append({"kind": "erased", "author_id": str(erased), "erased_at": NOON_MS})
    return lines([*head, *body, *tail])


def _dump_line(said: Said, deleted: int | None, erased: int | None, at: int) -> Json:
    place = {"id": str(said.id), "channel_id": "20", "author_id": str(said.author), "created_at": said.at}
    seen = {"origin": "api", "fetched_at": NOON_MS + at}
    if said.number == deleted or said.author == erased:
        return {"kind": "tombstone", **place, "deleted_at": NOON_MS, **seen}
    edit = {"edited_at": said.at + 5000} if said.edited else {}
    return {"kind": "message", **place, **edit, "content": said.text, **seen}


def lines(items: Any, *, ascii_only: bool = False) -> bytes:
    texts = (json.dumps(item, ensure_ascii=ascii_only, separators=(",", ":")) for item in items)
    return b"".join(text.encode() + b"\n" for text in texts)


# -- samples


def line_spans(content: bytes) -> tuple[tuple[int, int], ...]:
    """Where the lines that are messages begin, and the byte after their last but the line break."""
    spans, at = [], 0
    for line in content.splitlines(keepends=True):
        if b'"kind"' not in line or b'"kind":"message"' in line:
            spans.append((at, at + len(line) - 1))
        at += len(line)
    return tuple(spans)


def row_spans(content: bytes) -> tuple[tuple[int, int], ...]:
    starts = [at for at in range(len(content)) if content.startswith(b'\r\n"10', at)]
    ends = [*starts[1:], len(content) - 2]
    return tuple((start + 2, end) for start, end in zip(starts, ends, strict=True))


def packed_spans(content: bytes) -> tuple[tuple[int, int], ...]:
    """Where the messages of the channel begin and end in a package that is not compressed."""
    items, at = [], content.index(b"c20/messages.json")
    while (at := content.find(b'{"ID"', at)) >= 0 and at < content.index(b"c30/channel.json"):
        end = content.index(b'"Attachments": ""}', at) + len(b'"Attachments": ""}')
        items.append((at, end))
        at = end
    return tuple(items)


def object_spans(content: bytes) -> tuple[tuple[int, int], ...]:
    from tests.sources.exports import spans

    return tuple(spans(content))


def _sample(
    reader: str, content: bytes, spans: Callable[[bytes], tuple[tuple[int, int], ...]] | None, **more: Any
) -> Sample:
    return Sample(reader, content, **{"messages": len(CHAT), **more}, spans=spans(content) if spans else None)


_chat = list(CHAT)
_package = {"messages": sum(said.author == 101 for said in CHAT)}
FILES: Final = {
    "export": _sample("DiscordExport", as_export(_chat), object_spans, name="kitchen.json"),
    "csv": _sample("CsvExport", as_csv(_chat), row_spans, name=KITCHEN_CSV),
    "package": _sample("DataPackage", as_package(_chat), None, name="package.zip", **_package),
    "stored package": _sample(
        "DataPackage", as_package(_chat, compression=zipfile.ZIP_STORED), packed_spans, name="package.zip", **_package
    ),
    "streamed package": _sample("DataPackage", as_package(_chat, streamed=True), None, name="package.zip", **_package),
    "old package": _sample("DataPackage", as_package(_chat, old=True), None, name="package.zip", **_package),
    "dump": _sample("JsonLines", as_dump(_chat), line_spans, name="dump.jsonl"),
    "api": _sample("JsonLines", as_api(_chat), line_spans, name="api.jsonl"),
}


def made(folder: Path, content: bytes, name: str) -> Path:
    """A file as it was made at a certain time: some formats tell none."""
    path = stored(folder, content, name)
    os.utime(path, (MADE_AT, MADE_AT))
    return path


def mixed(folder: Path) -> list[Path]:
    """One chat in files that overlap and differ in what they know."""
    edited = [Said(said.number, f"{said.text}!", said.author, edited=True) for said in CHAT[2:4]]
    gone = 5
    contents = {
        "early.json": as_export(list(CHAT[:4]), at=60 * 20),
        "late.json": as_export([*CHAT[:2], *edited, *CHAT[4:]], at=60 * 30),
        KITCHEN_CSV: as_csv([*CHAT, Said(7, "only in the CSV", 103)]),
        "mia.zip": as_package([*CHAT, Said(8, "only in the package", 101)]),
        "tom.zip": as_package(list(CHAT), author=102, old=True),
        "api.jsonl": as_api([*edited, *CHAT[3:5], Said(9, "only in the API", 102)]),
        "dump.jsonl": as_dump([*CHAT[1:], Said(10, "only in the dump", 102)], deleted=gone),
    }
    return [made(folder, content, name) for name, content in contents.items()]
