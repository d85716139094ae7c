"""Who plays which conversation, what is kept for measuring, and how no member makes too much of what is learned.

Everything here works on sizes alone: per conversation its times, and per author the tokens that could be learned. In
time order each conversation goes to the participant whose voice gains most by it: the gain in the logarithm of what is
learned of each, weighted by the square root of how much each wrote. So talkers are heard more than others, but less
than they talk. Then weights are scaled so that what is learned of a member (weight times tokens, over all lines) is at
most the cap; with fewer members than the cap allows for, all who are above it have the same share.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

# Candidates for the moment of the split lie within this share of all conversations around the one wanted.
_SEARCHED: Final = 0.01


@dataclass(frozen=True, slots=True)
class Size:
    """What planning knows of a conversation. `sizes`: author -> (learnable tokens, those of them with a prompt)."""

    start: int
    end: int
    tokens: int
    sizes: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Everything in train ends before `at`, everything in valid begins at or after it. Places in the given order."""

    at: int | None
    train: tuple[int, ...]
    valid: tuple[int, ...]
    across: tuple[int, ...]


def split(conversations: Sequence[Size], valid_share: float) -> Split:
    """By time, at the moment near the wanted share that the fewest conversations go across. Sorted by start."""
    total = sum(one.tokens for one in conversations)
    if valid_share <= 0 or len(conversations) < 2:
        return Split(None, tuple(range(len(conversations))), (), ())
    wanted = _place_at(conversations, total * (1 - valid_share))
    reach = max(1, round(len(conversations) * _SEARCHED))
    places = range(max(1, wanted - reach), min(len(conversations), wanted + reach + 1))
    begun = _Passed((one.start, one.tokens) for one in conversations)
    over = _Passed((one.end, one.tokens) for one in conversations)
    at = min(
        (conversations[place].start for place in places),
        key=lambda moment: (begun.before(moment) - over.before(moment), abs(moment - conversations[wanted].start)),
    )
    train = tuple(place for place, one in enumerate(conversations) if one.end < at)
    valid = tuple(place for place, one in enumerate(conversations) if one.start >= at)
    across = tuple(place for place, one in enumerate(conversations) if one.start < at <= one.end)
    return Split(at, train, valid, across)


def _place_at(conversations: Sequence[Size], tokens: float) -> int:
    for place, one in enumerate(conversations):
        tokens -= one.tokens
        if tokens < 0:
            return max(1, place)
    return len(conversations) - 1


class _Passed:
    """How many tokens have a time before a moment."""

    def __init__(self, timed: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(timed)
        self._times = [time for time, _ in ordered]
        self._sums = [0, *accumulate(tokens for _, tokens in ordered)]

    def before(self, moment: int) -> int:
        return self._sums[bisect_left(self._times, moment)]


def choose(conversations: Sequence[Size], persona: Container[int] | None) -> list[int]:
    """Who plays each, in this order. In each somebody answers who may; `persona` None: everybody may."""
    wrote: defaultdict[int, int] = defaultdict(int)
    for one in conversations:
        for author, tokens, _ in one.sizes:
            wrote[author] += tokens
    learned: defaultdict[int, int] = defaultdict(int)
    chosen: list[int] = []
    for one in conversations:
        _, negative_id, prompted = max(
            (math.sqrt(wrote[author]) * math.log1p(prompted / (learned[author] + 1)), -author, prompted)
            for author, _, prompted in one.sizes
            if prompted and (persona is None or author in persona)
        )
        learned[-negative_id] += prompted
        chosen.append(-negative_id)
    return chosen


def masses(played: Iterable[tuple[Size, int]], others_weight: float) -> dict[int, float]:
    """What is learned of each author: weight times tokens."""
    mass: defaultdict[int, float] = defaultdict(float)
    for one, player in played:
        for author, tokens, prompted in one.sizes:
            full = prompted if author == player else 0
            mass[author] += full + others_weight * (tokens - full)
    return dict(mass)


def scales(mass: Mapping[int, float], cap: float) -> dict[int, float]:
    """What the weights of those above the cap are multiplied by, so that each has exactly the cap of the new sum."""
    authors = sorted((author for author in mass if mass[author] > 0), key=lambda author: (-mass[author], author))
    if not authors:
        return {}
    cap = max(cap, 1 / len(authors))
    rest, capped = sum(mass.values()), 0
    for author in authors:
        # With `capped` at the cap each, the others have what is left; is the next one above the cap of that?
        share_left = 1 - capped * cap
        if share_left <= 0 or mass[author] * share_left <= cap * rest * (1 + 1e-12):
            break
        rest -= mass[author]
        capped += 1
    above = authors[:capped]
    if not above:
        return {}
    share_left = 1 - capped * cap
    # All are at the cap: as much of each as of the one that has least.
    level = cap * rest / share_left if rest > 1e-9 and share_left > 1e-12 else min(mass[author] for author in above)
    return {author: level / mass[author] for author in above}
