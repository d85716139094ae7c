"""The true reply among nine from elsewhere, so that nothing but the talk before it tells which is true.

Replies are put in tens of like length, and each ten is what all its members are to be told from: every text in it is
the true one exactly once. So whoever looks at the texts alone, at their length, their frequency, how a model likes
them, hits exactly one in ten, whatever they prefer. No two of a ten say the same, and none was said in the same
channel within hours of another, where it would fit as well. Those who are left over are filled up with the nearest
replies, then with lines of the training; for these few the one in ten holds nearly.
All of them stand there without the names of members (`nameless`), which would tell without the rest.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

import numpy as np

from sususbot.corpus.manifest import Corpus
from sususbot.evaluation.ground import Exchange, Ground
from sususbot.evaluation.nameless import nameless, names_of
from sususbot.evaluation.scores import size
from sususbot.wording.echo import plain

COUNT: Final = 10
# Replies in one channel that are nearer in time may answer the same.
_ELSEWHERE_MS: Final = 6 * 3_600_000
# How far, as a share, lengths count as the same: within it chance decides who is in a ten with whom.
_ALIKE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Candidates:
    """What one exchange's reply is to be told from; `texts[true]` is it."""

    texts: tuple[str, ...]
    true: int


def candidates(ground: Ground) -> list[Candidates]:
    """For each exchange, in their order, as the seed has it. Fewer than ten where not even the training has more."""
    chance = np.random.default_rng([ground.seed, 2])
    names = names_of(ground)
    texts = nameless([one.reply for one in ground.exchanges], names)
    exchanges = [replace(one, reply=text) for one, text in zip(ground.exchanges, texts, strict=True)]
    jitter = chance.uniform(-_ALIKE, _ALIKE, len(exchanges))
    lengths = [math.log(size(one.reply) + 1) for one in exchanges]
    ordered = [exchanges[place] for place in np.argsort(np.array(lengths) + jitter, kind="stable")]
    found: dict[int, Candidates] = {}
    spare: list[str] | None = None
    for group in _groups(ordered):
        if len(group) < COUNT:
            spare = spare if spare is not None else nameless(_learned(ground.corpus, chance), names)
        for place, one in enumerate(group):
            whole = [other.reply for other in group]
            if len(group) < COUNT:
                whole += _filling(one, group, ordered, spare or ())
            found[one.id] = Candidates(tuple(whole), place)
    return [found[one.id] for one in exchanges]


def _groups(ordered: Iterable[Exchange]) -> Iterator[list[Exchange]]:
    """Tens of neighbours that may stand beside each other; at last those that are not full."""
    waiting: list[list[Exchange]] = []
    for one in ordered:
        group = next((group for group in waiting if all(_apart(one, other) for other in group)), None)
        if group is None:
            group = []
            waiting.append(group)
        group.append(one)
        if len(group) == COUNT:
            waiting.remove(group)
            yield group
    yield from waiting


def _apart(one: Exchange, other: Exchange) -> bool:
    near = one.channel_id == other.channel_id and abs(one.at - other.at) < _ELSEWHERE_MS
    return not near and plain(one.reply) != plain(other.reply)


def _filling(
    one: Exchange, group: Sequence[Exchange], others: Sequence[Exchange], spare: Sequence[str]
) -> Iterator[str]:
    """What a group lacks: other replies that are as long, then lines that were learned."""
    taken = {plain(other.reply) for other in group}
    nearest = sorted(
        (other.reply for other in others if _apart(one, other)), key=lambda text: abs(size(text) - size(one.reply))
    )
    learned = sorted(spare, key=lambda text: abs(size(text) - size(one.reply)))
    missing = COUNT - len(group)
    for text in chain(nearest, learned):
        if not missing:
            return
        if plain(text) not in taken:
            taken.add(plain(text))
            missing -= 1
            yield text


def _learned(corpus: Corpus, chance: np.random.Generator) -> list[str]:
    """The lines that the bot learned, in an order by chance."""
    lines = [turn.text for sample in corpus.train() for turn in sample.turns if turn.own and turn.weight > 0]
    return [lines[place] for place in chance.permutation(len(lines))]
