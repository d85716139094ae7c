"""Keeps what happens in the channel: each message, edit and deletion into the archive at once, into memory right after.

All writing is done by one thread, in the order of the events; embedding by another, so that a burst of messages is
embedded in batches behind the writing. The event loop waits for neither.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sususbot.archive.archive import Archive, now_ms
from sususbot.errors import ArchiveLocked, SususError, VectorStoreError
from sususbot.forgetting import Forgetting
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.messages import Channel, Guild, Message

# Well below a second, within which a new message is to be findable.
_PAUSE_SECONDS: Final = 0.3
# Between two looks for words that are past their time.
_EXPIRY_SECONDS: Final = 86_400.0
_DAY_MS: Final = 86_400_000
# Events that wait for an archive that cannot be written; beyond it the oldest are lost.
_BACKLOG: Final = 100_000

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Keeper:
    """Writes for one running bot."""

    def __init__(
        self,
        archive: Archive,
        long_term: LongTerm,
        *,
        short_term: ShortTerm | None = None,
        retention_days: int | None = None,
        forgetting: Forgetting | None = None,
    ) -> None:
        self._archive = archive
        self._long_term = long_term
        self._short_term = short_term
        self._forgetting = forgetting
        self._retention_days = retention_days
        self._writer = ThreadPoolExecutor(1, "archive")
        self._embedder = ThreadPoolExecutor(1, "embed")
        self._news = asyncio.Event()
        self._fresh: list[int] = []
        self._backlog: deque[Callable[[], None]] = deque(maxlen=_BACKLOG)
        self._source: int | None = None
        self._known: dict[int, Channel] = {}

    async def keep(self, message: Message, guild: Guild, channel: Channel) -> None:
        """A new message, and where it was said."""
        await self._write(lambda: self._add(message, guild, channel))
        self._fresh.append(message.id)
        self._news.set()

    async def edit(self, message: Message, guild: Guild, channel: Channel) -> None:
        """An edited message of any channel; one that is not kept stays so."""
        await self._write(lambda: self._edit(message, guild, channel))
        self._fresh.append(message.id)
        self._news.set()

    async def delete(self, ids: Sequence[int]) -> None:
        """Deleted messages of any channel, also such as are not kept: an import must not bring them back."""
        await self._write(lambda: self._remove(ids))

    async def catch_up(self) -> None:
        """Sum up what was said while nothing ran."""
        if self._short_term is not None:
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

    async def expire(self) -> None:
        """Erase what is past its time, for as long as the bot runs."""
        while self._retention_days is not None:
            await self._write(self._expire)
            await asyncio.sleep(_EXPIRY_SECONDS)

    def close(self) -> None:
        """Finish what was begun."""
        self._writer.submit(self._catch_up)
        self._writer.shutdown()
        self._embedder.shutdown(cancel_futures=True)
        if self._backlog:
            logger.error("%s events could not be kept: import an export of the channel later", len(self._backlog))

    def _add(self, message: Message, guild: Guild, channel: Channel) -> None:
        if self._source is None:
            self._source = self._archive.add_source("gateway", "bot")
        if self._known.get(channel.id) != channel:
            self._archive.add_channel(guild, channel, origin="gateway", seen_at=now_ms())
            self._known[channel.id] = channel
        self._archive.add([message], source=self._source, fetched_at=now_ms())
        self._drop_stale([message.id])

    def _edit(self, message: Message, guild: Guild, channel: Channel) -> None:
        if self._archive.messages([message.id]):
            self._add(message, guild, channel)

    def _remove(self, ids: Sequence[int]) -> None:
        self._archive.delete(ids, at=now_ms())
        self._drop_stale(ids)

    def _expire(self) -> None:
        assert self._retention_days is not None
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

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)

    async def _write(self, work: Callable[[], None]) -> None:
        """Do it in the archive's thread, after everything that waits. What cannot be written now is tried again."""
        self._backlog.append(work)
        await self._in(self._writer, self._catch_up)

    def _catch_up(self) -> None:
        while self._backlog:
            try:
                self._backlog[0]()
            except SususError as error:
                # A full disk or a locked file mends itself or is mended; the order of events must stay.
                logger.error("not kept for now, %s events wait: %s", len(self._backlog), error)
                return
            except Exception:
                # A bug must not keep all later events out.
                logger.exception("an event could not be kept")
            self._backlog.popleft()
