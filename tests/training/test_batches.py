"""Packing leaves next to no room, steps read everything once, and a row says what follows what."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.training.batches import Steps, batch, micro_batches, pack
from sususbot.training.documents import Document
from sususbot.training.recipe import Recipe
from tests.training.learning import document, documents

LENGTHS = st.lists(st.integers(1, 60), max_size=60)


def chat(count: int) -> list[int]:
    """Lengths of conversations in a corpus: many short ones, some that fill a sample (SAMPLE_TOKENS=1024)."""
    drawn = np.random.default_rng(0).lognormal(5.2, 1.0, count)
    return [int(length) for length in np.clip(drawn, 40, 1024)]


def bare(lengths: list[int]) -> list[Document]:
    return [
        Document(str(place), np.zeros(length, np.int32), np.ones(length, np.float32), 1.0, 0)
        for place, length in enumerate(lengths)
    ]


def steps(count: int = 300, **recipe: Any) -> tuple[list[Document], Steps]:
    some = documents(count, longest=120)
    return some, Steps(some, Recipe(**{"pack_tokens": 256, "rows": 4, "epochs": 3, **recipe}))


# -- packing


@given(LENGTHS, st.integers(60, 200))
@settings(deadline=None)
def test_bins_hold_everything_once_and_no_more_than_they_can(lengths: list[int], capacity: int) -> None:
    bins = pack(lengths, capacity)
    assert sorted(place for places in bins for place in places) == list(range(len(lengths)))
    loads = [sum(lengths[place] for place in places) for places in bins]
    assert all(0 < load <= capacity for load in loads)
    # Otherwise what opened the later one would have gone into the earlier.
    assert all(one + other > capacity for place, one in enumerate(loads) for other in loads[:place])


def fewest(lengths: list[int], capacity: int) -> int:
    """The least number of bins there is, by trying (all that a bin can take besides the first that is left)."""
    best = {0: (0, 0)}
    for taken in range(1, 1 << len(lengths)):
        found = []
        for place, length in enumerate(lengths):
            if taken >> place & 1:
                bins, load = best[taken & ~(1 << place)]
                found.append((bins, load + length) if bins and load + length <= capacity else (bins + 1, length))
        best[taken] = min(found)
    return best[(1 << len(lengths)) - 1][0]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=9))
@settings(max_examples=40, deadline=None)
def test_best_fit_needs_few_bins_more_than_the_fewest(lengths: list[int]) -> None:
    assert len(pack(lengths, 20)) <= (11 * fewest(lengths, 20) + 6) // 9


def test_each_goes_where_it_leaves_the_least_room() -> None:
    assert [[(6, 5, 4, 3, 2)[place] for place in places] for places in pack((6, 5, 4, 3, 2), 10)] == [[6, 4], [5, 3, 2]]


def test_what_is_longer_than_a_bin_is_refused_and_can_be_cut() -> None:
    long = document(129)
    with pytest.raises(ValueError, match="a document of 129 tokens does not fit into 128"):
        Steps([document(20), long], Recipe(pack_tokens=128))
    cut = long.cut(128)
    assert len(cut) == len(cut.weights) == 128
    assert cut.learned_bytes == pytest.approx(long.learned_bytes * cut.weights.sum() / long.weights.sum())
    assert long.cut(129) is long
    assert Steps([document(20), cut], Recipe(pack_tokens=128)).total == 3


def test_a_realistic_mix_fills_its_bins() -> None:
    for count in (200, 1000, 3000):
        whole = Steps(bare(chat(count)), Recipe(pack_tokens=2048))
        bins = [places for step in range(whole.per_epoch[0]) for places in whole[step]]
        assert whole.fill == pytest.approx(sum(chat(count)) / (len(bins) * 2048))
        # A corpus of a few bins cannot fill its last one.
        assert whole.fill > 0.98 or len(bins) == -(-sum(chat(count)) // 2048)
        assert whole.fill > 0.99 or count == 200


# -- steps


def test_every_epoch_reads_every_document_once() -> None:
    some, whole = steps()
    begin = 0
    for epoch, size in enumerate(whole.per_epoch):
        read = [place for step in range(begin, begin + size) for places in whole[step] for place in places]
        assert sorted(read) == list(range(len(some)))
        assert [whole.place(step) for step in range(begin, begin + size)] == [(epoch, place) for place in range(size)]
        begin += size
    assert begin == whole.total
    with pytest.raises(IndexError):
        whole[whole.total]


def test_steps_are_alike_in_size() -> None:
    for count in (1, 2, 30, 31, 300):
        _, whole = steps(count)
        sizes = [len(whole[step]) for step in range(whole.per_epoch[0])]
        assert max(sizes) <= 4
        assert max(sizes) - min(sizes) <= 1


def test_bins_of_one_size_and_no_documents_make_steps_too() -> None:
    alike = Steps([document(64, seed) for seed in range(6)], Recipe(pack_tokens=128, rows=2))
    assert [[len(places) for places in alike[step]] for step in range(2)] in ([[2], [2, 2]], [[2, 2], [2]])
    assert Steps([], Recipe(epochs=2)).per_epoch == [0, 0]
    assert Steps([], Recipe()).fill == 0.0


def test_what_a_step_reads_follows_from_seed_and_number_alone() -> None:
    (_, one), (_, other), (_, seeded) = steps(), steps(), steps(seed=1)
    # Backwards, so that nothing can depend on what was asked before.
    assert [one[step] for step in range(one.total)] == [other[step] for step in reversed(range(one.total))][::-1]
    assert [one[step] for step in range(5)] != [seeded[step] for step in range(5)]
    assert one[0] != one[one.per_epoch[0]]


def test_long_documents_come_at_any_time() -> None:
    """They are packed first, but not read first."""
    some, whole = steps(300, rows=1, epochs=1)
    longest = [max(len(some[place]) for places in whole[step] for place in places) for step in range(whole.total)]
    assert whole.total > 60
    assert abs(np.corrcoef(longest, range(whole.total))[0, 1]) < 0.5


# -- rows


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), st.integers(40, 200), st.integers(1, 300))
@settings(deadline=None)
def test_micro_batches_keep_order_and_size(lengths: list[int], capacity: int, tokens: int) -> None:
    some = bare(lengths)
    bins = pack(lengths, capacity)
    groups = list(micro_batches(bins, some, tokens))
    assert [one.id for group in groups for one in group] == [str(place) for places in bins for place in places]
    assert all(sum(map(len, group)) <= tokens or len(group) == 1 for group in groups)
    if tokens >= capacity:
        assert len(groups) <= len(bins)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
@settings(deadline=None)
def test_a_row_has_each_document_as_it_is(lengths: list[int]) -> None:
    some = [document(length, seed) for seed, length in enumerate(lengths)]
    row = batch(some)
    assert row.ids.shape == row.positions.shape == (1, sum(lengths))
    assert row.targets.shape == row.weights.shape == (sum(lengths),)
    assert row.lengths == lengths
    ends = np.cumsum(lengths)[:-1]
    parts = (np.split(part.numpy(), ends) for part in (row.ids[0], row.positions[0], row.targets, row.weights))
    for one, ids, positions, targets, weights in zip(some, *parts, strict=True):
        assert ids.tolist() == one.ids.tolist()
        assert positions.tolist() == list(range(len(one)))
        assert targets[:-1].tolist() == one.ids[1:].tolist()
        assert weights.tolist() == [*one.weights[1:].tolist(), 0.0]


def test_a_row_with_nothing_to_learn_is_the_same_row() -> None:
    row = batch([document(20)])
    nothing = row.unlearned()
    assert nothing.weights.tolist() == [0.0] * 20
    assert nothing.ids is row.ids
    assert row.weights.any()
    assert torch.equal(row.to(torch.device("cpu")).targets, row.targets)
