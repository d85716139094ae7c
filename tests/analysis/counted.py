"""An archive counted by other means than the analysis does: SQL over its rows, and the corpus's own cleaning."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from sususbot.analysis.activity import Clock
from sususbot.analysis.analysis import Analysis
from sususbot.analysis.statistics import analyze
from sususbot.archive.archive import Archive
from sususbot.corpus.clean import Cleaned, People, clean
from sususbot.corpus.tokens import Estimate
from tests.analysis.teahouse import ZED
from tests.archive.making import raw

BERLIN = ZoneInfo("Europe/Berlin")
WRITTEN = "type IN (0, 19) AND deleted_at IS NULL AND author_id IN (SELECT id FROM authors WHERE NOT is_bot)"


def analyzed(folder: Path, zone: str = "Europe/Berlin") -> Analysis:
    with Archive(folder) as archive:
        return analyze(archive, Clock(zone), Estimate())


def one(folder: Path, sql: str) -> Any:
    return raw(folder, f"SELECT {sql}")[0][0]


def rows(folder: Path) -> list[dict[str, Any]]:
    """The messages that members wrote, in the order of their channels."""
    names = ("id", "channel_id", "author_id", "created_at", "content", "rendered", "reply_to", "mentions", "reactions")
    found = raw(folder, f"SELECT {', '.join(names)} FROM messages WHERE {WRITTEN} ORDER BY channel_id, id")
    return [
        dict(zip(names, row, strict=True))
        | {key: orjson.loads(row[names.index(key)] or "[]") for key in ("mentions", "reactions")}
        for row in found
    ]


def cleaned_as_a_corpus(archive: Archive) -> Iterator[Cleaned]:
    """With the name of who refused as `someone`."""
    names = {id_: author.display_name for id_, author in archive.authors().items()}
    return clean(archive.history(), people=People(names, {ZED.id: archive.names()[ZED.id]}))


def local(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, BERLIN)
