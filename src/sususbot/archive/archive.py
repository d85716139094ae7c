"""The archive: every message once, as Discord last showed it. The source of truth; all else can be rebuilt from it.

**Invariants.** A message is known by its id, so adding it again changes nothing. A later edit wins over an earlier
one, whatever the order of arrival. A deletion leaves a tombstone without words, and stays whatever is imported later.
Full text and vectors change in the same transaction as the words they stand for; `check` proves it.
Not here: which files messages come from (`sources/`), what is remembered of them (`memory/`).
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import orjson

from sususbot.archive.database import Database, Migration, Row
from sususbot.archive.vectors import Vectors
from sususbot.archive.words import Words
from sususbot.errors import ArchiveDamaged
from sususbot.messages import WRITTEN_TYPES, Attachment, Author, Channel, Guild, Message, Reaction

FILE_NAME: Final = "archive.db"

Origin = Literal["export", "gateway"]


@dataclass(frozen=True, slots=True)
class Added:
    """What a batch did: messages that were new, that changed something, and that were known already."""

    new: int = 0
    changed: int = 0
    known: int = 0

    def __add__(self, other: "Added") -> "Added":
        return Added(self.new + other.new, self.changed + other.changed, self.known + other.known)


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
        for statement in _REMEMBERED:
            self._database.execute(statement)
        self.words = Words(self._database)
        self.vectors = Vectors(self._database)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- writing

    def add_channel(self, guild: Guild, channel: Channel) -> None:
        """Know a channel, with the newest name and topic it was seen with."""
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO guilds (id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                [guild.id, guild.name],
            )
            self._database.execute(
                """INSERT INTO channels (id, guild_id, name, type, parent_id, topic) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET name = excluded.name, type = excluded.type,
                    parent_id = excluded.parent_id, topic = excluded.topic""",
                [channel.id, guild.id, channel.name, channel.type, channel.parent_id, channel.topic],
            )

    def add_source(self, origin: Origin, name: str) -> int:
        """Record where the next messages come from; its id goes with each of them."""
        return self._database.insert(
            "INSERT INTO sources (origin, name, started_at) VALUES (?, ?, ?)", [origin, name, now_ms()]
        )

    def add(self, messages: Sequence[Message], *, source: int, fetched_at: int) -> Added:
        """Take a batch in, in one transaction. `fetched_at` (ms) says when Discord showed the messages so."""
        batch: dict[int, Message] = {}
        for message in messages:
            other = batch.get(message.id)
            if other is None or (message.edited_at or 0) >= (other.edited_at or 0):
                batch[message.id] = message
        with self._database.transaction():
            known = self._known(batch)
            self._add_authors(batch.values(), fetched_at)
            fresh = [message for message in batch.values() if message.id not in known]
            self._insert(fresh, source, fetched_at)
            self._bury_unseen(fresh)
            changed = sum(self._update(batch[row[0]], row, source, fetched_at) for row in known.values())
            settled = self.words.settle()
        if settled:
            self._database.empty_log()
        return Added(len(fresh), changed, len(messages) - len(fresh) - changed)

    def delete(self, ids: Sequence[int], *, at: int) -> int:
        """Leave tombstones: the words, their full text and vectors go. Gives how many messages were there.

        Of a message that is not known yet, the id is kept, and the tombstone made when it arrives.
        """
        with self._database.transaction():
            known = self._known(ids)
            there = [(id_, row[4], at) for id_, row in known.items() if row[2] is None]
            self._bury(there)
            self._database.execute_many(
                "INSERT OR IGNORE INTO deleted_unseen (id, deleted_at) VALUES (?, ?)",
                [(id_, at) for id_ in ids if id_ not in known],
            )
            self.words.settle()
        self._database.empty_log()
        return len(there)

    def set_opted_out(self, author_ids: Iterable[int]) -> None:
        """For this `Archive`, these members, and no others, are neither remembered nor quoted.

        Not kept in the file: a program with other settings must not undo what a running bot was told.
        """
        self._database.execute("DELETE FROM opted_out")
        self._database.execute_many(
            "INSERT OR IGNORE INTO opted_out (author_id) VALUES (?)", [(id_,) for id_ in author_ids]
        )

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
            f"""{_SELECT} WHERE channel_id = ? AND m.id < ? AND {_WRITTEN}
            AND (m.author_id IS ? OR NOT a.is_bot AND m.author_id NOT IN (SELECT author_id FROM opted_out))
            ORDER BY m.id DESC LIMIT ?""",
            [channel_id, below, own_id, limit],
        )
        return [_message(row) for row in reversed(rows)]

    def messages(self, ids: Iterable[int]) -> dict[int, Message]:
        """The messages with these ids; those that are not known or were deleted are left out."""
        rows = self._database.rows(
            f"{_SELECT} WHERE m.id IN (SELECT value FROM json_each(?)) AND m.deleted_at IS NULL", [_json(ids)]
        )
        return {row[0]: _message(row) for row in rows}

    def around(self, message: Message, *, reach: int) -> list[Message]:
        """What may be remembered of the `reach` messages before and after this one in its channel, and itself."""
        arms = " UNION ALL ".join(
            f"""SELECT * FROM (SELECT id FROM remembered WHERE channel_id = ? AND id {sign} ?
            ORDER BY id {order} LIMIT ?)"""
            for sign, order in (("<=", "DESC"), (">", "ASC"))
        )
        near = [message.channel_id, message.id]
        rows = self._database.rows(f"{_SELECT} WHERE m.id IN ({arms}) ORDER BY m.id", [*near, reach + 1, *near, reach])
        return [_message(row) for row in rows]

    def replies(self, ids: Iterable[int]) -> dict[int, int]:
        """How many messages answer each of these by Discord's own reference; those with none are left out."""
        rows = self._database.rows(
            """SELECT reply_to, count(*) FROM messages WHERE reply_to IN (SELECT value FROM json_each(?))
            AND deleted_at IS NULL GROUP BY reply_to""",
            [_json(ids)],
        )
        return dict(rows)

    def newest(self) -> int | None:
        """The id of the newest message, or None in an empty archive."""
        newest: int | None = self._database.rows("SELECT max(id) FROM messages")[0][0]
        return newest

    def check(self) -> list[str]:
        """Prove the invariants; every sentence names one that does not hold."""
        faults = [f"SQLite: {row[0]}" for row in self._database.rows("PRAGMA integrity_check") if row[0] != "ok"]
        faults += [f"broken reference: {row}" for row in self._database.rows("PRAGMA foreign_key_check")]
        faults += [f"{count} {what}" for what, sql in _CHECKS.items() if (count := int(self._database.rows(sql)[0][0]))]
        try:
            # 1: compare the index with the messages' text too, not only with itself.
            self._database.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        except ArchiveDamaged as error:
            faults.append(f"full text and messages differ ({error})")
        return faults

    # -- rows

    def _known(self, ids: Iterable[int]) -> dict[int, Row]:
        rows = self._database.rows(
            """SELECT id, edited_at, deleted_at, fetched_at, rendered, reactions, pinned FROM messages
            WHERE id IN (SELECT value FROM json_each(?))""",
            [_json(ids)],
        )
        return {row[0]: row for row in rows}

    def _add_authors(self, messages: Iterable[Message], fetched_at: int) -> None:
        """Names are as they were when Discord showed them, however old the messages under which they stand."""
        # By identity: a reader builds each author once, and to hash one for every message costs more than the rest.
        spans: dict[int, tuple[Author, list[int]]] = {}
        for message in messages:
            spans.setdefault(id(message.author), (message.author, []))[1].append(message.created_at)
        self._database.execute_many(
            """INSERT INTO authors (id, name, display_name, is_bot, named_at) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, display_name = excluded.display_name,
                is_bot = excluded.is_bot, named_at = excluded.named_at
                WHERE (excluded.named_at, excluded.display_name, excluded.name) > (named_at, display_name, name)""",
            [(a.id, a.name, a.display_name, a.is_bot, fetched_at) for a, _ in spans.values()],
        )
        self._database.execute_many(
            """INSERT INTO author_names (author_id, display_name, first_at, last_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (author_id, display_name) DO UPDATE SET first_at = min(first_at, excluded.first_at),
                last_at = max(last_at, excluded.last_at)""",
            [(a.id, a.display_name, min(times), max(times)) for a, times in spans.values()],
        )

    def _insert(self, messages: Sequence[Message], source: int, fetched_at: int) -> None:
        self._database.execute_many(
            """INSERT INTO messages (id, channel_id, author_id, type, created_at, edited_at, content, rendered,
            reply_to, pinned, mentions, reactions, attachments, source_id, fetched_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            [
                (
                    m.id, m.channel_id, m.author.id, m.type, m.created_at, m.edited_at, m.content, m.rendered,
                    m.reply_to, m.pinned, *_lists(m), source, fetched_at,
                )
                for m in messages
            ],
        )  # fmt: skip
        self.words.add([(m.id, m.rendered) for m in messages])

    def _bury_unseen(self, messages: Sequence[Message]) -> None:
        """Make tombstones of those that were deleted before they arrived here."""
        ids = _json(message.id for message in messages)
        self._bury(
            self._database.rows(
                """SELECT id, rendered, deleted_unseen.deleted_at FROM deleted_unseen JOIN messages USING (id)
                WHERE id IN (SELECT value FROM json_each(?))""",
                [ids],
            )
        )

    def _bury(self, rows: Sequence[Row]) -> None:
        """(id, rendered, deleted_at) of messages to tombstones."""
        gone = [id_ for id_, _, _ in rows]
        self.words.remove([(id_, rendered) for id_, rendered, _ in rows])
        # Every row of messages has its row in the index, also one without words; `check` counts them.
        self.words.add([(id_, "") for id_ in gone])
        self.vectors.drop(gone)
        self._database.execute_many(
            """UPDATE messages SET deleted_at = ?, content = '', rendered = '', mentions = NULL,
            reactions = NULL, attachments = NULL WHERE id = ?""",
            [(at, id_) for id_, _, at in rows],
        )

    def _update(self, message: Message, known: Row, source: int, fetched_at: int) -> bool:
        """Bring a known row up to date; the words if this edit is later, the rest if this was fetched later."""
        _, edited_at, deleted_at, known_fetched_at, rendered, known_reactions, known_pinned = known
        if deleted_at is not None:
            return False
        mentions, reactions, attachments = _lists(message)
        changed = 0
        if (message.edited_at or 0) > (edited_at or 0):
            changed += self._database.execute(
                """UPDATE messages SET edited_at = ?, content = ?, rendered = ?, mentions = ?, attachments = ?,
                source_id = ? WHERE id = ?""",
                [message.edited_at, message.content, message.rendered, mentions, attachments, source, message.id],
            )
            if message.rendered != rendered:
                self.words.remove([(message.id, rendered)])
                self.words.add([(message.id, message.rendered)])
                self.vectors.drop([message.id])
        if fetched_at > known_fetched_at:
            changed += (reactions, message.pinned) != (known_reactions, bool(known_pinned))
            self._database.execute(
                "UPDATE messages SET reactions = ?, pinned = ?, fetched_at = ? WHERE id = ?",
                [reactions, message.pinned, fetched_at, message.id],
            )
        return changed > 0


# What may be remembered and quoted: one place decides, and every search asks it.
_REMEMBERED: Final = (
    "CREATE TEMP TABLE opted_out (author_id INTEGER PRIMARY KEY)",
    f"""CREATE TEMP VIEW remembered AS SELECT messages.* FROM main.messages
    JOIN main.authors ON authors.id = messages.author_id
    WHERE messages.type IN ({", ".join(map(str, sorted(WRITTEN_TYPES)))})
        AND messages.deleted_at IS NULL
        AND messages.rendered <> ''
        AND NOT authors.is_bot
        AND messages.author_id NOT IN (SELECT author_id FROM opted_out)""",
)
_WRITTEN: Final = (
    f"m.type IN ({', '.join(map(str, sorted(WRITTEN_TYPES)))}) AND m.deleted_at IS NULL AND m.rendered <> ''"
)
_SELECT: Final = """SELECT m.id, m.channel_id, m.created_at, m.content, m.rendered, m.type, m.edited_at, m.reply_to,
    m.pinned, m.mentions, m.reactions, m.attachments, a.id, a.name, a.display_name, a.is_bot
    FROM messages AS m JOIN authors AS a ON a.id = m.author_id"""
_CHECKS: Final = {
    "tombstones still hold words": """SELECT count(*) FROM messages WHERE deleted_at IS NOT NULL
        AND (content <> '' OR rendered <> '')""",
    "vectors belong to deleted messages": """SELECT count(*) FROM vectors JOIN messages ON id = message_id
        WHERE deleted_at IS NOT NULL""",
}


def now_ms() -> int:
    """The time now, in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


def _json(ids: Iterable[int]) -> str:
    return orjson.dumps(list(ids)).decode()


def _lists(message: Message) -> tuple[str | None, str | None, str | None]:
    """Mentions, reactions and attachments as columns."""
    if not (message.mentions or message.reactions or message.attachments):
        return None, None, None
    return (
        _column(message.mentions),
        _column([(r.emoji, r.count) for r in message.reactions]),
        _column([(a.id, a.filename, a.size, a.url) for a in message.attachments]),
    )


def _column(items: Sequence[object]) -> str | None:
    return orjson.dumps(items).decode() if items else None


def _message(row: Row) -> Message:
    (id_, channel_id, created_at, content, rendered, type_, edited_at, reply_to, pinned, mentions, reactions,
     attachments, *author) = row  # fmt: skip
    return Message(
        id=id_,
        channel_id=channel_id,
        author=Author(author[0], author[1], author[2], bool(author[3])),
        created_at=created_at,
        content=content,
        rendered=rendered,
        type=type_,
        edited_at=edited_at,
        reply_to=reply_to,
        pinned=bool(pinned),
        mentions=tuple(orjson.loads(mentions)) if mentions else (),
        reactions=tuple(Reaction(*item) for item in orjson.loads(reactions)) if reactions else (),
        attachments=tuple(Attachment(*item) for item in orjson.loads(attachments)) if attachments else (),
    )
