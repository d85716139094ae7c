"""Who agreed to what: may a member's words be learned from, remembered, quoted?

Three answers a member, each with its date and the way it was given. A member's own last word beats what the owner
wrote down, and that beats the archive's mode: in `opt-out` and `all` silence is a yes, in `opt-in` it is a no.
To be quoted is to be remembered first. Erasing what was said is `erasure`; this only decides about its use.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

import orjson

from sususbot.archive.database import Database
from sususbot.messages import WRITTEN_TYPES

Mode = Literal["opt-out", "opt-in", "all"]
Speaker = Literal["member", "owner"]
Purpose = Literal["learn", "remember", "quote"]

PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)


class Permissions(NamedTuple):
    """What holds for a member now."""

    learn: bool
    remember: bool
    quote: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that was said. `at` in ms; None: this purpose was not spoken of."""

    author_id: int
    by: Speaker
    way: str
    at: int
    learn: bool | None = None
    remember: bool | None = None
    quote: bool | None = None


class Consents:
    """The consents of an archive."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mode: Mode = "opt-out"
        self.refresh()

    @property
    def mode(self) -> Mode:
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """What silence means in this archive; kept in the file, so that every program that opens it agrees."""
        if mode != self.mode:
            with self._database.transaction():
                self._database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('consent', ?)", [mode])
                self._mode = mode
                self._drop_vectors()
            self.refresh()

    def refresh(self) -> None:
        """Read the mode anew, and make the views `remembered` and `quotable` of it."""
        rows = self._database.rows("SELECT value FROM facts WHERE name = 'consent'")
        self._mode = rows[0][0] if rows else "opt-out"
        for name, sql in _views(self._silence()).items():
            self._database.execute(f"DROP VIEW IF EXISTS temp.{name}")
            self._database.execute(sql)

    def answers(self, author_id: int) -> Permissions:
        """What holds for a member, who need not be known."""
        rows = self._database.rows("SELECT learn, remember, quote FROM answers WHERE author_id = ?", [author_id])
        return self._permissions(*(rows[0] if rows else (None, None, None)))

    def all_answers(self) -> dict[int, Permissions]:
        """What holds for each author of the archive, and for whoever said something."""
        rows = self._database.rows(
            """SELECT ids.id, learn, remember, quote
            FROM (SELECT id FROM authors UNION SELECT author_id FROM answers) AS ids
            LEFT JOIN answers ON author_id = ids.id"""
        )
        return {row[0]: self._permissions(*row[1:]) for row in rows}

    def may_learn(self, author_ids: Iterable[int]) -> set[int]:
        """Those of these members whose words may be trained on."""
        return self._who_may("learn", author_ids)

    def may_quote(self, author_ids: Iterable[int]) -> set[int]:
        """Those of these members whose words may be repeated as they are."""
        return self._who_may("quote", author_ids) & self._who_may("remember", author_ids)

    def say(
        self,
        author_id: int,
        *,
        by: Speaker,
        way: str,
        at: int,
        learn: bool | None = None,
        remember: bool | None = None,
        quote: bool | None = None,
    ) -> Permissions:
        """Write down an answer and give what holds now."""
        self.add([Statement(author_id, by, way, at, learn, remember, quote)])
        return self.answers(author_id)

    def add(self, statements: Iterable[Statement]) -> int:
        """Write answers down that were given at any time, in any order; known ones change nothing. Gives the new."""
        with self._database.transaction():
            fresh = [statement for statement in statements if self._insert(statement)]
            self._settle({statement.author_id for statement in fresh})
            self._drop_vectors()
        return len(fresh)

    def statements(self) -> list[Statement]:
        """All that was ever said, oldest first."""
        rows = self._database.rows(
            "SELECT author_id, said_by, way, at, learn, remember, quote FROM consents ORDER BY at, id"
        )
        return [Statement(row[0], row[1], row[2], row[3], *map(_flag, row[4:])) for row in rows]

    def _insert(self, said: Statement) -> bool:
        values = [said.author_id, said.by, said.way, said.at, said.learn, said.remember, said.quote]
        return bool(
            self._database.execute(
                """INSERT INTO consents (author_id, said_by, way, at, learn, remember, quote)
                SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM consents WHERE author_id = ?1
                    AND said_by = ?2 AND way = ?3 AND at = ?4 AND learn IS ?5 AND remember IS ?6 AND quote IS ?7)""",
                values,
            )
        )

    def _settle(self, author_ids: Iterable[int]) -> None:
        """Bring `answers` up to date: the member's own last word, else the owner's."""
        last = ", ".join(
            f"""(SELECT {purpose} FROM consents WHERE author_id = ids.value AND {purpose} IS NOT NULL
            ORDER BY said_by = 'member' DESC, at DESC, {purpose}, id LIMIT 1)"""
            for purpose in PURPOSES
        )
        self._database.execute(
            f"""INSERT OR REPLACE INTO answers (author_id, learn, remember, quote)
            SELECT ids.value, {last} FROM json_each(?) AS ids""",
            [orjson.dumps(sorted(author_ids)).decode()],
        )

    def _drop_vectors(self) -> None:
        """What may not be remembered has no vector either."""
        silence = int(self._silence())
        self._database.execute(
            f"""DELETE FROM vectors WHERE message_id IN (SELECT messages.id FROM answers
                JOIN messages ON messages.author_id = answers.author_id WHERE coalesce(remember, {silence}) = 0)
            OR NOT {silence} AND message_id IN (SELECT id FROM messages
                WHERE author_id NOT IN (SELECT author_id FROM answers WHERE remember = 1))"""
        )

    def _silence(self) -> bool:
        return self.mode != "opt-in"

    def _permissions(self, learn: int | None, remember: int | None, quote: int | None) -> Permissions:
        silence = self._silence()
        given = [silence if answer is None else bool(answer) for answer in (learn, remember, quote)]
        return Permissions(given[0], given[1], given[1] and given[2])

    def _who_may(self, purpose: Purpose, author_ids: Iterable[int]) -> set[int]:
        rows = self._database.rows(
            f"""SELECT ids.value FROM json_each(?) AS ids LEFT JOIN answers ON author_id = ids.value
            WHERE coalesce({purpose}, ?) AND ids.value NOT IN (SELECT author_id FROM erased)""",
            [orjson.dumps(list(author_ids)).decode(), self._silence()],
        )
        return {row[0] for row in rows}


def _views(silence: bool) -> dict[str, str]:
    """What may be remembered and what may be quoted: one place decides, and every search asks it."""
    asked = f"coalesce((SELECT {{}} FROM main.answers WHERE answers.author_id = messages.author_id), {int(silence)})"
    remembered = f"""CREATE TEMP VIEW remembered AS SELECT messages.* FROM main.messages
        JOIN main.authors ON authors.id = messages.author_id
        WHERE messages.type IN ({", ".join(map(str, sorted(WRITTEN_TYPES)))})
            AND messages.deleted_at IS NULL
            AND messages.rendered <> ''
            AND NOT authors.is_bot
            AND {asked.format("remember")}"""
    quotable = f"CREATE TEMP VIEW quotable AS SELECT * FROM remembered AS messages WHERE {asked.format('quote')}"
    return {"remembered": remembered, "quotable": quotable}


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)
