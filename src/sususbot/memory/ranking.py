"""Which of the messages that might answer a question come first: a linear score over what is known of each.

The weights were fitted by `python -m sususbot.benchmarks.memory_fit`, and what they are worth is measured on
conversations that they were not fitted on (docs/memory.md). Recency and engagement are not among them: they are
tie-breaks by setting.
BM25 is taken of the message and of what is said within two messages of it (k1 0.9, b 0.3), as a
share of the most that the question's words can reach.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from sususbot.memory.postings import Postings, idf
from sususbot.memory.question import Question
from sususbot.memory.talk import REACH, Lengths, Rows, Talk
from sususbot.memory.terms import ASKS, NUMBER, PROPER_SHIFT, TIME

Column = npt.NDArray[np.float32]
Features = dict[str, Column]

# Feature -> weight.
WEIGHTS: Final[Mapping[str, float]] = {
    "own": 8.411,
    "content": -3.488,
    "near": 2.678,
    "answers": 2.424,
    "words": -2.287,
    "words_near": 4.804,
    "share": 2.795,
    "sitting": 2.807,
    "named": 1.249,
    "span": 4.549,
    "asks": -1.015,
    "rare": 2.931,
    "when": 1.812,
    "many": 0.594,
    "what": 1.401,
}
# What meaning and what words have to say, for whoever wants more of one.
MEANING: Final = frozenset({"own", "content", "near", "answers"})
WORDS: Final = frozenset({"words", "words_near", "share", "sitting"})
# What a reader is told of: group -> features. `around` is what the message owes to those beside it.
GROUPS: Final = {
    "meaning": ("own", "content"),
    "words": ("words", "share"),
    "around": ("near", "answers", "words_near", "sitting"),
    "person": ("named",),
    "time": ("span",),
    "kind": ("asks", "rare", "when", "many", "what"),
}
_MIDDLE: Final = REACH
_K1: Final = 0.9
_B: Final = 0.3
_TELLING: Final = 3
_IDF_UNIT: Final = 7.0


def word_features(
    question: Question, rows: Rows, around: Rows, talk: Talk, postings: Postings, mean: Lengths
) -> Features:
    """What the words of the question say of these rows; `around` is what stands around each."""
    reach = np.where(talk.alive[around], around, 0)
    alone = talk.lengths[rows].astype(np.float32)
    near = talk.lengths[reach].sum(1).astype(np.float32)
    first, wide, share = (np.zeros(len(rows), np.float32) for _ in range(3))
    most = known = 1e-6
    for term in question.terms:
        holders, counts = postings.of(term)
        told = float(idf(np.array(len(holders)), talk.living))
        most += told
        if not len(holders):
            continue
        known += told
        times = _times(reach, holders, counts)
        here, about = times[:, _MIDDLE], times.sum(1)
        first += told * _saturated(here, alone / mean.alone)
        wide += told * _saturated(about, near / mean.near)
        share += told * (here > 0)
    return {
        "words": first / most,
        "words_near": wide / most,
        "share": share / known,
        "sitting": _of_sitting(wide / most, talk.sittings[rows]),
    }


def kind_features(question: Question, rows: Rows, talk: Talk) -> Features:
    """What the messages are, beside what is asked for."""
    traits = talk.traits[rows]
    named = np.array([talk.number_of(author) for author in question.named], np.int32)
    times = talk.times[rows]
    span = question.span
    told = [
        np.isin(talk.authors[rows], named[named > 0]),
        traits & ASKS > 0,
        talk.rarity[rows] / _IDF_UNIT,
        (traits & TIME > 0) & question.when,
        (traits & NUMBER > 0) & question.many,
        (traits >> PROPER_SHIFT) / 3 * question.what,
        np.zeros(len(rows)) if span is None else (times >= span.first) & (times < span.end),
    ]
    names = ("named", "asks", "rare", "when", "many", "what", "span")
    return {name: np.asarray(column, np.float32) for name, column in zip(names, told, strict=True)}


def meaning_features(
    vectors: npt.NDArray[np.float32], places: npt.NDArray[np.int64], forms: npt.NDArray[np.float32], asking: Column
) -> Features:
    """What the vectors say. `vectors` has a row of zeros first; `places` (rows, 2 · REACH + 1) says whose is where.

    `forms` are the question's (plain, own, content) and all of them as one; `asking`: a question is just before it.
    """
    cosines = vectors @ forms.T
    here = places[:, _MIDDLE]
    # One place after the other: all at once would be eight megabytes, and twice as slow.
    together = vectors[places[:, 0]]
    for place in range(1, places.shape[1]):
        together += vectors[places[:, place]]
    size = np.maximum(np.sqrt(np.einsum("ij,ij->i", together, together)), 1e-6)
    return {
        "own": cosines[here, 1],
        "content": cosines[here, 2],
        "near": cosines[places, 3].sum(1) / size,
        "answers": asking * cosines[places[:, _MIDDLE - 1], 3],
    }


def parts(features: Features, weights: Mapping[str, float]) -> Features:
    """What each group of features adds to the scores."""
    told: Features = {}
    for group, names in GROUPS.items():
        terms = [weights[name] * features[name] for name in names if name in features]
        if terms:
            told[group] = np.sum(terms, axis=0).astype(np.float32)
    return told


def weighed(weights: Mapping[str, float], *, meaning: float, words: float) -> dict[str, float]:
    """The weights with all that meaning and all that words say multiplied."""
    times = dict.fromkeys(MEANING, meaning) | dict.fromkeys(WORDS, words)
    return {name: weight * times.get(name, 1.0) for name, weight in weights.items()}


def _times(around: Rows, holders: Rows, counts: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """How often a term stands in each of these rows."""
    at = np.minimum(np.searchsorted(holders, around), len(holders) - 1)
    times: npt.NDArray[np.float32] = np.where(holders[at] == around, counts[at], 0).astype(np.float32)
    return times


def _saturated(times: Column, length: Column) -> Column:
    """BM25 of a term that stands so often in a text of so many mean lengths (Robertson & Zaragoza 2009), below 1."""
    scaled: Column = (times / (times + _K1 * (1 - _B + _B * length))).astype(np.float32)
    return scaled


def _of_sitting(scores: Column, sittings: Rows) -> Column:
    """For each message, the mean of the best few scores in its sitting: what was talked about then."""
    order = np.lexsort((-scores, sittings))
    kinds, starts, which = np.unique(sittings[order], return_index=True, return_inverse=True)
    rank = np.arange(len(order)) - starts[which]
    best = np.where(rank < _TELLING, scores[order], 0)
    counts = np.minimum(np.bincount(which, minlength=len(kinds)), _TELLING)
    told = np.empty(len(order), np.float32)
    told[order] = (np.bincount(which, best, len(kinds)) / np.maximum(counts, 1))[which]
    return told
