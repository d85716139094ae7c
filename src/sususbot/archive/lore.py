"""What the owner pinned as lore: messages that search is to prefer, whoever reacted to them.

A pin is the owner's, not Discord's: no import and no look at the channel changes it. It goes with the words: of a
message that is deleted or erased none is left, and of one whose author may not be remembered it has no effect.
What a pin counts is decided where messages are ranked (`memory/long_term`).
"""

from collections.abc import Iterable
from typing import Final

import orjson

from sususbot.archive.database import Database
from sususbot.messages import Audience

# Looked up pin by pin: a join would go through all messages, since SQLite cannot know how few the pins are.
_REMEMBERED: Final = "EXISTS (SELECT 1 FROM remembered WHERE remembered.id = message_id {})"


class Lore:
    """The pins of an archive."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pin(self, message_id: int, *, at: int) -> bool:
        """Prefer a message from now (ms) on; gives whether it is preferred: not where it may not be remembered."""
        with self._database.transaction():
            self._database.execute(
                "INSERT OR IGNORE INTO lore (message_id, at) SELECT id, ? FROM remembered WHERE id = ?",
                [at, message_id],
            )
            return message_id in self.pinned([message_id])

    def unpin(self, message_id: int) -> bool:
        """Gives whether it was pinned."""
        return bool(self._database.execute("DELETE FROM lore WHERE message_id = ?", [message_id]))

    def pinned(self, ids: Iterable[int] | None = None) -> dict[int, int]:
        """Message id -> when it was pinned, the last first: of these, or of all, that may be remembered."""
        among = "" if ids is None else "AND message_id IN (SELECT value FROM json_each(?))"
        rows = self._database.rows(
            f"""SELECT message_id, at FROM lore WHERE {_REMEMBERED.format("")} {among}
            ORDER BY at DESC, message_id DESC""",
            [] if ids is None else [orjson.dumps(list(ids)).decode()],
        )
        return dict(rows)

    def among(self, audience: Audience) -> list[int]:
        """The pinned messages of these channels. Every search asks: of a few pins, it takes some microseconds."""
        here = "" if audience is None else "AND channel_id IN (SELECT value FROM json_each(?))"
        rows = self._database.rows(
            f"SELECT message_id FROM lore WHERE {_REMEMBERED.format(here)}",
            [] if audience is None else [orjson.dumps(list(audience)).decode()],
        )
        return [row[0] for row in rows]

    def move(self, ids: Iterable[tuple[int, int]]) -> None:
        """Pins of messages that are known by another id from now on: (old, new); inside the caller's transaction."""
        self._database.execute_many("UPDATE OR REPLACE lore SET message_id = ?2 WHERE message_id = ?1", list(ids))
