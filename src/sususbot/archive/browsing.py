"""The archive as its owner leafs through it: what may be remembered, a page at a time, and why the rest may not.

Pages are found by id, never by counting rows, so that the last page of a million messages comes as fast as the first.
Words are handed out only of what may be remembered; of everything else there are counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sususbot.archive.database import Database
from sususbot.messages import LORE_TYPES, NOTE_TYPE

_TYPES: Final = ", ".join(map(str, sorted(LORE_TYPES)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages: of a channel, of an author, said from `first` until before `end` (ms), pinned as lore, notes."""

    channel_id: int | None = None
    author_id: int | None = None
    first: int | None = None
    end: int | None = None
    lore: bool = False
    notes: bool = False


class Holdings(NamedTuple):
    """How many messages there are, each in one of these, and how far those that may be remembered are indexed.

    `refused`: their authors said no to being remembered; `members` of these there are. `withheld`: tombstones of who
    was erased; `deleted`: the other tombstones.
    """

    messages: int
    remembered: int
    refused: int
    members: int
    bots: int
    system: int
    wordless: int
    deleted: int
    withheld: int
    without_vector: int
    without_terms: int
    without_link: int
    edited: int


class Browsing:
    """Reads an archive in pages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: Wanted, *, limit: int, before: int | None = None, after: int | None = None) -> list[int]:
        """The ids of a page, the newest first: the last that are older than `before`, or the first newer than `after`.

        Without either, the newest of all.
        """
        conditions, values = _conditions(wanted)
        sign, order, border = ("<", "DESC", before) if after is None else (">", "ASC", after)
        if border is not None:
            conditions.append(f"remembered.id {sign} ?")
            values.append(border)
        rows = self._database.rows(
            f"SELECT remembered.id FROM remembered {_where(conditions)} ORDER BY remembered.id {order} LIMIT ?",
            [*values, limit],
        )
        return sorted((row[0] for row in rows), reverse=True)

    def count(self, wanted: Wanted) -> int:
        """How many there are on all pages."""
        conditions, values = _conditions(wanted)
        return int(self._database.rows(f"SELECT count(*) FROM remembered {_where(conditions)}", values)[0][0])

    def speakers(self) -> list[tuple[int, str, int]]:
        """Whose words may be remembered: id, name, number of messages; who said most comes first."""
        rows = self._database.rows(
            """SELECT author_id, display_name, count(*) AS said FROM remembered
            JOIN authors ON authors.id = author_id GROUP BY author_id ORDER BY said DESC, author_id"""
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def places(self) -> list[tuple[int, str, int]]:
        """The channels in which something may be remembered: id, name, number of messages; the fullest first."""
        rows = self._database.rows(
            """SELECT channel_id, name, count(*) AS said FROM remembered
            JOIN channels ON channels.id = channel_id GROUP BY channel_id ORDER BY said DESC, channel_id"""
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def older(self, before: int) -> int:
        """How many messages with words were said before this moment (ms)."""
        rows = self._database.rows(
            "SELECT count(*) FROM messages WHERE created_at < ? AND deleted_at IS NULL", [before]
        )
        return int(rows[0][0])

    def waiting(self, limit: int) -> list[int]:
        """Ids of what waits for a vector, the newest first: examples."""
        rows = self._database.rows(
            """SELECT id FROM remembered WHERE id NOT IN (SELECT message_id FROM vectors)
            ORDER BY id DESC LIMIT ?""",
            [limit],
        )
        return [row[0] for row in rows]

    def holdings(self) -> Holdings:
        """Counted in one pass."""
        held = self._database.rows(_HOLDINGS)[0]
        return Holdings(*(int(count or 0) for count in held))

    def stamp(self) -> tuple[int, ...]:
        """Figures that change with every message, edit, deletion, reaction, answer and erasure."""
        return tuple(int(value or 0) for value in self._database.rows(_STAMP)[0])

    def answers_stamp(self) -> tuple[int, ...]:
        """Those of them that change with an answer or an erasure: asked in microseconds, however much there is."""
        return tuple(int(value or 0) for value in self._database.rows(f"SELECT {_ANSWERS_STAMP}")[0])

    def channels_with_pieces(self) -> list[int]:
        """Channels whose earlier talk was cut into pieces, the one that went on last first."""
        rows = self._database.rows("SELECT channel_id FROM pieces GROUP BY channel_id ORDER BY max(last_id) DESC")
        return [row[0] for row in rows]


def _conditions(wanted: Wanted) -> tuple[list[str], list[int]]:
    told = (
        ("remembered.channel_id = ?", wanted.channel_id),
        ("remembered.author_id = ?", wanted.author_id),
        ("remembered.created_at >= ?", wanted.first),
        ("remembered.created_at < ?", wanted.end),
    )
    conditions = [condition for condition, value in told if value is not None]
    values = [value for _, value in told if value is not None]
    if wanted.lore:
        conditions.append("remembered.id IN (SELECT message_id FROM lore)")
    if wanted.notes:
        conditions.append(f"remembered.type = {NOTE_TYPE}")
    return conditions, values


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


# One reason a message, the first that holds.
_REASON: Final = f"""CASE
    WHEN messages.deleted_at IS NOT NULL AND messages.author_id IN (SELECT author_id FROM erased) THEN 'withheld'
    WHEN messages.deleted_at IS NOT NULL THEN 'deleted'
    WHEN messages.type NOT IN ({_TYPES}) THEN 'system'
    WHEN is_bot THEN 'bots'
    WHEN messages.rendered = '' THEN 'wordless'
    WHEN remembered.id IS NULL THEN 'refused'
    ELSE 'remembered' END"""
_HOLDINGS: Final = f"""WITH told AS (SELECT {_REASON} AS reason, messages.author_id, messages.edited_at,
        messages.type, vectors.message_id AS vector, terms.message_id AS term, links.message_id AS link
    FROM messages JOIN authors ON authors.id = messages.author_id LEFT JOIN remembered ON remembered.id = messages.id
    LEFT JOIN vectors ON vectors.message_id = messages.id LEFT JOIN terms ON terms.message_id = messages.id
    LEFT JOIN links ON links.message_id = messages.id)
SELECT count(*), sum(reason = 'remembered'), sum(reason = 'refused'),
    count(DISTINCT CASE reason WHEN 'refused' THEN author_id END), sum(reason = 'bots'), sum(reason = 'system'),
    sum(reason = 'wordless'), sum(reason = 'deleted'), sum(reason = 'withheld'),
    sum(reason = 'remembered' AND vector IS NULL), sum(reason = 'remembered' AND term IS NULL),
    sum(reason = 'remembered' AND link IS NULL AND type <> {NOTE_TYPE}),
    sum(reason = 'remembered' AND vector IS NULL AND edited_at > 0)
    FROM told"""

_ANSWERS_STAMP: Final = """(SELECT count(*) FROM consents), (SELECT max(id) FROM consents),
    (SELECT count(*) FROM erased), (SELECT count(*) FROM facts WHERE name = 'consent' AND value = 'opt-in')"""
_STAMP: Final = f"""SELECT count(*), count(deleted_at), max(words_at), max(fetched_at), sum(words_at % 1000003),
    sum(length(rendered)), {_ANSWERS_STAMP} FROM messages"""
