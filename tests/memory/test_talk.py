"""Talk as rows, and the words in it: whatever comes and goes, they say the same as a plain list would."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.archive.terms import TermRows
from sususbot.memory.postings import Postings, idf, keys_of, rarity
from sususbot.memory.talk import REACH, SILENCE_MS, Talk
from sususbot.memory.word_search import best_by_words

SILENT = SILENCE_MS + 1


@dataclass
class Said:
    """A message as a plain list has it."""

    id: int
    channel: int
    author: int
    at: int
    words: list[int]
    alive: bool = True


SAYING = st.tuples(
    st.integers(1, 3),
    st.integers(11, 13),
    st.sampled_from([5, 1000, SILENCE_MS, SILENT]),
    st.lists(st.integers(1, 8), max_size=5),
)
# Say, remove, say again otherwise: which of those there are is drawn as a share of them.
CHANGE = st.one_of(
    st.tuples(st.just("say"), SAYING),
    st.tuples(st.just("remove"), st.floats(0, 0.999)),
    st.tuples(st.just("edit"), st.floats(0, 0.999), st.lists(st.integers(1, 8), max_size=5)),
)


def piece(said: Sequence[Said]) -> TermRows:
    return TermRows(
        np.array([one.id for one in said], np.int64),
        np.array([one.channel for one in said], np.int64),
        np.array([one.author for one in said], np.int64),
        np.array([one.at for one in said], np.int64),
        np.zeros(len(said), np.uint8),
        np.array([len(one.words) for one in said], np.int64),
        np.array([word for one in said for word in one.words], np.uint32),
    )


class Plain:
    """All that was ever said, in order; the same kept as talk and postings beside it."""

    def __init__(self, sayings: Sequence[tuple[int, int, int, list[int]]], cut: int, new: int) -> None:
        self.said: list[Said] = []
        self._clock = 0
        for saying in sayings:
            self._append(saying)
        self.talk, self.postings = Talk(), Postings(new)
        ordered = sorted(self.said, key=lambda one: (one.channel, one.id))
        pieces = [piece(part) for part in (ordered[:cut], ordered[cut:]) if part]
        held = list(self.talk.synchronise(pieces))
        self.postings.fill([keys_of(rows, part.lengths, part.terms) for rows, part in held])

    def change(self, change: tuple[object, ...]) -> None:
        match change:
            case ("say", saying):
                self._add(self._append(saying))  # type: ignore[arg-type]
            case ("remove", float(share)) if self.said:
                self._remove(self.said[int(share * len(self.said))])
            case ("edit", float(share), list(words)) if self.said:
                one = self.said[int(share * len(self.said))]
                self._remove(one)
                one.words, one.alive = words, True
                self._add(one)

    def chain(self, one: Said) -> list[Said]:
        """Its sitting, with what was removed."""
        there = [other for other in self.said if other.channel == one.channel]
        first = last = there.index(one)
        while first and there[first].at - there[first - 1].at <= SILENCE_MS:
            first -= 1
        while last + 1 < len(there) and there[last + 1].at - there[last].at <= SILENCE_MS:
            last += 1
        return there[first : last + 1]

    def living(self) -> list[Said]:
        return [one for one in self.said if one.alive]

    def row(self, one: Said) -> int:
        return int(self.talk.rows_of([one.id])[0])

    def _append(self, saying: tuple[int, int, int, list[int]]) -> Said:
        channel, author, after, words = saying
        self._clock += after
        self.said.append(Said(1000 + len(self.said), channel, author, self._clock, words))
        return self.said[-1]

    def _add(self, one: Said) -> None:
        part = piece([one])
        self.postings.add(self.talk.add(part), part.lengths, part.terms)

    def _remove(self, one: Said) -> None:
        self.talk.remove([one.id, 7])
        one.alive = False


PLAIN = st.builds(Plain, st.lists(SAYING, max_size=20), st.integers(0, 20), st.sampled_from([0, 3, 100_000]))


@settings(max_examples=75, deadline=None)
@given(plain=PLAIN, changes=st.lists(CHANGE, max_size=25))
def test_chains_sittings_and_rows_are_those_of_a_plain_list(plain: Plain, changes: list[tuple[object, ...]]) -> None:
    for change in changes:
        plain.change(change)
    talk, living = plain.talk, plain.living()
    assert talk.living == len(living)
    assert talk.rows_of([one.id for one in plain.said if not one.alive] + [7, 0]).max() < 1
    labels: dict[int, set[int]] = {}
    for one in living:
        row = plain.row(one)
        assert (talk.ids[row], talk.times[row], talk.lengths[row]) == (one.id, one.at, len(one.words))
        assert talk.number_of(one.author) == talk.authors[row]
        chain = plain.chain(one)
        place = chain.index(one)
        around = talk.around(np.array([row], np.int32))[0].tolist()
        for step, beside in zip(range(-REACH, REACH + 1), around, strict=True):
            expected = chain[place + step] if 0 <= place + step < len(chain) else None
            assert int(talk.ids[beside]) == (expected.id if expected else 0)
            assert bool(talk.alive[beside]) == (expected is not None and expected.alive)
        labels.setdefault(int(talk.sittings[row]), set()).add(chain[0].id)
    # One label for each sitting, and one sitting for each label.
    assert all(len(firsts) == 1 for firsts in labels.values())
    assert len(labels) == len({plain.chain(one)[0].id for one in living})


@settings(max_examples=75, deadline=None)
@given(plain=PLAIN, changes=st.lists(CHANGE, max_size=25))
def test_postings_hold_every_word_of_what_is_alive_and_no_other(
    plain: Plain, changes: list[tuple[object, ...]]
) -> None:
    for change in changes:
        plain.change(change)
    terms = np.arange(0, 10, dtype=np.uint32)
    frequencies = plain.postings.frequencies(terms).tolist()
    for term in terms.tolist():
        rows, counts = plain.postings.of(term)
        assert (np.diff(rows) > 0).all()
        alive = plain.talk.alive[rows]
        found = dict(zip(plain.talk.ids[rows[alive]].tolist(), counts[alive].tolist(), strict=True))
        assert found == {one.id: one.words.count(term) for one in plain.living() if term in one.words}
        assert plain.postings.frequency(term) == len(rows) == frequencies[term]


@settings(max_examples=75, deadline=None)
@given(
    plain=PLAIN,
    changes=st.lists(CHANGE, max_size=20),
    asked=st.lists(st.integers(1, 9), max_size=4, unique=True),
    limit=st.integers(1, 8),
    audience=st.none() | st.frozensets(st.integers(0, 4)),
)
def test_candidates_are_the_best_alone_and_the_best_with_what_is_around_them(
    plain: Plain, changes: list[tuple[object, ...]], asked: list[int], limit: int, audience: frozenset[int] | None
) -> None:
    for change in changes:
        plain.change(change)
    talk = plain.talk
    heard = [one for one in plain.living() if audience is None or one.channel in audience]
    found = best_by_words(asked, talk, plain.postings, limit=limit, audible=talk.audible(audience))
    ids = set(talk.ids[found].tolist())
    assert ids <= {one.id for one in heard}
    assert len(ids) == len(found)

    def score(one: Said, reach: int) -> float:
        chain = plain.chain(one)
        place = chain.index(one)
        near = [beside for beside in chain[max(0, place - reach) : place + reach + 1] if beside.alive]
        told = 0.0
        for term in asked:
            times = sum(beside.words.count(term) for beside in near)
            told += log_idf(plain, term) * times / (times + 0.9)
        return told

    for reach in (0, REACH):
        scores = {one.id: score(one, reach) for one in heard}
        best = sorted((value for value in scores.values() if value > 0), reverse=True)[:limit]
        # Whatever beats the last that has room must be there.
        assert {id_ for id_, value in scores.items() if best and value > best[-1] + 1e-5} <= ids
    assert all(score(one, REACH) > 0 for one in heard if one.id in ids)


def log_idf(plain: Plain, term: int) -> float:
    frequency = min(plain.postings.frequency(term), plain.talk.living)
    return log(1 + (plain.talk.living - frequency + 0.5) / (frequency + 0.5))


def test_words_that_most_messages_hold_are_left_out_where_they_would_cost_too_much() -> None:
    lines = [(1, 11, 5, [1, 2] if number == 700 else [1]) for number in range(160_000)]
    plain = Plain(lines, 160_000, 100_000)
    found = best_by_words([1, 2], plain.talk, plain.postings, limit=10)
    # The rare word alone: its message and those beside it, although the other stands in all of them.
    assert set(plain.talk.ids[found].tolist()) == {1698, 1699, 1700, 1701, 1702}
    # By itself it is looked for all the same.
    assert len(best_by_words([1], plain.talk, plain.postings, limit=10)) >= 10


def test_a_late_message_joins_nothing_across_a_silence() -> None:
    talk = Talk()
    talk.add(piece([Said(10, 1, 11, 0, [1]), Said(20, 1, 11, 3 * SILENT, [1])]))
    (late,) = talk.add(piece([Said(15, 1, 11, 1000, [1])])).tolist()
    first, last = talk.rows_of([10, 20]).tolist()
    assert talk.before[last] == 0
    assert talk.after[late] == 0
    assert talk.sittings[last] != talk.sittings[first]


def test_a_late_message_stands_between_those_it_was_said_between() -> None:
    talk = Talk()
    talk.add(piece([Said(10, 1, 11, 0, [1]), Said(20, 1, 11, 2000, [1])]))
    rows = talk.add(piece([Said(15, 1, 11, 1000, [1])]))
    assert talk.ids[talk.around(rows)[0]].tolist() == [0, 10, 15, 20, 0]
    first, last = talk.rows_of([10, 20]).tolist()
    assert talk.sittings[first] == talk.sittings[last] == talk.sittings[rows[0]]


def test_what_everybody_may_read_needs_no_mask() -> None:
    talk = Talk()
    talk.add(piece([Said(1, 5, 11, 0, [1]), Said(2, 6, 11, 0, [1])]))
    assert talk.audible(None) is None
    assert talk.audible(frozenset([5, 6, 7])) is None
    mask = talk.audible(frozenset([6]))
    assert mask is not None
    assert mask[talk.channels[talk.rows_of([1, 2])]].tolist() == [False, True]


def test_talkers_are_those_who_say_enough_of_what_is_there() -> None:
    talk = Talk()
    talk.add(piece([Said(number, 1, 11 if number < 4 else 12, number, [1]) for number in range(1, 11)]))
    assert talk.talkers(0.5) == {12}
    talk.remove([4, 5, 6, 7, 8, 9])
    assert talk.talkers(0.5) == {11}
    assert talk.mean_lengths().alone == 1.0


def test_nothing_at_all_is_no_error() -> None:
    talk, postings = Talk(), Postings()
    assert list(talk.synchronise([])) == []
    postings.fill([])
    assert len(talk.add(piece([]))) == 0
    postings.add(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.uint32))
    talk.remove([])
    assert talk.mean_lengths() == (1.0, 1.0)
    assert talk.talkers(0.1) == set()
    assert len(best_by_words([1, 2], talk, postings, limit=5)) == 0


def test_a_word_edited_in_over_and_over_still_tells() -> None:
    plain = Plain([(1, 11, 5, [1])], 1, 100_000)
    for _ in range(9):
        plain.change(("edit", 0.0, [1]))
    assert plain.postings.frequency(1) == 10
    assert idf(np.array([10]), plain.talk.living)[0] > 0
    assert len(best_by_words([1], plain.talk, plain.postings, limit=5)) == 1


def test_how_rare_a_word_is_counts_what_came_since_the_last_sorting() -> None:
    plain = Plain([], 0, 100_000)
    for number in range(50):
        plain.change(("say", (1, 11, 5, [1, 2] if number == 30 else [1])))
    lengths, terms = np.array([1, 2, 0]), np.array([1, 1, 2], np.uint32)
    common, rare, none = rarity(plain.postings, plain.talk, lengths, terms).tolist()
    assert common == pytest.approx(log(1 + 0.5 / 50.5))
    assert rare == pytest.approx(log(1 + 49.5 / 1.5))
    assert none == 0.0


def test_filled_anew_the_words_of_before_are_gone() -> None:
    plain = Plain([(1, 11, 5, [1]), (1, 11, 5, [1])], 2, 100_000)
    for number in range(3):
        plain.change(("say", (1, 11, 5, [1, number])))
    plain.change(("remove", 0.0))
    (held,) = plain.talk.synchronise([piece(plain.living())])
    rows, part = held
    plain.postings.fill([keys_of(rows, part.lengths, part.terms)])
    assert plain.postings.of(1)[0].tolist() == rows.tolist()
    assert len(best_by_words([1], plain.talk, plain.postings, limit=5)) == 4
