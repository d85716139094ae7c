"""The prompt that a running bot would have made for an exchange, and the same with parts of it gone or another's.

Everything in it is gathered as `responder` does, at the moment of the reply: what is found was said before the split.
Memories are searched in all channels, since an archive does not keep who may read which. They stand above the talk, as
they do at the first message of a window; between two steps of a window a running bot has some of them below, too.
What was said before the window is summed up by its most telling lines: the summary that needs no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from sususbot import chat_format
from sususbot.evaluation.ground import Exchange, Ground, System
from sususbot.memory.context import Context
from sususbot.memory.lasting import Lasting
from sususbot.memory.short_term import moment
from sususbot.memory.summarizer.extractive import Extractive
from sususbot.memory.summarizer.summarizer import Said
from sususbot.memory.summary import Summary
from sususbot.memory.surroundings import Hit
from sususbot.memory.transcript import Who, who
from sususbot.messages import Turn
from sususbot.model.backend import Deadline

# Messages to a piece of a summary, as `memory.pieces` cuts them unless the settings say otherwise.
_PIECE: Final = 5
_SECONDS: Final = 5.0
# Another's talk ends so long before the message, so that it joins no line of it.
_APART_MS: Final = 3_600_000

Whose = Literal["own", "others", "none"]


@dataclass(frozen=True, slots=True)
class Shown:
    """Which memories, recent turns and summary stand in a prompt: the exchange's own, another exchange's, or none.

    `below`: memories stand right before the message, not above the talk.
    """

    memories: Whose = "own"
    recent: Whose = "own"
    summary: Whose = "own"
    below: bool = False


FULL: Final = Shown()


def context_of(
    system: System, ground: Ground, exchange: Exchange, shown: Shown = FULL, other: Exchange | None = None
) -> Context:
    """The context of an exchange. `other` is the exchange that "others" means."""
    if other is None and "others" in (shown.memories, shown.recent, shown.summary):
        raise ValueError("whose is not said")
    asked = exchange.recent[-1]
    recent = _recent(exchange, shown.recent, other)
    summed = _chosen(shown.summary, exchange, other)
    builder = system.context.placing(None if shown.below else Lasting(ground.archive))
    return builder.build(
        asked,
        recent,
        _hits(ground, exchange, _chosen(shown.memories, exchange, other), recent),
        {channel.id: channel.name for channel in ground.archive.channels()},
        exchange.author,
        None if summed is None else _summary(summed, ground.own_name),
    )


def partners(ground: Ground) -> list[Exchange]:
    """For each exchange another one by chance, of another channel where there is one, else of another talk."""
    chance = np.random.default_rng([ground.seed, 7])
    found = []
    for one in ground.exchanges:
        others = [other for other in ground.exchanges if other is not one]
        elsewhere = [other for other in others if other.channel_id != one.channel_id]
        apart = elsewhere or [other for other in others if _ids(one).isdisjoint(_ids(other))] or others or [one]
        found.append(apart[int(chance.integers(len(apart)))])
    return found


def _ids(exchange: Exchange) -> set[int]:
    return {turn.message_id for turn in exchange.recent if turn.message_id is not None}


def _chosen(whose: Whose, exchange: Exchange, other: Exchange | None) -> Exchange | None:
    return {"own": exchange, "others": other, "none": None}[whose]


def _recent(exchange: Exchange, whose: Whose, other: Exchange | None) -> Sequence[Turn]:
    chosen = _chosen(whose, exchange, other)
    if chosen is None or chosen is exchange:
        return () if chosen is None else exchange.recent[:-1]
    later = exchange.recent[-1].at - _APART_MS - chosen.recent[-1].at
    return [replace(one, at=one.at + later) for one in chosen.recent[:-1]]


def _hits(ground: Ground, exchange: Exchange, of: Exchange | None, recent: Sequence[Turn]) -> Sequence[Hit]:
    """What is found for a message; nothing that stands in the prompt anyway."""
    if of is None:
        return ()
    before, asked = of.recent[:-1], of.recent[-1]
    # A bare mention asks about what was said just before it.
    question = asked.text.strip() or (before[-1].text if before else "")
    seen = {one.message_id for one in recent if one.message_id is not None} | _ids(exchange) | _ids(of)
    return ground.long_term.search(question, limit=ground.memories, exclude=seen, now=exchange.at).hits


def _summary(exchange: Exchange, own_name: str) -> Summary | None:
    """What was said before the window, in pieces as a running bot cuts them."""
    turns = [one for one in exchange.earlier if chat_format.one_line(one.text)]
    turns = turns[len(turns) % _PIECE :]
    if not turns:
        return None
    people: dict[Who, tuple[str, str]] = {None: (exchange.author.display_name, exchange.author.name)}
    for one in turns:
        people.setdefault(who(one), (one.speaker, one.account))
    names = chat_format.Names(people, own_name)
    called = names.of(people, None)
    said = [Said(chat_format.speaker(called[who(one)]), names.with_own(one.text, None)) for one in turns]
    extractive = Extractive()
    lines: list[str] = []
    for start in range(0, len(turns), _PIECE):
        piece = [one._replace(text=chat_format.one_line(one.text)) for one in said[start : start + _PIECE]]
        told = extractive.summarize(piece, Deadline(_SECONDS)).split("\n")
        lines += (f"{moment(turns[start].at)}, {line}" for line in told)
    return Summary("\n".join(lines), extractive.name, turns[0].at, turns[-1].at, len(turns))
