"""Summaries beside the messages they were made of: written in the same file, gone in the same transaction.

The talk of a channel is cut into pieces, stretches of ids that stay where they are; what was made of a piece names
every message that went into it. Once one of these is edited, deleted, erased or may not be remembered any more, it is
dropped, and made anew of what is left.
Not here: making them (`memory/summarizer`), and where pieces begin and end (`memory/pieces`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import orjson

from sususbot.archive.database import Database


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a channel: the messages after `after_id`, up to and with `last_id`."""

    id: int
    channel_id: int
    after_id: int
    last_id: int


@dataclass(frozen=True, slots=True)
class Made:
    """What was made of a piece, by what, and of which messages."""

    text: str
    by: str
    of: frozenset[int]


# Of bots only our own lines are summed up.
_STILL_SO: Final = """SELECT 1 FROM shown JOIN authors ON authors.id = author_id
    WHERE shown.id = ?1 AND rendered = ?2 AND deleted_at IS NULL
    AND (is_bot OR EXISTS (SELECT 1 FROM remembered WHERE remembered.id = ?1))"""


class Summaries:
    """The pieces and summaries of an archive."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def spans(self, channel_id: int) -> list[Span]:
        """The pieces of a channel, oldest first."""
        rows = self._database.rows(
            "SELECT id, channel_id, after_id, last_id FROM pieces WHERE channel_id = ? ORDER BY last_id", [channel_id]
        )
        return [Span(*row) for row in rows]

    def cut(self, channel_id: int, borders: Sequence[int], *, kept: int) -> None:
        """Add the pieces between each border (an id) and the next, and let all but the newest `kept` go."""
        with self._database.transaction():
            self._database.execute_many(
                "INSERT INTO pieces (channel_id, after_id, last_id) VALUES (?, ?, ?)",
                [(channel_id, after, last) for after, last in pairwise(borders)],
            )
            self._database.execute(
                """DELETE FROM pieces WHERE channel_id = ?1 AND id NOT IN
                (SELECT id FROM pieces WHERE channel_id = ?1 ORDER BY last_id DESC LIMIT ?2)""",
                [channel_id, kept],
            )

    def made(self, channel_id: int) -> dict[int, Made]:
        """What was made of the pieces of a channel, by piece."""
        rows = self._database.rows(
            """SELECT pieces.id, text, made_by, json_group_array(message_id) FROM pieces
            JOIN summaries ON summaries.piece_id = pieces.id JOIN summary_messages USING (piece_id)
            WHERE channel_id = ? GROUP BY pieces.id""",
            [channel_id],
        )
        return {id_: Made(text, by, frozenset(orjson.loads(of))) for id_, text, by, of in rows}

    def put(self, piece_id: int, text: str, by: str, of: Sequence[tuple[int, str]]) -> bool:
        """Keep what was made of a piece; `of` are its messages' ids and words as they were read.

        Gives whether it was kept: not where meanwhile a message was changed or may not be remembered any more, or the
        piece was let go.
        """
        with self._database.transaction():
            still_so = all(self._database.rows(_STILL_SO, [message_id, words]) for message_id, words in of)
            if not still_so or not self._database.rows("SELECT 1 FROM pieces WHERE id = ?", [piece_id]):
                return False
            self._database.execute("DELETE FROM summaries WHERE piece_id = ?", [piece_id])
            self._database.execute("INSERT INTO summaries VALUES (?, ?, ?)", [piece_id, text, by])
            self._database.execute_many(
                "INSERT INTO summary_messages VALUES (?, ?)", [(piece_id, message_id) for message_id, _ in of]
            )
            return True

    def drop(self, ids: Iterable[int]) -> None:
        """Forget what was made of these messages; the caller is inside the transaction that changes them."""
        self._database.execute(
            """DELETE FROM summaries WHERE piece_id IN
            (SELECT piece_id FROM summary_messages WHERE message_id IN (SELECT value FROM json_each(?)))""",
            [orjson.dumps(list(ids)).decode()],
        )

    def drop_refused(self, *, silence: bool) -> None:
        """Forget what was made of messages that may not be remembered; `silence` says whether that means yes."""
        self._database.execute(
            """DELETE FROM summaries WHERE piece_id IN (SELECT piece_id FROM summary_messages
                JOIN messages ON messages.id = message_id JOIN authors ON authors.id = author_id
                LEFT JOIN answers USING (author_id) WHERE NOT is_bot AND NOT coalesce(remember, ?))""",
            [silence],
        )

    def clear(self, channel_id: int, *, up_to: int = 0) -> None:
        """From now on nothing that was said in a channel so far is in its window or summary.

        `up_to` is the id of this moment: what was said before it may still be on its way here.
        """
        with self._database.transaction():
            self._database.execute("DELETE FROM pieces WHERE channel_id = ?", [channel_id])
            self._database.execute(
                """INSERT OR REPLACE INTO cleared (channel_id, last_id)
                SELECT ?1, max(coalesce(max(id), 0), ?2) FROM messages WHERE channel_id = ?1 HAVING count(*) OR ?2""",
                [channel_id, up_to],
            )
        self._database.empty_log()

    def cleared(self, channel_id: int) -> int | None:
        """The last message that `clear` put out of sight, or None."""
        rows = self._database.rows("SELECT last_id FROM cleared WHERE channel_id = ?", [channel_id])
        return rows[0][0] if rows else None

    def uncut(self, channel_id: int) -> None:
        """Let all pieces of a channel go: it is cut anew."""
        self._database.execute("DELETE FROM pieces WHERE channel_id = ?", [channel_id])

    def channels_of(self, ids: Iterable[int]) -> list[int]:
        """The channels in which these messages are or were."""
        rows = self._database.rows(
            "SELECT DISTINCT channel_id FROM messages WHERE id IN (SELECT value FROM json_each(?))",
            [orjson.dumps(list(ids)).decode()],
        )
        return [row[0] for row in rows]

    def busiest(self, limit: int) -> list[int]:
        """The channels in which something was said last, the last first."""
        rows = self._database.rows(
            """SELECT id FROM (SELECT id, (SELECT max(id) FROM messages WHERE channel_id = channels.id) AS newest
            FROM channels) WHERE newest IS NOT NULL ORDER BY newest DESC LIMIT ?""",
            [limit],
        )
        return [row[0] for row in rows]
