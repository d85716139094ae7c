"""The use case: a message in, a reply out. Shared by the terminal, Discord and every later surface.

Recent turns and memories are gathered, put under a token budget, answered by the backends in turn, cleaned, and given
back with a trace of all of it: what the reply was made of, what was left out, who answered and how long each step took.
Not here: when to speak and how it looks on a surface.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sususbot import chat_format
from sususbot.archive.archive import Archive
from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.memory.summary import Summary
from sususbot.messages import Audience, Turn
from sususbot.model.backend import Request, Sampling
from sususbot.model.inference import Cleaned, Generation, Inference, OnText
from sususbot.safety.pings import mention_safe
from sususbot.wording.echo import loops, repeats

logger = logging.getLogger(__name__)

# Turns whose words a reply may not be, word for word.
_OVERHEARD: Final = 6


class Hit(Protocol):
    """A rule that forbids a text, and what kind of rule it is."""

    @property
    def category(self) -> str: ...
    @property
    def rule(self) -> str: ...


class Verdict(Protocol):
    """What of a text may be sent, or why nothing may."""

    @property
    def text(self) -> str: ...
    @property
    def hit(self) -> Hit | None: ...


class Filter(Protocol):
    """What may go out."""

    def check(self, text: str, *, said: Collection[str] = ()) -> Verdict:
        """`said` are texts that stood in the prompt. Takes less than a millisecond."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Why a reply is what it is. Times in seconds."""

    asked: str
    context: Context
    generation: Generation
    seconds: dict[str, float]
    searched_by_meaning: bool
    filtered: tuple[Hit, ...] = ()

    def facts(self) -> str:
        """All of it in one line for a log: ids and figures, not a word of what anybody said."""
        usage, context = self.generation.usage, self.context
        parts = [
            f"by {self.generation.backend}",
            *(f"not by {one.backend} ({one.cause})" for one in self.generation.fallbacks),
        ]
        parts += [f"forbidden by {hit.rule}" for hit in self.filtered]
        if usage.prompt:
            parts.append(f"{usage.prompt} tokens read, {usage.cached} of them cached, {usage.completion} written")
        parts += [f"{one.name} {one.used}/{one.budget}" for one in context.sections]
        ids = [turn.message_id for turn in context.turns if turn.message_id is not None]
        parts.append(f"turns {' '.join(map(str, ids)) or 'none known by id'}")
        parts.append(f"memories {' '.join(str(hit.message.id) for hit in context.memories) or 'none'}")
        parts.append(f"left out {len(context.left_out)}")
        parts += [f"{name} {seconds * 1000:.0f} ms" for name, seconds in self.seconds.items()]
        return "; ".join(parts)

    def figures(self) -> dict[str, str | int | float]:
        """The most telling of it for programs that read logs; times in ms."""
        usage = self.generation.usage
        figures: dict[str, str | int | float] = {
            "backend": self.generation.backend,
            "fallbacks": " ".join(f"{one.backend}:{one.cause}" for one in self.generation.fallbacks),
            "filtered": " ".join(hit.rule for hit in self.filtered),
            "prompt_tokens": usage.prompt,
            "cached_tokens": usage.cached,
            "completion_tokens": usage.completion,
        }
        return figures | {f"{name}_ms": round(seconds * 1000, 1) for name, seconds in self.seconds.items()}


@dataclass(frozen=True, slots=True)
class Reply:
    """What to say, and why."""

    text: str
    trace: Trace


class Responder:
    """Makes replies for one bot."""

    def __init__(
        self,
        *,
        archive: Archive,
        short_term: ShortTerm,
        long_term: LongTerm,
        context: ContextBuilder,
        inference: Inference,
        sampling: Sampling,
        own_name: str,
        memories: int,
        output: Filter | None = None,
    ) -> None:
        """`memories` is how many are looked for; the context decides how many of them fit.

        `output` decides what may go out; without it everything may that pings nobody.
        """
        self._archive = archive
        self._short_term = short_term
        self._long_term = long_term
        self._context = context
        self._inference = inference
        self._sampling = sampling
        self._own_name = own_name
        self._memories = memories
        self._output = output
        self.on_filtered: Callable[[str, str], None] = _nobody
        """Told category and rule of whatever is held back, whether or not a reply comes of it; in any thread."""

    def change(self, *, sampling: Sampling, context: ContextBuilder, memories: int, output: Filter | None) -> None:
        """Settings that were read anew; replies at work end as they began."""
        self._sampling, self._context, self._memories, self._output = sampling, context, memories, output

    async def reply(
        self,
        asked: Turn,
        *,
        channel_id: int | None = None,
        recent: Sequence[Turn] | None = None,
        audience: Audience = None,
        on_text: OnText | None = None,
        also: Collection[int] = (),
        sampling: Sampling | None = None,
    ) -> Reply:
        """Answer a turn. Recent turns are those of the channel, unless given; so is how words are drawn. Raises Busy.

        `audience` are the channels that all readers of the answer may see; None means everything. `also` are ids of
        messages whose words stand in `asked` already.
        """
        begun = time.monotonic()
        gathered: list[tuple[Context, dict[str, float]]] = []
        speakers = {asked.speaker}
        hits: list[Hit] = []

        def prepare() -> Request:
            turns = recent if recent is not None else self._recent(asked, channel_id, also)
            talked_of = self._summary(asked, channel_id) if recent is None else None
            context, seconds = self._gather(asked, turns, audience, talked_of, also)
            gathered.append((context, seconds))
            speakers.update(context.speakers)
            drawn = sampling or self._sampling
            return Request(context.prompt, context.turns, chat_format.STOP, drawn, audience, channel_id)

        def clean(raw: str, quoted: bool) -> Cleaned:
            text = mention_safe(chat_format.spoken(raw, self._own_name, sorted(speakers)))
            context = gathered[0][0]
            if self._output is not None:
                verdict = self._output.check(text, said=(raw,) if quoted else _said(context))
                if verdict.hit is not None:
                    self._hold_back(verdict.hit, hits)
                    return Cleaned("", "filtered")
                if verdict.text != text:
                    logger.info("links were taken out of what was said")
                text = verdict.text
            if not text:
                return Cleaned("", "empty")
            return Cleaned(text, "repeated" if _again(text, context, quoted) else None)

        told = None if on_text is None else self._told(on_text)
        generation = await self._inference.submit(prepare, clean=clean, on_text=told)
        # Empty where gathering took too long; then a line of last resort answers.
        context, seconds = gathered[0] if gathered else (Context("", (asked,), (), (), ()), {})
        seconds = {**seconds, **generation.seconds, "total": time.monotonic() - begun}
        trace = Trace(asked.text, context, generation, seconds, self._long_term.by_meaning, tuple(hits))
        return Reply(generation.text, trace)

    def _hold_back(self, hit: Hit, hits: list[Hit]) -> None:
        hits.append(hit)
        logger.info("what was said is held back by %s", hit.rule)
        self.on_filtered(hit.category, hit.rule)

    def _told(self, on_text: OnText) -> OnText:
        """The listener to a reply that is still being made, who hears nothing any more once something forbidden stands
        in it."""
        heard: list[str] = []

        def tell(piece: str | None) -> None:
            if piece is None:
                heard.clear()
                on_text(None)
                return
            heard.append(piece)
            if self._output is None or self._output.check("".join(heard)).hit is None:
                on_text(piece)

        return tell

    def _recent(self, asked: Turn, channel_id: int | None, also: Collection[int]) -> list[Turn]:
        if channel_id is None:
            return []
        recent = self._short_term.recent(channel_id, before=asked.message_id)
        return [turn for turn in recent if turn.message_id not in also] if also else recent

    def _summary(self, asked: Turn, channel_id: int | None) -> Summary | None:
        return None if channel_id is None else self._short_term.summary(channel_id, before=asked.message_id)

    def _gather(
        self,
        asked: Turn,
        recent: Sequence[Turn],
        audience: Audience,
        summary: Summary | None,
        also: Collection[int],
    ) -> tuple[Context, dict[str, float]]:
        # A bare mention asks about what was said just before it.
        question = asked.text.strip() or (recent[-1].text if recent else "")
        shown = {turn.message_id for turn in (*recent, asked) if turn.message_id is not None} | set(also)
        found = self._long_term.search(question, limit=self._memories, audience=audience, exclude=shown)
        begun = time.monotonic()
        names = {channel.id: channel.name for channel in self._archive.channels()}
        context = self._context.build(asked, recent, found.hits, names, self._short_term.own_account, summary, audience)
        return context, {**found.seconds, "assemble": time.monotonic() - begun}


def _nobody(_category: str, _rule: str) -> None:
    """Is told and does nothing."""


def _said(context: Context) -> list[str]:
    """What stood in a prompt, as it was said."""
    return [turn.text for turn in context.turns] + [one.rendered for hit in context.memories for one in hit.around]


def _again(text: str, context: Context, quoted: bool) -> bool:
    """Whether a reply says again what was said. A quotation may be somebody else's words: that is what it is."""
    own = [turn.text for turn in context.turns if turn.own]
    others = () if quoted else [turn.text for turn in context.turns[-_OVERHEARD:] if not turn.own]
    return loops(text) or repeats(text, own, others)
