"""Raw rows of an archive, for whoever writes it out whole, and the one thing that only such a file tells: names.

Not here: what a line of a dump looks like (`sources/dump_lines`), all else that is written back (`archive`).
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from sususbot.archive.database import Database
from sususbot.messages import Author, Channel, Guild, Origin

_ROWS: Final = 8192
# One origin stands for all of its fidelity.
_ORIGIN: Final[tuple[Origin, ...]] = ("csv", "package", "export", "api")


class MessageRow(NamedTuple):
    """A message or a tombstone as it is kept; lists are JSON, None when empty."""

    id: int
    channel_id: int
    author_id: int
    type: int
    created_at: int
    edited_at: int | None
    deleted_at: int | None
    content: str
    rendered: str
    reply_to: int | None
    pinned: int
    mentions: str | None
    reactions: str | None
    attachments: str | None
    origin: Origin
    words_at: int
    fetched_at: int


class Dump:
    """Reads an archive whole, in an order that depends only on what it holds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def snapshot(self) -> AbstractContextManager[None]:
        """All that is read inside is of one moment."""
        return self._database.snapshot()

    def guilds(self) -> list[tuple[Guild, Origin, int]]:
        """Each with how and when (ms) it was last seen."""
        rows = self._database.rows("SELECT id, name, fidelity, seen_at FROM guilds ORDER BY id")
        return [(Guild(row[0], row[1]), _ORIGIN[row[2]], row[3]) for row in rows]

    def channels(self) -> list[tuple[Channel, Origin, int]]:
        """Each with how and when (ms) it was last seen."""
        rows = self._database.rows(
            "SELECT id, guild_id, name, type, parent_id, topic, fidelity, seen_at FROM channels ORDER BY id"
        )
        return [(Channel(*row[:6]), _ORIGIN[row[6]], row[7]) for row in rows]

    def authors(self) -> list[tuple[Author, int]]:
        """Each with when (ms) the present names were seen."""
        rows = self._database.rows("SELECT id, name, display_name, is_bot, named_at FROM authors ORDER BY id")
        return [(Author(row[0], row[1], row[2], bool(row[3])), row[4]) for row in rows]

    def names(self) -> dict[int, list[tuple[str, int, int]]]:
        """Author -> every name, and from when to when (ms) it was seen."""
        names: dict[int, list[tuple[str, int, int]]] = {}
        for author_id, *span in self._database.rows(
            "SELECT author_id, display_name, first_at, last_at FROM author_names ORDER BY author_id, display_name"
        ):
            names.setdefault(author_id, []).append((span[0], span[1], span[2]))
        return names

    def messages(self) -> Iterator[MessageRow]:
        """Every message and tombstone, by id; the whole never stands in memory."""
        sql = """SELECT messages.id, channel_id, author_id, type, created_at, edited_at, deleted_at, content, rendered,
            reply_to, pinned, mentions, reactions, attachments, origin, words_at, fetched_at
            FROM messages JOIN sources ON sources.id = source_id ORDER BY messages.id"""
        for rows in self._database.chunks(sql, size=_ROWS):
            yield from map(MessageRow._make, rows)

    def deleted_unseen(self) -> list[tuple[int, int]]:
        """Id and time of each message that was deleted before it ever came here."""
        rows = self._database.rows(
            "SELECT id, deleted_at FROM deleted_unseen WHERE id NOT IN (SELECT id FROM messages) ORDER BY id"
        )
        return [(row[0], row[1]) for row in rows]

    def put_author(self, author: Author, named_at: int, names: Sequence[tuple[str, int, int]]) -> None:
        """Know an author by all names ever carried. The names of a forgotten one stay away."""
        with self._database.transaction():
            if self._database.rows("SELECT 1 FROM erased WHERE author_id = ? AND NOT may_return", [author.id]):
                return
            self._database.execute(
                """INSERT INTO authors (id, name, display_name, is_bot, named_at) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET name = excluded.name, display_name = excluded.display_name,
                    is_bot = excluded.is_bot, named_at = excluded.named_at
                    WHERE (excluded.named_at, excluded.display_name, excluded.name) > (named_at, display_name, name)""",
                [author.id, author.name, author.display_name, author.is_bot, named_at],
            )
            self._database.execute_many(
                """INSERT INTO author_names (author_id, display_name, first_at, last_at) VALUES (?, ?, ?, ?)
                ON CONFLICT (author_id, display_name) DO UPDATE SET first_at = min(first_at, excluded.first_at),
                    last_at = max(last_at, excluded.last_at)""",
                [(author.id, *span) for span in names],
            )
