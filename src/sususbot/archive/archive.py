"""The archive: every message once, as Discord last showed it. The source of truth; all else can be rebuilt from it.

**Invariants.** A message is known by its id, so adding it again changes nothing. A later edit wins over an earlier
one, and of equal edits the more faithful source, then the later look: whole versions, so the order of arrival never
matters. A deletion leaves a tombstone without words, and stays whatever is imported later. Vectors, terms and summaries
change in the same transaction as the words they stand for; `check` proves it.
Not here: which files messages come from (`sources/`), what is remembered of them (`memory/`), who agreed to what
(`consents`), how versions are weighed (`upsert`), what `check` asks for (`invariants`).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sususbot.archive.browsing import Browsing
from sususbot.archive.checkpoints import Checkpoints
from sususbot.archive.consents import Consents
from sususbot.archive.database import Database, Migration
from sususbot.archive.dump import Dump
from sususbot.archive.erasure import Erasure
from sususbot.archive.facts import Facts
from sususbot.archive.feedback import Feedback
from sususbot.archive.invariants import faults
from sususbot.archive.links import Links
from sususbot.archive.lore import Lore
from sususbot.archive.mentions import Mentions
from sususbot.archive.redaction import Redaction
from sususbot.archive.rows import SELECT, author_of, message_of
from sususbot.archive.standing import Standings
from sususbot.archive.summaries import Summaries
from sususbot.archive.terms import Terms
from sususbot.archive.upsert import FIDELITY, Added, Upsert, json_list
from sususbot.archive.vectors import Vectors
from sususbot.archive.withdrawn import Withdrawn
from sususbot.messages import (
    NOTE_TYPE,
    WRITTEN_TYPES,
    Author,
    Channel,
    Guild,
    Message,
    Origin,
)

FILE_NAME: Final = "archive.db"

_HISTORY_ROWS: Final = 8192


@dataclass(frozen=True, slots=True)
class Counts:
    """How much the archive holds."""

    messages: int
    deleted: int
    authors: int
    channels: int
    vectors: int


class Archive:
    """An open archive. Safe to use from several threads; every call blocks, so never on an event loop."""

    def __init__(self, folder: Path, steps: Sequence[Migration] | None = None) -> None:
        self._database = Database(folder / FILE_NAME, steps)
        self.vectors = Vectors(self._database)
        self.terms = Terms(self._database)
        self.links = Links(self._database)
        self.standings = Standings(self._database)
        self.lore = Lore(self._database)
        self.browsing = Browsing(self._database)
        self.checkpoints = Checkpoints(self._database)
        self.summaries = Summaries(self._database)
        self.mentions = Mentions(self._database)
        self.feedback = Feedback(self._database)
        self._redaction = Redaction(self._database, self.vectors, self.summaries)
        self.erasure = Erasure(
            self._database, self.vectors, self.summaries, self.mentions, self.feedback, self._redaction
        )
        self.withdrawn = Withdrawn(self._database)
        self.consents = Consents(self._database, self.erasure, self.summaries, self.feedback, self.withdrawn)
        self.dump = Dump(self._database)
        self.facts = Facts(self._database)
        self._upsert = Upsert(
            self._database,
            self.vectors,
            self.summaries,
            self.erasure,
            self._redaction,
            self.lore,
            self.withdrawn,
            self.consents,
        )

    def close(self) -> None:
        self._database.close()

    def copy_to(self, folder: Path) -> None:
        """Another file with all that this one holds, in a folder that has no archive yet."""
        self._database.copy_to(folder / FILE_NAME)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- writing

    def add_channel(self, guild: Guild, channel: Channel, *, origin: Origin, seen_at: int) -> None:
        """Know a channel as the most faithful, then newest look (ms) showed it."""
        look = [FIDELITY[origin], seen_at]
        with self._database.transaction():
            self.add_guild(guild, origin=origin, seen_at=seen_at)
            self._database.execute(
                """INSERT INTO channels (id, guild_id, name, type, parent_id, topic, fidelity, seen_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET guild_id = excluded.guild_id, name = excluded.name,
                    type = excluded.type, parent_id = excluded.parent_id, topic = excluded.topic,
                    fidelity = excluded.fidelity, seen_at = excluded.seen_at
                    WHERE (excluded.fidelity, excluded.seen_at, excluded.name, excluded.type,
                        coalesce(excluded.parent_id, 0), coalesce(excluded.topic, ''))
                        > (fidelity, seen_at, name, type, coalesce(parent_id, 0), coalesce(topic, ''))""",
                [channel.id, guild.id, channel.name, channel.type, channel.parent_id, channel.topic, *look],
            )
            self._redaction.unname_channels([channel.id])

    def add_guild(self, guild: Guild, *, origin: Origin, seen_at: int) -> None:
        """Know a guild as the most faithful, then newest look (ms) showed it."""
        self._database.execute(
            """INSERT INTO guilds (id, name, fidelity, seen_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, fidelity = excluded.fidelity,
                seen_at = excluded.seen_at
                WHERE (excluded.fidelity, excluded.seen_at, excluded.name) > (fidelity, seen_at, name)""",
            [guild.id, guild.name, FIDELITY[origin], seen_at],
        )

    def together(self) -> AbstractContextManager[None]:
        """All that is written inside is one transaction; nothing else of this process is written meanwhile."""
        return self._database.transaction()

    def bulk(self) -> AbstractContextManager[None]:
        """For as long as much is written: faster, with more memory."""
        return self._database.bulk()

    def add_source(self, origin: Origin, name: str) -> int:
        """Record where the next messages come from; its id goes with each of them."""
        return self._database.insert(
            "INSERT INTO sources (origin, name, started_at) VALUES (?, ?, ?)", [origin, name, now_ms()]
        )

    def add(
        self,
        messages: Sequence[Message],
        *,
        source: int,
        fetched_at: int,
        state_at: int | None = None,
        also: Callable[[], None] | None = None,
    ) -> Added:
        """Take a batch in, in one transaction. `fetched_at` (ms) says when Discord showed the messages so.

        `state_at` says it of reactions and pins, where those were seen at another time.
        `also` writes what must be kept with the batch or not at all, such as how far a collector has come.
        """
        return self._upsert.add(messages, source=source, fetched_at=fetched_at, state_at=state_at, also=also)

    def delete(self, ids: Sequence[int], *, at: int) -> int:
        """Leave tombstones: the words and their vectors go. Gives how many messages were there.

        Of a message that is not known yet, the id is kept, and the tombstone made when it arrives.
        """
        return self.delete_each(dict.fromkeys(ids, at))

    def delete_each(self, times: Mapping[int, int]) -> int:
        """Leave tombstones of messages that were deleted at these times (ms), by id."""
        with self._database.transaction():
            known = self._upsert.known(times)
            # Taken away from a member who may come back: what was deleted on Discord is not to come with them.
            may_return = self.erasure.may_return(times)
            there = [(id_, times[id_]) for id_, row in known.items() if row[2] is None]
            self.erasure.bury(there)
            # A dump brings old tombstones: of what had no words here, nothing was made.
            self.withdrawn.note(id_ for id_, _ in there if any(known[id_][4:6]))
            self._database.execute_many(
                "INSERT OR IGNORE INTO deleted_unseen (id, deleted_at) VALUES (?, ?)",
                [(id_, at) for id_, at in times.items() if id_ not in known or id_ in may_return],
            )
        self._database.empty_log()
        return len(there)

    def delete_channel(self, channel_id: int, *, at: int) -> list[int]:
        """Leave tombstones of all that was said in a channel and its threads, and no name; gives the messages' ids."""
        with self.together():
            ids = self.withdrawn.said_in(channel_id)
            self.delete(ids, at=at)
            self.withdrawn.unname_channel(channel_id, fidelity=FIDELITY["api"], at=at)
        return ids

    def erase(self, author_id: int, *, at: int) -> int:
        """Forget a member: see `erasure`."""
        return self.erasure.erase(author_id, at=at)

    # -- reading

    def counts(self) -> Counts:
        row = self._database.rows(
            """SELECT count(*), count(deleted_at), (SELECT count(*) FROM authors), (SELECT count(*) FROM channels),
            (SELECT count(*) FROM vectors) FROM messages"""
        )[0]
        return Counts(*row)

    def channels(self) -> list[Channel]:
        rows = self._database.rows("SELECT id, guild_id, name, type, parent_id, topic FROM channels ORDER BY id")
        return [Channel(*row) for row in rows]

    def names(self) -> dict[int, set[str]]:
        """Author -> every name they were seen with."""
        names: dict[int, set[str]] = {}
        for author_id, name in self._database.rows(
            """SELECT author_id, display_name FROM author_names UNION SELECT id, display_name FROM authors
            UNION SELECT id, name FROM authors"""
        ):
            names.setdefault(author_id, set()).add(name)
        return names

    def authors(self) -> dict[int, Author]:
        """Every account that wrote something; of one that was erased, no name is left."""
        rows = self._database.rows("SELECT id, name, display_name, is_bot FROM authors ORDER BY id")
        return {row[0]: author_of(row) for row in rows}

    def author(self, author_id: int) -> Author | None:
        """An account as it is called now; None where it wrote nothing."""
        rows = self._database.rows("SELECT id, name, display_name, is_bot FROM authors WHERE id = ?", [author_id])
        return author_of(rows[0]) if rows else None

    def guild(self) -> Guild | None:
        """The guild most channels belong to, or None in an empty archive."""
        rows = self._database.rows(
            """SELECT guilds.id, guilds.name FROM guilds JOIN channels ON guild_id = guilds.id
            GROUP BY guilds.id ORDER BY count(*) DESC LIMIT 1"""
        )
        return Guild(*rows[0]) if rows else None

    def window(
        self, channel_id: int, *, limit: int, before: int | None = None, own_id: int | None = None
    ) -> list[Message]:
        """The newest messages of a channel that may be remembered or are the bot's own, oldest first.

        `before` leaves out that id and all after it; `own_id` is the bot's account.
        """
        below = (1 << 63) - 1 if before is None else before
        rows = self._database.rows(
            f"""{SELECT} WHERE channel_id = ? AND m.id < ? AND {_WRITTEN}
            AND (m.author_id IS ? OR EXISTS (SELECT 1 FROM remembered WHERE remembered.id = m.id))
            ORDER BY m.id DESC LIMIT ?""",
            [channel_id, below, own_id, limit],
        )
        return [message_of(row[:12], author_of(row[12:])) for row in reversed(rows)]

    def messages(self, ids: Iterable[int]) -> dict[int, Message]:
        """The messages with these ids; those that are not known or were deleted are left out.

        Without what they quote of members who may not be remembered, as in all that is read here but `history`.
        """
        rows = self._database.rows(
            f"{SELECT} WHERE m.id IN (SELECT value FROM json_each(?)) AND m.deleted_at IS NULL", [json_list(ids)]
        )
        return {row[0]: message_of(row[:12], author_of(row[12:])) for row in rows}

    def known(self, ids: Iterable[int]) -> set[int]:
        """Those of these ids that the archive knows, also as deleted."""
        rows = self._database.rows(
            """SELECT value FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM messages WHERE id = value)
            OR EXISTS (SELECT 1 FROM deleted_unseen WHERE id = value)""",
            [json_list(ids)],
        )
        return {row[0] for row in rows}

    def remembered(self, ids: Iterable[int]) -> set[int]:
        """Those of these messages that may be remembered."""
        rows = self._database.rows(
            "SELECT id FROM remembered WHERE id IN (SELECT value FROM json_each(?))", [json_list(ids)]
        )
        return {row[0] for row in rows}

    def ids_of(self, author_id: int) -> list[int]:
        """All that a member said, tombstones too."""
        rows = self._database.rows("SELECT id FROM messages WHERE author_id = ? ORDER BY id", [author_id])
        return [row[0] for row in rows]

    def history(
        self, *, channel_id: int | None = None, first: int | None = None, last: int | None = None
    ) -> Iterator[Message]:
        """Every message that is not deleted, of all types and also bots', channel by channel and oldest first.

        Without what they quote of members who may not be learned from, as corpora and reports take it.
        Streamed: the whole never stands in memory. `first` and `last` are ids, both taken in.
        """
        authors = self.authors()
        conditions = ["deleted_at IS NULL"]
        parameters: list[int] = []
        for condition, value in (("channel_id = ?", channel_id), ("id >= ?", first), ("id <= ?", last)):
            if value is not None:
                conditions.append(condition)
                parameters.append(value)
        sql = f"""SELECT id, channel_id, created_at, content, rendered, type, edited_at, reply_to, pinned, mentions,
            reactions, attachments, author_id FROM learnable WHERE {" AND ".join(conditions)} ORDER BY channel_id, id"""
        for rows in self._database.chunks(sql, parameters, size=_HISTORY_ROWS):
            for row in rows:
                yield message_of(row[:12], authors[row[12]])

    def ids(self, channel_id: int, first: int, last: int) -> list[int]:
        """The ids of a channel's messages that are not deleted, from `first` to `last`, both taken in.

        Notes are left out: they are not in the channel.
        """
        rows = self._database.rows(
            """SELECT id FROM messages WHERE channel_id = ? AND id BETWEEN ? AND ? AND deleted_at IS NULL
            AND type <> ? ORDER BY id""",
            [channel_id, first, last, NOTE_TYPE],
        )
        return [row[0] for row in rows]

    def origins(self) -> dict[Origin, int]:
        """How many messages, tombstones left out, came in which way."""
        rows = self._database.rows(
            """SELECT origin, count(*) FROM messages JOIN sources ON sources.id = source_id
            WHERE deleted_at IS NULL GROUP BY origin ORDER BY origin"""
        )
        return dict(rows)

    def around(self, message: Message, *, reach: int) -> list[Message]:
        """What may be remembered of the `reach` messages before and after this one in its channel, and itself.

        A note stands alone, and around no other.
        """
        if message.type == NOTE_TYPE:
            rows = self._database.rows(
                f"{SELECT} WHERE m.id = ? AND EXISTS (SELECT 1 FROM remembered WHERE remembered.id = m.id)",
                [message.id],
            )
            return [message_of(row[:12], author_of(row[12:])) for row in rows]
        arms = " UNION ALL ".join(
            f"""SELECT * FROM (SELECT id FROM remembered WHERE channel_id = ? AND type <> {NOTE_TYPE} AND id {sign} ?
            ORDER BY id {order} LIMIT ?)"""
            for sign, order in (("<=", "DESC"), (">", "ASC"))
        )
        near = [message.channel_id, message.id]
        rows = self._database.rows(f"{SELECT} WHERE m.id IN ({arms}) ORDER BY m.id", [*near, reach + 1, *near, reach])
        return [message_of(row[:12], author_of(row[12:])) for row in rows]

    def newest(self) -> int | None:
        """The id of the newest message, or None in an empty archive."""
        newest: int | None = self._database.rows("SELECT max(id) FROM messages")[0][0]
        return newest

    def check(self) -> list[str]:
        """Prove the invariants; every sentence names one that does not hold."""
        return faults(self._database)


_WRITTEN: Final = (
    f"m.type IN ({', '.join(map(str, sorted(WRITTEN_TYPES)))}) AND m.deleted_at IS NULL AND m.rendered <> ''"
)


def now_ms() -> int:
    """The time now, in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000
