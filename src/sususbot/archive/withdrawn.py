"""What members took back on Discord: messages deleted there, or with other words by now, and channels.

The old words may stand in what was made before (corpora, reports, a Chroma folder). So each message is put down in the
transaction that takes its words, and stays on record until nothing of the kind is left, whatever ends the program.
Not here: which files these are (`sususbot.forgetting`); words that expire, and those of the forgotten (`erasure`).
"""

import time
from collections.abc import Iterable
from typing import Final, Literal

import orjson

from sususbot.archive.database import Database
from sususbot.archive.nameless import NOBODY
from sususbot.messages import NOTE_TYPE, THREAD_TYPES, Channel

# Nothing takes longer to be made of messages.
_MAKING_MS: Final = 86_400_000

# When a Chroma folder that keeps vectors of what is gone is to go: at once, or when nobody has it open.
Due = Literal["now", "unused"]

_THREADS: Final = ", ".join(f"'{kind}'" for kind in sorted(THREAD_TYPES))
_WORN: Final = "worn_index"


class Withdrawn:
    """The table of what was taken back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, ids: Iterable[int]) -> None:
        """These lost their words, or have others; the caller is inside the transaction that does it."""
        # By this machine's clock, whatever a source says of when it happened.
        at = time.time_ns() // 1_000_000
        rows = [(id_, at) for id_ in ids]
        self._database.execute_many("INSERT OR REPLACE INTO withdrawn (message_id, noted_at) VALUES (?, ?)", rows)
        if rows:
            self.wear_index("unused")

    def messages(self) -> dict[int, int | None]:
        """Message -> its author, of all that were not settled yet."""
        return dict(
            self._database.rows(
                """SELECT message_id, author_id FROM withdrawn LEFT JOIN messages ON id = message_id
                WHERE done_at IS NULL"""
            )
        )

    def settle(self, ids: Iterable[int], *, at: int) -> None:
        """Nothing is left that was made of the old words."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE withdrawn SET done_at = ? WHERE message_id IN (SELECT value FROM json_each(?))",
                [at, orjson.dumps([*ids]).decode()],
            )
            self._database.execute("DELETE FROM withdrawn WHERE done_at < ?", [at - _MAKING_MS])

    def since(self, at: int, ids: Iterable[int]) -> bool:
        """Whether one of these was put down after this moment (ms), though it may be settled by now."""
        rows = self._database.rows(
            "SELECT 1 FROM withdrawn WHERE noted_at > ? AND message_id IN (SELECT value FROM json_each(?)) LIMIT 1",
            [at, orjson.dumps([*ids]).decode()],
        )
        return bool(rows)

    # -- the Chroma folder

    def wear_index(self, due: Due) -> None:
        """It keeps vectors that were deleted from it, so it is to go; what is due now stays so."""
        self._database.execute(
            """INSERT INTO facts (name, value) VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET value = min(value, excluded.value)""",
            [_WORN, due],
        )

    def index_due(self) -> Due | None:
        """When it is to go; None while it may stay."""
        rows = self._database.rows("SELECT value FROM facts WHERE name = ?", [_WORN])
        return rows[0][0] if rows else None

    def index_gone(self) -> None:
        """It is made anew."""
        self._database.execute("DELETE FROM facts WHERE name = ?", [_WORN])

    # -- channels

    def seen_channels(self) -> list[Channel]:
        """Channels with words that this program itself read or heard on Discord, whatever else was imported of them."""
        rows = self._database.rows(
            f"""SELECT id, guild_id, name, type, parent_id, topic FROM channels
            WHERE EXISTS (SELECT 1 FROM messages WHERE channel_id = channels.id AND deleted_at IS NULL
                AND type <> {NOTE_TYPE})
            AND (EXISTS (SELECT 1 FROM checkpoints WHERE channel_id = channels.id)
                OR EXISTS (SELECT 1 FROM messages JOIN sources ON sources.id = source_id
                    WHERE channel_id = channels.id AND origin IN ('api', 'gateway')))
            ORDER BY id"""
        )
        return [Channel(*row) for row in rows]

    def said_in(self, channel_id: int) -> list[int]:
        """What was said in a channel and its threads and is not deleted. Notes are not in the channel."""
        rows = self._database.rows(
            f"""SELECT id FROM messages WHERE channel_id IN
                (SELECT id FROM channels WHERE id = ?1 OR parent_id = ?1 AND type IN ({_THREADS}))
            AND deleted_at IS NULL AND type <> {NOTE_TYPE} ORDER BY id""",
            [channel_id],
        )
        return [row[0] for row in rows]

    def unname_channel(self, channel_id: int, *, fidelity: int, at: int) -> None:
        """What a channel that is gone and its threads were called goes with them.

        With the fidelity of Discord's own looks this is the last of them: no file tells of a later one, so no import
        brings the name back.
        """
        self._database.execute(
            f"""UPDATE channels SET name = '{NOBODY}', topic = NULL, fidelity = ?3, seen_at = max(seen_at, ?2)
            WHERE id = ?1 OR parent_id = ?1 AND type IN ({_THREADS})""",
            [channel_id, at, fidelity],
        )
        # A look at a channel is one at its guild: a dump that is read back says so, too.
        self._database.execute(
            """UPDATE guilds SET fidelity = ?3, seen_at = max(seen_at, ?2)
            WHERE id = (SELECT guild_id FROM channels WHERE id = ?1)""",
            [channel_id, at, fidelity],
        )
