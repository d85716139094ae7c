"""What the tests of the archive are made of: a small community, messages in one line each, and a look at the rows."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from sususbot.archive.archive import FILE_NAME, Archive
from sususbot.archive.browsing import Wanted
from sususbot.archive.upsert import Added
from sususbot.messages import Author, Channel, Guild, Message

GUILD = Guild(10, "Tea house")
KITCHEN = Channel(20, GUILD.id, "kitchen")
GARDEN = Channel(21, GUILD.id, "garden")
MIA = Author(1, "mia", "Mia")
TOM = Author(2, "tom", "Tom")
SUSU = Author(8, "sususbot", "Susu", is_bot=True)
OTHER_BOT = Author(9, "weather", "Weather", is_bot=True)
NOON = 1_700_000_000_000


def message(id_: int, text: str = "hello", author: Author = MIA, *, channel: Channel = KITCHEN, **more: Any) -> Message:
    return Message(
        id=id_,
        channel_id=channel.id,
        author=author,
        created_at=NOON + id_ * 1000,
        content=text,
        rendered=text,
        **more,
    )


def filled(archive: Archive, *messages: Message, fetched_at: int = NOON) -> Added:
    """Add messages as one batch of one export."""
    for channel in (KITCHEN, GARDEN):
        archive.add_channel(GUILD, channel, origin="export", seen_at=fetched_at)
    return archive.add(messages, source=archive.add_source("export", "test.json"), fetched_at=fetched_at)


def found(archive: Archive, *words: str) -> list[int]:
    """Which messages that may be remembered hold one of these words, in order."""
    ids = archive.browsing.page(Wanted(), limit=10_000)
    wanted = {word.casefold() for word in words}
    return sorted(
        id_
        for id_, one in archive.messages(ids).items()
        if wanted.intersection(re.findall(r"\w+", one.rendered.casefold()))
    )


def raw(folder: Path, sql: str, parameters: Iterable[object] = ()) -> list[tuple[Any, ...]]:
    """Run SQL behind the archive's back, on a connection of its own."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        return connection.execute(sql, tuple(parameters)).fetchall()


def snapshot(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that an archive holds, except which file a row came from and when that was read."""
    columns = {
        "guilds": "id, name",
        "channels": "id, guild_id, name, type, parent_id, topic",
        "authors": "*",
        "author_names": "*",
        "messages": """id, channel_id, author_id, type, created_at, edited_at, deleted_at, content, rendered, reply_to,
            pinned, mentions, reactions, attachments, fetched_at""",
        "vectors": "*",
    }
    return {table: sorted(raw(folder, f"SELECT {what} FROM {table}"), key=repr) for table, what in columns.items()}


def python(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs a program and is spoken with in lines."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
