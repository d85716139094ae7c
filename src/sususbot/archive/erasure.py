"""Erasing: what a member said leaves the file for good, and stays away whatever is imported later.

What is left of an erased member is the bare id (else a later import could not know whom to leave out) and tombstones
that keep the order of the channel. Their names go too, also where others mentioned them. Two steps, so that a kill at
any instant can be made up for: `erase` records the wish together with its effect; `finish` is called when nothing is
left outside the archive either, and until then `unfinished` names them.
Not here: corpora, reports and other files (`forgetting` in the command line's rooms).
"""

import re
from collections.abc import Iterable
from typing import Final

import orjson

from sususbot.archive.database import Database, Row
from sususbot.archive.vectors import Vectors
from sususbot.archive.words import Words

# What stands where an erased member's name stood.
NOBODY: Final = "someone"
_TAG: Final = re.compile(r"(<[^<>\s]+>)")
_MENTION: Final = re.compile(r"<@!?(-?\d+)>")
_EMOJI: Final = re.compile(r"<a?(:\w+:)\d+>")
_OPEN_PLACES: Final = 6
_CHUNK: Final = 5000


class Erasure:
    """Makes tombstones: of single messages, of all of a member's, of all before a day."""

    def __init__(self, database: Database, words: Words, vectors: Vectors) -> None:
        self._database = database
        self._words = words
        self._vectors = vectors

    def bury(self, rows: Iterable[Row]) -> int:
        """(id, rendered, deleted_at) of messages to tombstones; the caller is inside a transaction."""
        rows = list(rows)
        gone = [id_ for id_, _, _ in rows]
        self._words.remove([(id_, rendered) for id_, rendered, _ in rows])
        # Every row of messages has its row in the index, also one without words; `check` counts them.
        self._words.add([(id_, "") for id_ in gone])
        self._vectors.drop(gone)
        self._database.execute_many(
            """UPDATE messages SET deleted_at = ?, type = 0, edited_at = NULL, content = '', rendered = '',
            reply_to = NULL, pinned = 0, mentions = NULL, reactions = NULL, attachments = NULL WHERE id = ?""",
            [(at, id_) for id_, _, at in rows],
        )
        return len(rows)

    def erase(self, author_id: int, *, at: int) -> int:
        """Forget a member, who need not be known; gives how many messages lost their words. Safe to repeat."""
        with self._database.transaction():
            self._database.execute("INSERT OR IGNORE INTO erased (author_id, at) VALUES (?, ?)", [author_id, at])
            self._database.execute("UPDATE erased SET finished_at = NULL WHERE author_id = ?", [author_id])
            names = self._names(author_id)
            count = self.bury(
                self._database.rows(
                    "SELECT id, rendered, ? FROM messages WHERE author_id = ? AND deleted_at IS NULL", [at, author_id]
                )
            )
            self._unname(author_id, names)
            self._database.execute("DELETE FROM author_names WHERE author_id = ?", [author_id])
            self._database.execute("UPDATE authors SET name = '', display_name = ? WHERE id = ?", [NOBODY, author_id])
            self._database.execute("DELETE FROM consents WHERE author_id = ?", [author_id])
            self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, 0, 0, 0)", [author_id])
            self._words.settle(always=True)
        self._database.empty_log()
        return count

    def erased(self) -> dict[int, int]:
        """Author id -> when they were erased, in ms."""
        return dict(self._database.rows("SELECT author_id, at FROM erased"))

    def unfinished(self) -> list[int]:
        """Erased members of whom something may still lie outside the archive."""
        return [row[0] for row in self._database.rows("SELECT author_id FROM erased WHERE finished_at IS NULL")]

    def finish(self, author_id: int, *, at: int) -> None:
        """Nothing of them is left outside the archive. Raises ArchiveLocked while the log still holds their words."""
        self._database.empty_log(must=True)
        self._database.execute("UPDATE erased SET finished_at = ? WHERE author_id = ?", [at, author_id])

    def expire(self, before: int) -> int:
        """Tombstones for everything said before this moment (ms); gives how many messages lost their words."""
        count = 0
        while rows := self._database.rows(
            "SELECT id, rendered, ? FROM messages WHERE created_at < ? AND deleted_at IS NULL LIMIT ?",
            [before, before, _CHUNK],
        ):
            with self._database.transaction():
                count += self.bury(rows)
        if count:
            with self._database.transaction():
                self._words.settle()
            self._database.empty_log()
        return count

    def withheld(self, author_ids: Iterable[int]) -> dict[int, int]:
        """Those of these authors who are erased, and since when."""
        ids = orjson.dumps(sorted(set(author_ids))).decode()
        return dict(
            self._database.rows(
                "SELECT author_id, at FROM erased WHERE author_id IN (SELECT value FROM json_each(?))", [ids]
            )
        )

    def _names(self, author_id: int) -> list[str]:
        rows = self._database.rows(
            """SELECT display_name FROM author_names WHERE author_id = ?1
            UNION SELECT display_name FROM authors WHERE id = ?1 UNION SELECT name FROM authors WHERE id = ?1""",
            [author_id],
        )
        # The longest first: "@mia k" is not "@mia" and a rest.
        return sorted((row[0] for row in rows if row[0] not in ("", NOBODY)), key=len, reverse=True)

    def _unname(self, author_id: int, names: list[str]) -> None:
        """Take a member's names out of what others said to them."""
        named = re.compile("@(?:" + "|".join(map(re.escape, names)) + r")(?!\w)") if names else None
        rows = self._database.rows(
            """SELECT id, content, rendered FROM messages WHERE mentions IS NOT NULL
            AND EXISTS (SELECT 1 FROM json_each(mentions) WHERE value = ?)""",
            [author_id],
        )
        for id_, content, rendered in rows:
            nameless = without_names(content, rendered, [author_id])
            if named is not None:
                content, nameless = named.sub(f"@{NOBODY}", content), named.sub(f"@{NOBODY}", nameless)
            if nameless != rendered:
                self._words.remove([(id_, rendered)])
                self._words.add([(id_, nameless)])
                self._vectors.drop([id_])
                self._database.execute(
                    "UPDATE messages SET content = ?, rendered = ? WHERE id = ?", [content, nameless, id_]
                )


def without_names(content: str, rendered: str, erased: Iterable[int]) -> str:
    """`rendered` with nobody's name where the raw text has the id of an erased member.

    The two texts are laid side by side: what is no `<…>` tag is the same in both, so a name is what stands between.
    Where they do not fit (a source that renders otherwise), the raw text is taken, its other tags as they are.
    """
    gone = {str(id_) for id_ in erased}
    parts = _TAG.split(content)
    hers = [bool((tag := _MENTION.fullmatch(part)) and tag[1] in gone) for part in parts]
    shapes = [
        "(@.+?)" if mentioned else _shape(part) if place % 2 else re.escape(part)
        for place, (part, mentioned) in enumerate(zip(parts, hers, strict=True))
    ]
    # Each open place multiplies the ways to lay the texts side by side.
    few = sum(shape.endswith(("+?", "+?)")) for shape in shapes) <= _OPEN_PLACES
    found = re.fullmatch("".join(shapes), rendered, re.DOTALL) if few else None
    if found is None:
        return "".join(f"@{NOBODY}" if mentioned else part for part, mentioned in zip(parts, hers, strict=True))
    nameless, at = "", 0
    for group in range(1, (found.lastindex or 0) + 1):
        nameless += rendered[at : found.start(group)] + f"@{NOBODY}"
        at = found.end(group)
    return nameless + rendered[at:]


def _shape(tag: str) -> str:
    """What a tag that is no mention of an erased member may look like when it is rendered."""
    emoji = _EMOJI.fullmatch(tag)
    return f"(?:{re.escape(tag)}|{re.escape(emoji[1])})" if emoji else ".+?"
