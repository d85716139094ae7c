"""Full text: which messages hold the words of a question, by BM25 (SQLite FTS5, Porter stems).

The caller of `add` and `remove` is inside the transaction that writes the messages themselves.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from sususbot.archive.database import Database
from sususbot.messages import Audience

# Words too common to tell messages apart; questions are full of them.
STOP_WORDS: Final = frozenset(
    """a about an and any are as at be been but by can could did do does for from had has have he her here him his how
    i if in into is it its just me my no not of on or our out she so some such that the their them then there these
    they this to us was we were what when where which who whom whose why will with would you your""".split()
)
_WORD: Final = re.compile(r"\w+")


def question_words(text: str) -> list[str]:
    """The words of a question that are worth searching for; all of them when nothing else is left."""
    words = list(dict.fromkeys(_WORD.findall(text.lower())))
    return [word for word in words if word not in STOP_WORDS] or words


class Words:
    """The full-text index of an archive."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, rows: Iterable[tuple[int, str]]) -> None:
        """Index (message id, rendered text) pairs."""
        self._database.execute_many("INSERT INTO words (rowid, rendered) VALUES (?, ?)", rows)

    def remove(self, rows: Iterable[tuple[int, str]]) -> None:
        """Unindex pairs exactly as they were added."""
        self._database.execute_many("INSERT INTO words (words, rowid, rendered) VALUES ('delete', ?, ?)", rows)

    def search(self, words: Sequence[str], *, limit: int, audience: Audience = None) -> list[tuple[int, float]]:
        """The best (message id, BM25) pairs, best first; higher is better. Only what may be remembered."""
        if not words:
            return []
        query = " OR ".join(f'"{word}"' for word in words)
        allowed = "" if audience is None else "AND channel_id IN (SELECT value FROM json_each(?))"
        parameters = [query] if audience is None else [query, orjson.dumps(sorted(audience)).decode()]
        rows = self._database.rows(
            f"""SELECT words.rowid, -bm25(words) FROM words JOIN remembered ON remembered.id = words.rowid
            WHERE words MATCH ? {allowed} ORDER BY rank LIMIT ?""",
            [*parameters, limit],
        )
        return [(int(rowid), float(score)) for rowid, score in rows]
