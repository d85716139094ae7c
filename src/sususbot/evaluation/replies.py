"""What a system says to each exchange: made once, by the sampling that it talks with, and read by several measures."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sususbot import chat_format
from sususbot.errors import BackendFailed, NothingToSay
from sususbot.evaluation.contexts import context_of
from sususbot.evaluation.ground import Exchange, Ground, System, Told
from sususbot.memory.context import Context
from sususbot.model.backend import Backend, Deadline, Request, Sampling, Usage
from sususbot.safety.pings import mention_safe

# A bot's own deadline is an owner's wish; here it is only a guard against an engine that hangs.
_SECONDS: Final = 300.0
# How often it is told how far it is.
_EACH: Final = 10


@dataclass(frozen=True, slots=True)
class Said:
    """A reply as it would be sent, empty where nothing came; times in seconds, `first` until its first token."""

    exchange: Exchange
    context: Context
    text: str
    usage: Usage
    seconds: float
    first: float


Replies = Sequence[Said]


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a backend said, as it came."""

    text: str
    usage: Usage
    seconds: float
    first: float


def replies(system: System, ground: Ground, told: Told) -> list[Said]:
    """One reply to each exchange, the same with the same seed.

    Each exchange is a channel of its own to the backend, so that none knows of the others. Nothing is filtered, and
    nothing is asked for twice: it is the model that is measured. Raises the backend's ModelError.
    """
    said = []
    for number, exchange in enumerate(ground.exchanges):
        if number % _EACH == 0:
            told(f"{number} of {len(ground.exchanges)}")
        context = context_of(system, ground, exchange)
        spoken = speak(system.backend, context, seeded(system.sampling, ground.seed, exchange.id), exchange.id)
        text = sendable(spoken.text, context, ground.own_name)
        said.append(Said(exchange, context, text, spoken.usage, spoken.seconds, spoken.first))
    return said


def speak(backend: Backend, context: Context, sampling: Sampling, channel_id: int) -> Spoken:
    """What a backend makes of a context; nothing where it has no answer to it. Raises ModelError."""
    request = Request(context.prompt, context.turns, chat_format.STOP, sampling, channel_id=channel_id)
    begun = time.perf_counter()
    pieces: list[str] = []
    usage, first = Usage(), None
    try:
        for chunk in backend.generate(request, Deadline(_SECONDS)):
            if chunk.text:
                first = first or time.perf_counter() - begun
                pieces.append(chunk.text)
            usage = chunk.usage or usage
            if chunk.finish == "deadline":
                raise BackendFailed(
                    f"{backend.name} did not end a reply within {_SECONDS:.0f} seconds: choose a smaller model"
                )
    except NothingToSay:
        pieces.clear()
    seconds = time.perf_counter() - begun
    return Spoken("".join(pieces), usage, seconds, first or seconds)


def sendable(raw: str, context: Context, own_name: str) -> str:
    """Raw output as `responder` cleans it before it looks at what is forbidden."""
    speakers = {context.turns[-1].speaker, *context.speakers}
    return mention_safe(chat_format.spoken(raw, own_name, sorted(speakers)))


def seeded(sampling: Sampling, seed: int, of: int) -> Sampling:
    """The sampling for one reply: its own seed, the same in every run."""
    digest = hashlib.blake2b(f"{seed}/{of}".encode(), digest_size=4).digest()
    return replace(sampling, seed=int.from_bytes(digest) & 0x7FFF_FFFF)
