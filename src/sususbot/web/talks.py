"""A talk with the bot on the page: what was said by whom, every reply that was made to it, and the thumbs given.

Each tab has its own. Nothing of it is remembered anywhere else, but for the words beside a thumb; and when a member or
a message is forgotten, every open talk forgets what was said before, since it may have been quoted there.
Not here: how it looks (`chat`, `channel`).
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Final
from weakref import WeakSet

from sususbot.archive.archive import now_ms
from sususbot.archive.feedback import Rated, Rating
from sususbot.messages import Turn
from sususbot.model.backend import Facts, Sampling
from sususbot.responder import Reply
from sususbot.training.runs import run_of
from sususbot.web.desk import Desk, Talk

OnText = Callable[[str | None], None]

LONGEST_NAME: Final = 32
LONGEST_TEXT: Final = 4000
_SEEDS: Final = 2**31


@dataclass(slots=True)
class Answer:
    """A reply and how it was drawn; the seed is always a number, so that it can be drawn again."""

    reply: Reply
    sampling: Sampling
    at: int
    engine: Facts
    adapter: str
    rating: Rating | None = None
    rating_id: int | None = None


@dataclass(slots=True)
class Exchange:
    """What somebody said, and the replies made to it; the one that is shown counts as said."""

    asked: Turn
    answers: list[Answer] = field(default_factory=list)
    shown: int = -1

    @property
    def answer(self) -> Answer | None:
        return self.answers[self.shown] if self.answers else None


_open: Final[WeakSet["WebTalk"]] = WeakSet()


class WebTalk:
    """One tab's talk. Lives on the event loop; what blocks runs in threads."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bot: Talk | None = None
        self._adapter = ""
        self._exchanges: list[Exchange] = []
        self._random = random.Random()
        _open.add(self)

    @property
    def awake(self) -> bool:
        return self._bot is not None

    async def wake(self) -> Facts:
        """Load the bot, where no page did, and tell what it runs on. Raises SususError."""
        self._bot, self._adapter, facts = await asyncio.to_thread(self._woken)
        return facts

    def say(self, speaker: str, text: str) -> Exchange:
        """Somebody says something, and nobody has answered yet."""
        speaker = " ".join(speaker.split())[:LONGEST_NAME] or "you"
        # Lone halves of a character can be typed into a page, and be encoded nowhere.
        text = text.encode(errors="replace").decode().strip()[:LONGEST_TEXT]
        exchange = Exchange(Turn(speaker, text, now_ms()))
        self._exchanges.append(exchange)
        return exchange

    async def answer(self, exchange: Exchange, sampling: Sampling, on_text: OnText) -> Answer:
        """One more reply to what was said; it is the one that is shown. Raises SususError."""
        facts = await self.wake()
        assert self._bot is not None
        seed = self._random.randrange(_SEEDS) if sampling.seed is None else sampling.seed
        sampling = replace(sampling, seed=seed)
        recent = list(self._before(exchange))[-self._desk.settings.short_term_window :]
        reply = await self._bot.responder.reply(exchange.asked, recent=recent, on_text=on_text, sampling=sampling)
        own = reply.trace.generation.backend == self._bot.backend.name
        answer = Answer(reply, sampling, now_ms(), facts, self._adapter if own else "")
        exchange.answers.append(answer)
        exchange.shown = len(exchange.answers) - 1
        return answer

    async def votes(self) -> tuple[int, int]:
        """Thumbs up and down that the bot got as it is now. Raises ArchiveError."""
        return await asyncio.to_thread(self._votes)

    async def rate(self, exchange: Exchange, answer: Answer, rating: Rating | None) -> None:
        """Give a thumb, or take it back. Raises ArchiveError."""
        await asyncio.to_thread(self._keep, exchange, answer, rating)

    def _woken(self) -> tuple[Talk, str, Facts]:
        bot = self._desk.wake()
        return bot, adapter_name(self._desk), bot.backend.facts()

    def _votes(self) -> tuple[int, int]:
        name = None if self._bot is None else self._bot.backend.name
        mine = [
            one for one in self._desk.archive.feedback.votes() if (one.engine, one.adapter) == (name, self._adapter)
        ]
        return sum(one.ups for one in mine), sum(one.downs for one in mine)

    def _before(self, exchange: Exchange) -> Iterator[Turn]:
        for earlier in self._exchanges:
            if earlier is exchange:
                return
            yield earlier.asked
            if earlier.answer is not None:
                yield Turn(self._desk.settings.bot_name, earlier.answer.reply.text, earlier.answer.at, own=True)

    def _keep(self, exchange: Exchange, answer: Answer, rating: Rating | None) -> None:
        feedback = self._desk.archive.feedback
        if answer.rating_id is not None:
            feedback.take_back(answer.rating_id)
            answer.rating = answer.rating_id = None
        if rating is None:
            return
        generation = answer.reply.trace.generation
        rated = Rated(
            now_ms(),
            rating,
            exchange.asked.text,
            answer.reply.text,
            generation.backend,
            answer.adapter,
            asdict(answer.sampling),
            of=tuple(_made_of(answer.reply)),
        )
        answer.rating_id, answer.rating = feedback.put(rated), rating

    def forget(self) -> None:
        """Nothing that was said so far goes into a prompt any more."""
        self._exchanges.clear()


def forget_all() -> None:
    """Words were taken away: no open talk goes on from what may have quoted them. From any thread."""
    for talk in list(_open):
        talk.forget()


def adapter_name(desk: Desk) -> str:
    """What the bot learned with, by the name of its run; "" where it learned from nobody here."""
    settings = desk.settings
    if settings.backend == "openai":
        return settings.openai_adapter or ""
    if settings.backend == "llamacpp" and settings.adapter_path is None and settings.model_path is not None:
        run = run_of(settings.model_path, desk.data)
        return "" if run is None else run.name
    if settings.backend in ("llamacpp", "transformers") and settings.adapter_path is not None:
        run = run_of(settings.adapter_path, desk.data)
        return settings.adapter_path.name if run is None else run.name
    return ""


def clock(at: int) -> str:
    """The time of day on this machine."""
    return datetime.fromtimestamp(at / 1000).astimezone().strftime("%H:%M")


def _made_of(reply: Reply) -> Iterator[int]:
    """The messages whose words a reply may hold."""
    context, source = reply.trace.context, reply.trace.generation.source
    for hit in context.memories:
        yield from (message.id for message in hit.around)
        yield hit.message.id
    if source is not None:
        yield source.message_id
