"""What was said while the bot did not listen, read by REST: kept, answered if it is not too late, and told if it is.

After each new session, for Discord replays nothing to one. The newest page shows what was edited and deleted; the pages
before it, down to where the channel was heard to, are taken as if they came now, in order. A mention that was taken and
has no end (the process was killed, Discord was not to be reached) is answered unless its reply stands in the channel.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import discord

from sususbot.bot import incoming, policy
from sususbot.bot.answering import Answering
from sususbot.bot.keeper import Keeper
from sususbot.bot.metrics import Metrics
from sususbot.bot.pace import Pace
from sususbot.bot.question import Talk
from sususbot.errors import SususError

_PAGE: Final = 100
# Lines of one question are not further apart.
_BURST_MS: Final = 60_000

T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Gap:
    """What a channel shows, oldest first, and what is known of it."""

    messages: Sequence[discord.Message]
    heard: int | None
    unknown: set[int]
    open: Sequence[int]
    """Mentions that were taken and have no end."""
    ended: set[int]
    """Mentions whose end is on record. Keeping them again would tell, too, but not while nothing can be written."""
    answered: set[int]
    """Messages that a message of the bot answers."""
    served: Mapping[int, int]
    """Member -> the last message of theirs that was answered without a record of it: the archive could not be written,
    and the process was killed. It took in what they had asked just before, and of that there is no record either."""

    def took_in(self, message: discord.Message) -> bool:
        """Whether a reply that stands there was made of this message, too, by all that can be known."""
        served = self.served.get(message.author.id, 0)
        return message.id < served and (served >> 22) - (message.id >> 22) <= _BURST_MS


class CatchingUp:
    """Catches up with a channel for one session."""

    def __init__(
        self, channel: Talk, own_id: int, *, keeper: Keeper, answering: Answering, metrics: Metrics, pace: Pace
    ) -> None:
        self._channel = channel
        self._own_id = own_id
        self._keeper = keeper
        self._answering = answering
        self._metrics = metrics
        self._pace = pace
        self._begun = time.time()
        self._messages = 0
        self._mentions = 0
        self._late: list[discord.Message] = []

    async def run(self) -> bool:
        """Keep and answer, however often Discord or the archive fails meanwhile. Then `excuse` is left to be done.

        False where the history may not be read: what was missed stays missed until it may.
        """
        try:
            gap = await self._again_and_again("reading what was missed", self._read)
        except discord.Forbidden:
            logger.error("the channel's history cannot be read: give the bot the right to read message history")
            return False
        if not gap.messages and self._channel.last_message_id is not None:
            logger.warning("the channel shows no messages: does the bot have the right to read message history?")
        if gap.heard is None and gap.messages:
            # The very first time: if this is broken off, the next session is to begin where this one did.
            await self._keeper.caught_up(self._channel.id, gap.messages[0].id - 1)
        for message in await self._lost(gap):
            await self._end(message, gap)
        for message in gap.messages:
            if gap.heard is None or message.id > gap.heard or message.id in gap.unknown:
                await self._take(message, gap)
        await self._compare(gap)
        await self._keeper.caught_up(self._channel.id, max((message.id for message in gap.messages), default=0))
        self._metrics.caught_up(self._messages, self._mentions)
        logger.info("caught up: %s messages were new, %s mentions were open", self._messages, self._mentions)
        return True

    async def excuse(self) -> None:
        """Tell whose mentions were found too late. It may take long, and nobody waits for it any more."""
        for message in self._late:
            if not self._keeper.ended(message.id):
                await self._answering.sign(message, "old")

    async def _read(self) -> _Gap:
        heard = await self._keeper.heard(self._channel.id)
        messages = await self._pages(heard)
        open_ = await self._keeper.open(self._channel.id)
        answered = await self._keeper.answered(open_, self._own_id)
        answered |= {
            message.reference.message_id
            for message in messages
            if message.author.id == self._own_id and message.reference is not None and message.reference.message_id
        }
        ids = [message.id for message in messages]
        unknown = await self._keeper.unknown(ids)
        ended = await self._keeper.on_record(ids)
        unsettled = answered & unknown.union(open_)
        served = {message.author.id: message.id for message in messages if message.id in unsettled}
        return _Gap(messages, heard, unknown, open_, ended, answered, served)

    async def _pages(self, heard: int | None) -> list[discord.Message]:
        """The newest page, and those before it down to where the channel was heard to; oldest first."""
        messages: list[discord.Message] = []
        for _ in range(1 if heard is None else self._pace.most_pages):
            page = await self._page(messages[-1] if messages else None)
            messages += page
            if not page or (heard is not None and page[-1].id <= heard):
                break
        else:
            if heard is not None:
                logger.warning(
                    "more was said than is read again: run  sususbot backfill  for what is older than %s",
                    messages[-1].created_at,
                )
        messages.reverse()
        return messages

    async def _page(self, before: discord.Message | None) -> list[discord.Message]:
        """Newest first, as Discord gives it."""

        async def read() -> list[discord.Message]:
            return [message async for message in self._channel.history(limit=_PAGE, before=before)]

        return await self._again_and_again("a page of the channel", read)

    async def _again_and_again(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """For as long as the session lasts."""
        pause = self._pace.page_pause
        while True:
            wait = pause
            try:
                return await attempt()
            except (discord.HTTPException, discord.RateLimited) as error:
                if isinstance(error, discord.Forbidden) and error.code:
                    raise
                logger.warning("%s: Discord refused (%s), trying again", what, type(error).__name__)
                if banned(error):
                    wait = max(pause, self._pace.banned_pause)
            except (OSError, TimeoutError, SususError) as error:
                logger.warning("%s: %s, trying again", what, type(error).__name__)
            except Exception:
                # discord.py fails in its own ways on answers that are no JSON.
                logger.exception("%s failed, trying again", what)
            await asyncio.sleep(wait)
            pause = min(2 * pause, self._pace.longest_page_pause)

    async def _take(self, message: discord.Message, gap: _Gap) -> None:
        """As if it came now."""
        mention = policy.addressed(message, self._own_id)
        place = incoming.channel_from(self._channel)
        new = await self._keeper.keep(incoming.message_from(message), *place, mention=mention)
        if not new or message.id in gap.ended:
            return
        self._messages += 1
        if mention:
            await self._end(message, gap)
        elif policy.by_a_person(message):
            self._answering.follow(message)

    async def _lost(self, gap: _Gap) -> list[discord.Message]:
        """The open mentions themselves. One that Discord does not show any more is settled."""
        shown = {message.id: message for message in gap.messages}
        found: list[discord.Message] = []
        for id_ in gap.open:
            if id_ in gap.answered:
                self._keeper.settle([id_], "reply")
            elif (message := shown.get(id_)) or (message := await self._message(id_)):
                found.append(message)
            else:
                self._keeper.settle([id_], "deleted")
        return found

    async def _message(self, id_: int) -> discord.Message | None:
        async def read() -> discord.Message | None:
            try:
                return await self._channel.fetch_message(id_)
            except discord.NotFound:
                return None

        return await self._again_and_again("an open mention", read)

    async def _end(self, message: discord.Message, gap: _Gap) -> None:
        """Answer a mention, or find that it has its end already, or comes too late."""
        if message.id in gap.answered:
            self._keeper.settle([message.id], "reply")
        elif any(reaction.me for reaction in message.reactions):
            self._keeper.settle([message.id], "sign")
        elif self._in_hand(message.id):
            # No reason to wait for room: it has its own.
            return
        elif gap.took_in(message):
            self._keeper.settle([message.id], "merged")
        elif time.time() - message.created_at.timestamp() <= self._pace.answered_late:
            while self._answering.asking >= self._pace.at_once:  # noqa: ASYNC110  (each ends in its own time)
                await asyncio.sleep(self._pace.breath)
            if not self._in_hand(message.id):
                self._mentions += 1
                self._answering.begin(message, self._channel, self._own_id)
        elif gap.heard is None:
            # The bot was not there yet.
            self._keeper.settle([message.id], "old")
        else:
            self._late.append(message)

    def _in_hand(self, message_id: int) -> bool:
        """Whether an earlier session of this process sees to it, or did meanwhile."""
        return self._answering.holds(message_id) or self._keeper.ended(message_id)

    async def _compare(self, gap: _Gap) -> None:
        """The newest page with what is kept of it."""
        page = [incoming.message_from(message) for message in gap.messages[-_PAGE:]]
        if page:
            before = round((self._begun - self._pace.shown) * 1000)
            await self._keeper.compare(page, *incoming.channel_from(self._channel), before=before)


def banned(error: Exception) -> bool:
    """Whether it looks like Cloudflare's page for a banned address, where each further try counts."""
    return isinstance(error, discord.HTTPException) and error.status in (403, 429) and not error.code
