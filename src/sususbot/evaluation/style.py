"""How far replies are from the persona's own lines in length, case, punctuation, emoji and vocabulary.

In: texts of both. Out: a distance of each kind, and what the persona's own lines differ by among themselves. Distances
of distributions are Jensen-Shannon divergences (J. Lin, 1991) in bits, from 0 (alike) to 1 (nothing in common);
`length` is Wasserstein's distance of the logarithm of the number of words: 1 is half or twice as long.
Small groups differ by chance, so all are measured on groups of one size: half of the persona's lines against as many
replies, and against the other half, again and again. The means over these halvings are the figures, and where most of
them lie the interval.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sususbot.evaluation.figures import CONFIDENCE, Better, Figure

Floats = NDArray[np.float64]

_HALVINGS: Final = 200
_QUANTILES: Final = 200
# Words and emoji that are counted one by one; the others are counted together.
_COUNTED: Final = 500
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LINK: Final = re.compile(r"\w+://\S+|\[\w+\]")
# Unicode's, a server's own by their names, and faces made of signs.
_EMOJI: Final = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[\u203c\u2049\u2600-\u27bf\u2b50-\u2b55\U0001f000-\U0001f0ff\U0001f300-\U0001faff]"
    r"|<a?:\w{2,32}:\d+>|(?<![\w:]):[a-zA-Z_+-][\w+-]{1,31}:(?![\w:])"
    r"|(?<!\S)(?:[:;=][-o^']?[)(\]\[dDpPoO3/\\|]+|[xX]D+|<3+|\^_*\^)(?!\w)"
)
_MARK: Final = re.compile(r"\.{2,}|…|[.,!?:;'\"’()*~-]")


def distances(said: Sequence[str], own: Sequence[str], *, seed: int) -> dict[str, Figure]:
    """`style_length`, `style_case`, …, each with how far the persona's own lines are apart (`style_length_own`, …).

    NaN where there are too few lines to halve them.
    """
    said, own = _spoken(said), _spoken(own)
    half = min(len(own) // 2, len(said))
    figures: dict[str, Figure] = {}
    for name, things in _THINGS.items():
        values = [*_counts([things(text) for text in (*said, *own)])]
        between, within = _halved(values[: len(said)], values[len(said) :], half, _divergence, seed)
        figures |= _figures(name, between, within, half)
    lengths = [np.log2(max(1, len(text.split()))) for text in (*said, *own)]
    between, within = _halved(lengths[: len(said)], lengths[len(said) :], half, _wasserstein, seed)
    return _figures("length", between, within, half) | figures


def _spoken(texts: Sequence[str]) -> list[str]:
    """Without what cleaning puts in, and without links."""
    return [text for one in texts if (text := _LINK.sub(" ", one).strip())]


def _figures(name: str, between: Sequence[float], within: Sequence[float], half: int) -> dict[str, Figure]:
    return {f"style_{name}": _figure(between, half, "lower"), f"style_{name}_own": _figure(within, half, None)}


def _figure(values: Sequence[float], of: int, better: Better) -> Figure:
    if not values:
        return Figure(float("nan"), of=0, better=better)
    edge = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [edge, 1 - edge])
    return Figure(float(np.mean(values)), float(low), float(high), of, better)


# -- what is counted of a line


def _case(text: str) -> list[str]:
    """How its letters are written: one way of few, for the whole line and for its beginning."""
    letters = [letter for letter in text if letter.isalpha()]
    if not letters:
        return ["none"]
    if len(letters) > 1 and all(map(str.isupper, letters)):
        return ["loud"]
    begins = "begins small" if letters[0].islower() else "begins great"
    return [f"{begins}, then {'small' if not any(map(str.isupper, letters[1:])) else 'mixed'}"]


def _punctuation(text: str) -> list[str]:
    text = _EMOJI.sub(" ", text).rstrip()
    return [*_MARK.findall(text), "open end" if text[-1:].isalnum() else "closed end"]


def _emoji(text: str) -> list[str]:
    return _EMOJI.findall(text) or ["none"]


def _vocabulary(text: str) -> list[str]:
    return _WORD.findall(_EMOJI.sub(" ", text).casefold())


_THINGS: Final[dict[str, Callable[[str], list[str]]]] = {
    "case": _case,
    "punctuation": _punctuation,
    "emoji": _emoji,
    "vocabulary": _vocabulary,
}


def _counts(lines: Sequence[Sequence[str]]) -> Floats:
    """A row for each line: how often each thing stands in it, the last place being of all that are rare."""
    common = [thing for thing, _ in Counter(chain.from_iterable(lines)).most_common(_COUNTED)]
    places = {thing: place for place, thing in enumerate(common)}
    counts = np.zeros((len(lines), len(common) + 1))
    for row, things in enumerate(lines):
        for thing in things:
            counts[row, places.get(thing, len(common))] += 1
    return counts


# -- how far apart two groups are


def _halved(
    said: Sequence[Floats] | Sequence[float],
    own: Sequence[Floats] | Sequence[float],
    half: int,
    apart: Callable[[Floats, Floats], float],
    seed: int,
) -> tuple[list[float], list[float]]:
    """Distances of as many replies from half of the own lines, and of the other half from it."""
    if not half:
        return [], []
    ours, theirs, random = np.asarray(said), np.asarray(own), np.random.default_rng(seed)
    between, within = [], []
    for _ in range(_HALVINGS):
        places = random.permutation(len(theirs))
        one, other = theirs[places[:half]], theirs[places[half : 2 * half]]
        between.append(apart(ours[random.permutation(len(ours))[:half]], one))
        within.append(apart(other, one))
    return between, within


def _divergence(ours: Floats, theirs: Floats) -> float:
    """Jensen's and Shannon's, of what two groups of lines count up to."""
    one, other = (group.sum(axis=0) for group in (ours, theirs))
    if not one.sum() or not other.sum():
        return float(bool(one.sum()) != bool(other.sum()))
    one, other = one / one.sum(), other / other.sum()
    middle = (one + other) / 2
    return max(0.0, (_bits(one, middle) + _bits(other, middle)) / 2)


def _bits(one: Floats, middle: Floats) -> float:
    there = one > 0
    return float((one[there] * np.log2(one[there] / middle[there])).sum())


def _wasserstein(ours: Floats, theirs: Floats) -> float:
    steps = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return float(np.abs(np.quantile(ours, steps) - np.quantile(theirs, steps)).mean())
