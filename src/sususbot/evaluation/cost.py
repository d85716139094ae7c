"""What a reply costs: time until its first word, words per second, time through the whole bot, memory of the engine.

In: a system and its replies. Out: times of this machine, at this hour: the one section that a second run does not
repeat. A reply through the whole responder counts from the message to the text, with the search of memory, the wait in
line, and what is asked for again. Each reads its prompt anew: a running bot, whose talk goes on, finds most of it read.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from sususbot.evaluation.figures import Figure, Section, mean, percentile, ratio, share
from sususbot.evaluation.ground import Exchange, Ground, System, Told
from sususbot.evaluation.replies import Replies
from sususbot.model.backend import Facts
from sususbot.responder import Reply

NAME: Final = "cost"
# Replies through the whole responder.
_SAMPLE: Final = 30
# What an engine tells of its memory.
_MEMORY: Final = ("memory_mb", "vram_mb")
# What it tells that belongs beside these figures, in words.
_TOLD: Final = (
    "server",
    "model",
    "adapter",
    "gpu",
    "device",
    "gpu_layers",
    "kv_type",
    "slots",
    "context_tokens",
    "smaller",
)


def cost(system: System, ground: Ground, replies: Replies, told: Told) -> Section:
    """The measure. A backend that fails costs what falling back costs: `answered_otherwise` says how often it did."""
    chosen = _spread(ground.exchanges)
    told(f"{len(chosen)} replies through the whole bot")
    through = asyncio.run(_through(system, chosen))
    facts = system.backend.facts()
    figures = _generating(replies) | _whole(through, system.backend.name) | _memory(facts)
    notes = ["times are of this machine and hour", *_notes(replies), *_engine(facts)]
    return Section(NAME, figures, notes=tuple(notes))


def _generating(replies: Replies) -> dict[str, Figure]:
    """By the backend alone."""
    spoken = [one for one in replies if one.text]
    # The first token is the prompt's; who reads no prompt has no tokens, but words.
    streamed = [one for one in spoken if one.usage.prompt and one.usage.completion > 1 and one.seconds > one.first]
    read = [one for one in replies if one.usage.prompt]
    first = [one.first * 1000 for one in spoken]
    figures = {
        "first_token_ms_p50": percentile(first, 0.5, "lower"),
        "first_token_ms_p95": percentile(first, 0.95, "lower"),
    }
    if streamed:
        tokens = [one.usage.completion - 1.0 for one in streamed]
        figures["tokens_per_s"] = ratio(tokens, [one.seconds - one.first for one in streamed], "higher")
    if read:
        figures["prompt_tokens"] = mean([one.usage.prompt for one in read], None)
        cached = [float(one.usage.cached) for one in read]
        figures["prompt_cached"] = ratio(cached, [float(one.usage.prompt) for one in read], None)
    return figures


async def _through(system: System, exchanges: Sequence[Exchange]) -> list[Reply]:
    """One after another, each in a channel that nothing was read of."""
    return [
        await system.responder.reply(one.recent[-1], channel_id=-one.id, recent=one.recent[:-1]) for one in exchanges
    ]


def _whole(replies: Sequence[Reply], backend: str) -> dict[str, Figure]:
    took = [one.trace.seconds["total"] * 1000 for one in replies]
    gathering = [one.trace.seconds["context"] * 1000 for one in replies]
    otherwise = sum(one.trace.generation.backend != backend for one in replies)
    return {
        "reply_ms_p50": percentile(took, 0.5, "lower"),
        "reply_ms_p95": percentile(took, 0.95, "lower"),
        "gathering_ms_p50": percentile(gathering, 0.5, "lower"),
        "answered_otherwise": share(otherwise, len(replies), "lower"),
    }


def _memory(facts: Facts) -> dict[str, Figure]:
    told = {name: facts[name] for name in _MEMORY if name in facts}
    return {name: Figure(float(value), better="lower") for name, value in told.items() if not isinstance(value, str)}


def _notes(replies: Replies) -> list[str]:
    notes = []
    if not any(one.usage.prompt and one.usage.completion > 1 for one in replies):
        notes.append("this backend does not count the tokens of its replies, so their speed is not told")
    return notes


def _engine(facts: Facts) -> list[str]:
    told = [f"{name} {facts[name]}" for name in _TOLD if facts.get(name) not in (None, "")]
    return [f"engine: {', '.join(told)}"] if told else []


def _spread(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Some of them, over the whole time."""
    count = min(_SAMPLE, len(exchanges))
    return [exchanges[number * len(exchanges) // count] for number in range(count)]
