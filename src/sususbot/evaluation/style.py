"""How far replies are from the persona's own lines in length, case, punctuation, emoji and vocabulary.

In: texts of both. Out: a distance of each kind, and what the persona's own lines differ by among themselves. Distances
of distributions are Jensen-Shannon divergences (J. Lin, 1991) in bits, from 0 (alike) to 1 (nothing in common);
`length` is Wasserstein's distance of the logarithm of the number of words: 1 is half or twice as long.
Small groups differ by chance, so all are measured on groups of one size: half of the persona's lines against as many
replies, and against the other half, again and again; the means over these halvings are the figures. The interval of a
distance is that of other replies and other lines of the same two (bootstrap). Beside `…_own` stands where most halvings
lie: what chance alone makes of one voice.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sususbot.evaluation.figures import CONFIDENCE, Figure

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_HALVINGS: Final = 200
_RESAMPLES: Final = 200
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
    figures = _apart([np.log2(max(1, len(text.split()))) for text in (*said, *own)], len(said), "length", seed)
    for name, things in _THINGS.items():
        figures |= _apart(_counts([things(text) for text in (*said, *own)], len(said)), len(said), name, seed)
    return figures


def _spoken(texts: Sequence[str]) -> list[str]:
    """Without what cleaning puts in, and without links."""
    return [text for one in texts if (text := _LINK.sub(" ", one).strip())]


def _apart(values: Sequence[float] | Floats, count: int, name: str, seed: int) -> dict[str, Figure]:
    """The figures of one kind: of these values so many are the replies', the others the persona's own."""
    said, own = np.asarray(values[:count]), np.asarray(values[count:])
    half = min(len(own) // 2, len(said))
    names = f"style_{name}", f"style_{name}_own"
    if not half:
        return {names[0]: Figure(float("nan"), better="lower"), names[1]: Figure(float("nan"))}
    between, within = _halved(said, own, half, seed)
    value, off = float(between.mean()), _offsets(said, own, seed)
    return {
        names[0]: Figure(value, max(0.0, value + off[0]), value + off[1], half, "lower"),
        names[1]: Figure(float(within.mean()), *_bounds(within), half),
    }


def _bounds(values: Floats) -> tuple[float, float]:
    edge = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [edge, 1 - edge])
    return float(low), float(high)


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


def _counts(lines: Sequence[Sequence[str]], count: int) -> Floats:
    """A row for each line: how often each thing stands in it, the last place being of all that are rare.

    What is common is so in the persona's own lines, which come after so many replies: whatever a system says, theirs
    are measured alike.
    """
    common = [thing for thing, _ in Counter(chain.from_iterable(lines[count:])).most_common(_COUNTED)]
    places = {thing: place for place, thing in enumerate(common)}
    counts = np.zeros((len(lines), len(common) + 1))
    for row, things in enumerate(lines):
        for thing in things:
            counts[row, places.get(thing, len(common))] += 1
    return counts


# -- how far apart two groups are


def _halved(said: Floats, own: Floats, half: int, seed: int) -> tuple[Floats, Floats]:
    """Distances of as many replies from half of the own lines, and of the other half from it."""
    random = np.random.default_rng(seed)
    ours, theirs = (_shuffled(random, len(lines)) for lines in (said, own))
    one, other = _of_groups(own, theirs[:, :half]), _of_groups(own, theirs[:, half : 2 * half])
    apart = _divergences if said.ndim > 1 else _wasserstein
    return apart(_of_groups(said, ours[:, :half]), one), apart(other, one)


def _offsets(said: Floats, own: Floats, seed: int) -> tuple[float, float]:
    """How far below and above a distance other replies and lines of the same two would be.

    Resampled groups are further apart than real ones, as each has less in it: so only how these distances spread is
    taken, not where they lie.
    """
    random = np.random.default_rng(seed)
    groups = (_of_groups(lines, random.integers(0, len(lines), (_RESAMPLES, len(lines)))) for lines in (said, own))
    drawn = (_divergences if said.ndim > 1 else _wasserstein)(*groups)
    low, high = _bounds(drawn)
    return low - float(drawn.mean()), high - float(drawn.mean())


def _shuffled(random: np.random.Generator, count: int) -> Places:
    return random.permuted(np.tile(np.arange(count), (_HALVINGS, 1)), axis=1)


def _of_groups(values: Floats, places: Places) -> Floats:
    """A row for each group of places: what its lines count up to, or how long they are, the shortest first."""
    if values.ndim == 1:
        steps = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        return np.asarray(np.quantile(values[places], steps, axis=1).T)
    taken = np.zeros((len(places), len(values)))
    np.add.at(taken, (np.arange(len(places))[:, None], places), 1)
    return np.asarray(taken @ values)


def _divergences(ours: Floats, theirs: Floats) -> Floats:
    """Jensen's and Shannon's, of what two groups of lines count up to; of nothing from something 1."""
    counts = [group.sum(axis=1, keepdims=True) for group in (ours, theirs)]
    one, other = (group / np.maximum(count, 1) for group, count in zip((ours, theirs), counts, strict=True))
    middle = (one + other) / 2
    apart = np.maximum(0, (_bits(one, middle) + _bits(other, middle)) / 2)
    there = [count[:, 0] > 0 for count in counts]
    return np.where(there[0] & there[1], apart, (there[0] != there[1]).astype(np.float64))


def _bits(one: Floats, middle: Floats) -> Floats:
    there = one > 0
    return np.asarray((one * np.log2(np.divide(one, middle, out=np.ones_like(one), where=there))).sum(axis=1))


def _wasserstein(ours: Floats, theirs: Floats) -> Floats:
    return np.asarray(np.abs(ours - theirs).mean(axis=1))
