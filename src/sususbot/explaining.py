"""A reply's trace in words: why it was said, for who sits at the terminal and for members who ask.

The terminal is the owner's and shows everything. Members are shown the memories that their surface lets them see, told
again as they read now, and of all else figures and reasons, no words of anybody.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from sususbot.memory.context import Context
from sususbot.memory.surroundings import Hit
from sususbot.messages import day
from sususbot.model.backend import Source
from sususbot.model.inference import Generation
from sususbot.responder import Reply, Trace

_WIDTH: Final = 88
# Smaller parts of a score would read 0.00.
_SEEN: Final = 0.005


@dataclass(frozen=True, slots=True)
class Shown:
    """What a member may see of a memory: who said what, as it reads now, and where it stands.

    `said` is None where its author does not want to be quoted.
    """

    author: str
    said: str | None
    where: str


# -- for the terminal


def lines(reply: Reply) -> Iterator[str]:
    """All of it, in the order of the prompt."""
    trace = reply.trace
    yield from _answer(trace.generation)
    yield from _summary_lines(trace.context)
    yield from _turn_lines(trace.context)
    yield _memories_heading(trace)
    for hit in trace.context.memories:
        yield from _memory_lines(hit)
    if not trace.context.memories:
        yield "  none"
    yield "tokens used, of each section's budget:"
    for section in trace.context.sections:
        share = section.used / section.budget if section.budget else 0.0
        yield f"  {section.name:<9} {section.used:>5} of {section.budget:<5} {'█' * round(share * 20):<20}"
    yield "left out:"
    yield from _left_out(trace.context)
    yield f"milliseconds: {_stages(trace)}"


def short(text: str) -> str:
    """On one line, and no longer than a line."""
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _answer(generation: Generation) -> Iterator[str]:
    yield _answered_by(generation)
    if (source := generation.source) is not None:
        answered = f', in answer to "{short(source.answers)}"' if source.answers else ""
        yield f"  said by {source.author} on {day(source.at)}{answered} (fits {source.score:.2f})"
    for fallback in generation.fallbacks:
        yield f"  not by {fallback.backend}: {fallback.reason}"


def _answered_by(generation: Generation) -> str:
    usage = generation.usage
    if not usage.prompt:
        return f"answered by {generation.backend}"
    tokens = f"{usage.prompt} prompt tokens, {usage.cached} of them cached, {usage.completion} written"
    return f"answered by {generation.backend} ({tokens})"


def _summary_lines(context: Context) -> Iterator[str]:
    for section in context.sections:
        if section.name == "summary" and section.lines:
            yield f"summary of {section.why}:"
            yield from (f"  {short(line)}" for line in section.lines)


def _turn_lines(context: Context) -> Iterator[str]:
    """The turns before the message; with what each matters to it, where that decided."""
    *before, _ = context.turns
    yield _turns_heading(context)
    for turn, matters in zip_longest(before, context.relevance):
        yield f"  {'' if matters is None else f'{matters:.2f}  '}{short(f'{turn.speaker}: {turn.text}')}"


def _turns_heading(context: Context) -> str:
    why = next((section.why for section in context.sections if section.name == "recent"), "")
    return f"recent turns, {why}:" if why else "recent turns: none"


def _memories_heading(trace: Trace) -> str:
    how = "meaning and words" if trace.searched_by_meaning else "words alone"
    return f"memories, by {how} (score = sum of its parts):"


def _memory_lines(hit: Hit) -> Iterator[str]:
    message = hit.message
    said = short(f"{message.author.display_name}: {message.rendered}")
    yield f"  {hit.score:.2f}  {day(message.created_at)}, {said}"
    beside = len(hit.around) - 1
    with_others = f"; with {beside} message{'s' * (beside > 1)} around it" if beside else ""
    yield f"        {_parts(hit)}{with_others}"


def _parts(hit: Hit) -> str:
    """What a score is made of."""
    parts = [f"{name.replace('_', ' ')} {value:.2f}" for name, value in hit.parts.items() if abs(value) >= _SEEN]
    return ", ".join(parts) or "no part counts"


def _left_out(context: Context) -> Iterable[str]:
    return [f"  {out.section}: {short(out.what)} ({out.reason})" for out in context.left_out] or ["  nothing"]


def _stages(trace: Trace) -> str:
    return ", ".join(f"{name} {seconds * 1000:.1f}" for name, seconds in trace.seconds.items())


# -- for members


def to_a_member(reply: Reply, shown: Mapping[int, Shown]) -> Iterator[str]:
    """Without the words of anybody but in `shown`: memories by message id, as they may be seen now."""
    trace = reply.trace
    generation, context = trace.generation, trace.context
    yield _answered_by(generation)
    if (source := generation.source) is not None:
        yield f"- {_quoted(source, shown.get(source.message_id))}"
    for fallback in generation.fallbacks:
        yield f"- not by {fallback.backend}: {fallback.cause}"
    for hit in trace.filtered:
        yield f"- something was not sent: {hit.category} ({hit.rule})"
    for section in context.sections:
        if section.name == "summary" and section.lines:
            yield f"summary of {section.why}"
    yield _turns_heading(context).rstrip(":")
    yield from _seen_memories(trace, shown)
    yield "tokens used, of each section's budget: " + ", ".join(
        f"{section.name} {section.used}/{section.budget}" for section in context.sections
    )
    if context.left_out:
        counted = Counter((out.section, out.reason) for out in context.left_out)
        yield "left out: " + ", ".join(f"{count} of {name} ({why})" for (name, why), count in counted.items())
    yield f"milliseconds: {_stages(trace)}"


def _quoted(source: Source, seen: Shown | None) -> str:
    fits = f"fits {source.score:.2f}"
    if seen is None:
        return f"a line that is not there any more, or not for this channel ({fits})"
    return f"said by {seen.author} on {day(source.at)} {seen.where} ({fits})"


def _seen_memories(trace: Trace, shown: Mapping[int, Shown]) -> Iterator[str]:
    memories = trace.context.memories
    yield _memories_heading(trace) if memories else "memories: none"
    for hit in memories:
        if (seen := shown.get(hit.message.id)) is not None:
            said = "(does not want to be quoted)" if seen.said is None else short(seen.said)
            yield f"- {hit.score:.2f} {day(hit.message.created_at)}, {seen.author}: {said} {seen.where}"
            yield f"  {_parts(hit)}"
    hidden = sum(hit.message.id not in shown for hit in memories)
    if hidden:
        yield f"- {hidden} that {'is' if hidden == 1 else 'are'} gone by now, or not to be seen here"
