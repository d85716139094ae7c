"""The words of a server in memory: what may be searched, who said it, what stands around it. Safe to use from threads.

Holds `talk` and `postings` together, filled from the archive at the start and told of every change.
"""

import threading
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from sususbot.archive.archive import Archive
from sususbot.archive.terms import TermRows
from sususbot.archive.vectors import Ids
from sususbot.memory import ranking
from sususbot.memory.postings import Postings, keys_of, rarity
from sususbot.memory.question import Question
from sususbot.memory.talk import Rows, Talk
from sususbot.memory.terms import ASKS
from sususbot.memory.word_search import best_by_words
from sususbot.messages import Audience

# Once there are twice as many messages as at the last filling, and these, all is measured anew: how long they are and
# how rare their words would be told by the first few otherwise.
_MORE: Final = 100


class Around(NamedTuple):
    """What stands around candidates: every id once; for each candidate where in them its own stand, from 1 on.

    Place 0 is nobody. `asking`: what is said just before a candidate is a question.
    """

    ids: Ids
    places: Ids
    asking: ranking.Column


class ServerWords:
    """All words that may be searched."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._talk = Talk()
        self._postings = Postings()
        self._fill()

    def candidates(self, question: Question, limit: int, audience: Audience) -> Rows:
        """The rows that fit the words of a question best, only from channels of the audience."""
        with self._lock:
            audible = self._talk.audible(audience)
            return best_by_words(question.terms, self._talk, self._postings, limit=limit, audible=audible)

    def with_rows(self, rows: Rows, ids: Sequence[int], exclude: Collection[int]) -> Rows:
        """These rows and those of these ids, without those of `exclude`."""
        with self._lock:
            others = self._talk.rows_of(ids)
            every = np.union1d(rows, others[others > 0])
            every = every[self._talk.alive[every]]
            return np.setdiff1d(every, self._talk.rows_of(exclude)).astype(np.int32)

    def features(self, question: Question, rows: Rows) -> tuple[list[int], Around, ranking.Features]:
        """The ids of rows, what stands around them, and all of their features but those of meaning."""
        with self._lock:
            talk = self._talk
            around = np.where(talk.alive[talk.around(rows)], talk.around(rows), 0)
            features = ranking.word_features(question, rows, around, talk, self._postings, self._mean)
            features |= ranking.kind_features(question, rows, talk)
            every, places = np.unique(around, return_inverse=True)
            if every[0] != 0:
                every, places = np.concatenate([[0], every]), places + 1
            asking = (talk.traits[talk.before[rows]] & ASKS > 0).astype(np.float32)
            beside = Around(talk.ids[every[1:]], places.reshape(around.shape), asking)
            return talk.ids[rows].tolist(), beside, features

    def talkers(self, share: float) -> set[int]:
        """The members who said at least so much of all."""
        with self._lock:
            return self._talk.talkers(share)

    def learn(self, ids: Sequence[int], changed: Collection[int] = ()) -> None:
        """Take in what the archive holds of these and is not here yet; `changed` of them whatever is here."""
        with self._lock:
            # Asked with the lock in hand: what is deleted from now on is dropped afterwards.
            piece = self._archive.terms.of(ids)
            self._talk.remove(changed)
            new = self._talk.rows_of(piece.ids.tolist()) < 1
            if not new.any():
                return
            piece = _picked(piece, new)
            rows = self._talk.add(piece)
            self._postings.add(rows, piece.lengths, piece.terms)
            self._talk.rarity[rows] = rarity(self._postings, self._talk, piece.lengths, piece.terms)
            if self._talk.count > 2 * self._filled + _MORE:
                self._fill()

    def drop(self, ids: Collection[int]) -> None:
        with self._lock:
            self._talk.remove(ids)

    def _fill(self) -> None:
        pieces, keys = [], []
        for rows, piece in self._talk.synchronise(self._archive.terms.load()):
            keys.append(keys_of(rows, piece.lengths, piece.terms))
            pieces.append((rows, piece.lengths, piece.terms))
        self._postings.fill(keys)
        for rows, lengths, terms in pieces:
            self._talk.rarity[rows] = rarity(self._postings, self._talk, lengths, terms)
        self._mean = self._talk.mean_lengths()
        self._filled = self._talk.count


def _picked(piece: TermRows, which: npt.NDArray[np.bool_]) -> TermRows:
    words = np.repeat(which, piece.lengths)
    ids, channels, authors, times = (column[which] for column in piece[:4])
    return TermRows(ids, channels, authors, times, piece.traits[which], piece.lengths[which], piece.terms[words])
