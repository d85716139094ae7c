"""Which measures there are, in the order of a report; each is loaded when it is asked for.

To add one: a module here with a function of its name, the name in `NAMES`, its words in `report` and `findings`. Names
and keys of figures stand in kept reports, which are compared with later ones: rename none.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Final

from sususbot.evaluation.evaluation import Measure, Speaking
from sususbot.evaluation.figures import Section
from sususbot.evaluation.ground import Ground, System, Told
from sususbot.evaluation.replies import Replies, replies

NAMES: Final = ("relevance", "language", "voice", "context", "facts", "leakage", "safety", "cost")
# What reads replies that are made beforehand.
_READ_REPLIES: Final = frozenset({"voice", "leakage", "cost"})


@dataclass(frozen=True, slots=True)
class Given:
    """What an owner may hand in: lines of other chat that voices are told apart from, what must not come
    back (lines as `withheld.forbidden` reads them), how many attacks are tried."""

    other: Sequence[str] = ()
    canaries: Sequence[str] = ()
    attacks: int | None = None


def chosen(names: Sequence[str], given: Given) -> dict[str, Measure]:
    """The measures of these names, in the order of a report."""
    return {name: _MADE.get(name, _plain)(name, given) for name in NAMES if name in names}


def speaking(names: Collection[str]) -> Speaking | None:
    """What makes the replies that these measures read; None where they read none."""
    return None if _READ_REPLIES.isdisjoint(names) else replies


def _plain(name: str, _given: Given) -> Measure:
    measure: Measure = getattr(import_module(f"sususbot.evaluation.{name}"), name)
    return measure


def _voice(_name: str, given: Given) -> Measure:
    from sususbot.evaluation import voice

    heard: list[voice.Voice] = []

    def measure(system: System, ground: Ground, said: Replies, told: Told) -> Section:
        if not heard:
            told("learning the persona's voice")
            heard.append(voice.classifier(ground, voice.other_chat(ground, given.other)))
        return voice.voice(system, ground, said, told, heard[0])

    return measure


def _facts(_name: str, _given: Given) -> Measure:
    from sususbot.evaluation import facts

    sought: list[facts.Community] = []

    def measure(system: System, ground: Ground, said: Replies, told: Told) -> Section:
        if not sought:
            sought.append(facts.community(ground, told))
        return facts.facts(system, ground, said, told, sought[0])

    return measure


def _leakage(_name: str, given: Given) -> Measure:
    from sususbot.evaluation import leakage
    from sususbot.evaluation.withheld import forbidden

    watched: list[leakage.Watch] = []

    def measure(system: System, ground: Ground, said: Replies, told: Told) -> Section:
        if not watched:
            told("reading what was learned")
            watched.append(leakage.watch(ground, forbidden(given.canaries)))
        return leakage.leakage(system, ground, said, told, watched[0])

    return measure


def _safety(_name: str, given: Given) -> Measure:
    from sususbot.evaluation.safety import safety

    return safety if given.attacks is None else partial(safety, limit=given.attacks)


_MADE: Final[Mapping[str, Callable[[str, Given], Measure]]] = {
    "voice": _voice,
    "facts": _facts,
    "leakage": _leakage,
    "safety": _safety,
}
