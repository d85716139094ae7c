"""Mentions of the bot: which were taken, and how each ended, across restarts. So none is answered twice or lost.

A row holds no words and goes with its message. What Discord shows of a channel is the other half of the truth: of a
process that was killed between a reply and its record, only the reply in the channel tells.
**Invariant.** Up to the message that a channel was `heard` to, everything was heard live or read again, in this order:
so a process that is killed while it catches up goes on from there.
Not here: deciding what a mention gets (`bot`). Not dumped: it matters for minutes.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import orjson

from sususbot.archive.database import Database
from sususbot.messages import DISCORD_EPOCH_MS

How = Literal["reply", "sign", "merged", "deleted", "old"]
"""Answered; a reaction instead; answered together with a later line; gone before it was; found when it was too late."""

KEPT_MS: Final = 7 * 86_400_000


class Mentions:
    """The table of mentions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, message_id: int) -> bool:
        """Whether it was taken already, or is gone: deleted, expired, or taken away with its author."""
        rows = self._database.rows(
            """SELECT 1 FROM mentions WHERE message_id = ?1
            UNION ALL SELECT 1 FROM messages WHERE id = ?1 AND deleted_at IS NOT NULL
            UNION ALL SELECT 1 FROM deleted_unseen WHERE id = ?1 LIMIT 1""",
            [message_id],
        )
        return bool(rows)

    def take(self, message_id: int, channel_id: int) -> None:
        """It is in hand from now on; the caller is inside the transaction that keeps the message."""
        self._database.execute("INSERT OR IGNORE INTO mentions VALUES (?, ?, NULL)", [message_id, channel_id])

    def settle(self, ids: Sequence[int], how: How) -> None:
        """How they ended. The first word counts; those that are not there any more stay so."""
        self._database.execute(
            "UPDATE mentions SET how = ? WHERE how IS NULL AND message_id IN (SELECT value FROM json_each(?))",
            [how, _json(ids)],
        )

    def in_hand(self, channel_id: int) -> list[int]:
        """Those of a channel that were taken and have no end yet, oldest first."""
        rows = self._database.rows(
            "SELECT message_id FROM mentions WHERE channel_id = ? AND how IS NULL ORDER BY message_id", [channel_id]
        )
        return [row[0] for row in rows]

    def ended(self, ids: Iterable[int]) -> set[int]:
        """Those of these messages whose end is on record."""
        rows = self._database.rows(
            "SELECT message_id FROM mentions WHERE how IS NOT NULL AND message_id IN (SELECT value FROM json_each(?))",
            [_json(ids)],
        )
        return {row[0] for row in rows}

    def answered(self, ids: Sequence[int], own_id: int) -> set[int]:
        """Those of these messages that a kept message of the bot itself answers."""
        if not ids:
            return set()
        rows = self._database.rows(
            """SELECT reply_to FROM messages WHERE id > ? AND author_id = ? AND deleted_at IS NULL
            AND reply_to IN (SELECT value FROM json_each(?))""",
            [min(ids), own_id, _json(ids)],
        )
        return {row[0] for row in rows}

    def heard(self, channel_id: int) -> int | None:
        """The message that a channel was heard to; None where the bot never listened."""
        rows = self._database.rows("SELECT message_id FROM heard WHERE channel_id = ?", [channel_id])
        return rows[0][0] if rows else None

    def hear(self, channel_id: int, message_id: int) -> None:
        """Nothing up to this message is left to be read again."""
        self._database.execute(
            """INSERT INTO heard VALUES (?, ?)
            ON CONFLICT (channel_id) DO UPDATE SET message_id = max(message_id, excluded.message_id)""",
            [channel_id, message_id],
        )

    def ends(self) -> dict[How, int]:
        """How many of those still on record ended in which way."""
        return dict(self._database.rows("SELECT how, count(*) FROM mentions WHERE how IS NOT NULL GROUP BY how"))

    def drop(self, ids: Iterable[int]) -> None:
        """Leave no trace of them; the caller is inside a transaction."""
        self._database.execute(
            "DELETE FROM mentions WHERE message_id IN (SELECT value FROM json_each(?))", [_json(ids)]
        )

    def prune(self, *, now: int) -> int:
        """Let those go that were said (ms) more than a week before `now`; gives how many."""
        before = (now - KEPT_MS - DISCORD_EPOCH_MS) << 22
        return self._database.execute("DELETE FROM mentions WHERE message_id < ?", [before])


def _json(ids: Iterable[int]) -> str:
    return orjson.dumps(list(ids)).decode()
