"""A reply's trace, for people (`--why`) and for programs (`--json`)."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

from sususbot.memory.context import Context
from sususbot.memory.summary import Summary
from sususbot.memory.surroundings import Hit
from sususbot.messages import Turn, day
from sususbot.model.backend import Source
from sususbot.model.inference import Generation
from sususbot.responder import Reply

_WIDTH = 88
# Smaller parts of a score would read 0.00.
_SEEN = 0.005


def as_json(reply: Reply) -> dict[str, Any]:
    """Everything a trace holds."""
    trace = reply.trace
    context, generation = trace.context, trace.generation
    return {
        "reply": reply.text,
        "asked": trace.asked,
        "backend": generation.backend,
        "source": _source(generation.source),
        "fallbacks": [{"backend": f.backend, "reason": f.reason} for f in generation.fallbacks],
        "searched_by_meaning": trace.searched_by_meaning,
        "prompt": context.prompt,
        "turns": [_turn(turn, matters) for turn, matters in zip_longest(context.turns, context.relevance)],
        "summary": _summary(context.summary),
        "memories": [_memory(hit) for hit in context.memories],
        "sections": [
            {"name": s.name, "used_tokens": s.used, "budget_tokens": s.budget, "lines": list(s.lines), "why": s.why}
            for s in context.sections
        ],
        "left_out": [{"section": o.section, "what": o.what, "reason": o.reason} for o in context.left_out],
        "usage_tokens": {
            "prompt": generation.usage.prompt,
            "completion": generation.usage.completion,
            "cached": generation.usage.cached,
        },
        "seconds": trace.seconds,
    }


def as_lines(reply: Reply) -> Iterator[str]:
    """The same for a reader, in the order of the prompt."""
    trace = reply.trace
    yield from _answer(trace.generation)
    yield from _summary_lines(trace.context)
    yield from _turn_lines(trace.context)
    how = "meaning and words" if trace.searched_by_meaning else "words alone"
    yield f"memories, by {how} (score = sum of its parts):"
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
    stages = ", ".join(f"{name} {seconds * 1000:.1f}" for name, seconds in trace.seconds.items())
    yield f"milliseconds: {stages}"


def _answer(generation: Generation) -> Iterator[str]:
    usage, source = generation.usage, generation.source
    yield f"answered by {generation.backend}" + (
        f" ({usage.prompt} prompt tokens, {usage.cached} of them cached, {usage.completion} written)"
        if usage.prompt
        else ""
    )
    if source is not None:
        answered = f', in answer to "{_short(source.answers)}"' if source.answers else ""
        yield f"  said by {source.author} on {day(source.at)}{answered} (fits {source.score:.2f})"
    for fallback in generation.fallbacks:
        yield f"  not by {fallback.backend}: {fallback.reason}"


def _summary_lines(context: Context) -> Iterator[str]:
    for section in context.sections:
        if section.name == "summary" and section.lines:
            yield f"summary of {section.why}:"
            yield from (f"  {_short(line)}" for line in section.lines)


def _turn_lines(context: Context) -> Iterator[str]:
    """The turns before the message; with what each matters to it, where that decided."""
    *before, _ = context.turns
    why = next((section.why for section in context.sections if section.name == "recent"), "")
    yield f"recent turns, {why}:" if why else "recent turns: none"
    for turn, matters in zip_longest(before, context.relevance):
        yield f"  {'' if matters is None else f'{matters:.2f}  '}{_short(f'{turn.speaker}: {turn.text}')}"


def _memory_lines(hit: Hit) -> Iterator[str]:
    message = hit.message
    said = _short(f"{message.author.display_name}: {message.rendered}")
    yield f"  {hit.score:.2f}  {day(message.created_at)}, {said}"
    parts = [f"{name.replace('_', ' ')} {value:.2f}" for name, value in hit.parts.items() if abs(value) >= _SEEN]
    beside = len(hit.around) - 1
    with_others = f"; with {beside} message{'s' * (beside > 1)} around it" if beside else ""
    yield f"        {', '.join(parts) or 'no part counts'}{with_others}"


def _left_out(context: Context) -> Iterable[str]:
    return [f"  {out.section}: {_short(out.what)} ({out.reason})" for out in context.left_out] or ["  nothing"]


def _source(source: Source | None) -> dict[str, Any] | None:
    if source is None:
        return None
    return {
        "id": str(source.message_id),
        "author": source.author,
        "at_ms": source.at,
        "answers": source.answers,
        "score": source.score,
    }


def _summary(summary: Summary | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    return {
        "text": summary.text,
        "by": summary.by,
        "first_at_ms": summary.first_at,
        "last_at_ms": summary.last_at,
        "messages": summary.messages,
        "note": summary.note,
    }


def _turn(turn: Turn, matters: float | None) -> dict[str, Any]:
    return {
        "id": None if turn.message_id is None else str(turn.message_id),
        "speaker": turn.speaker,
        "at_ms": turn.at,
        "text": turn.text,
        "own": turn.own,
        "relevance": matters,
    }


def _memory(hit: Hit) -> dict[str, Any]:
    return {
        "id": str(hit.message.id),
        "channel_id": str(hit.message.channel_id),
        "author": hit.message.author.display_name,
        "at_ms": hit.message.created_at,
        "text": hit.message.rendered,
        "score": hit.score,
        "parts": dict(hit.parts),
        "around": [f"{m.author.display_name}: {m.rendered}" for m in hit.around],
    }


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
