"""What memory and short-term memory are worth: the true reply under the whole context, and with each part of it gone.

In: a system whose backend tells likelihoods. For each exchange the prompt of a running bot (`contexts`), then the same
without memories, without recent turns and summary, with another exchange's, and so on down to the persona alone. Out:
bits per byte of the true reply under each, and what the whole context is better by, pair by pair: an interval that lies
above 0 as a whole is no accident. The reply stands there without names (`candidates`). Of some exchanges, and of the
parts that matter most, also how often the true reply is told from nine others, as `relevance` does: that takes ten
times as long, since engines say a text to score it.
Items of bits are per byte of the mean reply, so that their mean is the figure; of exchanges that were not chosen, nan.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sususbot.errors import CannotScore
from sususbot.evaluation.candidates import candidates
from sususbot.evaluation.contexts import FULL, Shown, context_of, partners
from sususbot.evaluation.figures import Better, Figure, Section, difference, ratio, share
from sususbot.evaluation.ground import Ground, System, Told
from sususbot.evaluation.heldout import bare_prompt, continuation
from sususbot.evaluation.relevance import rank
from sususbot.evaluation.replies import Replies
from sususbot.evaluation.scores import bits, likelihoods, size
from sususbot.model.scoring import Scored

NAME: Final = "context"
# Each costs eight prompts, and a text after each; those that are ranked ten texts after four of these.
MOST: Final = 60
RANKED: Final = 40
_EACH: Final = 5

_WHOLE: Final = "full"
_PERSONA: Final = "persona_alone"
SHOWN: Final[Mapping[str, Shown]] = {
    _WHOLE: FULL,
    "without_memories": Shown(memories="none"),
    "others_memories": Shown(memories="others"),
    "without_recent": Shown(recent="none", summary="none"),
    "others_recent": Shown(recent="others", summary="others"),
    "without_summary": Shown(summary="none"),
    "message_alone": Shown(memories="none", recent="none", summary="none"),
    "memories_below": Shown(below=True),
}
RANKED_BY: Final = (_WHOLE, "without_memories", "without_recent", "message_alone")
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


@dataclass(slots=True)
class _Found:
    """Of an exchange's place: bytes of its reply; by variation, its bits and whether it was told from the others."""

    sizes: dict[int, float] = field(default_factory=dict)
    bits: dict[str, dict[int, float]] = field(default_factory=dict)
    hits: dict[str, dict[int, float]] = field(default_factory=dict)


def context(system: System, ground: Ground, _replies: Replies, told: Told) -> Section:
    """The measure. `bits_saved_by_all` and `accuracy_full` are the main figures."""
    measuring = _Measuring(system, ground)
    places = _spread(len(ground.exchanges), MOST)
    ranked = {places[number] for number in _spread(len(places), RANKED)}
    try:
        told("each reply by itself")
        measuring.read_alone(places, ranked)
        for number, place in enumerate(places):
            if number % _EACH == 0:
                told(f"{number} of {len(places)}")
            measuring.measure(place, ranked=place in ranked)
    except CannotScore as error:
        return Section(NAME, notes=(f"not measured: {error}",))
    notes = [f"over {len(places)} exchanges, {len(ranked)} of them ranked; another's is of another channel if there is"]
    if not any(ground.exchanges[place].earlier for place in places):
        notes.append("no exchange had talk before its window, so nothing was summed up")
    return _section(measuring.found, ground, tuple(notes))


def _spread(count: int, most: int) -> list[int]:
    """At most so many of these places, over the whole time."""
    most = min(count, most)
    return [number * count // most for number in range(most)]


class _Measuring:
    """One system over one ground."""

    def __init__(self, system: System, ground: Ground) -> None:
        self._system = system
        self._ground = ground
        self._among = candidates(ground)
        self._others = partners(ground)
        # log P of each text after the persona alone, in nats.
        self._alone: dict[str, float] = {}
        self.found = _Found()

    def read_alone(self, places: Sequence[int], ranked: Collection[int]) -> None:
        """How likely texts are with nothing before them: what the others are compared with."""
        texts = dict.fromkeys(text for place in places for text in self._texts(place, ranked=place in ranked))
        scored = self._scored(bare_prompt(self._ground.persona, self._ground.own_name), list(texts))
        self._alone = {text: one.logprob for text, one in zip(texts, scored, strict=True)}
        known = dict(zip(texts, scored, strict=True))
        true = {place: self._texts(place, ranked=False)[0] for place in places}
        self.found.bits[_PERSONA] = {place: bits(known[text]) for place, text in true.items()}
        self.found.sizes = {place: float(size(continuation(text))) for place, text in true.items()}

    def measure(self, place: int, *, ranked: bool) -> None:
        """Add one exchange. Where a part was empty anyway, its prompt is read once."""
        known: dict[str, list[Scored]] = {}
        for name, shown in SHOWN.items():
            whole = ranked and name in RANKED_BY
            exchange, other = self._ground.exchanges[place], self._others[place]
            prompt = context_of(self._system, self._ground, exchange, shown, other).prompt
            texts = self._texts(place, ranked=whole)
            if len(known.get(prompt, ())) < len(texts):
                known[prompt] = self._scored(prompt, texts)
            scored = known[prompt]
            self.found.bits.setdefault(name, {})[place] = bits(scored[0])
            if whole:
                informed = [one.logprob - self._alone[text] for one, text in zip(scored, texts, strict=True)]
                self.found.hits.setdefault(name, {})[place] = rank(informed, 0).hit

    def _texts(self, place: int, *, ranked: bool) -> list[str]:
        """The true reply, and with `ranked` the others behind it."""
        one = self._among[place]
        others = [text for number, text in enumerate(one.texts) if number != one.true]
        return [one.texts[one.true], *(others if ranked else ())]

    def _scored(self, prompt: str, texts: Sequence[str]) -> list[Scored]:
        return likelihoods(self._system.backend, prompt, [continuation(text) for text in texts])


def _section(found: _Found, ground: Ground, notes: tuple[str, ...]) -> Section:
    sizes = found.sizes
    mean_size = float(np.mean(list(sizes.values()))) if sizes else 1.0
    per_byte = {name: {at: cost / mean_size for at, cost in costs.items()} for name, costs in found.bits.items()}
    figures: dict[str, Figure] = {}
    for name, costs in found.bits.items():
        better: Better = "lower" if name == _WHOLE else None
        figures[f"bits_per_byte_{name}"] = ratio(list(costs.values()), [sizes[at] for at in costs], better)
    for name, hits in found.hits.items():
        figures[f"accuracy_{name}"] = share(sum(hits.values()), len(hits), "higher" if name == _WHOLE else None)
    for name, what in _SAVED.items():
        figures[f"bits_saved_{what}"] = difference(*_pairs(per_byte[name], per_byte[_WHOLE]), "higher")
    for name, what in _SAVED.items():
        if name in found.hits:
            figures[f"accuracy_gained_{what}"] = difference(*_pairs(found.hits[_WHOLE], found.hits[name]), "higher")
    items = {f"bits_per_byte_{name}": values for name, values in per_byte.items()}
    items |= {f"accuracy_{name}": values for name, values in found.hits.items()}
    count = len(ground.exchanges)
    return Section(NAME, figures, {name: _placed(values, count) for name, values in items.items()}, notes)


def _pairs(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[list[float], list[float]]:
    """The values of the same exchanges."""
    return list(ours.values()), [theirs[place] for place in ours]


def _placed(values: Mapping[int, float], count: int) -> list[float]:
    """A value for each exchange, none (nan) for those that were not measured."""
    return [values.get(place, math.nan) for place in range(count)]
