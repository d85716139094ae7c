"""Others' quotes of members who said no to a purpose: whoever reads for it gets those texts without them.

The archive keeps the words, so that a later yes brings them back; the views of `consents`, which every reader goes
through, take them out. What was made of a text by the words that it had then is dropped when an answer changes how it
reads, and waits to be made anew. A quote is found as erasing finds it: its message replies to the member, or mentions
them.
Not here: quotes of erased members, which are gone for good (`erasure`).
"""

from collections.abc import Collection, Iterable
from typing import Final

import orjson

from sususbot.archive.database import Database
from sususbot.archive.feedback import Feedback
from sususbot.archive.nameless import without_quotes
from sususbot.archive.summaries import Summaries

_COLUMNS: Final = (
    "id, channel_id, author_id, type, created_at, edited_at, deleted_at, reply_to, pinned, mentions, reactions, "
    "attachments, source_id, words_at, fetched_at"
).split(", ")
_TEXTS: Final = ("content", "rendered")
_MAY_QUOTE: Final = "instr(messages.content, '> ')"
# Whom a message may quote. What it replies to may not be here: then its mentions alone tell.
_QUOTED: Final = """SELECT author_id FROM main.messages AS asked WHERE asked.id = messages.reply_to
    UNION ALL SELECT value FROM json_each(messages.mentions)"""


def columns(purpose: str, silence: str) -> str:
    """The columns of `messages`, its texts as they may be read for a purpose; `silence` is SQL for what that means."""
    refused = f"""EXISTS (SELECT 1 FROM ({_QUOTED}) AS quoted
        LEFT JOIN main.answers ON answers.author_id = quoted.author_id
        LEFT JOIN main.authors ON authors.id = quoted.author_id
        WHERE NOT coalesce(answers.{purpose}, {silence}) AND NOT coalesce(authors.is_bot, 0))"""
    texts = (
        f"""CASE WHEN {_MAY_QUOTE} AND {refused} THEN without_quotes(messages.{text})
        ELSE messages.{text} END AS {text}"""
        for text in _TEXTS
    )
    return ", ".join([*(f"messages.{column}" for column in _COLUMNS), *texts])


class Quotes:
    """The quotes in an archive."""

    def __init__(self, database: Database, summaries: Summaries, feedback: Feedback) -> None:
        self._database = database
        self._summaries = summaries
        self._feedback = feedback
        database.define("without_quotes", without_quotes)

    def of(self, author_ids: Iterable[int]) -> list[int]:
        """The messages that quote these members."""
        rows = self._database.rows(
            f"""SELECT id FROM messages WHERE {_MAY_QUOTE} AND without_quotes(rendered) <> rendered
            AND deleted_at IS NULL
            AND EXISTS (SELECT 1 FROM ({_QUOTED}) WHERE author_id IN (SELECT value FROM json_each(?)))""",
            [_json(author_ids)],
        )
        return [row[0] for row in rows]

    def everybody(self) -> set[int]:
        """Whoever may be quoted: who wrote something, and who is mentioned, but for bots."""
        rows = self._database.rows(
            """SELECT id FROM authors UNION SELECT value FROM messages, json_each(mentions)
            EXCEPT SELECT id FROM authors WHERE is_bot"""
        )
        return {row[0] for row in rows}

    def hide(self, author_ids: set[int]) -> None:
        """These may not be remembered any more; the caller is inside the transaction that writes it down."""
        if author_ids:
            ids = self.of(author_ids)
            self._read_anew(ids)
            self._feedback.drop_words_of(ids)

    def show(self, author_ids: set[int]) -> None:
        """These may be remembered from now on; the caller is inside the transaction that writes it down."""
        if author_ids:
            self._read_anew(self.of(author_ids))

    def hide_known_now(self, ids: Iterable[int]) -> bool:
        """Whom these messages and replies to them quote is known now; gives whether a vector went with a quote.

        The caller is inside the transaction that made it known.
        """
        rows = self._database.rows(
            """WITH told (id) AS (SELECT value FROM json_each(?1))
            SELECT messages.id FROM main.messages JOIN shown ON shown.id = messages.id
            WHERE messages.id IN (SELECT id FROM told UNION
                SELECT answer.id FROM told JOIN main.messages AS answer ON answer.reply_to = told.id)
            AND shown.rendered <> messages.rendered""",
            [_json(ids)],
        )
        hidden = [row[0] for row in rows]
        self._feedback.drop_words_of(hidden)
        return self._read_anew(hidden)

    def _read_anew(self, ids: Collection[int]) -> bool:
        """Drop what was made of these; gives whether a vector was."""
        dropped = [
            self._database.execute(
                f"DELETE FROM {table} WHERE message_id IN (SELECT value FROM json_each(?))", [_json(ids)]
            )
            for table in ("vectors", "terms", "links")
        ]
        self._summaries.drop(ids)
        return dropped[0] > 0


def _json(ids: Iterable[int]) -> str:
    return orjson.dumps(sorted(ids)).decode()
