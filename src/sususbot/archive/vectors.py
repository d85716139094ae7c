"""Embeddings beside their messages: written in the same file, gone in the same transaction as the words they stand for.

Kept as float16 (half the bytes; the rounding is smaller than that of the encoder), handed out as float32.
Not here: making them (`memory/embedding`) and searching them (`memory/vector_index`).
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from sususbot.archive.database import Database

Matrix = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

_CHUNK: Final = 4096
_WITHOUT: Final = "NOT EXISTS (SELECT 1 FROM vectors WHERE message_id = remembered.id)"


class Pending(NamedTuple):
    """A message that may be remembered and has no vector yet."""

    id: int
    speaker: str
    text: str


class Vectors:
    """The vectors of an archive."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def use_embedder(self, name: str) -> int:
        """Say which embedder is in use; vectors of another one are dropped. Gives how many were."""
        rows = self._database.rows("SELECT value FROM facts WHERE name = 'embedder'")
        if rows and rows[0][0] == name:
            return 0
        with self._database.transaction():
            dropped = self._database.execute("DELETE FROM vectors")
            self._database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('embedder', ?)", [name])
        return dropped

    def embedder(self) -> str | None:
        """The embedder that made the vectors, or None before the first."""
        rows = self._database.rows("SELECT value FROM facts WHERE name = 'embedder'")
        return rows[0][0] if rows else None

    def pending(self, limit: int, ids: Sequence[int] | None = None) -> list[Pending]:
        """What waits for a vector, oldest first. With `ids`, of these alone: that looks at no other message."""
        among = "" if ids is None else "AND remembered.id IN (SELECT value FROM json_each(?))"
        rows = self._database.rows(
            f"""SELECT remembered.id, display_name, rendered FROM remembered
            JOIN authors ON authors.id = remembered.author_id WHERE {_WITHOUT} {among}
            ORDER BY remembered.id LIMIT ?""",
            [limit] if ids is None else [orjson.dumps(list(ids)).decode(), limit],
        )
        return [Pending(*row) for row in rows]

    def count_pending(self) -> int:
        return int(self._database.rows(f"SELECT count(*) FROM remembered WHERE {_WITHOUT}")[0][0])

    def put(self, pending: Sequence[Pending], matrix: Matrix) -> list[int]:
        """Keep one row of `matrix` for each message, and give the ids that were kept.

        A message that was edited, deleted or opted out since it was read gets none: it stays pending, or is gone.
        """
        halves = matrix.astype(np.float16)
        with self._database.transaction():
            return [
                item.id
                for item, half in zip(pending, halves, strict=True)
                if self._database.execute(
                    """INSERT OR REPLACE INTO vectors (message_id, vector)
                    SELECT id, ? FROM remembered WHERE id = ? AND rendered = ?""",
                    [half.tobytes(), item.id, item.text],
                )
            ]

    def drop(self, ids: Sequence[int]) -> None:
        """Forget vectors; the caller is inside the transaction that changes their messages."""
        self._database.execute_many("DELETE FROM vectors WHERE message_id = ?", [(id_,) for id_ in ids])

    def without(self, ids: Sequence[int]) -> list[int]:
        """Those of these ids that have no vector."""
        rows = self._database.rows(
            "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT message_id FROM vectors)",
            [orjson.dumps(list(ids)).decode()],
        )
        return [row[0] for row in rows]

    def count(self) -> int:
        return int(self._database.rows("SELECT count(*) FROM vectors")[0][0])

    def load(self) -> "Loading":
        """All vectors that may be searched."""
        return Loading(self._database)


class Loading:
    """Message ids, channel ids and float32 rows, in pieces; read anew each time it is gone through."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def at_most(self) -> int:
        """How many rows may come, so that there is room for them at once."""
        return int(self._database.rows("SELECT count(*) FROM vectors")[0][0])

    def __iter__(self) -> Iterator[tuple[Ids, Ids, Matrix]]:
        sql = """SELECT remembered.id, channel_id, vector FROM vectors
            JOIN remembered ON remembered.id = message_id ORDER BY message_id"""
        for rows in self._database.chunks(sql, size=_CHUNK):
            ids, channels, blobs = zip(*rows, strict=True)
            matrix = np.frombuffer(b"".join(blobs), dtype=np.float16).reshape(len(rows), -1)
            yield np.array(ids, np.int64), np.array(channels, np.int64), matrix.astype(np.float32)
