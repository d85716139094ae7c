"""From a mention to what the member sees: typing, the reply in parts, or the sign that the bot is busy.

Every mention ends in exactly one of them, or in a line of the log that names the cause.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import discord

from sususbot.bot import incoming, policy, rendering
from sususbot.errors import Busy
from sususbot.memory.short_term import turn
from sususbot.responder import Responder

logger = logging.getLogger(__name__)

BUSY_SIGN: Final = "⏳"
# Discord shows typing for ten seconds.
_TYPING_SECONDS: Final = 8.0
_SEND_SECONDS: Final = 60.0
_TRIES: Final = 4
_GONE: Final = 100
_FIRST_PAUSE: Final = 0.5

# Where the bot can talk.
Talk = discord.TextChannel | discord.Thread


class Answering:
    """Answers mentions, each in a task of its own."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._gone: deque[int] = deque(maxlen=_GONE)
        self._typing = 0
        self._typist: asyncio.Task[None] | None = None

    def begin(self, message: discord.Message, channel: Talk, own_id: int) -> None:
        """Answer in the background, unless the question is gone already."""
        if message.id in self._gone:
            return
        task = asyncio.create_task(self._answer(message, channel, own_id))
        self._tasks[message.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(message.id, None))

    def cancel(self, message_id: int) -> None:
        """The question was deleted: say nothing. It may not even have been looked at yet."""
        self._gone.append(message_id)
        if task := self._tasks.get(message_id):
            task.cancel()

    async def close(self) -> None:
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, message: discord.Message, channel: Talk, own_id: int) -> None:
        asked = replace(turn(incoming.message_from(message)), text=incoming.question(message, own_id))
        try:
            async with self._shown_typing(channel):
                reply = await self._responder.reply(asked, channel_id=channel.id, audience=policy.audience(channel))
        except Busy:
            await self._sign_busy(message)
            return
        except Exception:
            logger.exception("no reply to message %s", message.id)
            await self._sign_busy(message)
            return
        logger.info("answered message %s: %s", message.id, reply.trace.facts())
        await self._send(message, channel, reply.text)

    async def _send(self, message: discord.Message, channel: Talk, text: str) -> None:
        for number, part in enumerate(rendering.split(text)):
            reference = message.to_reference(fail_if_not_exists=False) if number == 0 else None
            if not await self._send_part(message, channel, part, number, reference):
                return

    async def _send_part(
        self,
        message: discord.Message,
        channel: Talk,
        part: str,
        number: int,
        reference: discord.MessageReference | None,
    ) -> bool:
        """Send one part, again after a server's fault; the nonce keeps a part that did arrive from coming twice."""
        for attempt in range(_TRIES):
            try:
                # Our own limit: discord.py's (`max_ratelimit_timeout`) refuses requests that need not wait at all.
                async with asyncio.timeout(_SEND_SECONDS):
                    await channel.send(
                        part,
                        reference=reference,  # type: ignore[arg-type]  # None is what its default is
                        nonce=f"{message.id}-{number}",
                        allowed_mentions=discord.AllowedMentions.none(),
                    )
            except discord.HTTPException as error:
                # A reply needs the right to read history; without it the answer comes as a plain message.
                if error.code == _NO_HISTORY and reference is not None:
                    reference = None
                    continue
                if error.status < 500:
                    logger.error("reply to message %s refused: %s", message.id, error.text or error.status)
                    return False
                logger.warning("Discord failed with %s, trying again", error.status)
            except (OSError, TimeoutError) as error:
                logger.warning("Discord was not reached (%s), trying again", type(error).__name__)
            else:
                return True
            await asyncio.sleep(_FIRST_PAUSE * 2**attempt)
        logger.error("reply to message %s could not be sent", message.id)
        return False

    async def _sign_busy(self, message: discord.Message) -> None:
        """A reaction on the question; where reactions are forbidden, a word."""
        try:
            await message.add_reaction(BUSY_SIGN)
        except discord.Forbidden:
            await self._send(message, message.channel, f"{BUSY_SIGN} busy, ask me again in a moment")  # type: ignore[arg-type]
        except (discord.HTTPException, OSError) as error:
            logger.error("message %s got no busy sign: %s", message.id, error)

    @asynccontextmanager
    async def _shown_typing(self, channel: Talk) -> AsyncIterator[None]:
        """One typing sign for all replies at work. A failure to show it costs no reply."""
        self._typing += 1
        if self._typist is None:
            self._typist = asyncio.create_task(_keep_typing(channel))
        try:
            yield
        finally:
            self._typing -= 1
            if self._typing == 0 and self._typist is not None:
                self._typist.cancel()
                self._typist = None


# JSON error code "Cannot reply without permission to read message history".
_NO_HISTORY: Final = 160002


async def _keep_typing(channel: Talk) -> None:
    while True:
        with suppress(discord.HTTPException, OSError):
            await channel.typing()
        await asyncio.sleep(_TYPING_SECONDS)
