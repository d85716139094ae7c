"""The default index beyond what every index promises: many rows, the same results on every machine, nothing left."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.archive.vectors import Ids, Matrix
from sususbot.memory.codes import Codes, coded, fastest_dots, numpy_dots
from sususbot.memory.places import Channels, Places
from sususbot.memory.vector_index import ExactIndex
from tests.memory.chat import clusters

DIMENSIONS = 16
# More than one block of rows, and more newcomers than wait to be sorted.
COUNT = 140_000
QUERY = clusters(1, DIMENSIONS, seed=9)[0]


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return clusters(COUNT, DIMENSIONS)


@pytest.fixture(scope="module")
def ids() -> Ids:
    return np.random.default_rng(2).permutation(COUNT) * 977 + (1 << 60)


def test_with_and_without_simd_the_results_are_the_same(matrix: Matrix, ids: Ids) -> None:
    pytest.importorskip("simsimd")
    assert fastest_dots() is not numpy_dots
    fast, slow = ExactIndex(DIMENSIONS), ExactIndex(DIMENSIONS, numpy_dots)
    for index in (fast, slow):
        index.synchronise([(ids, ids % 7, matrix)])
    for audience in (None, frozenset({3}), frozenset(range(6))):
        found = fast.search(QUERY, limit=100, audience=audience)
        assert len(found) == 100
        assert found == slow.search(QUERY, limit=100, audience=audience)


def test_multiplying_leaves_every_object_counted(matrix: Matrix) -> None:
    pytest.importorskip("simsimd")
    rows, query = coded(matrix[:10])[0], coded(QUERY[None])[0]
    dots = fastest_dots()
    before = [sys.getrefcount(one) for one in (None, rows, query)]
    for _ in range(1000):
        dots(rows, query)
    after = [sys.getrefcount(one) for one in (None, rows, query)]
    assert after == pytest.approx(before, abs=100)


def test_many_rows_are_searched_whole_whatever_comes_and_goes(matrix: Matrix, ids: Ids) -> None:
    index = ExactIndex(DIMENSIONS)
    half = COUNT // 2
    index.synchronise([(ids[:half], ids[:half] % 7, matrix[:half])])
    index.add(ids[half:].tolist(), (ids[half:] % 7).tolist(), matrix[half:])
    gone = np.random.default_rng(3).choice(COUNT, 50_000, replace=False)
    index.remove(ids[gone].tolist())
    held = np.setdiff1d(np.arange(COUNT), gone)
    assert len(index) == len(held)
    assert np.abs(index.rows(ids[held]) - matrix[held]).max() < 0.01
    assert np.isnan(index.cosines_of(QUERY, ids[gone])).all()
    for allowed in (held, held[ids[held] % 7 == 5]):
        audience = None if allowed is held else frozenset({5})
        exact = np.sort(matrix[allowed] @ QUERY)[::-1][:50]
        found = index.search(QUERY, limit=50, audience=audience)
        assert {id_ for id_, _ in found} <= set(ids[allowed].tolist())
        assert [cosine for _, cosine in found] == pytest.approx(exact, abs=0.01)
    index.add(ids[gone].tolist(), [1] * len(gone), matrix[gone])
    assert np.abs(index.rows(ids) - matrix).max() < 0.01


def test_nothing_of_what_is_removed_is_left_in_memory() -> None:
    codes = Codes(DIMENSIONS, numpy_dots)
    rows = np.arange(10)
    codes.write(rows, clusters(10, DIMENSIONS))
    codes.move(np.array([9]), np.array([2]))
    codes.wipe(9, 10)
    assert not codes.read(np.array([9])).any()
    assert codes.read(np.array([2]))[0] == pytest.approx(clusters(10, DIMENSIONS)[9], abs=0.01)


def test_a_coded_row_has_unit_length_and_zeros_stay_zeros() -> None:
    matrix = clusters(50, DIMENSIONS)
    matrix[7] = 0
    codes, scales = coded(matrix)
    lengths = np.linalg.norm(codes * scales[:, None], axis=1)
    assert np.delete(lengths, 7) == pytest.approx(np.ones(49), abs=1e-5)
    assert lengths[7] == 0
    assert np.abs(codes).max() == 127


def test_a_row_of_zeros_is_like_nothing() -> None:
    index = ExactIndex(DIMENSIONS)
    index.add([1, 2], [1, 1], np.stack([np.zeros(DIMENSIONS, np.float32), QUERY]))
    assert index.search(QUERY, limit=2) == [(2, pytest.approx(1.0, abs=0.01)), (1, 0.0)]


def test_places_find_ids_sorted_new_and_moved() -> None:
    places = Places()
    places.reset(np.array([50, 10, 30]))
    places.put(np.array([20, 10]), np.array([3, 7]))
    asked = np.array([10, 20, 30, 40, 50])
    assert places.of(asked).tolist() == [7, 3, 2, -1, 0]
    places.drop(np.array([10, 20, 40]))
    assert places.of(asked).tolist() == [-1, -1, 2, -1, 0]
    places.put(np.array([10, 20]), np.array([8, 9]))
    assert places.of(asked).tolist() == [8, 9, 2, -1, 0]
    assert places.of(asked[:0]).tolist() == []


def test_places_sort_newcomers_when_there_are_many() -> None:
    places = Places()
    ids = np.random.default_rng(1).permutation(60_000) + 5
    places.reset(ids[:1000])
    places.drop(ids[:10])
    for start in range(1000, 60_000, 500):
        rows = np.arange(start, start + 500)
        places.put(ids[rows], rows)
    expected = np.arange(60_000)
    expected[:10] = -1
    assert places.of(ids).tolist() == expected.tolist()


@given(
    st.lists(st.tuples(st.booleans(), st.dictionaries(st.integers(0, 20), st.integers(0, 4)))),
    st.none() | st.frozensets(st.integers(0, 5)),
)
def test_channels_do_as_a_dict_would(
    changes: list[tuple[bool, dict[int, int]]], audience: frozenset[int] | None
) -> None:
    channels, expected = Channels(), dict[int, int]()
    for puts, change in changes:
        ids = np.array([*change], np.int64)
        if puts:
            channels.put(ids, np.array([*change.values()], np.int64))
            expected |= change
        else:
            channels.drop(ids)
            expected = {id_: channel for id_, channel in expected.items() if id_ not in change}
    audible = {id_ for id_, channel in expected.items() if audience is None or channel in audience}
    every = np.arange(-1, 22)
    assert every[channels.audible(every, audience)].tolist() == sorted(audible)
    assert set(channels.all_audible(audience).tolist()) == audible
    assert channels.count(audience) == len(audible)
