"""What memory and short-term memory are worth: the true reply under the whole context, and with each part of it gone.

In: a system whose backend tells likelihoods. For each exchange the prompt of a running bot (`contexts`), then the same
without memories, without recent turns and summary, with another exchange's, and so on down to the persona alone. Out:
bits per byte of the true reply under each, how often it is told from nine others (as `relevance` does), and what the
whole context is better by, pair by pair: an interval that lies above 0 as a whole is no accident.
Items of bits are per byte of the mean reply, so that their mean is the figure; of exchanges that were not chosen, nan.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sususbot.errors import CannotScore
from sususbot.evaluation.candidates import Candidates, candidates
from sususbot.evaluation.contexts import FULL, Shown, context_of, partners
from sususbot.evaluation.figures import Figure, Section, difference, ratio, share
from sususbot.evaluation.ground import Exchange, Ground, System, Told
from sususbot.evaluation.heldout import bare_prompt, continuation
from sususbot.evaluation.relevance import ranks
from sususbot.evaluation.replies import Replies
from sususbot.evaluation.scores import bits, likelihoods, size
from sususbot.model.backend import Backend

NAME: Final = "context"
# Each costs eight prompts, and ten texts after each.
_MOST: Final = 100
_EACH: Final = 5

_WHOLE: Final = "full"
_PERSONA: Final = "persona_alone"
_SHOWN: Final[Mapping[str, Shown]] = {
    _WHOLE: FULL,
    "without_memories": Shown(memories="none"),
    "others_memories": Shown(memories="others"),
    "without_recent": Shown(recent="none", summary="none"),
    "others_recent": Shown(recent="others", summary="others"),
    "without_summary": Shown(summary="none"),
    "message_alone": Shown(memories="none", recent="none", summary="none"),
    "memories_below": Shown(below=True),
}


@dataclass(frozen=True, slots=True)
class _Under:
    """Of each exchange, log P of the candidates under one variation, in nats, and the bits of the true reply."""

    scores: list[list[float]]
    bits: list[float]


def context(system: System, ground: Ground, _replies: Replies, told: Told) -> Section:
    """The measure. `bits_saved_by_all` and `accuracy_full` are the main figures."""
    among = candidates(ground)
    others = partners(ground)
    places = _spread(len(ground.exchanges))
    found = {name: _Under([], []) for name in _SHOWN}
    try:
        bare = _bare(system.backend, ground, among, told)
        for number, place in enumerate(places):
            if number % _EACH == 0:
                told(f"{number} of {len(places)}")
            _measure(system, ground, ground.exchanges[place], others[place], among[place], found)
    except CannotScore as error:
        return Section(NAME, notes=(f"not measured: {error}",))
    chosen = [among[place] for place in places]
    notes = [f"over {len(places)} exchanges; memories and talk of another exchange are of another channel if there is"]
    if not any(ground.exchanges[place].earlier for place in places):
        notes.append("no exchange had talk before its window, so nothing was summed up")
    section = _section(found, chosen, bare, tuple(notes))
    count = len(ground.exchanges)
    return replace(section, items={name: _placed(some, places, count) for name, some in section.items.items()})


def _measure(
    system: System, ground: Ground, exchange: Exchange, other: Exchange, one: Candidates, found: Mapping[str, _Under]
) -> None:
    """Add one exchange to each variation. Where a part was empty anyway, its prompt is read once."""
    texts = [continuation(text) for text in one.texts]
    known: dict[str, list[float]] = {}
    for name, shown in _SHOWN.items():
        prompt = context_of(system, ground, exchange, shown, other).prompt
        if prompt not in known:
            scored = likelihoods(system.backend, prompt, texts)
            known[prompt] = [*(text.logprob for text in scored), bits(scored[one.true])]
        *scores, cost = known[prompt]
        found[name].scores.append(scores)
        found[name].bits.append(cost)


def _bare(backend: Backend, ground: Ground, among: Sequence[Candidates], told: Told) -> dict[str, float]:
    """log P of each text after the persona alone, in nats."""
    told("each reply by itself")
    texts = list(dict.fromkeys(text for one in among for text in one.texts))
    scored = likelihoods(backend, bare_prompt(ground.persona, ground.own_name), [continuation(text) for text in texts])
    return {text: one.logprob for text, one in zip(texts, scored, strict=True)}


def _section(
    found: Mapping[str, _Under], among: Sequence[Candidates], bare: Mapping[str, float], notes: tuple[str, ...]
) -> Section:
    sizes = [float(size(continuation(one.texts[one.true]))) for one in among]
    per_byte = {name: _per_byte(under.bits, sizes) for name, under in found.items()}
    alone = [-bare[one.texts[one.true]] / np.log(2) for one in among]
    per_byte[_PERSONA] = _per_byte(alone, sizes)
    hits = {name: _hits(under.scores, among, bare) for name, under in found.items()}
    figures: dict[str, Figure] = {}
    for name, values in per_byte.items():
        whole = [value * float(np.mean(sizes)) for value in values]
        figures[f"bits_per_byte_{name}"] = ratio(whole, sizes, "lower" if name == _WHOLE else None)
    for name, values in hits.items():
        figures[f"accuracy_{name}"] = share(sum(values), len(values), "higher" if name == _WHOLE else None)
    for name, what in _SAVED.items():
        figures[f"bits_saved_{what}"] = difference(per_byte[name], per_byte[_WHOLE], "higher")
    for name, what in _SAVED.items():
        if name in hits:
            figures[f"accuracy_gained_{what}"] = difference(hits[_WHOLE], hits[name], "higher")
    items: dict[str, Sequence[float]] = {f"bits_per_byte_{name}": values for name, values in per_byte.items()}
    items |= {f"accuracy_{name}": values for name, values in hits.items()}
    return Section(NAME, figures, items, notes)


# What the whole context has that these lack.
_SAVED: Final = {
    "without_memories": "by_memories",
    "others_memories": "over_others_memories",
    "without_recent": "by_recent",
    "others_recent": "over_others_recent",
    "without_summary": "by_summary",
    "message_alone": "by_all",
    _PERSONA: "over_persona_alone",
    "memories_below": "by_memories_above",
}


def _per_byte(costs: Sequence[float], sizes: Sequence[float]) -> list[float]:
    mean = float(np.mean(sizes)) if sizes else 1.0
    return [cost / mean for cost in costs]


def _hits(scores: Sequence[Sequence[float]], among: Sequence[Candidates], bare: Mapping[str, float]) -> list[float]:
    """Whether the true reply is what the context makes likelier most."""
    informed = [
        [score - bare[text] for score, text in zip(some, one.texts, strict=True)]
        for some, one in zip(scores, among, strict=True)
    ]
    return [one.hit for one in ranks(informed, among)]


def _placed(values: Sequence[float], places: Sequence[int], count: int) -> list[float]:
    """A value for each exchange, none (nan) for those that were not measured."""
    placed = [math.nan] * count
    for place, value in zip(places, values, strict=True):
        placed[place] = value
    return placed


def _spread(count: int) -> list[int]:
    """Places of the exchanges that are measured, over the whole time."""
    most = min(count, _MOST)
    return [number * count // most for number in range(most)]
