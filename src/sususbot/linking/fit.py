"""Fits the network to lines whose links are known. The shipped one is made by

    python -m sususbot.linking.fit --irc train.jsonl.gz --out model.npz

The same logs give the same model. Numpy alone: softmax over each line's candidates, Adam, two rounds. In the first the
threads that features speak of come from simple rules, in the second from the first round's network, as in real use.
"""

import argparse
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from sususbot.linking.channel import WINDOW, Channel, Heard, Numbers
from sususbot.linking.features import NAMES, features
from sususbot.linking.irc import Log, calm, read_logs
from sususbot.linking.line import Line
from sususbot.linking.network import Layer, Network, inputs
from sususbot.linking.words import split, stems

Places = npt.NDArray[np.int64]

_HIDDEN: Final = (128, 64)
_EPOCHS: Final = 3
_BATCH: Final = 256
_RATE: Final = 2e-3
_WARM: Final = 0.15
# The share of the rate at which a network that is there already learns on.
_GENTLE: Final = 0.15
_DECAY: Final = 1e-4
_DROP: Final = 0.1
_BETAS: Final = (0.9, 0.999)
# Lines before the first that counts, so that the features see what came before.
_LEAD: Final = 150
_NEAREST: Final = 12
_COMMON_SHARE: Final = 0.002
_COMMON_WORDS: Final = 1200


class Example(NamedTuple):
    """A line with some of its candidates: rows of features, and which of them are right."""

    rows: Numbers
    right: npt.NDArray[np.bool_]


class Known(NamedTuple):
    """The lines of a channel in order, and what those answer of which it is known: ids, or their own."""

    lines: Sequence[Line]
    answers: Mapping[int, set[int]]


@dataclass(slots=True)
class _Weights:
    """What is fitted, with Adam's running means."""

    values: list[Numbers]
    first: list[Numbers]
    second: list[Numbers]
    steps: int = 0


def fit(
    channels: Sequence[Known], common: Mapping[str, float], seed: int = 0, say: Callable[[str], None] = print
) -> Network:
    """A network that links as these channels are linked."""
    network = None
    for _ in range(2):
        examples = [one for place, known in enumerate(channels) for one in examples_of(known, common, network, place)]
        say(f"{len(examples):,} lines")
        network = fit_network(examples, common, seed, say)
    assert network is not None
    return network


# -- examples


def examples_of(known: Known, common: Mapping[str, float], network: Network | None, seed: int) -> Iterator[Example]:
    if not known.answers:
        return
    chance = np.random.default_rng(seed)
    channel = Channel(common)
    ids: deque[int] = deque(maxlen=WINDOW)
    places = {line.id: place for place, line in enumerate(known.lines)}
    counting = places[next(iter(known.answers))] - _LEAD
    for place, line in enumerate(known.lines):
        if line.system:
            continue
        heard = channel.hear(line)
        right = known.answers.get(line.id)
        found = features(channel, heard) if right is not None or (network and place >= counting) else None
        if right is not None and found is not None:
            yield from _example(found, [*ids, line.id], right, chance)
        best: int | None
        if network is None or found is None:
            best = by_rules(channel, heard)
        else:
            row = int(network.scores(found).argmax())
            best = channel.position - len(ids) + row if row < len(ids) else None
        channel.add(heard, best)
        ids.append(line.id)


def _example(found: Numbers, ids: Sequence[int], right: set[int], chance: np.random.Generator) -> Iterator[Example]:
    answered = np.array([id_ in right for id_ in ids])
    if answered.any():
        rows = _telling(found, chance) | answered
        yield Example(found[rows], answered[rows])


def _telling(found: Numbers, chance: np.random.Generator) -> npt.NDArray[np.bool_]:
    """The rows that are worth learning from: near ones, what the members at hand said last, and a few by chance."""

    def column(name: str) -> Numbers:
        return found[:, NAMES.index(name)]

    rows = (column("distance") <= _NEAREST) | (column("shared_relative") > 0.5)
    rows |= (column("mine") > 0) & (column("author_lines_since") < 3)
    rows |= (column("by_named") > 0) & (column("rank_by_named") < 4)
    rows |= (column("to_me") > 0) & (column("rank_to_me") < 4)
    rows |= (column("by_also_named") > 0) & (column("author_lines_since") < 2)
    rows |= (column("thread_latest") > 0) & ((column("thread_mine") > 0) | (column("thread_of_named") > 0))
    rows[chance.integers(0, len(rows), 6)] = True
    return rows


def by_rules(channel: Channel, heard: Heard) -> int | None:
    """The last line of who is named, or the writer's own last if near, or the last line to the writer; else none."""
    here = channel.position
    for one in heard.named:
        if channel.members[one.who].position >= here - 60:
            return channel.members[one.who].position
    me = channel.members[heard.who]
    near = me.position if me.position >= here - 15 and heard.at - me.at <= 5 else -1
    to_me = [at for at in (member.spoke_to.get(heard.who, -1) for member in channel.members) if at >= here - 20]
    found = max([near, *to_me])
    return found if found >= 0 else None


def common_words(channels: Iterable[Known]) -> dict[str, float]:
    """The share of lines that have each common word; nobody's name is among them."""
    having: Counter[str] = Counter()
    names: set[str] = set()
    lines = 0
    for known in channels:
        for line in known.lines:
            if not line.system:
                lines += 1
                having.update(stems(split([line.text.casefold()])))
                names |= stems(split([line.name.casefold()]))
    found = {word: count / lines for word, count in having.most_common(_COMMON_WORDS) if word not in names}
    return {word: share for word, share in found.items() if share >= _COMMON_SHARE}


# -- fitting


def fit_network(
    examples: Sequence[Example],
    common: Mapping[str, float],
    seed: int = 0,
    say: Callable[[str], None] = print,
    start: Network | None = None,
) -> Network:
    """Softmax over each example's rows; the inputs are brought to one scale, which is folded in at the end.

    With `start`, that network is changed a little, rather than a new one made.
    """
    chance = np.random.default_rng(seed)
    sample = inputs(np.concatenate([one.rows for one in examples[::7]]))
    middle, spread = sample.mean(0), sample.std(0) + 1e-3
    rate = _RATE
    weights = _begin(len(middle), chance)
    if start is not None:
        middle, spread, rate = np.zeros_like(middle), np.ones_like(spread), _RATE * _GENTLE
        weights.values = [array.copy() for layer in start.layers for array in layer]
    steps = _EPOCHS * max(1, len(examples) // _BATCH)
    for epoch in range(_EPOCHS):
        losses = []
        order = chance.permutation(len(examples))
        for at in range(0, max(1, len(order) - _BATCH + 1), _BATCH):
            batch = [examples[place] for place in order[at : at + _BATCH].tolist()]
            rows = (inputs(np.concatenate([one.rows for one in batch])) - middle) / spread
            ends = np.cumsum([len(one.rows) for one in batch])
            loss, slopes = _slopes(weights.values, rows, np.concatenate([one.right for one in batch]), ends, chance)
            _step(weights, slopes, rate * _pace(weights.steps / steps))
            losses.append(loss)
        say(f"round {epoch + 1} of {_EPOCHS}: {float(np.mean(losses)):.4f}")
    first, offset, *rest = weights.values
    folded = [first / spread[:, None], offset - (middle / spread) @ first, *rest]
    layers: tuple[Layer, ...] = tuple(pair for place, pair in enumerate(pairwise(folded)) if place % 2 == 0)
    return Network(layers, common)


def _begin(count: int, chance: np.random.Generator) -> _Weights:
    values: list[Numbers] = []
    for before, after in pairwise((count, *_HIDDEN, 1)):
        reach = 1 / np.sqrt(before)
        values.append(chance.uniform(-reach, reach, (before, after)).astype(np.float32))
        values.append(chance.uniform(-reach, reach, after).astype(np.float32))
    return _Weights(values, [np.zeros_like(one) for one in values], [np.zeros_like(one) for one in values])


def _slopes(
    values: Sequence[Numbers], rows: Numbers, right: npt.NDArray[np.bool_], ends: Places, chance: np.random.Generator
) -> tuple[float, list[Numbers]]:
    """The mean loss of a batch, and how it changes with each weight."""
    kept, masks, value = [rows], [], rows
    for weights, offsets in zip(values[:-2:2], values[1:-2:2], strict=True):
        value = np.maximum(value @ weights + offsets, 0)
        mask = (chance.random(value.shape, np.float32) >= _DROP) / np.float32(1 - _DROP)
        value = value * mask
        kept.append(value)
        masks.append(mask)
    scores = (value @ values[-2] + values[-1])[:, 0]
    loss, slope = _softmax_slope(scores, right, ends)
    back = slope[:, None]
    slopes: list[Numbers] = []
    for place in range(len(kept) - 1, -1, -1):
        slopes = [kept[place].T @ back, back.sum(0), *slopes]
        if place:
            back = (back @ values[2 * place].T) * masks[place - 1] * (kept[place] > 0)
    return loss, slopes


def _softmax_slope(scores: Numbers, right: npt.NDArray[np.bool_], ends: Places) -> tuple[float, Numbers]:
    """Of several right rows, any will do."""
    starts = np.concatenate([[0], ends[:-1]])
    of = np.repeat(np.arange(len(ends)), ends - starts)
    raised = np.exp(scores - np.maximum.reduceat(scores, starts)[of])
    every = np.add.reduceat(raised, starts)
    good = np.add.reduceat(raised * right, starts) + np.float32(1e-30)
    slope = (raised / every[of] - raised * right / good[of]) / np.float32(len(ends))
    return float(np.mean(np.log(every) - np.log(good))), slope.astype(np.float32)


def _pace(done: float) -> float:
    """The rate rises, then falls as a cosine."""
    if done < _WARM:
        return 0.04 + 0.96 * done / _WARM
    return float(0.5 + 0.5 * np.cos(np.pi * min(1.0, (done - _WARM) / (1 - _WARM))))


def _step(weights: _Weights, slopes: Sequence[Numbers], rate: float) -> None:
    """Adam with decay that is apart from the slopes."""
    weights.steps += 1
    one, two = _BETAS
    even = np.sqrt(1 - two**weights.steps) / (1 - one**weights.steps)
    for value, first, second, slope in zip(weights.values, weights.first, weights.second, slopes, strict=True):
        first += (1 - one) * (slope - first)
        second += (1 - two) * (slope**2 - second)
        value *= 1 - np.float32(rate * _DECAY)
        value -= np.float32(rate * even) * first / (np.sqrt(second) + np.float32(1e-8))


def known_of(log: Log) -> Known:
    return Known(log.lines, log.answers())


def with_calm(logs: Sequence[Log]) -> list[Known]:
    """Each log, and every other one again as a calm channel."""
    return [known_of(log) for log in [*logs, *(calm(log, place) for place, log in enumerate(logs[::2]))]]


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sususbot.linking.fit", description="Fit the shipped linker.")
    parser.add_argument("--irc", type=Path, required=True, help="annotated logs, JSON lines, .gz or not")
    parser.add_argument("--out", type=Path, default=Path("model.npz"))
    chosen = parser.parse_args()
    channels = with_calm(list(read_logs(chosen.irc)))
    fit(channels, common_words(channels)).save(chosen.out)
    print(f"{chosen.out}: {chosen.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    _main()
