"""Getting words and signs to Discord: again after faults that pass, once whatever happens, never against a refusal.

Every part of a reply has a nonce made of the message it answers, so that a part that did arrive does not come twice.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal

import discord

from sususbot.bot.question import Talk

logger = logging.getLogger(__name__)

# Discord shows typing for ten seconds.
_TYPING_SECONDS: Final = 8.0
# Of one request; discord.py waits in it for rate limits, too.
_SEND_SECONDS: Final = 60.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0
# JSON error codes: no right to read history, so no reply that points at a message; the message or what it points at is
# gone or wrong; the thread is archived or locked; a filter of the server's owner took offence.
_NO_HISTORY: Final = 160002
_UNKNOWN_MESSAGE: Final = 10008
_REFERENCE_FAULTS: Final = (_UNKNOWN_MESSAGE, 50035)
_CLOSED: Final = (50083, 160005)
_MODERATED: Final = (200000, 240000)
_SLOW_DOWN: Final = (20016, 20028, 20029)

Outcome = Literal["sent", "refused", "gone", "unreachable"]
Seen = Literal["seen", "gone", "unseen"]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `lasting` is how long a reply is tried, `sign` how long a reaction; `muted` how long a channel is left
    alone that forbids talking; `worded` between two signs in words to the same member."""

    lasting: float = 600.0
    sign: float = 120.0
    muted: float = 300.0
    worded: float = 60.0


class Sender:
    """Sends for one bot."""

    def __init__(self, patience: Patience = Patience()) -> None:
        self._patience = patience
        self._muted: dict[int, float] = {}
        self._worded: dict[int, float] = {}
        self._typing: dict[int, tuple[int, asyncio.Task[None]]] = {}

    def muted(self, channel_id: int) -> bool:
        """Whether the bot was forbidden to talk there a short while ago: each further try counts against it."""
        return time.monotonic() < self._muted.get(channel_id, 0.0)

    async def send(self, message: discord.Message, channel: Talk, parts: Sequence[str]) -> tuple[Outcome, list[int]]:
        """Say all parts in answer to `message`; gives how that went, and the ids of what stands there."""
        sent: list[int] = []
        for number, part in enumerate(parts):
            outcome, id_ = await self._send_part(message, channel, part, number)
            if id_ is None:
                return outcome, sent
            sent.append(id_)
        return "sent", sent

    async def sign(self, message: discord.Message, reaction: str, words: str) -> Seen:
        """A reaction on a message; where reactions are forbidden, words, though not many. Whether it is to be seen."""

        async def react() -> None:
            # Not `message.add_reaction`: it takes any page with status 200 for success, where Discord says nothing.
            put: Awaitable[object] = message._state.http.add_reaction(message.channel.id, message.id, reaction)
            if await put:
                raise ValueError("a page came where Discord says nothing")

        outcome = await self._lasting(f"sign on message {message.id}", react, self._patience.sign)
        if outcome in ("sent", "gone"):
            return "seen" if outcome == "sent" else "gone"
        if outcome == "refused" and isinstance(message.channel, Talk) and not self.muted(message.channel.id):
            if self._was_told(message.author.id):
                return "seen"
            said, _ = await self.send(message, message.channel, [words])
            return "seen" if said == "sent" else "unseen"
        return "unseen"

    def _was_told(self, member_id: int) -> bool:
        """Whether a member got words instead of a reaction a moment ago; counts them as told from now on."""
        now = time.monotonic()
        self._worded = {who: at for who, at in self._worded.items() if now - at < self._patience.worded}
        return self._worded.setdefault(member_id, now) != now

    async def _send_part(
        self, message: discord.Message, channel: Talk, part: str, number: int
    ) -> tuple[Outcome, int | None]:
        reference = message.to_reference(fail_if_not_exists=False) if number == 0 else None
        sent: list[int] = []

        async def post() -> None:
            one = await channel.send(
                part,
                reference=reference,  # type: ignore[arg-type]  # None is what its default is
                nonce=f"{message.id}-{number}",
                allowed_mentions=discord.AllowedMentions.none(),
            )
            sent.append(one.id)

        async def post_somehow() -> None:
            nonlocal reference
            try:
                await post()
            except discord.HTTPException as error:
                # Without the right to read history, or with nothing to point at, it comes as a plain message.
                if reference is None or error.code not in (_NO_HISTORY, *_REFERENCE_FAULTS):
                    raise
                reference = None
                await post()

        what = f"reply to message {message.id}"
        outcome = await self._lasting(what, post_somehow, self._patience.lasting, channel.id)
        return outcome, sent[-1] if sent else None

    async def _lasting(
        self, what: str, attempt: Callable[[], Awaitable[object]], seconds: float, channel_id: int = 0
    ) -> Outcome:
        """Try until it is done, refused, or out of time."""
        until = time.monotonic() + seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                # Our own limit: discord.py's (`max_ratelimit_timeout`) refuses requests that need not wait at all.
                async with asyncio.timeout(_SEND_SECONDS):
                    await attempt()
            except discord.HTTPException as error:
                if error.status < 500 and error.status != 429 and error.code not in _SLOW_DOWN:
                    if error.code == _UNKNOWN_MESSAGE:
                        logger.info("%s: the message is gone", what)
                        return "gone"
                    self._refused(what, error, channel_id)
                    return "refused"
                logger.warning("%s: Discord failed with %s, trying again", what, error.status)
            except (OSError, TimeoutError) as error:
                logger.warning("%s: Discord was not reached (%s), trying again", what, type(error).__name__)
            except Exception:
                # discord.py fails in its own ways on answers that are no JSON.
                logger.exception("%s failed, trying again", what)
            else:
                return "sent"
            if time.monotonic() + pause > until:
                logger.error("%s could not be sent", what)
                return "unreachable"
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _refused(self, what: str, error: discord.HTTPException, channel_id: int) -> None:
        logger.error("%s refused: %s", what, error.text or error.status)
        if error.status == 403 and channel_id and error.code not in (*_CLOSED, *_MODERATED):
            self._muted[channel_id] = time.monotonic() + self._patience.muted
            logger.error("nothing more is sent there for %.0f s: check the bot's permissions", self._patience.muted)

    @asynccontextmanager
    async def typing(self, channel: Talk) -> AsyncIterator[None]:
        """One typing sign a channel for all replies at work. A failure to show it costs no reply."""
        count, task = self._typing.get(channel.id, (0, None))
        self._typing[channel.id] = (count + 1, task or asyncio.create_task(_keep_typing(channel)))
        try:
            yield
        finally:
            count, task = self._typing.pop(channel.id)
            if count > 1:
                self._typing[channel.id] = (count - 1, task)
            else:
                task.cancel()


async def _keep_typing(channel: Talk) -> None:
    while True:
        with suppress(discord.HTTPException, OSError, TimeoutError):
            await channel.typing()
        await asyncio.sleep(_TYPING_SECONDS)
