"""Who agreed to what: may a member's words be learned from, remembered, quoted?

Three answers a member, each with its date and the way it was given. A member's own last word beats what the owner
wrote down, and that beats the archive's mode: in `opt-out` and `all` silence is a yes, in `opt-in` it is a no.
To be quoted is to be remembered first. Mode and answers are read from the file each time, so that what one program
writes down holds in all of them at once. What others quote of a member goes by that member's answer (`quotes`).

Who said no to learning and to remembering is `refused`: nothing of their words has a purpose, and `forgetting` takes
them away; a yes lets them back in. Of a forgotten member only a yes of their own, said later, is heard at all.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

import orjson

from sususbot.archive.database import Database
from sususbot.archive.erasure import Erasure
from sususbot.archive.feedback import Feedback
from sususbot.archive.quotes import Quotes, columns
from sususbot.archive.summaries import Summaries
from sususbot.archive.withdrawn import Withdrawn
from sususbot.messages import LORE_TYPES

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

    def __init__(
        self,
        database: Database,
        erasure: Erasure,
        summaries: Summaries,
        feedback: Feedback,
        withdrawn: Withdrawn,
    ) -> None:
        self._database = database
        self._quotes = Quotes(database, summaries, feedback)
        self._erasure = erasure
        self._summaries = summaries
        self._feedback = feedback
        self._withdrawn = withdrawn
        for view in _VIEWS:
            database.execute(view)

    @property
    def mode(self) -> Mode:
        """What silence means."""
        rows = self._database.rows("SELECT value FROM facts WHERE name = 'consent'")
        mode: Mode = rows[0][0] if rows else "opt-out"
        return mode

    def set_mode(self, mode: Mode) -> None:
        """Kept in the file, so that every program that has it open agrees."""
        if mode != self.mode:
            with self._database.transaction():
                everybody = self._quotes.everybody()
                before = self._who_may("remember", everybody)
                self._database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('consent', ?)", [mode])
                self._drop_refused()
                self._turn(before, self._who_may("remember", everybody))

    def answers(self, author_id: int) -> Permissions:
        """What holds for a member, who need not be known."""
        rows = self._database.rows("SELECT learn, remember, quote FROM answers WHERE author_id = ?", [author_id])
        return _permissions(self._silence(), *(rows[0] if rows else (None, None, None)))

    def all_answers(self) -> dict[int, Permissions]:
        """What holds for each author of the archive, and for whoever said something."""
        rows = self._database.rows(
            """SELECT ids.id, learn, remember, quote
            FROM (SELECT id FROM authors UNION SELECT author_id FROM answers) AS ids
            LEFT JOIN answers ON author_id = ids.id ORDER BY ids.id"""
        )
        silence = self._silence()
        return {row[0]: _permissions(silence, *row[1:]) for row in rows}

    def refused(self) -> list[int]:
        """Who said no both to learning and to remembering, and whose words are not taken away yet."""
        rows = self._database.rows(
            f"""SELECT author_id FROM answers WHERE {_REFUSED} AND author_id NOT IN (SELECT author_id FROM erased)
            ORDER BY author_id"""
        )
        return [row[0] for row in rows]

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
            authors = self._heard({statement.author_id for statement in fresh})
            before = self._who_may("remember", authors)
            self._settle(authors)
            self._readmit(authors)
            self._drop_refused()
            self._turn(before, self._who_may("remember", authors))
        return len(fresh)

    def quotable(self, ids: Iterable[int]) -> dict[int, str]:
        """Those of these messages that may be repeated, and their words as they may."""
        return dict(
            self._database.rows(
                "SELECT id, rendered FROM quotable WHERE id IN (SELECT value FROM json_each(?))",
                [orjson.dumps(list(ids)).decode()],
            )
        )

    def depending_on(self, author_id: int) -> list[int]:
        """The messages whose words depend on a member's answers: what they said, and what quotes them."""
        said = self._database.rows("SELECT id FROM messages WHERE author_id = ?", [author_id])
        return sorted({*(row[0] for row in said), *self._quotes.of([author_id])})

    def hide_quotes_known_now(self, ids: Iterable[int]) -> None:
        """Whom these messages and replies to them quote is known now: what was made of quotes of who said no goes.

        The caller is inside the transaction that made it known.
        """
        # Asked with each batch, and mostly nobody did.
        somebody_said_no = "SELECT 1 FROM answers WHERE remember = 0 LIMIT 1"
        if (not self._silence() or self._database.rows(somebody_said_no)) and self._quotes.hide_known_now(ids):
            self._withdrawn.wear_index("unused")

    def statements(self) -> list[Statement]:
        """All that was ever said, oldest first."""
        rows = self._database.rows(
            "SELECT author_id, said_by, way, at, learn, remember, quote FROM consents ORDER BY at, id"
        )
        return [Statement(row[0], row[1], row[2], row[3], *map(_flag, row[4:])) for row in rows]

    def would_refuse(self, statements: Iterable[Statement]) -> list[int]:
        """Who would say no to learning and to remembering, if these were written down as well."""
        refused: list[int] = []
        with suppress(_Undone), self._database.transaction():
            self.add(statements)
            refused = self.refused()
            raise _Undone
        return refused

    def decided(self) -> dict[int, dict[Purpose, Statement]]:
        """The statement that each answer of each member rests on; what they were silent about has none."""
        decided: dict[int, dict[Purpose, Statement]] = {}
        for statement in self.statements():
            mine = decided.setdefault(statement.author_id, {})
            for purpose in PURPOSES:
                if getattr(statement, purpose) is None:
                    continue
                other = mine.get(purpose)
                if other is None or _weight(statement, purpose) > _weight(other, purpose):
                    mine[purpose] = statement
        return decided

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

    def _heard(self, author_ids: set[int]) -> set[int]:
        """Without the forgotten, unless they say yes to something again; whatever else is said of them is not kept."""
        forgotten = self._erasure.forgotten(author_ids)
        for author_id, at in forgotten.items():
            yes = "said_by = 'member' AND at > ? AND 1 IN (learn, remember, quote)"
            if self._database.rows(f"SELECT 1 FROM consents WHERE author_id = ? AND {yes} LIMIT 1", [author_id, at]):
                self._erasure.readmit(author_id)
            else:
                self._database.execute("DELETE FROM consents WHERE author_id = ?", [author_id])
        return author_ids - self._erasure.forgotten(author_ids).keys()

    def _readmit(self, author_ids: Iterable[int]) -> None:
        """Who said no to everything and now says yes to something may come back with the next import."""
        rows = self._database.rows(
            f"""SELECT author_id FROM answers JOIN erased USING (author_id)
            WHERE may_return AND NOT ({_REFUSED}) AND author_id IN (SELECT value FROM json_each(?))""",
            [orjson.dumps(sorted(author_ids)).decode()],
        )
        for (author_id,) in rows:
            self._erasure.readmit(author_id)

    def _drop_refused(self) -> None:
        """What may not be remembered has no vector either, and stands in no summary."""
        silence = int(self._silence())
        for table in ("vectors", "terms", "links"):
            self._database.execute(
                f"""DELETE FROM {table} WHERE message_id IN (SELECT messages.id FROM answers
                    JOIN messages ON messages.author_id = answers.author_id WHERE coalesce(remember, {silence}) = 0)
                OR NOT {silence} AND message_id IN (SELECT id FROM messages
                    WHERE author_id NOT IN (SELECT author_id FROM answers WHERE remember = 1))"""
            )
        self._summaries.drop_refused(silence=bool(silence))
        self._feedback.drop_refused_words(silence=bool(silence))

    def _turn(self, before: set[int], now: set[int]) -> None:
        """Others may be remembered now: quotes read otherwise, and of who said no a Chroma folder keeps vectors."""
        self._quotes.hide(before - now)
        self._quotes.show(now - before)
        if before - now:
            self._withdrawn.wear_index("now")

    def _silence(self) -> bool:
        return self.mode != "opt-in"

    def _who_may(self, purpose: Purpose, author_ids: Iterable[int]) -> set[int]:
        rows = self._database.rows(
            f"""SELECT ids.value FROM json_each(?) AS ids LEFT JOIN answers ON author_id = ids.value
            WHERE coalesce({purpose}, ?) AND ids.value NOT IN (SELECT author_id FROM erased)""",
            [orjson.dumps(list(author_ids)).decode(), self._silence()],
        )
        return {row[0] for row in rows}


class _Undone(Exception):
    """Rolls a transaction back."""


def _weight(said: Statement, purpose: Purpose) -> tuple[bool, int, bool]:
    """What beats what, as `_settle` has it: of two words at one moment the no."""
    return said.by == "member", said.at, not getattr(said, purpose)


def _permissions(silence: bool, learn: int | None, remember: int | None, quote: int | None) -> Permissions:
    given = [silence if answer is None else bool(answer) for answer in (learn, remember, quote)]
    return Permissions(given[0], given[1], given[1] and given[2])


_REFUSED: Final = "coalesce(learn, 1) = 0 AND coalesce(remember, 1) = 0"

# What silence means, asked once a query.
_SILENCE: Final = "(SELECT count(*) = 0 FROM main.facts WHERE name = 'consent' AND value = 'opt-in')"
_ASKED: Final = f"coalesce((SELECT {{}} FROM main.answers WHERE answers.author_id = messages.author_id), {_SILENCE})"

# What may be remembered and what may be quoted: one place decides, and every search asks it. `shown` and `learnable`
# hold all messages, and leave out only what they quote of members who said no to being remembered, or learned from.
_VIEWS: Final = (
    f"CREATE TEMP VIEW shown AS SELECT {columns('remember', _SILENCE)} FROM main.messages",
    f"CREATE TEMP VIEW learnable AS SELECT {columns('learn', _SILENCE)} FROM main.messages",
    f"""CREATE TEMP VIEW remembered AS SELECT {columns("remember", _SILENCE)} FROM main.messages
        JOIN main.authors ON authors.id = messages.author_id
        WHERE messages.type IN ({", ".join(map(str, sorted(LORE_TYPES)))})
            AND messages.deleted_at IS NULL
            AND messages.rendered <> ''
            AND NOT authors.is_bot
            AND {_ASKED.format("remember")}""",
    f"""CREATE TEMP VIEW quotable AS SELECT {columns("quote", _SILENCE)} FROM remembered AS messages
        WHERE {_ASKED.format("quote")}""",
)


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)
