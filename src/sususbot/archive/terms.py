"""The words of messages as numbers, beside the messages: an index in memory is filled from them at every start.

What they mean is the business of who makes them (`memory/terms`). A row goes with the words it was made of: triggers
see to it, whichever way a message changes; who may not be remembered is not handed out.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from sususbot.archive.database import Database
from sususbot.archive.vectors import Ids

TermIds = npt.NDArray[np.uint32]

_CHUNK: Final = 16_384
_WITHOUT: Final = "NOT EXISTS (SELECT 1 FROM terms WHERE message_id = remembered.id)"
_COLUMNS: Final = "remembered.id, channel_id, author_id, created_at, traits, terms"


class Unread(NamedTuple):
    """A message that may be remembered and whose words are no numbers yet."""

    id: int
    text: str


class Read(NamedTuple):
    """What was made of it."""

    unread: Unread
    traits: int
    terms: TermIds


class TermRows(NamedTuple):
    """Messages of one or more channels: columns of equal length, and all their terms, one message's after another's."""

    ids: Ids
    channels: Ids
    authors: Ids
    times: Ids
    traits: npt.NDArray[np.uint8]
    lengths: npt.NDArray[np.int64]
    terms: TermIds


class Terms:
    """The terms of an archive."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def use_reader(self, name: str) -> None:
        """Say who makes the terms; those of another are dropped."""
        rows = self._database.rows("SELECT value FROM facts WHERE name = 'terms'")
        if rows and rows[0][0] == name:
            return
        with self._database.transaction():
            self._database.execute("DELETE FROM terms")
            self._database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('terms', ?)", [name])

    def pending(self, limit: int, ids: Sequence[int] | None = None) -> list[Unread]:
        """What waits, oldest first. With `ids`, of these alone: that looks at no other message."""
        among = "" if ids is None else "AND remembered.id IN (SELECT value FROM json_each(?))"
        rows = self._database.rows(
            f"SELECT remembered.id, rendered FROM remembered WHERE {_WITHOUT} {among} ORDER BY remembered.id LIMIT ?",
            [limit] if ids is None else [_listed(ids), limit],
        )
        return [Unread(*row) for row in rows]

    def count_pending(self) -> int:
        return int(self._database.rows(f"SELECT count(*) FROM remembered WHERE {_WITHOUT}")[0][0])

    def put(self, read: Iterable[Read]) -> None:
        """Keep terms; a message that was edited, deleted or opted out since it was read gets none."""
        with self._database.transaction():
            self._database.execute_many(
                """INSERT OR REPLACE INTO terms (message_id, traits, terms)
                SELECT id, ?, ? FROM remembered WHERE id = ? AND rendered = ?""",
                [(one.traits, one.terms.tobytes(), one.unread.id, one.unread.text) for one in read],
            )

    def without(self, ids: Sequence[int]) -> list[int]:
        """Those of these ids that have no terms."""
        rows = self._database.rows(
            "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT message_id FROM terms)", [_listed(ids)]
        )
        return [row[0] for row in rows]

    def load(self) -> Iterator[TermRows]:
        """All that may be searched, channel by channel, oldest first, in pieces."""
        sql = f"SELECT {_COLUMNS} FROM remembered JOIN terms ON message_id = remembered.id ORDER BY channel_id, 1"
        for rows in self._database.chunks(sql, size=_CHUNK):
            yield _piece(rows)

    def of(self, ids: Sequence[int]) -> TermRows:
        """The same of these alone."""
        return _piece(
            self._database.rows(
                f"""SELECT {_COLUMNS} FROM remembered JOIN terms ON message_id = remembered.id
                WHERE remembered.id IN (SELECT value FROM json_each(?)) ORDER BY channel_id, 1""",
                [_listed(ids)],
            )
        )


def _listed(ids: Sequence[int]) -> str:
    return orjson.dumps(list(ids)).decode()


def _piece(rows: Sequence[Sequence[object]]) -> TermRows:
    ids, channels, authors, times, traits, blobs = zip(*rows, strict=True) if rows else ((), (), (), (), (), ())
    return TermRows(
        np.array(ids, np.int64),
        np.array(channels, np.int64),
        np.array(authors, np.int64),
        np.array(times, np.int64),
        np.array(traits, np.uint8),
        np.array([len(blob) // 4 for blob in blobs], np.int64),
        np.frombuffer(b"".join(blobs), np.uint32),
    )
