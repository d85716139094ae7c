"""A reply's trace, for people (`--why`) and for programs (`--json`)."""

from collections.abc import Iterator
from typing import Any

from sususbot.memory.long_term import Hit
from sususbot.messages import day
from sususbot.model.backend import Source
from sususbot.responder import Reply

_WIDTH = 88


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
        "memories": [_memory(hit) for hit in context.memories],
        "sections": [
            {"name": s.name, "used_tokens": s.used, "budget_tokens": s.budget, "lines": list(s.lines)}
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
    """The same for a reader."""
    trace = reply.trace
    context, generation = trace.context, trace.generation
    yield f"answered by {generation.backend}" + (
        f" ({generation.usage.prompt} prompt tokens, {generation.usage.cached} of them cached, "
        f"{generation.usage.completion} written)"
        if generation.usage.prompt
        else ""
    )
    if generation.source is not None:
        source = generation.source
        answered = f', in answer to "{_short(source.answers)}"' if source.answers else ""
        yield f"  said by {source.author} on {day(source.at)}{answered} (fits {source.score:.2f})"
    for fallback in generation.fallbacks:
        yield f"  not by {fallback.backend}: {fallback.reason}"
    how = "meaning and words" if trace.searched_by_meaning else "words alone"
    yield f"memories, by {how} (score = semantic, words, recency, engagement before weighting):"
    for hit in context.memories:
        parts = hit.parts
        yield (
            f"  {hit.score:.2f} = {parts.semantic:.2f} {parts.words:.2f} {parts.recency:.2f} {parts.engagement:.2f}  "
            f"{day(hit.message.created_at)}, {hit.message.author.display_name}: {_short(hit.message.rendered)}"
        )
        if len(hit.around) > 1:
            yield f"         with {len(hit.around) - 1} messages around it"
    if not context.memories:
        yield "  none"
    yield "tokens used, of each section's budget:"
    for section in context.sections:
        share = section.used / section.budget if section.budget else 0.0
        yield f"  {section.name:<9} {section.used:>5} of {section.budget:<5} {'█' * round(share * 20):<20}"
    yield "left out:"
    for out in context.left_out:
        yield f"  {out.section}: {_short(out.what)} ({out.reason})"
    if not context.left_out:
        yield "  nothing"
    stages = ", ".join(f"{name} {seconds * 1000:.1f}" for name, seconds in trace.seconds.items())
    yield f"milliseconds: {stages}"


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


def _memory(hit: Hit) -> dict[str, Any]:
    return {
        "id": str(hit.message.id),
        "channel_id": str(hit.message.channel_id),
        "author": hit.message.author.display_name,
        "at_ms": hit.message.created_at,
        "text": hit.message.rendered,
        "score": hit.score,
        "semantic": hit.parts.semantic,
        "words": hit.parts.words,
        "recency": hit.parts.recency,
        "engagement": hit.parts.engagement,
        "around": [f"{m.author.display_name}: {m.rendered}" for m in hit.around],
    }


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
