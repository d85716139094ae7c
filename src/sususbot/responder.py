"""The use case: a message in, a reply out. Shared by the terminal, Discord and every later surface.

Recent turns and memories are gathered, put under a token budget, answered by the backends in turn, cleaned, and given
back with a trace of all of it: what the reply was made of, what was left out, who answered and how long each step took.
Not here: when to speak and how it looks on a surface.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sususbot import chat_format
from sususbot.archive.archive import Archive
from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.memory.summary import Summary
from sususbot.messages import Audience, Turn
from sususbot.model.backend import Request, Sampling
from sususbot.model.inference import Generation, Inference, OnText
from sususbot.safety.pings import mention_safe


@dataclass(frozen=True, slots=True)
class Trace:
    """Why a reply is what it is. Times in seconds."""

    asked: str
    context: Context
    generation: Generation
    seconds: dict[str, float]
    searched_by_meaning: bool

    def facts(self) -> str:
        """All of it in one line for a log: ids and figures, not a word of what anybody said."""
        usage, context = self.generation.usage, self.context
        parts = [f"by {self.generation.backend}", *(f"not by {one.backend}" for one in self.generation.fallbacks)]
        if usage.prompt:
            parts.append(f"{usage.prompt} tokens read, {usage.cached} of them cached, {usage.completion} written")
        parts += [f"{one.name} {one.used}/{one.budget}" for one in context.sections]
        ids = [turn.message_id for turn in context.turns if turn.message_id is not None]
        parts.append(f"turns {' '.join(map(str, ids)) or 'none known by id'}")
        parts.append(f"memories {' '.join(str(hit.message.id) for hit in context.memories) or 'none'}")
        parts.append(f"left out {len(context.left_out)}")
        parts += [f"{name} {seconds * 1000:.0f} ms" for name, seconds in self.seconds.items()]
        return "; ".join(parts)


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
    ) -> None:
        """`memories` is how many are looked for; the context decides how many of them fit."""
        self._archive = archive
        self._short_term = short_term
        self._long_term = long_term
        self._context = context
        self._inference = inference
        self._sampling = sampling
        self._own_name = own_name
        self._memories = memories

    async def reply(
        self,
        asked: Turn,
        *,
        channel_id: int | None = None,
        recent: Sequence[Turn] | None = None,
        audience: Audience = None,
        on_text: OnText | None = None,
    ) -> Reply:
        """Answer a turn. Recent turns are those of the channel, unless given. Raises Busy.

        `audience` are the channels that all readers of the answer may see; None means everything.
        """
        begun = time.monotonic()
        gathered: list[tuple[Context, dict[str, float]]] = []
        speakers = {asked.speaker}

        def prepare() -> Request:
            turns = recent if recent is not None else self._recent(asked, channel_id)
            talked_of = self._summary(asked, channel_id) if recent is None else None
            context, seconds = self._gather(asked, turns, audience, talked_of)
            gathered.append((context, seconds))
            speakers.update(context.speakers)
            return Request(context.prompt, context.turns, chat_format.STOP, self._sampling, audience, channel_id)

        def clean(raw: str) -> str:
            return mention_safe(chat_format.spoken(raw, self._own_name, sorted(speakers)))

        generation = await self._inference.submit(prepare, clean=clean, on_text=on_text)
        # Empty where gathering took too long; then a line of last resort answers.
        context, seconds = gathered[0] if gathered else (Context("", (asked,), (), (), ()), {})
        seconds = {**seconds, **generation.seconds, "total": time.monotonic() - begun}
        return Reply(generation.text, Trace(asked.text, context, generation, seconds, self._long_term.by_meaning))

    def _recent(self, asked: Turn, channel_id: int | None) -> list[Turn]:
        if channel_id is None:
            return []
        return self._short_term.recent(channel_id, before=asked.message_id)

    def _summary(self, asked: Turn, channel_id: int | None) -> Summary | None:
        return None if channel_id is None else self._short_term.summary(channel_id, before=asked.message_id)

    def _gather(
        self, asked: Turn, recent: Sequence[Turn], audience: Audience, summary: Summary | None
    ) -> tuple[Context, dict[str, float]]:
        # A bare mention asks about what was said just before it.
        question = asked.text.strip() or (recent[-1].text if recent else "")
        shown = {turn.message_id for turn in (*recent, asked) if turn.message_id is not None}
        found = self._long_term.search(question, limit=self._memories, audience=audience, exclude=shown)
        begun = time.monotonic()
        names = {channel.id: channel.name for channel in self._archive.channels()}
        context = self._context.build(asked, recent, found.hits, names, self._short_term.own_account, summary)
        return context, {**found.seconds, "assemble": time.monotonic() - begun}
