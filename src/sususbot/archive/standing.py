"""How messages stand among members: their age and what they drew, without their words.

Ranking asks this of hundreds of candidates to read the few that win; a whole message costs four times as much.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import orjson

from sususbot.archive.database import Database, Row

_PINNED: Final = 2


class Standing(NamedTuple):
    """When a message was said (ms), and its reactions and replies, a pin counting as two of them.

    `lore`: the owner pinned it, too.
    """

    created_at: int
    engagement: int
    lore: bool = False


class Standings:
    """The standing of an archive's messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, ids: Iterable[int]) -> dict[int, Standing]:
        """By id; messages that are not known or were deleted are left out. Replies are Discord's own references."""
        rows = self._database.rows(
            """SELECT id, created_at, reactions, pinned, (SELECT count(*) FROM messages AS reply
                WHERE reply.reply_to = messages.id AND reply.deleted_at IS NULL),
                EXISTS (SELECT 1 FROM lore WHERE message_id = messages.id)
            FROM messages WHERE id IN (SELECT value FROM json_each(?)) AND deleted_at IS NULL""",
            [orjson.dumps(list(ids)).decode()],
        )
        return {row[0]: Standing(row[1], _engagement(row), bool(row[5])) for row in rows}


def _engagement(row: Row) -> int:
    _, _, reactions, pinned, replies, lore = row
    reacted = sum(count for _, count in orjson.loads(reactions)) if reactions else 0
    return int(reacted + replies + _PINNED * (pinned or lore))
