"""Erasing: what a member said leaves the file for good, and stays away whatever is imported later.

Two kinds. Of the **forgotten** nothing is left but the bare id (else a later import could not know whom to leave out)
and tombstones that keep the order of the channel; their names go too, also where others mentioned them. Of those who
**said no to everything** the words go in the same way, name and answers stay, and with a yes they may come back. Of
both also what answers to them quote.

A wish has three steps, so that a kill at any instant can be made up for: `begin` puts it on record, and from then on
nothing of theirs is used or taken in; `carry_out` takes the words away; `finish` is called when nothing is left outside
the archive either, and until then `unfinished` names them. `erase` is the first two in one.
Not here: names and quotes in what others said (`redaction`); corpora, reports and other files (`sususbot.forgetting`).
"""

from collections.abc import Iterable, Iterator
from typing import Final

import orjson

from sususbot.archive.database import Database, Row
from sususbot.archive.feedback import Feedback
from sususbot.archive.mentions import Mentions
from sususbot.archive.nameless import NOBODY
from sususbot.archive.redaction import Redaction
from sususbot.archive.summaries import Summaries
from sususbot.archive.vectors import Vectors
from sususbot.messages import DISCORD_EPOCH_MS

# The fact that counts what was ever to be taken away.
WISHES: Final = "wishes"
_CHUNK: Final = 5000
_ERASED_AMONG: Final = "SELECT author_id, at FROM erased WHERE author_id IN (SELECT value FROM json_each(?))"


class Erasure:
    """Makes tombstones: of single messages, of all of a member's, of all before a day."""

    def __init__(
        self,
        database: Database,
        vectors: Vectors,
        summaries: Summaries,
        mentions: Mentions,
        feedback: Feedback,
        redaction: Redaction,
    ) -> None:
        self._database = database
        self._vectors = vectors
        self._summaries = summaries
        self._mentions = mentions
        self._feedback = feedback
        self._redaction = redaction

    def bury(self, rows: Iterable[Row]) -> int:
        """(id, deleted_at) of messages to tombstones; the caller is inside a transaction."""
        rows = list(rows)
        gone = [id_ for id_, _ in rows]
        self._vectors.drop(gone)
        self._summaries.drop(gone)
        self._mentions.drop(gone)
        self._database.execute_many(
            """UPDATE messages SET deleted_at = ?, type = 0, edited_at = NULL, content = '', rendered = '',
            reply_to = NULL, pinned = 0, mentions = NULL, reactions = NULL, attachments = NULL,
            words_at = 0, fetched_at = 0 WHERE id = ?""",
            [(at, id_) for id_, at in rows],
        )
        self._redaction.unname_channels(gone)
        return len(rows)

    def erase(self, author_id: int, *, at: int) -> int:
        """Forget a member, who need not be known; gives how many messages lost their words. Safe to repeat."""
        with self._database.transaction():
            self.begin(author_id, at=at)
            return self.carry_out(author_id)

    def begin(self, author_id: int, *, at: int, may_return: bool = False) -> None:
        """Put the wish on record. Who was forgotten stays so; who said no to everything can still be forgotten."""
        with self._database.transaction():
            self._count_wish()
            self._database.execute(
                """INSERT INTO erased (author_id, at, may_return) VALUES (?, ?, ?)
                ON CONFLICT (author_id) DO UPDATE SET finished_at = NULL,
                    may_return = min(may_return, excluded.may_return)""",
                [author_id, at, may_return],
            )
            self._feedback.drop_adapters_words(until=at)
            if self.forgotten([author_id]):
                self._database.execute("DELETE FROM consents WHERE author_id = ?", [author_id])
                self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, 0, 0, 0)", [author_id])

    def carry_out(self, author_id: int) -> int:
        """Take away the words of a member whose wish is on record; gives how many messages had some."""
        with self._database.transaction():
            names = self.names(author_id)
            count = self.bury(
                self._database.rows(
                    """SELECT id, at FROM messages JOIN erased USING (author_id)
                    WHERE author_id = ? AND deleted_at IS NULL""",
                    [author_id],
                )
            )
            self._mentions.drop(self.tombstones(author_id))
            self._feedback.drop_words_about(names)
            self._redaction.unquote(self.tombstones(author_id), author_id)
            self._redaction.unname_channels([*self.tombstones(author_id), *self._talks(author_id)])
            if self.forgotten([author_id]):
                self._redaction.unname(author_id, names)
                self._redaction.unsign(author_id, names)
        self._database.empty_log()
        return count

    def finish(self, author_ids: Iterable[int], *, at: int) -> None:
        """Nothing of them is left outside the archive. Raises ArchiveLocked while another program is in the way."""
        # Pages that were once split keep copies of what stood on them, which secure_delete does not know of.
        self._database.rewrite()
        self._database.empty_log(must=True)
        self._database.execute(
            "UPDATE erased SET finished_at = ? WHERE author_id IN (SELECT value FROM json_each(?))",
            [at, _json(author_ids)],
        )

    def unfinished(self) -> list[int]:
        """Erased members of whom something may still be left, in the archive or outside."""
        return [row[0] for row in self._database.rows("SELECT author_id FROM erased WHERE finished_at IS NULL")]

    def wishes(self) -> tuple[int, bool]:
        """How often something was put on record to be taken away, and whether some of it is in the archive still.

        What is made of the archive meanwhile may hold it, in lines of others, too.
        """
        rows = self._database.rows("SELECT value FROM facts WHERE name = ?", [WISHES])
        left = self._database.rows(
            f"""SELECT 1 FROM messages WHERE deleted_at IS NULL AND id IN (SELECT value FROM json_each(?))
            UNION ALL SELECT 1 FROM messages JOIN erased USING (author_id)
                WHERE finished_at IS NULL AND deleted_at IS NULL
            UNION ALL SELECT 1 FROM authors JOIN erased ON author_id = id
                WHERE finished_at IS NULL AND NOT may_return AND (name <> '' OR display_name <> '{NOBODY}') LIMIT 1""",
            [_json(self.unsaying())],
        )
        return int(rows[0][0]) if rows else 0, bool(left)

    def _count_wish(self) -> None:
        self._database.execute(
            "INSERT INTO facts (name, value) VALUES (?, '1') ON CONFLICT (name) DO UPDATE SET value = value + 1",
            [WISHES],
        )

    def readmit(self, author_id: int) -> None:
        """Let a member in again; the caller is inside a transaction.

        Of those who had said no to everything, what was taken away may be imported once more; of the forgotten not.
        """
        gone = self._database.rows(
            """SELECT id FROM messages JOIN erased USING (author_id)
            WHERE author_id = ? AND may_return AND deleted_at = at""",
            [author_id],
        )
        self._database.execute_many("DELETE FROM messages WHERE id = ?", gone)
        self._database.execute("DELETE FROM erased WHERE author_id = ?", [author_id])

    def erased(self) -> dict[int, int]:
        """Author id -> when they were erased, in ms: the forgotten, and those who said no to everything."""
        return dict(self._database.rows("SELECT author_id, at FROM erased"))

    def forgotten(self, author_ids: Iterable[int]) -> dict[int, int]:
        """Those of these authors who are forgotten, and since when."""
        return dict(self._database.rows(f"{_ERASED_AMONG} AND NOT may_return", [_json(author_ids)]))

    def withheld(self, author_ids: Iterable[int]) -> dict[int, int]:
        """Those of these authors whose words are not taken in, and since when."""
        return dict(self._database.rows(_ERASED_AMONG, [_json(author_ids)]))

    def of_erased(self, ids: Iterable[int]) -> set[int]:
        """Those of these messages that erased members wrote."""
        rows = self._database.rows(
            "SELECT id FROM messages JOIN erased USING (author_id) WHERE id IN (SELECT value FROM json_each(?))",
            [_json(ids)],
        )
        return {row[0] for row in rows}

    def may_return(self, ids: Iterable[int]) -> set[int]:
        """Those of these messages whose members said no to everything, and may say yes again."""
        rows = self._database.rows(
            """SELECT id FROM messages JOIN erased USING (author_id)
            WHERE may_return AND id IN (SELECT value FROM json_each(?))""",
            [_json(ids)],
        )
        return {row[0] for row in rows}

    def count(self, author_id: int) -> int:
        """How many messages of a member have words to lose."""
        rows = self._database.rows(
            "SELECT count(*) FROM messages WHERE author_id = ? AND deleted_at IS NULL", [author_id]
        )
        return int(rows[0][0])

    def tombstones(self, author_id: int) -> list[int]:
        """The ids of what a member said and is gone."""
        rows = self._database.rows(
            "SELECT id FROM messages WHERE author_id = ? AND deleted_at IS NOT NULL", [author_id]
        )
        return [row[0] for row in rows]

    def _talks(self, author_id: int) -> list[int]:
        rows = self._database.rows("SELECT DISTINCT channel_id FROM messages WHERE author_id = ?", [author_id])
        return [row[0] for row in rows]

    def deletions(self) -> Iterator[dict[int, int]]:
        """Id -> when it was deleted (ms), some at a time, also of messages that never came.

        Without those of erased members: these are kept out by whose they are.
        """
        for rows in self._database.chunks(
            """SELECT id, deleted_at FROM messages
            WHERE deleted_at IS NOT NULL AND author_id NOT IN (SELECT author_id FROM erased)
            UNION ALL SELECT id, deleted_at FROM deleted_unseen""",
            size=_CHUNK,
        ):
            yield dict(rows)

    def names(self, author_id: int) -> list[str]:
        """Every name they were seen with. The longest first: "@mia k" is not "@mia" and a rest."""
        rows = self._database.rows(
            """SELECT display_name FROM author_names WHERE author_id = ?1
            UNION SELECT display_name FROM authors WHERE id = ?1 UNION SELECT name FROM authors WHERE id = ?1""",
            [author_id],
        )
        return sorted((row[0] for row in rows if row[0] not in ("", NOBODY)), key=lambda name: (-len(name), name))

    def expire(self, before: int) -> list[int]:
        """Tombstones for everything said before this moment (ms); gives the ids of what lost its words."""
        gone: list[int] = []
        if self._database.rows("SELECT 1 FROM facts WHERE name = 'expiring'"):
            # An earlier call was ended between.
            self._settle_expired()
        with self._database.transaction():
            if thumbs := self._feedback.drop_words_before(before):
                self._database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('expiring', '')")
        # Ids go up with time, so the newer messages are not even looked at.
        newer = (before - DISCORD_EPOCH_MS) << 22
        last = -1 << 63
        while rows := self._database.rows(
            """SELECT id, ? FROM messages
            WHERE id > ? AND id < ? AND created_at < ? AND deleted_at IS NULL ORDER BY id LIMIT ?""",
            [before, last, newer, before, _CHUNK],
        ):
            last = rows[-1][0]
            with self._database.transaction():
                # What is still to be done: to this file, and to what was made of the words.
                self._database.execute(
                    "INSERT OR REPLACE INTO facts (name, value) VALUES ('expiring', ''), ('expired', '')"
                )
                self._count_wish()
                self.bury(rows)
            gone += [row[0] for row in rows]
        if gone or thumbs:
            self._settle_expired()
        return gone

    def expired(self) -> bool:
        """Whether words expired since `finish_expired`, so that what was made of them is still to be taken away."""
        return bool(self._database.rows("SELECT 1 FROM facts WHERE name = 'expired'"))

    def finish_expired(self) -> None:
        """Nothing is left of what was made of expired words."""
        self._database.execute("DELETE FROM facts WHERE name = 'expired'")

    def begin_unsaying(self, ids: Iterable[int]) -> None:
        """Put on record that these messages are to be taken away for good, here and elsewhere."""
        with self._database.transaction():
            self._count_wish()
            self._note_unsaying({*self.unsaying(), *ids})

    def unsaying(self) -> list[int]:
        """Messages that are to be taken away for good, and of which something may still be left."""
        rows = self._database.rows("SELECT value FROM facts WHERE name = 'unsaying'")
        return [int(id_) for id_ in orjson.loads(rows[0][0])] if rows else []

    def finish_unsaying(self, ids: Iterable[int]) -> None:
        """Nothing of these messages is left anywhere."""
        with self._database.transaction():
            self._note_unsaying(set(self.unsaying()) - set(ids))

    def move(self, ids: Iterable[tuple[int, int]]) -> None:
        """Messages get another id (old, new): what was taken away, or is to be, is so under it, too.

        The caller is inside a transaction. What may come back with a member's yes is left out.
        """
        new = dict(ids)
        gone = self._database.rows(
            """SELECT messages.id, deleted_at FROM messages LEFT JOIN erased USING (author_id)
            WHERE messages.id IN (SELECT value FROM json_each(?)) AND deleted_at IS NOT NULL
            AND NOT (coalesce(may_return, 0) AND deleted_at = at)""",
            [_json(new)],
        )
        self._database.execute_many(
            "INSERT OR IGNORE INTO deleted_unseen (id, deleted_at) VALUES (?, ?)", [(new[id_], at) for id_, at in gone]
        )
        if begun := new.keys() & self.unsaying():
            self.begin_unsaying(new[id_] for id_ in begun)

    def scrub(self, ids: Iterable[int]) -> None:
        """Of messages that were deleted nothing is left in any corner of the file, nor quoted in answers to them.

        Raises ArchiveLocked while another program is in the way.
        """
        with self._database.transaction():
            self._redaction.unquote(ids)
        self._database.rewrite()
        self._database.empty_log(must=True)

    def _note_unsaying(self, ids: Iterable[int]) -> None:
        self._database.execute("DELETE FROM facts WHERE name = 'unsaying'")
        if noted := sorted(ids):
            self._database.execute("INSERT INTO facts (name, value) VALUES ('unsaying', ?)", [_json(noted)])

    def _settle_expired(self) -> None:
        self._database.rewrite()
        self._database.empty_log(must=True)
        self._database.execute("DELETE FROM facts WHERE name = 'expiring'")


def _json(ids: Iterable[int]) -> str:
    return orjson.dumps(sorted(set(ids))).decode()
