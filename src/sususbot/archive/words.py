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
# Ranking costs some 3 µs a posting (FTS5 looks up every row's length): this many bound a search to about 6 ms.
_POSTINGS: Final = 2000
# Levels of the index after which it is made anew; that takes longer than merging it.
_LEVELS: Final = 1000
# A word in fewer messages than this is counted anew each time; that is cheap, and a new word must be found at once.
_SETTLED: Final = 100

Hits = list[tuple[int, float]]


def question_words(text: str) -> list[str]:
    """The words of a question that are worth searching for; all of them when nothing else is left."""
    words = list(dict.fromkeys(_WORD.findall(text.lower())))
    return [word for word in words if word not in STOP_WORDS] or words


class Words:
    """The full-text index of an archive."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._frequencies: dict[str, int] = {}
        self._removed = False

    def add(self, rows: Iterable[tuple[int, str]]) -> None:
        """Index (message id, rendered text) pairs."""
        self._database.execute_many("INSERT INTO words (rowid, rendered) VALUES (?, ?)", rows)

    def remove(self, rows: Sequence[tuple[int, str]]) -> None:
        """Unindex pairs exactly as they were added."""
        self._database.execute_many("INSERT INTO words (words, rowid, rendered) VALUES ('delete', ?, ?)", rows)
        self._removed = self._removed or bool(rows)

    def settle(self, *, always: bool = False) -> bool:
        """Let nothing that was removed be read in the file any more: FTS5 keeps it in old segments until they merge.

        Takes about a second for each million messages; the last step of a transaction that removed something. Gives
        whether there was anything to do. `always`: an earlier program may have been ended before it came so far.
        """
        removed, self._removed = self._removed or always, False
        if removed:
            # Each merging of all adds a level, and of more than 2,000 SQLite says that they are corrupt.
            how = "optimize" if self._levels() < _LEVELS else "rebuild"
            self._database.execute("INSERT INTO words (words) VALUES (?)", [how])
        return removed

    def _levels(self) -> int:
        """How many levels the index has: in its structure record a varint behind four bytes of cookie."""
        rows = self._database.rows("SELECT block FROM words_data WHERE id = 10")
        levels = 0
        for byte in rows[0][0][4:8] if rows else b"":
            levels = levels << 7 | byte & 0x7F
            if byte < 0x80:
                break
        return levels

    def search(self, words: Sequence[str], *, limit: int, audience: Audience = None) -> Hits:
        """The best (message id, BM25), best first; higher is better. Only what may be remembered."""
        telling = self._telling(words)
        if not telling:
            return []
        parameters: list[object] = [" OR ".join(map(_quoted, telling))]
        allowed = ""
        if audience is not None:
            allowed = "AND channel_id IN (SELECT value FROM json_each(?))"
            parameters.append(orjson.dumps(sorted(audience)).decode())
        rows = self._database.rows(
            f"""SELECT words.rowid, -bm25(words) FROM words JOIN remembered ON remembered.id = words.rowid
            WHERE words MATCH ? {allowed} ORDER BY rank LIMIT ?""",
            [*parameters, limit],
        )
        return [(int(rowid), float(score)) for rowid, score in rows]

    def _telling(self, words: Sequence[str]) -> list[str]:
        """The rarest words, as many as _POSTINGS allows. What is common tells messages apart least and costs most.

        Rare in the whole archive, that is: a word that is common only outside the audience may be left out.
        """
        rarest = sorted((self._frequency(word), word) for word in dict.fromkeys(words))
        telling: list[str] = []
        postings = 0
        for frequency, word in rarest:
            postings += frequency
            if telling and postings > _POSTINGS:
                break
            if frequency:
                telling.append(word)
        return telling

    def _frequency(self, word: str) -> int:
        """In how many messages a word stands. Asked once: the rank of words by rarity hardly moves."""
        known = self._frequencies.get(word)
        if known is None or known < _SETTLED:
            rows = self._database.rows("SELECT count(*) FROM words WHERE words MATCH ?", [_quoted(word)])
            known = self._frequencies[word] = int(rows[0][0])
        return known


def _quoted(word: str) -> str:
    """A word as FTS5's query language has it when it is no operator."""
    return '"' + word.replace('"', '""') + '"'
