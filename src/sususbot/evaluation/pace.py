"""How long a system will take, from its first reply: what an owner may want to know before hours go by."""

from collections.abc import Collection
from typing import Final

from sususbot.errors import BackendUnreachable, ModelError
from sususbot.evaluation.contexts import context_of
from sususbot.evaluation.estimate import REPLYING, Way, estimate
from sususbot.evaluation.ground import Ground, System
from sususbot.evaluation.replies import seeded, speak

# Whose server scores a text by saying it.
_BY_SAYING: Final = frozenset({"llamacpp"})
_TELLING: Final = 120.0


def seconds(system: System, ground: Ground, measures: Collection[str], *, replying: bool) -> float | None:
    """Roughly; None where a system says nothing of its tokens, or nothing at all. Raises BackendUnreachable."""
    if not ground.exchanges:
        return None
    exchange = ground.exchanges[0]
    try:
        context = context_of(system, ground, exchange)
        tried = speak(system.backend, context, seeded(system.sampling, ground.seed, exchange.id), -exchange.id)
    except BackendUnreachable:
        # Nothing of it can be measured: no measure needs to wait for it again.
        raise
    except ModelError:
        # Whoever measures next meets it, too, and says so.
        return None
    usage, saying = tried.usage, tried.seconds - tried.first
    if usage.prompt < 1 or usage.completion <= 1 or saying <= 0 or tried.first <= 0:
        return None
    way = Way(system.backend.name in _BY_SAYING, usage.prompt, system.sampling.max_new_tokens)
    work = estimate(ground, [*measures, *[REPLYING] * replying], way).values()
    to_read, to_say = tried.first / usage.prompt, saying / (usage.completion - 1)
    return sum(one.read for one in work) * to_read + sum(one.said for one in work) * to_say


def sentence(system: str, took: float | None) -> str | None:
    """None where it is soon done."""
    if took is None or took < _TELLING:
        return None
    minutes = took / 60
    about = f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.0f} hours"
    return f"{system} will take about {about}: fewer --replies or --measure take less"
