"""Who answers whom, beside the messages: found by the linker, gone in one transaction with the words it was read from.

Triggers of the file see to that (`0009_links.sql`). No words in it: ids and how sure the linker was.
Not here: finding links (`linking`), and going over what waits (`memory/linking_pass`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import orjson

from sususbot.archive.database import Database, Row
from sususbot.messages import NOTE_TYPE

# A note answers nothing, and nothing answers it.
_SPOKEN: Final = f"remembered.type <> {NOTE_TYPE}"
_WITHOUT: Final = f"{_SPOKEN} AND NOT EXISTS (SELECT 1 FROM links WHERE message_id = remembered.id)"
_SAID: Final = f"""SELECT remembered.id, channel_id, author_id, display_name, created_at, rendered,
    coalesce(mentions, '[]'), reply_to, links.message_id IS NOT NULL, links.answers
    FROM remembered JOIN authors ON authors.id = author_id AND {_SPOKEN}
    LEFT JOIN links ON links.message_id = remembered.id"""
# Looked up message by message: `IN` would go through all that may be remembered, in every search.
_AROUND: Final = """WITH RECURSIVE
    hits (id) AS (SELECT message_id FROM links WHERE message_id IN (SELECT value FROM json_each(?1))),
    earlier (hit, id, step) AS (SELECT id, id, 0 FROM hits UNION ALL
        SELECT hit, answers, step + 1 FROM earlier JOIN links ON message_id = id
        WHERE step < ?2 AND answers IS NOT NULL),
    later (hit, id, step) AS (SELECT id, id, 0 FROM hits UNION ALL
        SELECT hit, message_id, step + 1 FROM later JOIN links ON answers = id WHERE step < ?2)
    SELECT DISTINCT hit, id FROM (SELECT * FROM earlier UNION ALL SELECT * FROM later) AS around
    WHERE EXISTS (SELECT 1 FROM remembered WHERE remembered.id = around.id) ORDER BY hit, id"""


class Said(NamedTuple):
    """A message that may be remembered, as linking reads it; `linked` says whether `answers` was found already."""

    id: int
    channel_id: int
    author_id: int
    speaker: str
    at: int
    text: str
    mentions: tuple[int, ...]
    reply_to: int | None
    linked: bool
    answers: int | None


class Found(NamedTuple):
    """A link to keep. `text` is what it was found for: a message that reads otherwise by now keeps waiting."""

    id: int
    text: str
    answers: int | None
    score: float


class Links:
    """The links of an archive."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def use_linker(self, name: str) -> int:
        """Say which linker is in use; links of another one are dropped. Gives how many were."""
        rows = self._database.rows("SELECT value FROM facts WHERE name = 'linker'")
        if rows and rows[0][0] == name:
            return 0
        with self._database.transaction():
            dropped = self._database.execute("DELETE FROM links")
            self._database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('linker', ?)", [name])
        return dropped

    def pending(self, limit: int, ids: Sequence[int] | None = None) -> list[Said]:
        """What waits for a link, channel by channel, oldest first. With `ids`, of these alone."""
        among = "" if ids is None else "AND remembered.id IN (SELECT value FROM json_each(?))"
        rows = self._database.rows(
            f"{_SAID} WHERE links.message_id IS NULL {among} ORDER BY channel_id, remembered.id LIMIT ?",
            [limit] if ids is None else [orjson.dumps(list(ids)).decode(), limit],
        )
        return [_said(row) for row in rows]

    def count_pending(self) -> int:
        return int(self._database.rows(f"SELECT count(*) FROM remembered WHERE {_WITHOUT}")[0][0])

    def before(self, channel_id: int, id_: int, count: int, *, after: int = 0) -> list[Said]:
        """The last `count` messages of a channel between two ids, oldest first."""
        rows = self._database.rows(
            f"""{_SAID} WHERE channel_id = ? AND remembered.id > ? AND remembered.id < ?
            ORDER BY remembered.id DESC LIMIT ?""",
            [channel_id, after, id_, count],
        )
        return [_said(row) for row in reversed(rows)]

    def put(self, found: Sequence[Found]) -> int:
        """Keep links; gives how many. A message edited, deleted or opted out since it was read gets none."""
        with self._database.transaction():
            return sum(
                self._database.execute(
                    """INSERT OR REPLACE INTO links (message_id, answers, score)
                    SELECT id, ?, ? FROM remembered WHERE id = ? AND rendered = ?""",
                    [one.answers, one.score, one.id, one.text],
                )
                for one in found
            )

    def count(self) -> int:
        return int(self._database.rows("SELECT count(*) FROM links")[0][0])

    def around(self, ids: Iterable[int], reach: int) -> dict[int, list[int]]:
        """What each of these goes on from and what goes on from it, so many steps each way, oldest first, and itself.

        Only what may be remembered; those that are not linked are left out.
        """
        found: dict[int, list[int]] = {}
        for hit, id_ in self._database.rows(_AROUND, [orjson.dumps(list(ids)).decode(), reach]):
            found.setdefault(hit, []).append(id_)
        return found

    def replies(self) -> Iterator[Said]:
        """All messages of the channels in which members reply to what may be remembered, in order."""
        sql = f"""{_SAID} WHERE channel_id IN (SELECT DISTINCT answer.channel_id FROM remembered AS answer
            JOIN remembered AS asked ON asked.id = answer.reply_to) ORDER BY channel_id, remembered.id"""
        for rows in self._database.chunks(sql, size=4096):
            yield from (_said(row) for row in rows)


def _said(row: Row) -> Said:
    id_, channel_id, author_id, speaker, at, text, mentions, reply_to, linked, answers = row
    return Said(
        id_, channel_id, author_id, speaker, at, text, tuple(orjson.loads(mentions)), reply_to, bool(linked), answers
    )
