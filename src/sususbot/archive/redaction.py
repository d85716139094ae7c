"""Redaction: the names and quotes of who is gone, taken out of what stays: lines of others, channels, files' names.

For good, unlike what `quotes` hides. A text that changes loses its vector and its summaries, which are made anew.
Not here: which texts of a message these are (`nameless`), what members said themselves (`erasure`).
"""

from collections.abc import Iterable

import orjson

from sususbot.archive.database import Database
from sususbot.archive.nameless import NOBODY, SOMEONE, named, nameless, without_quotes
from sususbot.archive.summaries import Summaries
from sususbot.archive.vectors import Vectors


class Redaction:
    """Changes what others said, and what channels, accounts and sources are called."""

    def __init__(self, database: Database, vectors: Vectors, summaries: Summaries) -> None:
        self._database = database
        self._vectors = vectors
        self._summaries = summaries

    def unname(self, author_id: int, names: list[str]) -> None:
        """Take a member's names out of what others said to them."""
        theirs = named(names)
        # "@alex" without an id may be another Alex.
        alone = named(
            [name for name in names if not self._shared(author_id, _lower(name), "lower")],
            exactly=[name for name in names if not self._shared(author_id, name)],
        )
        rows = self._database.rows(
            """SELECT id, content, rendered, type,
                EXISTS (SELECT 1 FROM json_each(mentions) WHERE value = ?1) AS mentioned
            FROM messages WHERE deleted_at IS NULL AND (mentioned OR EXISTS
                (SELECT 1 FROM json_each(?2)
                    WHERE instr(lower(rendered), '@' || value) OR instr(lower(content), '@' || value)))""",
            [author_id, orjson.dumps([_lower(name) for name in names]).decode()],
        )
        for id_, content, rendered, type_, mentioned in rows:
            texts = nameless(type_, content, rendered, [author_id]) if mentioned else (content, rendered)
            pattern = theirs if mentioned else alone
            self._replace(id_, (content, rendered), (pattern.sub(SOMEONE, texts[0]), pattern.sub(SOMEONE, texts[1])))

    def unsign(self, author_id: int, names: list[str]) -> None:
        """Take a member's names off their account, their talks with others, and the files that came from them."""
        self._database.execute("DELETE FROM author_names WHERE author_id = ?", [author_id])
        self._database.execute(
            "UPDATE authors SET name = '', display_name = ?, named_at = -1 WHERE id = ?", [NOBODY, author_id]
        )
        bears_name = "EXISTS (SELECT 1 FROM json_each(?) WHERE instr(lower({}), lower(value)))"
        bearers = [orjson.dumps(names).decode()]
        self._database.execute(
            f"UPDATE channels SET name = '{NOBODY}' WHERE type LIKE 'Direct%' AND {bears_name.format('name')}", bearers
        )
        self._database.execute(f"UPDATE sources SET name = '' WHERE {bears_name.format('name')}", bearers)

    def unquote(self, ids: Iterable[int], author_id: int | None = None) -> None:
        """Take quotes out of the answers to these messages, and to a member; the caller is inside a transaction."""
        rows = self._database.rows(
            """SELECT id, content, rendered FROM messages WHERE deleted_at IS NULL AND instr(content, '> ')
            AND (reply_to IN (SELECT value FROM json_each(?))
                OR EXISTS (SELECT 1 FROM json_each(mentions) WHERE value = ?))""",
            [_json(ids), author_id],
        )
        for id_, content, rendered in rows:
            self._replace(id_, (content, rendered), (without_quotes(content), without_quotes(rendered)))

    def unname_channels(self, ids: Iterable[int], *, source: int | None = None) -> None:
        """Take their names from these channels where those are words of who is gone; inside the caller's transaction.

        A post in a forum has the id of its first message, and its title is that member's words: it goes with the
        message, however that went. A direct talk is called after who is in it, as is, mostly, the file that it came
        from: `source`.
        """
        among = _json(ids)
        self._database.execute(
            f"""UPDATE channels SET name = '{NOBODY}', topic = NULL WHERE id IN (SELECT value FROM json_each(?))
            AND (EXISTS (SELECT 1 FROM messages WHERE messages.id = channels.id
                    AND (deleted_at IS NOT NULL OR author_id IN (SELECT author_id FROM erased)))
                OR type LIKE 'Direct%' AND EXISTS (SELECT 1 FROM messages JOIN erased USING (author_id)
                    WHERE messages.channel_id = channels.id AND NOT may_return))""",
            [among],
        )
        self._database.execute(
            f"""UPDATE sources SET name = '' WHERE id = ? AND EXISTS (SELECT 1 FROM channels
            WHERE name = '{NOBODY}' AND type LIKE 'Direct%' AND id IN (SELECT value FROM json_each(?)))""",
            [source, among],
        )

    def _replace(self, id_: int, before: tuple[str, str], after: tuple[str, str]) -> None:
        if after == before:
            return
        self._vectors.drop([id_])
        self._summaries.drop([id_])
        self._database.execute("UPDATE messages SET content = ?, rendered = ? WHERE id = ?", [*after, id_])
        self._database.empty_log()

    def _shared(self, author_id: int, name: str, as_: str = "") -> bool:
        """Whether others have this name too; `as_` is a function of SQLite to compare names by."""
        rows = self._database.rows(
            f"""SELECT 1 FROM author_names WHERE {as_}(display_name) = ?1 AND author_id <> ?2
            UNION SELECT 1 FROM authors WHERE ?1 IN ({as_}(name), {as_}(display_name)) AND id <> ?2""",
            [name, author_id],
        )
        return bool(rows)


def _json(ids: Iterable[int]) -> str:
    return orjson.dumps([*ids]).decode()


def _lower(name: str) -> str:
    """As SQLite's `lower` does it: letters beyond ASCII stay as they are."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)
