"""What the owner thought of replies: thumbs, kept with what was asked and said and with how it was said.

The words of a reply may be members' words, so each entry names the messages that it was made of. **Invariant.** Its
words are there only as long as every one of these is, unchanged and to be remembered; as no forgotten member is named
in them; and, of what an adapter said (which may have it from anybody it learned from), as long as nobody was forgotten
since. The thumb stays: it holds no words.
Not here: what is learned from it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import orjson

from sususbot.archive.database import Database, Row

Rating = Literal[-1, 1]

_FIELDS: Final = "at, rating, asked, said, engine, adapter, sampling"
_WORDLESS: Final = "UPDATE feedback SET asked = '', said = ''"


@dataclass(frozen=True, slots=True)
class Rated:
    """A reply and its thumb. `adapter` is "" where none was used; `of` are the ids of the messages it was made of.

    `at` is when it was said, in ms. `sampling` says how its words were drawn, the seed among it.
    """

    at: int
    rating: Rating
    asked: str
    said: str
    engine: str
    adapter: str = ""
    sampling: Mapping[str, float | int | None] = field(default_factory=dict)
    of: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Votes:
    """How many thumbs the replies of an engine with an adapter got."""

    engine: str
    adapter: str
    ups: int
    downs: int


class Feedback:
    """The table of thumbs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def restore(self, rated: Rated) -> None:
        """Take in what a dump tells, once."""
        with self._database.transaction():
            if self._database.rows("SELECT 1 FROM feedback WHERE (at, engine) = (?, ?)", [rated.at, rated.engine]):
                return
            self.put(rated)

    def put(self, rated: Rated) -> int:
        """Keep it and give its number; without its words where they may not be repeated any more."""
        of = sorted(set(rated.of))
        with self._database.transaction():
            words = [rated.asked, rated.said] if self.may_repeat(of, since=rated.at) else ["", ""]
            sampling = orjson.dumps(dict(rated.sampling), option=orjson.OPT_SORT_KEYS).decode()
            id_ = self._database.insert(
                f"INSERT INTO feedback ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [rated.at, rated.rating, *words, rated.engine, rated.adapter, sampling],
            )
            self._database.execute_many("INSERT INTO feedback_messages VALUES (?, ?)", [(id_, one) for one in of])
        return id_

    def may_repeat(self, of: Collection[int], *, since: int) -> bool:
        """Whether what was made of these messages at a moment (ms) may still be shown, kept and gone on from.

        Each of them is there as it was, and may be remembered; and nobody was erased since: whom it may name is not
        known here any more.
        """
        if self._database.rows("SELECT 1 FROM erased WHERE at >= ?1 OR finished_at >= ?1 LIMIT 1", [since]):
            return False
        there = self._database.rows(
            """SELECT count(*) FROM messages JOIN authors ON authors.id = author_id
            WHERE deleted_at IS NULL AND messages.id IN (SELECT value FROM json_each(?))
            AND coalesce(edited_at, 0) < ?
            AND (is_bot OR EXISTS (SELECT 1 FROM remembered WHERE remembered.id = messages.id))""",
            [_json(of), since],
        )[0][0]
        return bool(there == len(set(of)))

    def take_back(self, id_: int) -> None:
        """As if it had never been given."""
        self._database.execute("DELETE FROM feedback WHERE id = ?", [id_])

    def all(self) -> list[Rated]:
        """Oldest first; those whose words are gone have none."""
        rows = self._database.rows(
            f"""SELECT {_FIELDS}, (SELECT json_group_array(message_id) FROM feedback_messages WHERE feedback_id = id)
            FROM feedback ORDER BY at, id"""
        )
        return [_rated(row) for row in rows]

    def votes(self) -> list[Votes]:
        """By engine and adapter, whoever got most first."""
        rows = self._database.rows(
            """SELECT engine, adapter, sum(rating = 1), sum(rating = -1) FROM feedback
            GROUP BY engine, adapter ORDER BY count(*) DESC, engine, adapter"""
        )
        return [Votes(*row) for row in rows]

    def drop_adapters_words(self, *, until: int) -> None:
        """Whatever an adapter said up to somebody's wish (ms), from whom it may have learned.

        Not up to this moment: a dump tells of wishes that are older than its thumbs. Inside the caller's transaction.
        """
        self._database.execute(f"{_WORDLESS} WHERE adapter <> '' AND at <= ?", [until])

    def drop_words_about(self, names: Sequence[str]) -> None:
        """A member goes: words that name them; the caller is inside a transaction."""
        called = "|".join(re.escape(name) for name in names)
        pattern = re.compile(rf"(?<!\w)(?:{called})(?!\w)", re.IGNORECASE) if called else re.compile(r"(?!)")
        rows = self._database.rows("SELECT id, asked, said FROM feedback WHERE asked <> '' OR said <> ''")
        naming = [id_ for id_, asked, said in rows if pattern.search(asked) or pattern.search(said)]
        self._database.execute(f"{_WORDLESS} WHERE id IN (SELECT value FROM json_each(?))", [_json(naming)])

    def drop_refused_words(self, *, silence: bool) -> None:
        """Words made of messages that may not be remembered; `silence` says whether that means yes."""
        self._database.execute(
            f"""{_WORDLESS} WHERE id IN (SELECT feedback_id FROM feedback_messages
                JOIN messages ON messages.id = message_id JOIN authors ON authors.id = author_id
                LEFT JOIN answers USING (author_id) WHERE NOT is_bot AND NOT coalesce(remember, ?))""",
            [silence],
        )

    def drop_words_of(self, ids: Iterable[int]) -> None:
        """Words made of these messages."""
        self._database.execute(
            f"""{_WORDLESS} WHERE id IN (SELECT feedback_id FROM feedback_messages
                WHERE message_id IN (SELECT value FROM json_each(?)))""",
            [_json(ids)],
        )

    def drop_words_before(self, at: int) -> int:
        """Words that were said before this moment (ms); gives of how many thumbs."""
        return self._database.execute(f"{_WORDLESS} WHERE at < ? AND (asked <> '' OR said <> '')", [at])


def _rated(row: Row) -> Rated:
    at, rating, asked, said, engine, adapter, sampling, of = row
    return Rated(at, rating, asked, said, engine, adapter, orjson.loads(sampling), tuple(sorted(orjson.loads(of))))


def _json(ids: Iterable[int]) -> str:
    return orjson.dumps(list(ids)).decode()
