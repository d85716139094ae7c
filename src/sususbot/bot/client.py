"""The connection to Discord: events to the keeper, mentions to the answering, foreign errors to ours.

discord.py delivers an event again after a resume; here each message is answered once. Errors that no retry can mend
(token, intents, channel) end `run_bot` with a sentence; all others are discord.py's to reconnect from.
"""

import asyncio
import gc
import logging

import aiohttp
import discord

from sususbot.archive.archive import Archive
from sususbot.bot import incoming, policy
from sususbot.bot.answering import Answering
from sususbot.bot.commands import Commands, attach
from sususbot.bot.controls import Controls
from sususbot.bot.keeper import Keeper
from sususbot.bot.question import Talk
from sususbot.errors import ChannelUnknown, ConnectionLost, DiscordError, IntentMissing, SususError, TokenRefused
from sususbot.forgetting import Forgetting
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.responder import Responder

logger = logging.getLogger(__name__)


def intents() -> discord.Intents:
    """What the bot listens to, and no more: guilds, their messages, and what is in them."""
    wanted = discord.Intents.none()
    wanted.guilds = wanted.guild_messages = wanted.message_content = True
    return wanted


class Client(discord.Client):
    """One login to Discord. Never reused after it is closed."""

    def __init__(
        self,
        channel_id: int,
        keeper: Keeper,
        answering: Answering,
        short_term: ShortTerm,
        controls: Controls | None = None,
    ) -> None:
        """Without `controls` there are no slash commands."""
        super().__init__(
            intents=intents(),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
        )
        self.fault: SususError | None = None
        self._channel_id = channel_id
        self._keeper = keeper
        self._answering = answering
        self._short_term = short_term
        self._tasks: list[asyncio.Task[None]] = []
        self._controls = controls
        self._commands: Commands | None = None

    async def setup_hook(self) -> None:
        self._tasks = [asyncio.create_task(self._keeper.learn()), asyncio.create_task(self._keeper.tidy())]
        assert self.user is not None
        self._short_term.own_id = self.user.id
        self._tasks.append(asyncio.create_task(self._keeper.start()))
        if self._controls is not None:
            self._commands = await attach(self, self._controls)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._commands is not None:
            await self._commands.close()
        await self._answering.close()
        await super().close()

    async def on_ready(self) -> None:
        try:
            channel = self.get_channel(self._channel_id) or await self.fetch_channel(self._channel_id)
        except (discord.NotFound, discord.Forbidden):
            await self._give_up(
                f"the channel {self._channel_id} does not exist or the bot may not see it: check CHANNEL_ID, "
                "and that the bot is on the server with the right to view the channel"
            )
            return
        except (discord.HTTPException, OSError) as error:
            # Discord is out of order; messages of the channel arrive all the same once it is not.
            logger.warning("the channel could not be looked up (%s)", type(error).__name__)
            return
        if not isinstance(channel, Talk):
            await self._give_up(
                f"the channel {self._channel_id} is no text channel or thread: set CHANNEL_ID to one of these"
            )
            return
        logger.info("listening in #%s of %s as %s", channel.name, channel.guild.name, self.user)

    async def on_message(self, message: discord.Message) -> None:
        if message.channel.id != self._channel_id:
            return
        if not isinstance(message.channel, Talk):
            return
        assert self.user is not None
        mention = policy.addressed(message, self.user.id)
        place = incoming.channel_from(message.channel)
        if await self._keeper.keep(incoming.message_from(message), *place, mention=mention) and mention:
            self._answering.begin(message, message.channel, self.user.id)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        message = payload.message
        if isinstance(message.channel, Talk):
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

    async def _give_up(self, sentence: str) -> None:
        self.fault = ChannelUnknown(sentence)
        await self.close()


async def run_bot(
    token: str,
    channel_id: int,
    *,
    archive: Archive,
    short_term: ShortTerm,
    long_term: LongTerm,
    responder: Responder,
    retention_days: int | None = None,
    forgetting: Forgetting | None = None,
) -> None:
    """Run until it is stopped. Raises DiscordError when it cannot go on."""
    keeper = Keeper(archive, long_term, short_term=short_term, retention_days=retention_days, forgetting=forgetting)
    client = Client(channel_id, keeper, Answering(responder, settle=keeper.settle), short_term)
    # What is loaded by now stays loaded (the encoder alone brings a million objects): the collector need not stop the
    # replies to look at all of it again.
    gc.collect()
    gc.freeze()
    try:
        async with client:
            await client.start(token)
    except discord.DiscordException as error:
        raise _translated(error) from error
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionLost("Discord cannot be reached: check the network, then start the bot again") from error
    finally:
        keeper.close()
        gc.unfreeze()
    if client.fault is not None:
        raise client.fault


def _translated(error: discord.DiscordException) -> DiscordError:
    """discord.py's errors that end a connection for good, as ours."""
    code = getattr(error, "code", None)
    if isinstance(error, discord.LoginFailure) or code == 4004:
        return TokenRefused(
            "Discord refuses the token: press Reset Token on the developer portal's Bot page and put the new one "
            "into .env as DISCORD_TOKEN"
        )
    if isinstance(error, discord.PrivilegedIntentsRequired) or code in (4013, 4014):
        return IntentMissing(
            "Discord refuses the message content intent: switch on Message Content Intent on the developer portal's "
            "Bot page, then start the bot again"
        )
    return ConnectionLost(f"Discord ended the connection ({error}): start the bot again")
