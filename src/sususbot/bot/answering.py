"""From a mention to what the member sees: typing and a reply, or a sign that says why there is none.

A member has one question in hand at a time: what they write until it is answered belongs to it, and the reply is
begun anew when it grows, a few times at most; its deadline counts from the last line. So quick lines are answered once,
and nothing that was said meanwhile is missed.
Every mention ends in a reply, a sign, or together with a later one, and that is on record (`keeper`); a mention that
could not be ended, since Discord was not to be reached, is found by the next catch-up.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import discord

from sususbot.archive.mentions import How
from sususbot.bot import policy, rendering
from sususbot.bot.limits import Limits
from sususbot.bot.metrics import Metrics
from sususbot.bot.question import Question, Talk
from sususbot.bot.sending import Seen, Sender
from sususbot.errors import Busy
from sususbot.log_content import content
from sususbot.responder import Reply, Responder

logger = logging.getLogger(__name__)

# A reply is begun anew for lines that came meanwhile this many times; those after are answered by themselves.
_LOOKS: Final = 3
_GONE: Final = 1000
_ANSWERED: Final = 200

# What each sign says, as a reaction and, where reactions are forbidden, in words. Those of `limits` bring their own.
_SIGNS: Final = {
    "busy": ("⏳", "⏳ busy, ask me again in a moment"),
    "failed": ("🤕", "🤕 something broke, ask me again in a moment"),
    "paused": ("⏸️", "⏸️ I am paused"),
    "forbidden": ("🔇", "🔇 I may not talk here"),
    "old": ("🕰️", "🕰️ I was away, ask me again"),
}
_LIMITED: Final = "not now, ask me again later"

# Told ids of mentions, and how they ended.
Settle = Callable[[Sequence[int], How], None]


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply that went out. `sent` are its messages, `asked` the message that it answers."""

    channel_id: int
    asked: int
    sent: tuple[int, ...]
    reply: Reply


class Answering:
    """Answers mentions, each in a task of its own, through all connections of a bot.

    `burst` is how long (s) a bare mention waits for its question; a member who types is waited for twice as long.
    """

    def __init__(
        self,
        responder: Responder,
        *,
        settle: Settle,
        metrics: Metrics | None = None,
        limits: Limits | None = None,
        sender: Sender | None = None,
        burst: float = 1.5,
    ) -> None:
        self._responder = responder
        self._settle = settle
        self._metrics = metrics or Metrics()
        responder.on_filtered = self._metrics.filtered
        self.limits = limits or Limits()
        self._sender = sender or Sender()
        self._burst = burst
        self._questions: dict[tuple[int, int], Question] = {}
        # What each is about: a question, or the mention that gets a sign.
        self._tasks: dict[asyncio.Task[object], Question | int] = {}
        self._gone: deque[int] = deque(maxlen=_GONE)
        self._answered: OrderedDict[int, Answered] = OrderedDict()
        self._closing = False
        self.paused = False

    @property
    def waiting(self) -> int:
        """Questions and signs in hand."""
        return len(self._tasks)

    @property
    def asking(self) -> int:
        """Questions in hand."""
        return sum(isinstance(about, Question) for about in self._tasks.values())

    def last(self, channel_id: int) -> Answered | None:
        """The newest reply of a channel, of the last two hundred in all."""
        return next((one for one in reversed(self._answered.values()) if one.channel_id == channel_id), None)

    def answered(self, message_id: int) -> Answered | None:
        """The reply that a message of the bot is part of, or that answers this message."""
        return next((one for one in self._answered.values() if message_id in (one.asked, *one.sent)), None)

    def holds(self, message_id: int) -> bool:
        """Whether a mention is being seen to right now."""
        return any(
            message_id in about.mentions if isinstance(about, Question) else message_id == about
            for about in self._tasks.values()
        )

    def begin(self, message: discord.Message, channel: Talk, own_id: int) -> None:
        """Answer a mention in the background, unless it is gone already or the bot is about to end."""
        if self._closing:
            # It stays open on record: the next start finds it.
            return
        if message.id in self._gone:
            self._settle([message.id], "deleted")
            return
        key = (channel.id, message.author.id)
        if self.limits.blocks(message.author.id):
            self._begin(self._sign(message, "blocked"), message.id)
        elif self.paused:
            self._begin(self._sign(message, "paused"), message.id)
        elif (question := self._questions.get(key)) is not None and question.add(message):
            self._settle(question.mentions[:-1], "merged")
        elif self._sender.muted(channel.id):
            # Thinking is for nothing where sending was forbidden a moment ago.
            self._begin(self._sign(message, "forbidden"), message.id)
        elif sign := self.limits.check(message.author.id, channel.id, now=time.time()):
            self._begin(self._sign(message, sign.cause, sign.reaction), message.id)
        else:
            question = self._questions[key] = Question(message, channel, own_id)
            self._begin(self._answer(question, key), question)

    def follow(self, message: discord.Message) -> None:
        """A member's line that mentions nobody: perhaps more of what they are asking."""
        if question := self._questions.get((message.channel.id, message.author.id)):
            question.add(message)

    def typing(self, channel_id: int, member_id: int) -> None:
        """A member is typing: perhaps more of what they are asking."""
        if question := self._questions.get((channel_id, member_id)):
            question.typed_at = time.monotonic()

    def cancel(self, message_id: int) -> None:
        """A message was deleted: what it asked is not answered. It may not even have been looked at yet."""
        self._gone.append(message_id)
        for question in self._tasks.values():
            if isinstance(question, Question) and message_id in question.ids:
                if message_id in question.mentions:
                    self._settle([message_id], "deleted")
                question.remove(message_id)

    async def sign(self, message: discord.Message, cause: str) -> None:
        """A sign instead of an answer: that the mention was found when it was too late, say."""
        await self._sign(message, "blocked" if self.limits.blocks(message.author.id) else cause)

    async def close(self, seconds: float = 0.0) -> None:
        """Take nothing more, finish what is in hand within `seconds`, and drop the rest: the next start finds it."""
        self._closing = True
        if self._tasks and seconds > 0:
            await asyncio.wait(self._tasks, timeout=seconds)
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, object], about: Question | int) -> None:
        task: asyncio.Task[object] = asyncio.create_task(work)
        self._tasks[task] = about
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("answering broke", exc_info=error)

    async def _answer(self, question: Question, key: tuple[int, int]) -> None:
        reply, parts, cause = None, [], None
        try:
            reply = await self._reply(question)
            if reply is not None:
                places = rendering.Places.of(question.channel.guild, reply.trace.context.turns)
                parts = rendering.parts(reply.text, places)
        except Busy:
            cause = "busy"
        except Exception:
            logger.exception("no reply to messages %s", sorted(question.ids))
            cause = "failed"
        finally:
            # From here on nothing is added any more: what comes now would get neither reply nor sign.
            question.open = False
            if self._questions.get(key) is question:
                del self._questions[key]
        if question.gone:
            return
        if cause is not None:
            # Where the last line is deleted just now, its sign would tell nobody: then the one before.
            for message in question.asking:
                if await self._sign(message, cause) != "gone":
                    break
        elif reply is not None:
            await self._send(question.message, question.channel, reply, parts)

    async def _reply(self, question: Question) -> Reply | None:
        """The reply to a question as it stands at last; None when it was taken back."""
        async with self._sender.typing(question.channel):
            if question.bare:
                question.changed.clear()
                await _changed(question, self._burst)
            for look in range(_LOOKS + 1):
                if question.gone:
                    return None
                question.open = look < _LOOKS
                question.changed.clear()
                work = asyncio.create_task(self._made(question))
                try:
                    # A second look before sending: what came meanwhile belongs to the question.
                    await _done_or_changed(work, question)
                    await self._typed(question)
                    if not question.changed.is_set() or not (question.open or question.gone):
                        reply = await work
                        # Nothing more is added from here on: it would be answered by words that know nothing of it.
                        question.open = False
                        return reply
                finally:
                    work.cancel()
                    await asyncio.gather(work, return_exceptions=True)
        return None

    async def _typed(self, question: Question) -> None:
        """Wait for a member who is typing, as one does: what comes next may change what is asked."""
        patience = 2 * self._burst
        while question.open and not question.changed.is_set() and question.typed_at is not None:
            left = question.typed_at + patience - time.monotonic()
            if left <= 0:
                return
            await _changed(question, left)

    async def _made(self, question: Question) -> Reply:
        return await self._responder.reply(
            question.turn(),
            channel_id=question.channel.id,
            audience=policy.audience(question.channel),
            also=question.ids,
        )

    async def _send(self, message: discord.Message, channel: Talk, reply: Reply, parts: Sequence[str]) -> None:
        trace = reply.trace
        begun = time.perf_counter()
        outcome, sent = await self._sender.send(message, channel, parts)
        if not sent:
            if outcome == "refused":
                await self._sign(message, "forbidden" if self._sender.muted(channel.id) else "failed")
            return
        trace.seconds["send"] = time.perf_counter() - begun
        self._settle([message.id], "reply")
        self._metrics.answered(trace)
        logger.info(
            "answered message %s: asked %s, said %s; %s",
            *(message.id, content(trace.asked), content(reply.text), trace.facts()),
            extra=trace.figures(),
        )
        self._answered[message.id] = Answered(channel.id, message.id, tuple(sent), reply)
        if len(self._answered) > _ANSWERED:
            self._answered.popitem(last=False)

    async def _sign(self, message: discord.Message, cause: str, reaction: str | None = None) -> Seen:
        """On record as a sign, too, where it says nothing to anybody: a blocked member's mention is not open."""
        self._metrics.signed(cause)
        own, words = _SIGNS.get(cause, (reaction, f"{reaction} {_LIMITED}"))
        logger.info("message %s got a sign instead of an answer: %s", message.id, cause)
        seen: Seen = "seen" if own is None else await self._sender.sign(message, own, words)
        if seen == "seen":
            self._settle([message.id], "old" if cause == "old" else "sign")
        elif seen == "gone":
            self._settle([message.id], "deleted")
        return seen


async def _changed(question: Question, seconds: float) -> None:
    """Wait so long for the question to change, unless it has."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await question.changed.wait()


async def _done_or_changed(work: asyncio.Task[Reply], question: Question) -> None:
    changed = asyncio.create_task(question.changed.wait())
    try:
        await asyncio.wait({work, changed}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        changed.cancel()
