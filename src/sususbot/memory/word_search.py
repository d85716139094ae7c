"""The messages that hold the words of a question, or stand beside one that does: candidates, found in memory.

Words too common to tell messages apart are left to ranking, which looks at candidates alone: a budget of entries bounds
what a search takes, however large the archive.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from sususbot.memory.postings import Postings, idf
from sususbot.memory.talk import Rows, Talk

_ENTRIES: Final = 150_000
_K1: Final = 0.9


def best_by_words(
    terms: Sequence[int],
    talk: Talk,
    postings: Postings,
    *,
    limit: int,
    audible: npt.NDArray[np.bool_] | None = None,
) -> Rows:
    """The rows that fit best by themselves, and those that fit best with what is around them, in no order."""
    alone = np.zeros(talk.count, np.float32)
    near = np.zeros(talk.count, np.float32)
    times = np.zeros(talk.count, np.float32)
    for rows, counts in _telling(terms, postings):
        told = float(idf(np.array(len(rows)), talk.living))
        heard = talk.alive[rows] if audible is None else talk.alive[rows] & audible[talk.channels[rows]]
        rows, counts = rows[heard], counts[heard]
        alone[rows] += told * counts / (counts + np.float32(_K1))
        around = talk.around(rows)
        np.add.at(times, around.T.ravel(), np.tile(counts, around.shape[1]).astype(np.float32))
        about = times[around]
        # A row that comes several times gets the same sum each time.
        near[around] = near[around] + told * about / (about + np.float32(_K1))
        times[around] = 0
    near[0] = 0
    near *= talk.alive[: talk.count]
    return np.union1d(_largest(alone, limit), _largest(near, limit)).astype(np.int32)


def _telling(terms: Sequence[int], postings: Postings) -> list[tuple[Rows, npt.NDArray[np.uint8]]]:
    """The entries of the rarest terms, as many as the budget allows."""
    held = sorted((postings.of(term) for term in terms), key=lambda of: len(of[0]))
    telling: list[tuple[Rows, npt.NDArray[np.uint8]]] = []
    entries = 0
    for rows, counts in held:
        entries += len(rows)
        if telling and entries > _ENTRIES:
            break
        if len(rows):
            telling.append((rows, counts))
    return telling


def _largest(scores: npt.NDArray[np.float32], limit: int) -> npt.NDArray[np.intp]:
    """Where the largest that are above zero stand, at most so many."""
    rows = np.flatnonzero(scores)
    if len(rows) <= limit:
        return rows
    held = scores[rows]
    return rows[np.argpartition(held, len(held) - limit)[len(held) - limit :]]
