"""One connection to Discord: events to the keeper, mentions to the answering, and when anything last came.

discord.py delivers an event again after a resume, and none of those between two sessions: the keeper takes each message
once, and each new session catches up. What no retry can mend (the channel is gone, the bot was removed) is `fault`; all
that ends a connection otherwise is the supervisor's.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import discord
import orjson

from sususbot.bot import incoming, policy
from sususbot.bot.answering import Answering
from sususbot.bot.catching_up import CatchingUp, banned
from sususbot.bot.keeper import Keeper
from sususbot.bot.metrics import Metrics
from sususbot.bot.pace import Pace
from sususbot.bot.question import Heard, Talk
from sususbot.bot.sessions import Sessions, spent
from sususbot.errors import ChannelUnknown, DiscordError, GuildUnknown, IntentMissing
from sususbot.memory.short_term import ShortTerm
from sususbot.proxy import proxy_for

logger = logging.getLogger(__name__)

# A HELLO is a hundred characters long.
_SHORT = 300
_UNKNOWN_CHANNEL = 10003
_ASKING_SECONDS = 10.0


class SessionRefused(Exception):
    """Discord did not open the session that was asked for a moment ago."""


def intents() -> discord.Intents:
    """What the bot listens to, and no more: guilds, their messages, and what is in them."""
    wanted = discord.Intents.none()
    wanted.guilds = wanted.guild_messages = wanted.message_content = True
    # The server's own emoji, so that a model that writes `:tea:` shows one; who types, so that nobody is interrupted.
    wanted.expressions = wanted.guild_typing = True
    return wanted


def intent_missing() -> IntentMissing:
    return IntentMissing(
        "Discord refuses the message content intent: switch on Message Content Intent on the developer portal's "
        "Bot page, then start the bot again"
    )


class Client(discord.Client):
    """One login to Discord. Never reused after it is closed.

    `extend` is called at each login, to add commands. Times are monotonic seconds.
    """

    def __init__(
        self,
        channel_id: int,
        *,
        keeper: Keeper,
        answering: Answering,
        short_term: ShortTerm,
        sessions: Sessions,
        metrics: Metrics,
        pace: Pace,
        extend: Callable[["Client"], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(
            intents=intents(),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            proxy=proxy_for(discord.http.Route.BASE),
            guild_ready_timeout=pace.guilds,
            # Tells of every frame that comes; see `dispatch`.
            enable_debug_events=True,
        )
        self.channel_id = channel_id
        self.fault: DiscordError | None = None
        self.over = asyncio.Event()
        """Set with `fault`."""
        self.born = self.heard_at = time.monotonic()
        """When it was made, and when the last frame came."""
        self.heartbeat: float = 45.0
        """Seconds between two heartbeats, as Discord wants them."""
        self.session_at: float | None = None
        """Since when there is a session; None before the first."""
        self.listening_at: float | None = None
        """Since when the session knows the channel; None while it does not."""
        self.lost_at = self.born
        """Since when it does not."""
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        """The newest websocket, also before it is known as `ws`; discord.py loses those that it gives up on the way."""
        self._request = self.http.request
        self.http.request = self._requested  # type: ignore[method-assign]
        self._ws_connect = self.http.ws_connect
        self.http.ws_connect = self._connected  # type: ignore[method-assign]
        self._keeper = keeper
        self._answering = answering
        self._short_term = short_term
        self._sessions = sessions
        self._metrics = metrics
        self._pace = pace
        self._extend = extend
        self._asked = False
        self._retired = False
        self._guild_id: int | None = None
        self._listening: asyncio.Task[None] | None = None
        self._on_air = self._caught_up = False

    # -- sessions

    async def setup_hook(self) -> None:
        assert self.user is not None
        flags = self.application_flags
        if not flags.gateway_message_content and not flags.gateway_message_content_limited:
            # Discord would say so only once a session of the day's budget was spent.
            raise intent_missing()
        self._short_term.own_id = self.user.id
        self._keeper.on_missed = self._listen
        await self._keeper.start()
        if self._extend is not None:
            try:
                await self._extend(self)
            except Exception:
                # Mentions matter more than commands.
                logger.exception("the commands are not there for now")

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:  # noqa: ARG002
        """Keep to the budget: the own one on disk, and what Discord itself says is left."""
        if self._asked:
            # Discord refused one; discord.py would ask every five seconds for ever.
            raise SessionRefused
        if not initial:
            await asyncio.sleep(self._pace.identify_pause)
        await self._ask_discord()
        await asyncio.to_thread(self._sessions.identify)
        self._asked = True
        self._metrics.identified()

    async def _ask_discord(self) -> None:
        try:
            async with asyncio.timeout(_ASKING_SECONDS):
                _, _, limit = await self.http.get_bot_gateway()
        except Exception as error:  # noqa: BLE001  (the own count holds all the same)
            logger.warning("Discord does not say how many sessions are left (%s)", type(error).__name__)
            return
        if limit["remaining"] <= self._pace.discords_reserve:
            used = f"so often today that {limit['remaining']} of {limit['total']} times are left"
            raise spent(used, time.time() + limit["reset_after"] / 1000)

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Frames are looked at here, at once: a task for each would cost more than it does."""
        if self._retired:
            return
        if event == "socket_raw_receive":
            self._frame(args[0])
        elif event == "connect":
            self._begin_session()
        elif event in ("disconnect", "resumed"):
            # What a resume replays may come in any order: until its end nothing counts as heard.
            self._tune(on_air=event == "resumed")
        # What is sent holds the token: nobody is to be told. And discord.py tells of a server that was long in coming
        # also when it has closed itself meanwhile, and has nothing left to run an event in.
        if not event.startswith("socket_raw") and not self.is_closed():
            super().dispatch(event, *args, **kwargs)

    def retire(self) -> None:
        """Listen to nothing more. What is to be sent still can be, until it is closed."""
        self._retired = True
        self._unlisten()

    async def _requested(self, *what: Any, **how: Any) -> Any:
        """A request that is given up while it waits for a rate limit over everything would leave the gate shut for
        all others, for ever."""
        try:
            return await self._request(*what, **how)
        except asyncio.CancelledError:
            self.http._global_over.set()
            raise

    async def _connected(self, *args: Any, **kwargs: Any) -> aiohttp.ClientWebSocketResponse:
        self.socket = await self._ws_connect(*args, **kwargs)
        return self.socket

    def _frame(self, frame: str | bytes) -> None:
        self.heard_at = time.monotonic()
        self._metrics.received()
        if len(frame) < _SHORT and "heartbeat_interval" in (frame if isinstance(frame, str) else frame.decode()):
            with suppress(ValueError, KeyError, TypeError):
                self.heartbeat = orjson.loads(frame)["d"]["heartbeat_interval"] / 1000

    def _begin_session(self) -> None:
        """READY: whatever was said since the last event is not told of."""
        self._asked = False
        self.session_at = time.monotonic()
        self._unlisten()
        self._tune(on_air=True)

    async def on_ready(self) -> None:
        if self._listening is None:
            self._listen()

    async def on_guild_available(self, guild: discord.Guild) -> None:
        if guild.id == self._guild_id or guild.get_channel_or_thread(self.channel_id) is not None:
            self._listen()

    async def on_guild_join(self, guild: discord.Guild) -> None:
        await self.on_guild_available(guild)

    async def on_guild_unavailable(self, guild: discord.Guild) -> None:
        if guild.id == self._guild_id:
            logger.warning("the server %s is out of order at Discord", guild.name)
            self._unlisten()

    async def on_resumed(self) -> None:
        self._metrics.resumed()

    async def on_disconnect(self) -> None:
        self._metrics.connection_lost("disconnected")

    # -- the channel

    def _tune(self, *, on_air: bool | None = None, caught_up: bool | None = None) -> None:
        """Whether each message is told of as it comes, with none missing before it."""
        self._on_air = self._on_air if on_air is None else on_air
        self._caught_up = self._caught_up if caught_up is None else caught_up
        self._keeper.hearing = self._on_air and self._caught_up

    def _unlisten(self) -> None:
        self._tune(caught_up=False)
        if self.listening_at is not None:
            self.lost_at = time.monotonic()
        self.listening_at = None
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None

    def _listen(self) -> None:
        """Find the channel, and catch up with it; from the beginning where that is under way."""
        if self._retired:
            return
        self._unlisten()
        self._listening = asyncio.create_task(self._catch_up())
        self._listening.add_done_callback(_reported)

    async def _catch_up(self) -> None:
        channel = await self._find()
        if channel is None:
            logger.warning("the channel's server is not there yet")
            return
        assert self.user is not None
        self.listening_at = time.monotonic()
        logger.info("listening in #%s of %s as %s", channel.name, channel.guild.name, self.user)
        catching_up = CatchingUp(
            channel,
            self.user.id,
            keeper=self._keeper,
            answering=self._answering,
            metrics=self._metrics,
            pace=self._pace,
        )
        if await catching_up.run():
            self._tune(caught_up=True)
        await catching_up.excuse()

    async def _find(self) -> Talk | None:
        """The channel; None while its server is not there, or where there is a fault."""
        pause = self._pace.page_pause
        while True:
            wait = pause
            try:
                channel = self.get_channel(self.channel_id) or await self.fetch_channel(self.channel_id)
            except (discord.NotFound, discord.Forbidden) as error:
                if not banned(error):
                    if not any(guild.unavailable for guild in self.guilds):
                        self._end(
                            f"the channel {self.channel_id} does not exist or the bot may not see it: check "
                            "CHANNEL_ID, and that the bot is on the server with the right to view the channel"
                        )
                    return None
                wait = max(pause, self._pace.banned_pause)
            except discord.InvalidData:
                return None
            except Exception as error:  # noqa: BLE001  (discord.py fails in its own ways on answers that are no JSON)
                logger.warning("the channel cannot be looked up (%s), trying again", type(error).__name__)
                if banned(error):
                    wait = max(pause, self._pace.banned_pause)
            else:
                if not isinstance(channel, Talk):
                    self._end(
                        f"the channel {self.channel_id} is no text channel or thread: set CHANNEL_ID to one of these"
                    )
                    return None
                self._guild_id = channel.guild.id
                guild = self.get_guild(channel.guild.id)
                return None if guild is None or guild.unavailable else channel
            await asyncio.sleep(wait)
            pause = min(2 * pause, self._pace.longest_page_pause)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        if guild.id == self._guild_id:
            self.fault = GuildUnknown(
                f"the bot was removed from the server {guild.name}: invite it again (sususbot init  prints the "
                "link), then start it again"
            )
            self.over.set()

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        await self._deleted(channel.id)

    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        # To a bot that is taken out of a private one, Discord may say the same.
        private = payload.thread_type is discord.ChannelType.private_thread
        if not private or await self._is_gone(payload.thread_id):
            await self._deleted(payload.thread_id)

    async def _is_gone(self, channel_id: int) -> bool:
        """Whether Discord knows a channel no more; where it cannot be asked, `backfill --verify` will."""
        try:
            await self.fetch_channel(channel_id)
        except discord.NotFound as refused:
            return refused.code == _UNKNOWN_CHANNEL
        except (discord.DiscordException, OSError, TimeoutError) as error:
            logger.warning("whether the thread %d was deleted cannot be asked: %s", channel_id, error)
        return False

    async def _deleted(self, channel_id: int) -> None:
        await self._keeper.delete_channel(channel_id)
        if channel_id == self.channel_id:
            self._end(f"the channel {channel_id} was deleted: set CHANNEL_ID to another one")

    def _end(self, sentence: str) -> None:
        self.fault = ChannelUnknown(sentence)
        self.over.set()

    # -- what is said

    async def on_message(self, message: discord.Message) -> None:
        if message.channel.id != self.channel_id:
            return
        if not isinstance(message.channel, Talk):
            # The server is not there yet, and once it is, this is read; or the bot lives in a thread that was archived
            # when the session began, so that discord.py does not know it.
            if self.listening_at is not None:
                self._listen()
            return
        assert self.user is not None
        mention = policy.addressed(message, self.user.id)
        place = incoming.channel_from(message.channel)
        if not await self._keeper.keep(incoming.message_from(message), *place, mention=mention):
            return
        if mention:
            self._answering.begin(message, message.channel, self.user.id)
        elif policy.by_a_person(message):
            self._answering.follow(message)

    async def on_raw_typing(self, payload: discord.RawTypingEvent) -> None:
        self._answering.typing(payload.channel_id, payload.user_id)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        message = payload.message
        if isinstance(message.channel, Heard):
            await self._keeper.edit(incoming.message_from(message), *incoming.channel_from(message.channel))

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        await self._forget([payload.message_id])

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        await self._forget(sorted(payload.message_ids))

    async def on_error(self, event_method: str, /, *_args: object, **_kwargs: object) -> None:
        logger.exception("%s failed", event_method)

    async def _forget(self, ids: list[int]) -> None:
        for id_ in ids:
            self._answering.cancel(id_)
        await self._keeper.delete(ids)


def _reported(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("catching up broke", exc_info=error)
