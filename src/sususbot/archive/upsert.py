"""Messages into the archive's tables: which version of a message wins, and who is left out.

**Invariant.** A row's words are the maximum of all versions ever shown, by (edit, fidelity of the source, time of the
look, words); its reactions and pin are those of the latest look by a source that knows them. A maximum does not depend
on the order, so neither does the archive. A tombstone beats every version.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import orjson

from sususbot.archive.consents import Consents
from sususbot.archive.database import Database, Row
from sususbot.archive.erasure import Erasure
from sususbot.archive.lore import Lore
from sususbot.archive.nameless import NOBODY, nameless, without_quotes
from sususbot.archive.redaction import Redaction
from sususbot.archive.summaries import Summaries
from sususbot.archive.vectors import Vectors
from sususbot.archive.withdrawn import Withdrawn
from sususbot.messages import DISCORD_EPOCH_MS, Author, Message, Origin

# How much of a message a source tells: Discord itself all, an exporter names for ids, a package neither replies nor
# reactions, a CSV file not even ids.
FIDELITY: Final[dict[Origin, int]] = {"api": 3, "gateway": 3, "jsonl": 3, "export": 2, "package": 1, "csv": 0}
_NO_ID: Final = min(FIDELITY.values())


@dataclass(frozen=True, slots=True)
class Added:
    """What a batch did: messages that were new, that changed something, that were known already.

    `withheld` counts those of erased members, of which only a tombstone is kept.
    """

    new: int = 0
    changed: int = 0
    known: int = 0
    withheld: int = 0

    def __add__(self, other: "Added") -> "Added":
        return Added(
            self.new + other.new,
            self.changed + other.changed,
            self.known + other.known,
            self.withheld + other.withheld,
        )


class Look(NamedTuple):
    """By what kind of source, and when (ms), messages were seen as they are."""

    fidelity: int
    at: int
    state_at: int

    @classmethod
    def of(cls, origin: Origin, at: int, state_at: int | None) -> "Look":
        """Reactions and pins are seen with the words, unless said otherwise; 0 for sources that do not know them."""
        fidelity = FIDELITY[origin]
        return cls(fidelity, at, (at if fidelity >= FIDELITY["export"] else 0) if state_at is None else state_at)


class Upsert:
    """Writes batches; the doors are `Archive.add` and `Archive.delete`."""

    def __init__(
        self,
        database: Database,
        vectors: Vectors,
        summaries: Summaries,
        erasure: Erasure,
        redaction: Redaction,
        lore: Lore,
        withdrawn: Withdrawn,
        consents: Consents,
    ) -> None:
        self._database = database
        self._vectors = vectors
        self._summaries = summaries
        self._erasure = erasure
        self._redaction = redaction
        self._lore = lore
        self._withdrawn = withdrawn
        self._consents = consents

    def add(
        self,
        messages: Sequence[Message],
        *,
        source: int,
        fetched_at: int,
        state_at: int | None,
        also: Callable[[], None] | None,
    ) -> Added:
        """Take a batch in, in one transaction."""
        with self._database.transaction():
            look = Look.of(self._origin(source), fetched_at, state_at)
            erased = self._erasure.withheld(message.author.id for message in messages)
            self._add_authors(messages, look, self._erasure.forgotten(erased))
            batch = self._distinct(self._nameless(_wordless(messages, erased)), look.fidelity)
            known = self.known(batch)
            fresh = [message for message in batch.values() if message.id not in known]
            self._insert(fresh, source, look)
            self._bury_unseen(fresh)
            withheld = self._withhold(fresh, erased)
            if erased:
                theirs = [message for message in messages if message.author.id in erased]
                named = {message.id for message in theirs} | {message.channel_id for message in theirs}
                self._redaction.unname_channels(named, source=source)
            # What quotes them may have come, and been read, before them.
            self._consents.hide_quotes_known_now(message.id for message in fresh)
            changed = sum(self._update(batch[row[0]], row, look, source) for row in known.values())
            if also is not None:
                also()
        return Added(len(fresh) - withheld, changed, len(messages) - len(fresh) - changed, withheld)

    def _origin(self, source: int) -> Origin:
        origin: Origin = self._database.rows("SELECT origin FROM sources WHERE id = ?", [source])[0][0]
        return origin

    def _distinct(self, messages: Iterable[Message], fidelity: int) -> dict[int, Message]:
        """Each message of a batch once, in its best version; what an id-less source repeats is left out."""
        batch: dict[int, Message] = {}
        for message in messages:
            other = batch.get(message.id)
            if other is None or _version(message) > _version(other):
                batch[message.id] = message
        if fidelity == _NO_ID:
            # Or was taken away: edited since, it would come under another id.
            told = self._moments(batch.values(), "(origin <> 'csv' OR deleted_at IS NOT NULL)")
            return {id_: message for id_, message in batch.items() if _moment(message) not in told}
        self._replace_idless(batch)
        return batch

    def _replace_idless(self, batch: dict[int, Message]) -> None:
        """A real message takes the place of the row that was made of it by a source without ids.

        Where that was taken away, the real one is, too.
        """
        if not self._database.rows("SELECT 1 FROM sources WHERE origin = 'csv' LIMIT 1"):
            return
        told = self._moments(batch.values(), "origin = 'csv'")
        met = [(told[moment], message.id) for message in batch.values() if (moment := _moment(message)) in told]
        if not met:
            return
        ids = [id_ for id_, _ in met]
        self._lore.move(met)
        self._erasure.move(met)
        self._vectors.drop(ids)
        self._summaries.drop(ids)
        self._database.execute_many("DELETE FROM messages WHERE id = ?", [(id_,) for id_ in ids])
        self._database.empty_log()

    def _moments(self, messages: Iterable[Message], which: str) -> dict[tuple[int, int, int], int]:
        """(channel, author, time) -> id of such rows near these; `which` is a condition of SQLite's.

        Nobody says two things in one channel within one millisecond, so this names a message where no id does.
        """
        found: dict[tuple[int, int, int], int] = {}
        spans: dict[int, list[int]] = {}
        for message in messages:
            spans.setdefault(message.channel_id, []).append(message.created_at)
        for channel_id, times in spans.items():
            rows = self._database.rows(
                f"""SELECT author_id, created_at, messages.id FROM messages
                JOIN sources ON sources.id = source_id
                WHERE channel_id = ? AND messages.id BETWEEN ? AND ? AND {which}""",
                [channel_id, (min(times) - DISCORD_EPOCH_MS) << 22, ((max(times) - DISCORD_EPOCH_MS + 1) << 22) - 1],
            )
            found |= {(channel_id, author, at): id_ for author, at, id_ in rows}
        return found

    def known(self, ids: Iterable[int]) -> dict[int, Row]:
        """id -> id, edited_at, deleted_at, words_at, rendered, content and the rest that `_update` compares."""
        rows = self._database.rows(
            """SELECT messages.id, edited_at, deleted_at, words_at, rendered, content, origin, mentions, reply_to, type,
            fetched_at, reactions, pinned FROM messages JOIN sources ON sources.id = source_id
            WHERE messages.id IN (SELECT value FROM json_each(?))""",
            [json_list(ids)],
        )
        return {row[0]: row for row in rows}

    def _add_authors(self, messages: Iterable[Message], look: Look, forgotten: Iterable[int]) -> None:
        """Names are as they were when Discord showed them, however old the messages under which they stand.

        Sources that know no server (packages) or only account names (CSV) name nobody whom others name.
        """
        # By identity: a reader builds each author once, and to hash one for every message costs more than the rest.
        spans: dict[int, tuple[Author, list[int]]] = {}
        for message in messages:
            spans.setdefault(id(message.author), (message.author, []))[1].append(message.created_at)
        gone = set(forgotten)
        named = [(author, times) for author, times in spans.values() if author.id not in gone and author.name]
        self._database.execute_many(
            "INSERT OR IGNORE INTO authors (id, name, display_name, is_bot, named_at) VALUES (?, '', ?, ?, -1)",
            [(a.id, NOBODY, a.is_bot) for a, _ in spans.values() if a.id in gone or not a.name],
        )
        self._database.execute_many(
            """INSERT INTO authors (id, name, display_name, is_bot, named_at) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, display_name = excluded.display_name,
                is_bot = excluded.is_bot, named_at = excluded.named_at
                WHERE (excluded.named_at, excluded.display_name, excluded.name) > (named_at, display_name, name)""",
            [(a.id, a.name, a.display_name, a.is_bot, look.state_at) for a, _ in named],
        )
        self._database.execute_many(
            """INSERT INTO author_names (author_id, display_name, first_at, last_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (author_id, display_name) DO UPDATE SET first_at = min(first_at, excluded.first_at),
                last_at = max(last_at, excluded.last_at)""",
            [(a.id, a.display_name, min(times), max(times)) for a, times in named],
        )

    def _insert(self, messages: Sequence[Message], source: int, look: Look) -> None:
        self._database.execute_many(
            """INSERT INTO messages (id, channel_id, author_id, type, created_at, edited_at, content, rendered,
            reply_to, pinned, mentions, reactions, attachments, source_id, words_at, fetched_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            [
                (
                    m.id, m.channel_id, m.author.id, m.type, m.created_at, m.edited_at, m.content, m.rendered,
                    m.reply_to, m.pinned, *_lists(m), source, look.at, look.state_at,
                )
                for m in messages
            ],
        )  # fmt: skip

    def _bury_unseen(self, messages: Sequence[Message]) -> None:
        """Make tombstones of those that were deleted before they arrived here."""
        ids = json_list(message.id for message in messages)
        buried = self._erasure.bury(
            self._database.rows(
                """SELECT id, deleted_unseen.deleted_at FROM deleted_unseen JOIN messages USING (id)
                WHERE id IN (SELECT value FROM json_each(?))""",
                [ids],
            )
        )
        if buried:
            self._database.empty_log()

    def _withhold(self, messages: Iterable[Message], erased: dict[int, int]) -> int:
        """Make tombstones of what erased members said; gives how many there were."""
        if not erased:
            return 0
        theirs = [(erased[message.author.id], message.id) for message in messages if message.author.id in erased]
        self._database.execute_many(
            "UPDATE messages SET deleted_at = ?, words_at = 0, fetched_at = 0 WHERE id = ? AND deleted_at IS NULL",
            theirs,
        )
        self._redaction.unquote(id_ for _, id_ in theirs)
        return len(theirs)

    def _nameless(self, messages: Sequence[Message]) -> Sequence[Message]:
        """What others said to erased members, without what it quotes of them, nor the names of the forgotten."""
        erased = self._erasure.withheld(id_ for message in messages for id_ in (message.author.id, *message.mentions))
        quoting = {message.reply_to for message in messages if message.reply_to and "> " in message.content}
        answered = self._erasure.of_erased(quoting) if quoting else set()
        answered |= {message.id for message in messages if message.author.id in erased}
        if not erased and not answered:
            return messages
        forgotten = self._erasure.forgotten(erased)
        return [_without(message, erased, forgotten, answered) for message in messages]

    def _reword(self, id_: int) -> None:
        """Other words in the same place: their vector is made anew, and the old ones are in no log."""
        self._vectors.drop([id_])
        self._summaries.drop([id_])
        self._database.empty_log()

    def _update(self, message: Message, known: Row, look: Look, source: int) -> bool:
        """Take what this look at a known message shows better; gives whether anybody would see a change."""
        if known[2] is not None:
            return False
        words, state = self._update_words(message, known, look, source), self._update_state(message, known, look)
        return words or state

    def _update_words(self, message: Message, known: Row, look: Look, source: int) -> bool:
        _, edited_at, _, words_at, rendered, content, origin, *rest = known[:10]
        there = (edited_at or 0, FIDELITY[origin], words_at, content, rendered)
        if (message.edited_at or 0, look.fidelity, look.at, message.content, message.rendered) <= there:
            return False
        mentions, _, attachments = _lists(message)
        self._database.execute(
            """UPDATE messages SET type = ?, edited_at = ?, content = ?, rendered = ?, reply_to = ?, mentions = ?,
            attachments = ?, source_id = ?, words_at = ? WHERE id = ?""",
            [
                message.type, message.edited_at, message.content, message.rendered, message.reply_to, mentions,
                attachments, source, look.at, message.id,
            ],
        )  # fmt: skip
        if message.rendered != rendered:
            self._reword(message.id)
        elif [mentions, message.reply_to] != rest[:2]:
            self._consents.hide_quotes_known_now([message.id])
        # A tombstone of a dump takes the words first, and is one then.
        if content and message.content != content and (message.edited_at != edited_at or not message.content):
            self._withdrawn.note([message.id])
        # Where an attachment lies is left out: Discord signs its address anew at every look.
        shown = (message.edited_at, message.content, message.rendered, [mentions, message.reply_to, message.type])
        return shown != (edited_at, content, rendered, rest)

    def _update_state(self, message: Message, known: Row, look: Look) -> bool:
        fetched_at, reactions, pinned = known[10:]
        _, now, _ = _lists(message)
        if (look.state_at, now or "", message.pinned) <= (fetched_at, reactions or "", bool(pinned)):
            return False
        self._database.execute(
            "UPDATE messages SET reactions = ?, pinned = ?, fetched_at = ? WHERE id = ?",
            [now, message.pinned, look.state_at, message.id],
        )
        return (now, message.pinned) != (reactions, bool(pinned))


def json_list(ids: Iterable[int]) -> str:
    """Ids as SQLite's `json_each` takes them."""
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


def _wordless(messages: Sequence[Message], erased: Collection[int]) -> Sequence[Message]:
    """Of erased members only that they spoke: what is never written need not be taken out again."""
    if not erased:
        return messages
    return [
        Message(message.id, message.channel_id, message.author, message.created_at, "", "")
        if message.author.id in erased
        else message
        for message in messages
    ]


def _without(
    message: Message, erased: Collection[int], forgotten: Collection[int], answered: Collection[int]
) -> Message:
    """A message without quotes of erased members (or of these messages of theirs), and names of forgotten ones."""
    mentioned = set(message.mentions)
    if mentioned.isdisjoint(erased) and message.reply_to not in answered:
        return message
    content, rendered = message.content, message.rendered
    if not mentioned.isdisjoint(forgotten):
        content, rendered = nameless(message.type, content, rendered, forgotten)
    return replace(message, content=without_quotes(content), rendered=without_quotes(rendered))


def _version(message: Message) -> tuple[int, str, str]:
    """What orders the versions of a message that one source shows."""
    return message.edited_at or 0, message.content, message.rendered


def _moment(message: Message) -> tuple[int, int, int]:
    return message.channel_id, message.author.id, message.created_at
