"""Keeps what happens in the channel: each message, edit and deletion into the archive at once, into memory right after.

All writing is done by one thread, in the order of the events; embedding by another, so that a burst of messages is
embedded in batches behind the writing. The event loop waits for neither, and a reply only a moment: while the archive
cannot be written (disk full, locked), events wait here, are tried again by the clock, and what was taken is known from
memory. What cannot even be held is read again from Discord once the archive can be written.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.mentions import How
from sususbot.archive.upsert import Added
from sususbot.bot.pace import Pace
from sususbot.errors import ArchiveLocked, SususError, VectorStoreError
from sususbot.forgetting import Forgetting
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.messages import DISCORD_EPOCH_MS, Channel, Guild, Message

# Well below a second, within which a new message is to be findable.
_PAUSE_SECONDS: Final = 0.3
_DAY_MS: Final = 86_400_000
# Events that wait for an archive that cannot be written: of a busy channel, some hours' worth.
_BACKLOG: Final = 20_000
# Messages whose ids are remembered, so that a replayed event is neither answered nor counted twice.
_REMEMBERED: Final = 10_000

T = TypeVar("T")
V = TypeVar("V")
logger = logging.getLogger(__name__)


class Keeper:
    """Writes for one running bot, through all its connections."""

    def __init__(
        self,
        archive: Archive,
        long_term: LongTerm,
        *,
        short_term: ShortTerm | None = None,
        retention_days: int | None = None,
        forgetting: Forgetting | None = None,
        pace: Pace = Pace(),  # noqa: B008  (frozen)
    ) -> None:
        self._archive = archive
        self._long_term = long_term
        self._short_term = short_term
        self._forgetting = forgetting
        self._retention_days = retention_days
        self._pace = pace
        self._writer = ThreadPoolExecutor(1, "archive")
        self._embedder = ThreadPoolExecutor(1, "embed")
        self._news = asyncio.Event()
        self._fresh: list[int] = []
        self._backlog: deque[Callable[[], None]] = deque()
        self._again: asyncio.TimerHandle | None = None
        self._started = False
        self._closed = False
        # Message -> whether it could be held.
        self._seen: OrderedDict[int, bool] = OrderedDict()
        # Mentions whose keeping is under way, and those that ended: the archive may not know of it yet.
        self._arriving: set[int] = set()
        self._ended: OrderedDict[int, None] = OrderedDict()
        self._missed = False
        self._source: int | None = None
        self._known: dict[int, Channel] = {}
        self.trouble: str | None = None
        """Why nothing can be written at the moment, in a sentence; None while all is well."""
        self.hearing = False
        """Whether every message is told of as it comes, so that a channel counts as heard up to the newest."""
        self.on_missed: Callable[[], None] = lambda: None
        """Called when the archive can be written again, after messages that could not be held."""

    @property
    def behind(self) -> bool:
        """Whether something that is to be kept is not written yet, refused or just slow."""
        return self.trouble is not None or bool(self._backlog)

    @property
    def backlog(self) -> int:
        """How many events wait to be written."""
        return len(self._backlog)

    async def keep(self, message: Message, guild: Guild, channel: Channel, *, mention: bool = False) -> bool:
        """A new message, and where it was said. False where it is known: it must be neither answered nor followed.

        A `mention` is known by its own record, whoever kept its message before (an import, a backfill).
        """
        seen = message.id in self._seen
        if self._seen.get(message.id):
            return False
        known, hear = False, self.hearing and not self._missed

        def work() -> None:
            nonlocal known
            known = self._add(message, guild, channel, mention=mention, hear=hear)

        held = self._hold(work)
        _remember(self._seen, message.id, held)
        if held:
            self._arriving.add(message.id)
            try:
                await self._written()
            finally:
                # Not before the caller had its turn: until then nobody else has the mention in hand. One that was
                # cancelled meanwhile takes it in hand no more.
                asyncio.get_running_loop().call_soon(self._arriving.discard, message.id)
            self._learn(message.id)
        return not (seen or known)

    def settle(self, ids: Sequence[int], how: How) -> None:
        """How mentions ended; written behind whatever waits."""
        ids = list(ids)
        for id_ in ids:
            _remember(self._ended, id_, None)
        if self._hold(lambda: self._archive.mentions.settle(ids, how)):
            self._begin()

    async def heard(self, channel_id: int) -> int | None:
        """The message up to which nothing is left to be read again; None where the bot never listened."""
        return await self._in(self._writer, lambda: self._archive.mentions.heard(channel_id))

    async def caught_up(self, channel_id: int, message_id: int) -> None:
        """Everything up to this message was read."""
        await self._write(lambda: self._archive.mentions.hear(channel_id, message_id))

    def ended(self, id_: int) -> bool:
        """Whether a mention came to an end in this process."""
        return id_ in self._ended

    async def open(self, channel_id: int) -> list[int]:
        """Mentions without an end, oldest first. Such as are just being taken are not among them."""
        in_hand = await self._in(self._writer, lambda: self._archive.mentions.in_hand(channel_id))
        return [id_ for id_ in in_hand if id_ not in self._ended and id_ not in self._arriving]

    async def on_record(self, ids: Sequence[int]) -> set[int]:
        """Those of these mentions that came to an end in whatever process, as far as it was written down."""
        return await self._in(self._writer, lambda: self._archive.mentions.ended(ids))

    async def answered(self, ids: Sequence[int], own_id: int) -> set[int]:
        """Those of these messages that a kept message of the bot itself answers."""
        return await self._in(self._writer, lambda: self._archive.mentions.answered(ids, own_id))

    async def unknown(self, ids: Collection[int]) -> set[int]:
        """Those of these messages that are not kept, and were not deleted."""
        known = await self._in(self._writer, lambda: self._archive.known(ids))
        return {id_ for id_ in ids if id_ not in known and not self._seen.get(id_)}

    async def compare(self, page: Sequence[Message], guild: Guild, channel: Channel, *, before: int) -> None:
        """Messages as Discord shows them now, in order and without a gap: what differs was edited, what is not there
        was deleted. `before` this moment (ms) all that was said is sure to be shown."""
        await self._write(lambda: self._compare(page, guild, channel, before))

    async def edit(self, message: Message, guild: Guild, channel: Channel) -> None:
        """An edited message of any channel; one that is not kept stays so."""
        await self._write(lambda: self._edit(message, guild, channel))
        self._learn(message.id)

    async def note(self, message: Message, guild: Guild, channel: Channel) -> bool:
        """What a member had written down, and where: no channel shows it. False where it cannot be held."""

        def work() -> None:
            self._put([message], guild, channel)

        held = self._hold(work)
        if held:
            await self._written()
            self._learn(message.id)
        return held

    async def delete(self, ids: Sequence[int]) -> None:
        """Deleted messages of any channel, also such as are not kept: an import must not bring them back."""
        await self._write(lambda: self._remove(ids))

    async def delete_channel(self, channel_id: int) -> None:
        """A channel or thread that is gone, with all that was said there and in its threads."""
        await self._write(lambda: self._drop_stale(self._archive.delete_channel(channel_id, at=now_ms())))

    async def start(self) -> None:
        """Sum up what was said while nothing ran; once."""
        if self._short_term is not None and not self._started:
            self._started = True
            await self._write(self._short_term.start)

    async def learn(self) -> None:
        """Make what is kept findable by meaning, for as long as the bot runs; first what an earlier run left."""
        waiting: list[int] | None = None
        while True:
            try:
                while await self._in(self._embedder, lambda ids=waiting: self._long_term.learn(ids)):  # type: ignore[misc]
                    pass
                waiting = []
            except SususError as error:
                # What waits goes on waiting; the next message tries again.
                logger.warning("not embedded for now: %s", error)
            except Exception:
                # A bug must not end learning for the rest of the run.
                logger.exception("not embedded for now")
            await self._news.wait()
            # A question's own reply goes first, and a burst of messages becomes one batch.
            await asyncio.sleep(_PAUSE_SECONDS)
            self._news.clear()
            if waiting is not None:
                waiting += self._fresh
            self._fresh.clear()

    def relearn(self, ids: Sequence[int]) -> None:
        """Make these findable again, as far as they may be remembered: a member's answer changed how they read."""
        self._fresh.extend(ids)
        self._news.set()

    async def tidy(self) -> None:
        """Take away what is past its time, for as long as the bot runs."""
        while True:
            await self._write(self._expire)
            await asyncio.sleep(self._pace.tidy)

    def close(self) -> None:
        """Finish what was begun."""
        self._closed = True
        if self._again is not None:
            self._again.cancel()
        self._writer.submit(self._work_off)
        self._writer.shutdown()
        self._embedder.shutdown(cancel_futures=True)
        if self._backlog:
            logger.error("%s events could not be kept: the next start reads the channel again", len(self._backlog))

    # -- in the archive's thread

    def _add(self, message: Message, guild: Guild, channel: Channel, *, mention: bool, hear: bool) -> bool:
        """Whether it was known already."""
        mentions = self._archive.mentions
        known = mention and mentions.known(message.id)

        def also() -> None:
            if mention and not known:
                mentions.take(message.id, channel.id)
            if hear:
                mentions.hear(channel.id, message.id)

        added = self._put([message], guild, channel, also)
        return known if mention else added.known + added.changed > 0

    def _edit(self, message: Message, guild: Guild, channel: Channel) -> None:
        if self._archive.messages([message.id]):
            self._put([message], guild, channel)

    def _compare(self, page: Sequence[Message], guild: Guild, channel: Channel, before: int) -> None:
        kept = self._archive.messages(message.id for message in page)
        edited = [m for m in page if m.id in kept and _version(m) != _version(kept[m.id])]
        if edited:
            self._put(edited, guild, channel)
        shown = {message.id for message in page}
        there = self._archive.ids(channel.id, min(shown), min(max(shown), (before - DISCORD_EPOCH_MS) << 22))
        if gone := [id_ for id_ in there if id_ not in shown]:
            self._remove(gone)

    def _put(
        self, messages: Sequence[Message], guild: Guild, channel: Channel, also: Callable[[], None] | None = None
    ) -> Added:
        if self._source is None:
            self._source = self._archive.add_source("gateway", "bot")
        if self._known.get(channel.id) != channel:
            self._archive.add_channel(guild, channel, origin="gateway", seen_at=now_ms())
            self._known[channel.id] = channel
        added = self._archive.add(messages, source=self._source, fetched_at=now_ms(), also=also)
        self._drop_stale([message.id for message in messages])
        return added

    def _remove(self, ids: Sequence[int]) -> None:
        self._archive.delete(ids, at=now_ms())
        self._drop_stale(ids)

    def _expire(self) -> None:
        self._archive.mentions.prune(now=now_ms())
        if self._retention_days is None:
            return
        if expired := self._archive.erasure.expire(now_ms() - self._retention_days * _DAY_MS):
            logger.info("%s messages were past their %s days and are erased", len(expired), self._retention_days)
            self._drop_stale(expired)
        self._drop_made_of_expired()

    def _drop_made_of_expired(self) -> None:
        try:
            for name in self._forgetting.drop_expired().files if self._forgetting is not None else ():
                logger.info("%s was made of them, too, and is deleted", name)
        except ArchiveLocked as error:
            # It stays on record: the next command, or tomorrow, tries again.
            logger.warning("%s", error)

    def _drop_stale(self, ids: Sequence[int]) -> None:
        if self._short_term is not None:
            self._short_term.changed(ids)
        try:
            self._long_term.drop_stale(ids)
        except VectorStoreError as error:
            # Long-term memory makes up for it once the store answers; the archive need not wait for that.
            logger.warning("%s", error)

    def _work_off(self) -> None:
        """Write what waits, in order. What is refused stays in its place."""
        waited = self.trouble is not None and len(self._backlog)
        while self._backlog:
            try:
                self._backlog[0]()
            except SususError as error:
                # A full disk or a locked file mends itself or is mended; the order of events must stay.
                if self.trouble is None:
                    logger.error("nothing can be kept for now, events wait: %s", error)
                self.trouble = str(error)
                return
            except Exception:
                # A bug must not keep all later events out.
                logger.exception("an event could not be kept")
            self._backlog.popleft()
        if waited:
            logger.warning("what waited is kept now: %s events", waited)
        self.trouble = None

    def _work_off_unless_refused(self) -> None:
        # Each try at a locked file takes seconds; while it is known to be locked, only the clock tries.
        if self.trouble is None:
            self._work_off()

    # -- in the event loop

    async def _write(self, work: Callable[[], None]) -> None:
        if self._hold(work):
            await self._written()

    async def _written(self) -> None:
        """Until what waits is written, but not for long: what cannot be now is written later."""
        if (attempt := self._begin()) is not None:
            await asyncio.wait([attempt], timeout=self._pace.patience)

    def _hold(self, work: Callable[[], None]) -> bool:
        """To be done after everything that waits; False where nothing more can be held."""
        if len(self._backlog) >= _BACKLOG:
            if not self._missed:
                logger.error(
                    "%s events wait for the archive: later ones are read again once it can be written", _BACKLOG
                )
            self._missed = True
            return False
        self._backlog.append(work)
        return True

    def _begin(self) -> asyncio.Future[None] | None:
        """Start writing, unless it is known to be refused at the moment."""
        if self.trouble is not None or self._closed:
            return None
        return self._submit(self._work_off_unless_refused)

    def _submit(self, work: Callable[[], None]) -> asyncio.Future[None]:
        attempt = asyncio.get_running_loop().run_in_executor(self._writer, work)
        attempt.add_done_callback(self._plan)
        return attempt

    def _plan(self, _: asyncio.Future[None]) -> None:
        """After a refusal, the clock is to try again."""
        if self.trouble is None:
            if self._missed:
                self._missed = False
                self.on_missed()
        elif self._again is None and not self._closed:
            self._again = asyncio.get_running_loop().call_later(self._pace.mend, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self._submit(self._work_off)

    def _learn(self, message_id: int) -> None:
        self._fresh.append(message_id)
        self._news.set()

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)


def _remember(known: OrderedDict[int, V], id_: int, value: V) -> None:
    known[id_] = value
    if len(known) > _REMEMBERED:
        known.popitem(last=False)


def _version(message: Message) -> tuple[int | None, str]:
    return message.edited_at, message.content
