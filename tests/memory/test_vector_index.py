"""Every vector index keeps the same promises: exact search with and without SIMD, Chroma embedded and as a server.

A new index is one line in KINDS. Cosines may be off by an index's rounding, so what is compared with plain arithmetic
is compared with room for it.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.archive.vectors import Ids, Matrix
from sususbot.errors import SettingsError
from sususbot.memory.codes import numpy_dots
from sususbot.memory.vector_index import ExactIndex, Hits, Vector, VectorIndex, make_index
from sususbot.messages import Audience
from tests.memory.chat import clusters

DIMENSIONS = 32
COUNT = 400
CHANNELS = 20
# Ids as large as Discord's: 64 bits, odd, not in the order of the rows.
IDS = [1_300_000_000_000_000_001 + 7919 * number % 10_007 for number in range(COUNT)]
CHANNEL_OF = dict(zip(IDS, [number % CHANNELS for number in range(COUNT)], strict=True))
MATRIX = clusters(COUNT, DIMENSIONS)
VECTOR_OF = dict(zip(IDS, MATRIX, strict=True))
KINDS = {"exact": "exact", "exact without SIMD": "exact", "chroma": "chroma", "chroma server": "chroma"}
# What 8 bits a number may move the cosine of two vectors of so few dimensions.
ROUNDING = 0.006


@pytest.fixture(params=KINDS)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorIndex]:
    if KINDS[request.param] == "chroma":
        pytest.importorskip("chromadb")
    url = request.getfixturevalue("chroma_url") if request.param == "chroma server" else None
    folder = str(tmp_path / "chroma")
    if url is not None:
        # Opened for other dimensions first, a server that several tests share begins anew.
        make_index(KINDS[request.param], dimensions=DIMENSIONS + 1, folder=folder, url=url).close()
    if request.param == "exact without SIMD":
        index: VectorIndex = ExactIndex(DIMENSIONS, numpy_dots)
    else:
        index = make_index(KINDS[request.param], dimensions=DIMENSIONS, folder=folder, url=url)
    yield index
    index.close()


@pytest.fixture
def full(index: VectorIndex) -> VectorIndex:
    fill(index, IDS, MATRIX)
    return index


def fill(index: VectorIndex, ids: list[int], matrix: Matrix) -> None:
    index.add(ids, [CHANNEL_OF[id_] for id_ in ids], matrix)


def assert_nearest(
    index: VectorIndex, query: Vector, limit: int, audience: Audience = None, held: Collection[int] = IDS
) -> None:
    """The hits are the nearest of what is held and may be seen, in order, with their cosines.

    Chroma may miss one of ten: its threads make another graph each time, in which now and then a vector is not reached.
    """
    hits = index.search(query, limit=limit, audience=audience)
    exact = {id_: float(VECTOR_OF[id_] @ query) for id_ in held if audience is None or CHANNEL_OF[id_] in audience}
    found = dict(hits)
    assert len(found) == len(hits) == min(limit, len(exact))
    assert found == {id_: pytest.approx(exact[id_], abs=ROUNDING) for id_ in found}
    scores = list(found.values())
    assert scores == sorted(scores, reverse=True)
    last = min(scores, default=2) + ROUNDING
    missed = [id_ for id_ in exact.keys() - found.keys() if exact[id_] > last]
    assert len(missed) <= (0 if isinstance(index, ExactIndex) else limit // 10)


def ids_of(hits: Hits) -> list[int]:
    return [id_ for id_, _ in hits]


def test_an_empty_index_finds_nothing(index: VectorIndex) -> None:
    assert len(index) == 0
    assert index.search(MATRIX[0], limit=5) == []
    assert index.search(MATRIX[0], limit=5, audience=frozenset({1})) == []
    assert index.cosines(MATRIX[0], IDS[:3]) == {}
    index.remove(IDS[:3])
    index.add([], [], MATRIX[:0])
    assert len(index) == 0


def test_it_finds_the_nearest_in_order_with_their_cosines(full: VectorIndex) -> None:
    for query, limit in zip(clusters(15, DIMENSIONS, seed=1), [1, 10, 100] * 5, strict=True):
        assert_nearest(full, query, limit)


def test_it_finds_only_what_the_audience_may_see(full: VectorIndex) -> None:
    for query in clusters(5, DIMENSIONS, seed=2):
        for channels in ({3}, {3, 4}, {3, 777}, set(range(CHANNELS - 1))):
            audience = frozenset(channels)
            assert_nearest(full, query, 15, audience)


def test_it_finds_nothing_for_nobody_and_for_unknown_channels(full: VectorIndex) -> None:
    assert full.search(MATRIX[0], limit=5, audience=frozenset()) == []
    assert full.search(MATRIX[0], limit=5, audience=frozenset({777})) == []


def test_the_only_allowed_vectors_are_found_even_when_all_others_are_nearer(index: VectorIndex) -> None:
    near = np.tile(MATRIX[0], (300, 1)) + 0.01 * MATRIX[:300]
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    index.add(list(range(1, 301)), [1] * 300, near)
    index.add([901, 902, 903], [9, 9, 9], np.stack([-MATRIX[0], -MATRIX[1], -MATRIX[2]]))
    hits = index.search(MATRIX[0], limit=2, audience=frozenset({9}))
    expected = sorted([901, 902, 903], key=lambda id_: MATRIX[0] @ MATRIX[id_ - 901])[:2]
    assert ids_of(hits) == expected


def test_a_limit_larger_than_the_index_gives_all_of_it(full: VectorIndex) -> None:
    assert_nearest(full, MATRIX[5], 10 * COUNT)
    assert len(full.search(MATRIX[5], limit=10 * COUNT, audience=frozenset({2}))) == COUNT // CHANNELS
    assert full.search(MATRIX[5], limit=0) == []


def test_adding_an_id_again_replaces_its_vector_and_its_channel(full: VectorIndex) -> None:
    full.add([IDS[0]], [55], -MATRIX[:1])
    assert len(full) == COUNT
    ((found, cosine),) = full.search(-MATRIX[0], limit=1, audience=frozenset({55}))
    assert found == IDS[0]
    assert cosine == pytest.approx(1.0, abs=ROUNDING)
    assert IDS[0] not in ids_of(full.search(MATRIX[0], limit=5))
    assert IDS[0] not in ids_of(full.search(MATRIX[0], limit=COUNT, audience=frozenset({CHANNEL_OF[IDS[0]]})))


def test_of_an_id_that_comes_twice_the_last_one_counts(index: VectorIndex) -> None:
    index.add([7, 8, 7], [1, 1, 2], MATRIX[:3])
    assert len(index) == 2
    assert index.cosines(MATRIX[2], [7]) == {7: pytest.approx(1.0, abs=ROUNDING)}
    assert ids_of(index.search(MATRIX[2], limit=5, audience=frozenset({2}))) == [7]


def test_what_is_removed_is_not_found(full: VectorIndex) -> None:
    gone = [*IDS[::2], IDS[0], 5]
    full.remove(gone)
    full.remove(gone)
    assert len(full) == COUNT // 2
    assert_nearest(full, MATRIX[0], 20, held=set(IDS) - set(gone))
    assert full.cosines(MATRIX[0], IDS[:2]).keys() == {IDS[1]}


def test_it_stays_right_while_ids_come_and_go(index: VectorIndex) -> None:
    random = np.random.default_rng(5)
    held: set[int] = set()
    for _ in range(12):
        rows = random.choice(COUNT, 60, replace=False)
        fill(index, [IDS[row] for row in rows], MATRIX[rows])
        held |= {IDS[row] for row in rows}
        gone = [IDS[row] for row in random.choice(COUNT, 40, replace=False)]
        index.remove(gone)
        held -= set(gone)
        assert len(index) == len(held)
        assert_nearest(index, MATRIX[3], 30, held=held)


def test_cosines_leave_out_the_unknown(full: VectorIndex) -> None:
    query = clusters(1, DIMENSIONS, seed=3)[0]
    wanted = [IDS[9], 5, IDS[3], IDS[9]]
    cosines = full.cosines(query, wanted)
    assert cosines == {IDS[row]: pytest.approx(float(MATRIX[row] @ query), abs=ROUNDING) for row in (9, 3)}
    assert full.cosines(query, []) == {}


def test_cosines_and_rows_as_arrays_are_in_the_order_of_the_ids(full: VectorIndex) -> None:
    query = clusters(1, DIMENSIONS, seed=3)[0]
    wanted = np.array([IDS[9], 5, IDS[3], IDS[9]])
    cosines = full.cosines_of(query, wanted)
    assert cosines.dtype == np.float32
    expected = MATRIX[[9, 0, 3, 9]] @ query
    expected[1] = np.nan
    assert cosines == pytest.approx(expected, abs=ROUNDING, nan_ok=True)
    rows = full.rows(wanted)
    assert rows.dtype == np.float32
    assert not rows[1].any()
    assert rows[[0, 2, 3]] == pytest.approx(MATRIX[[9, 3, 9]], abs=ROUNDING)
    assert full.cosines_of(query, wanted[:0]).shape == (0,)
    assert full.rows(wanted[:0]).shape == (0, DIMENSIONS)


def test_a_cosine_is_the_same_whichever_way_it_is_asked_for(full: VectorIndex) -> None:
    query = clusters(1, DIMENSIONS, seed=4)[0]
    hits = dict(full.search(query, limit=20))
    assert full.cosines(query, list(hits)) == pytest.approx(hits, abs=1e-6)
    assert full.cosines_of(query, np.array(list(hits))) == pytest.approx(list(hits.values()), abs=1e-6)
    assert full.rows(np.array(list(hits))) @ query == pytest.approx(list(hits.values()), abs=1e-6)


def pieces(rows: list[int], matrix: Matrix = MATRIX) -> Iterator[tuple[Ids, Ids, Matrix]]:
    for start in range(0, len(rows), 64):
        part = rows[start : start + 64]
        ids = [IDS[row] for row in part]
        yield np.array(ids, np.int64), np.array([CHANNEL_OF[id_] for id_ in ids], np.int64), matrix[part]


def test_synchronise_drops_adds_and_mends(full: VectorIndex) -> None:
    changed = MATRIX.copy()
    changed[100] = -MATRIX[100]
    full.synchronise(pieces(list(range(100, 300)), changed))
    assert len(full) == 200
    assert full.cosines(MATRIX[0], IDS[:100]) == {}
    assert ids_of(full.search(-MATRIX[100], limit=1)) == [IDS[100]]
    assert set(ids_of(full.search(MATRIX[0], limit=COUNT))) == set(IDS[100:300])
    full.synchronise(pieces(list(range(COUNT))))
    assert_nearest(full, MATRIX[0], 20)
    full.synchronise([])
    assert len(full) == 0


Change = tuple[bool, list[int]]
CHANGES = st.lists(
    st.tuples(st.booleans(), st.lists(st.integers(0, COUNT - 1), max_size=40, unique=True)), min_size=1, max_size=12
)


@settings(deadline=None)
@given(CHANGES, st.frozensets(st.integers(0, CHANNELS)), st.integers(0, 50), st.booleans())
def test_exact_search_does_as_a_dict_of_vectors_would(
    changes: list[Change], audience: frozenset[int], limit: int, simd: bool
) -> None:
    index = ExactIndex(DIMENSIONS) if simd else ExactIndex(DIMENSIONS, numpy_dots)
    held: dict[int, None] = {}
    for adds, rows in changes:
        ids = [IDS[row] for row in rows]
        if adds:
            fill(index, ids, MATRIX[rows])
            held |= dict.fromkeys(ids)
        else:
            index.remove(ids)
            held = {id_: None for id_ in held if id_ not in set(ids)}
        assert len(index) == len(held)
    for among in (None, audience):
        assert_nearest(index, MATRIX[7], limit, among, held)
    assert index.cosines(MATRIX[7], IDS).keys() == held.keys()


def test_it_may_be_closed_twice(full: VectorIndex) -> None:
    full.close()
    full.close()


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="VECTOR_DB=faiss is not known: choose one of exact, chroma"):
        make_index("faiss", dimensions=3, folder="", url=None)
