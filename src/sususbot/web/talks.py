"""A talk with the bot on the page: what was said by whom, every reply that was made to it, and the thumbs given.

Each tab has its own. Nothing of it is remembered anywhere else, but for the words beside a thumb.
**Invariant.** A reply is shown again, explained and gone on from only as long as the words that it was made of may be
repeated: the archive is asked each time, since words may be taken away by other programs, too. Where it is the page
that takes them away, every open talk forgets all its replies at once.
Not here: how it looks (`chat`, `channel`).
"""

import asyncio
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Final
from weakref import WeakSet

from sususbot.archive.archive import now_ms
from sususbot.archive.feedback import Rated, Rating
from sususbot.errors import SususError, WebError
from sususbot.messages import Audience, Turn
from sususbot.model.backend import Facts, Sampling
from sususbot.responder import Reply
from sususbot.training.runs import run_of
from sususbot.web.desk import Desk, Talk

OnText = Callable[[str | None], None]

LONGEST_NAME: Final = 32
LONGEST_TEXT: Final = 4000
_SEEDS: Final = 2**31
_TAKEN: Final = "words that this reply was made of were taken away meanwhile: ask again"


@dataclass(slots=True, eq=False)
class Answer:
    """A reply and how it was drawn; the seed is always a number, so that it can be drawn again.

    `at`: when its making began (ms). `of`: the messages whose words it may hold, also by way of replies before it.
    `beside`: what the scene has to say to it.
    """

    reply: Reply
    sampling: Sampling
    at: int
    engine: Facts
    adapter: str
    of: frozenset[int]
    beside: str | None = None
    rating: Rating | None = None
    rating_id: int | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True, eq=False)
class Exchange:
    """What somebody said, and the replies made to it; the one that is shown counts as said."""

    asked: Turn
    answers: list[Answer] = field(default_factory=list)
    shown: int = -1

    @property
    def answer(self) -> Answer | None:
        answers = self.answers
        return answers[self.shown] if answers else None

    def keep(self, standing: Collection[Answer]) -> None:
        """Let go of the other replies."""
        # In place: who forgets all of them, in another thread, puts another list there.
        shown, answers = self.answer, self.answers
        answers[:] = [one for one in answers if one in standing]
        self.shown = answers.index(shown) if shown in answers else len(answers) - 1


_open: Final[WeakSet["WebTalk"]] = WeakSet()


class WebTalk:
    """One tab's talk. Lives on the event loop; what blocks runs in threads."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bot: Talk | None = None
        self._adapter = ""
        self._exchanges: list[Exchange] = []
        self._begin = 0
        self.on_forget: Callable[[], None] = nobody
        """Told that all replies so far are forgotten; in any thread."""
        self._random = random.Random()
        _open.add(self)

    @property
    def awake(self) -> bool:
        return self._bot is not None

    async def wake(self) -> Facts:
        """Load the bot, where no page did, and tell what it runs on. Raises SususError."""
        try:
            self._bot, self._adapter, facts = await asyncio.to_thread(self._woken)
        except SususError:
            self._bot = None
            raise
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
        at = now_ms()
        before = await asyncio.to_thread(self._standing, self._earlier(exchange))
        recent = [turn for turn, _ in before]
        reply = await self._bot.responder.reply(
            exchange.asked, recent=recent, audience=self._audience, on_text=on_text, sampling=sampling
        )
        own = reply.trace.generation.backend == self._bot.backend.name
        of = frozenset(_made_of(reply)).union(*(of for _, of in before))
        answer = Answer(reply, sampling, at, facts, self._adapter if own else "", of)
        if not await asyncio.to_thread(self._stands, answer):
            raise WebError(_TAKEN)
        exchange.answers.append(answer)
        exchange.shown = len(exchange.answers) - 1
        return answer

    async def compare(self, exchange: Exchange) -> None:
        """What the scene says beside the reply that is shown, where there is one."""
        scene, answer = self._desk.scene, exchange.answer
        if scene is not None and answer is not None:
            answer.beside = await asyncio.to_thread(scene.beside, answer.reply)

    async def look(self, exchange: Exchange) -> Answer | None:
        """The reply that is shown; None where its words were taken away since. Raises ArchiveError."""
        answers = list(exchange.answers)
        standing = await asyncio.to_thread(lambda: [one for one in answers if self._stands(one)])
        exchange.keep(standing)
        return exchange.answer

    async def votes(self) -> tuple[int, int]:
        """Thumbs up and down that the bot got as it is now. Raises ArchiveError."""
        return await asyncio.to_thread(self._votes)

    async def rate(self, exchange: Exchange, answer: Answer, rating: Rating | None) -> None:
        """Give a thumb, or take it back. Raises ArchiveError."""
        async with answer.lock:
            await asyncio.to_thread(self._keep, exchange, answer, rating)

    @property
    def _audience(self) -> Audience:
        return None if self._desk.scene is None else self._desk.scene.audience

    def _woken(self) -> tuple[Talk, str, Facts]:
        bot = self._desk.wake()
        return bot, adapter_name(self._desk), bot.backend.facts()

    def _votes(self) -> tuple[int, int]:
        name = None if self._bot is None else self._bot.backend.name
        mine = [
            one for one in self._desk.archive.feedback.votes() if (one.engine, one.adapter) == (name, self._adapter)
        ]
        return sum(one.ups for one in mine), sum(one.downs for one in mine)

    def _earlier(self, exchange: Exchange) -> list[Exchange]:
        """What of the talk stands before it; of what is forgotten nothing does, and before it nothing."""
        talk = self._exchanges[self._begin :]
        return talk[: talk.index(exchange)] if exchange in talk else []

    def _standing(self, earlier: Sequence[Exchange]) -> list[tuple[Turn, frozenset[int]]]:
        """The last turns, each with the messages it may repeat; not those whose words were taken away, with what was
        asked there.
        """
        turns: list[tuple[Turn, frozenset[int]]] = []
        window = self._desk.settings.short_term_window
        for one in earlier[-window:]:
            answer = one.answer
            if answer is None or self._stands(answer):
                turns.append((one.asked, frozenset()))
                if answer is not None:
                    said = Turn(self._desk.settings.bot_name, answer.reply.text, answer.at, own=True)
                    turns.append((said, answer.of))
        return turns[-window:]

    def _stands(self, answer: Answer) -> bool:
        return self._desk.archive.feedback.may_repeat(answer.of, since=answer.at)

    def _keep(self, exchange: Exchange, answer: Answer, rating: Rating | None) -> None:
        feedback = self._desk.archive.feedback
        if answer.rating_id is not None:
            feedback.take_back(answer.rating_id)
            answer.rating = answer.rating_id = None
        if rating is None:
            return
        generation = answer.reply.trace.generation
        rated = Rated(
            answer.at,
            rating,
            exchange.asked.text,
            answer.reply.text,
            generation.backend,
            answer.adapter,
            asdict(answer.sampling),
            of=tuple(answer.of),
        )
        answer.rating_id, answer.rating = feedback.put(rated), rating

    def forget(self) -> None:
        """Nothing that was said so far goes into a prompt any more, and no reply so far is shown again."""
        self._begin = len(self._exchanges)
        for exchange in list(self._exchanges):
            exchange.answers = []
        self.on_forget()


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
        if source.answers_id is not None:
            yield source.answers_id


def nobody() -> None:
    """Is told and does nothing."""
