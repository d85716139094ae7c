"""How fast do exports become an archive, and what of it is the price of being idempotent, streamed and checked?

Bare minimum: each file read whole, parsed by orjson, and written by one `executemany` into a table with the archive's
columns and indexes. It turns no ids into names, keeps none of members and channels, can't be run twice, and must hold a
file and all its objects in memory.
"""

import gzip
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import orjson

from sususbot.archive.archive import Archive
from sususbot.benchmarks.report import Result, in_new_process, peak_rss_mb, startup_s, timed
from sususbot.sources.ingest import ingest

_ROUNDS: Final = 5
BARE: Final = "orjson on the whole file, executemany into a table with the archive's columns and indexes"
_LISTS: Final = ("mentions", "reactions", "attachments")
_TABLE: Final = (
    """CREATE TABLE messages (id INTEGER PRIMARY KEY, channel_id INTEGER, author_id INTEGER, type TEXT, created_at TEXT,
    edited_at TEXT, deleted_at TEXT, content TEXT, rendered TEXT, reply_to INTEGER, pinned INTEGER, mentions TEXT,
    reactions TEXT, attachments TEXT, source_id INTEGER, fetched_at INTEGER, words_at INTEGER)""",
    "CREATE INDEX messages_by_channel ON messages (channel_id, id)",
    "CREATE INDEX messages_by_author ON messages (author_id)",
    "CREATE INDEX messages_by_reply ON messages (reply_to) WHERE reply_to IS NOT NULL",
)


class Run(NamedTuple):
    messages: int
    seconds: float
    peak_rss_mb: float | None


def bench_import(exports: Sequence[Path], scratch: Path | None = None) -> Result:
    """Ours and the bare minimum in turns, each in a fresh process, written below `scratch`; medians."""
    ours: list[Run] = []
    bare: list[Run] = []
    for _ in range(_ROUNDS):
        ours.append(in_new_process(import_ours, exports, scratch))
        bare.append(in_new_process(import_bare, exports, scratch))
    speed = [run.messages / run.seconds for run in ours]
    bare_speed = [run.messages / run.seconds for run in bare]
    return Result(
        "import",
        {
            "messages": ours[0].messages,
            "messages_per_s": median(speed),
            "share_of_bare": median(mine / its for mine, its in zip(speed, bare_speed, strict=True)),
            "peak_rss_mb": max(run.peak_rss_mb or 0.0 for run in ours) or None,
            "startup_s": startup_s(),
        },
        {
            "messages": bare[0].messages,
            "messages_per_s": median(bare_speed),
            "peak_rss_mb": max(run.peak_rss_mb or 0.0 for run in bare) or None,
        },
        f"export files into a new archive, median of {_ROUNDS} runs",
        BARE,
    )


def import_ours(exports: Sequence[Path], scratch: Path | None = None) -> Run:
    with tempfile.TemporaryDirectory(dir=scratch) as folder, Archive(Path(folder)) as archive:
        results, seconds = timed(lambda: [ingest(archive, path) for path in exports])
    return Run(sum(result.added.new for result in results), seconds, peak_rss_mb())


def import_bare(exports: Sequence[Path], scratch: Path | None = None) -> Run:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        database = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        for statement in _TABLE:
            database.execute(statement)
        count, seconds = timed(lambda: sum(_write_bare(database, path) for path in exports))
        database.close()
    return Run(count, seconds, peak_rss_mb())


def _write_bare(database: sqlite3.Connection, path: Path) -> int:
    text = path.read_bytes()
    export = orjson.loads(gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text)
    # Rowids of its own: some real files hold messages without an id.
    first = database.execute("SELECT coalesce(max(id), 0) + 1 FROM messages").fetchone()[0]
    channel = int(export["channel"]["id"])
    rows = [(first + place, channel, *_bare_columns(item)) for place, item in enumerate(export["messages"])]
    database.execute("BEGIN")
    database.executemany(f"INSERT INTO messages VALUES ({', '.join('?' * 17)})", rows)
    database.execute("COMMIT")
    return len(rows)


def _bare_columns(item: dict[str, Any]) -> tuple[object, ...]:
    """A message as its export has it, in the order of the table's columns."""
    lists = [orjson.dumps(item[name]).decode() if item.get(name) else None for name in _LISTS]
    reply_to = int((item.get("reference") or {}).get("messageId") or 0) or None
    text = item["content"]
    when = item["timestamp"], item.get("timestampEdited"), None
    kind, pinned = item.get("type"), item.get("isPinned")
    return int(item["author"]["id"]), kind, *when, text, text, reply_to, pinned, *lists, 1, 0, 0
