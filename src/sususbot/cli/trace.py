"""A reply's trace for programs (`--json`); in words it is `explaining`.

Keys are a promise to whoever reads them: add, but rename none.
"""

from itertools import zip_longest
from typing import Any

from sususbot.memory.summary import Summary
from sususbot.memory.surroundings import Hit
from sususbot.messages import Turn
from sususbot.model.backend import Source
from sususbot.responder import Reply


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
