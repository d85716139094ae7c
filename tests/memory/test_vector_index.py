"""Every vector index keeps the same promises: exact search, Chroma in this process, and Chroma as a server.

A new index is one line in KINDS.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sususbot.archive.vectors import Ids, Matrix
from sususbot.archive.words import Hits
from sususbot.errors import SettingsError
from sususbot.memory.vector_index import Vector, VectorIndex, make_index
from sususbot.messages import Audience
from tests.memory.chat import clusters

DIMENSIONS = 32
COUNT = 400
CHANNELS = 20
# Ids as large as Discord's: 64 bits, odd, not in the order of the rows.
IDS = [1_300_000_000_000_000_001 + 7919 * number % 10_007 for number in range(COUNT)]
CHANNEL_OF = dict(zip(IDS, [number % CHANNELS for number in range(COUNT)], strict=True))
MATRIX = clusters(COUNT, DIMENSIONS)
KINDS = {"exact": "exact", "chroma": "chroma", "chroma server": "chroma"}


@pytest.fixture(params=KINDS)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorIndex]:
    if KINDS[request.param] == "chroma":
        pytest.importorskip("chromadb")
    url = request.getfixturevalue("chroma_url") if request.param == "chroma server" else None
    folder = str(tmp_path / "chroma")
    if url is not None:
        # Opened for other dimensions first, a server that several tests share begins anew.
        make_index(KINDS[request.param], dimensions=DIMENSIONS + 1, folder=folder, url=url).close()
    index = make_index(KINDS[request.param], dimensions=DIMENSIONS, folder=folder, url=url)
    yield index
    index.close()


@pytest.fixture
def full(index: VectorIndex) -> VectorIndex:
    fill(index, IDS, MATRIX)
    return index


def fill(index: VectorIndex, ids: list[int], matrix: Matrix) -> None:
    index.add(ids, [CHANNEL_OF[id_] for id_ in ids], matrix)


def brute(query: Vector, limit: int, audience: Audience = None) -> list[int]:
    scores = MATRIX @ query
    allowed = [row for row, id_ in enumerate(IDS) if audience is None or CHANNEL_OF[id_] in audience]
    return [IDS[row] for row in sorted(allowed, key=lambda row: -scores[row])[:limit]]


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
        hits = full.search(query, limit=limit)
        assert ids_of(hits) == brute(query, limit)
        assert [score for _, score in hits] == pytest.approx([MATRIX[IDS.index(id_)] @ query for id_, _ in hits])


def test_it_finds_only_what_the_audience_may_see(full: VectorIndex) -> None:
    for query in clusters(5, DIMENSIONS, seed=2):
        for channels in ({3}, {3, 4}, {3, 777}, set(range(CHANNELS - 1))):
            audience = frozenset(channels)
            assert ids_of(full.search(query, limit=15, audience=audience)) == brute(query, 15, audience)


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
    assert ids_of(full.search(MATRIX[5], limit=10 * COUNT)) == brute(MATRIX[5], COUNT)
    assert len(full.search(MATRIX[5], limit=10 * COUNT, audience=frozenset({2}))) == COUNT // CHANNELS
    assert full.search(MATRIX[5], limit=0) == []


def test_adding_an_id_again_replaces_its_vector_and_its_channel(full: VectorIndex) -> None:
    full.add([IDS[0]], [55], -MATRIX[:1])
    assert len(full) == COUNT
    ((found, cosine),) = full.search(-MATRIX[0], limit=1, audience=frozenset({55}))
    assert found == IDS[0]
    assert cosine == pytest.approx(1.0)
    assert IDS[0] not in ids_of(full.search(MATRIX[0], limit=5))
    assert IDS[0] not in ids_of(full.search(MATRIX[0], limit=COUNT, audience=frozenset({CHANNEL_OF[IDS[0]]})))


def test_of_an_id_that_comes_twice_the_last_one_counts(index: VectorIndex) -> None:
    index.add([7, 8, 7], [1, 1, 2], MATRIX[:3])
    assert len(index) == 2
    assert index.cosines(MATRIX[2], [7]) == {7: pytest.approx(1.0)}
    assert ids_of(index.search(MATRIX[2], limit=5, audience=frozenset({2}))) == [7]


def test_what_is_removed_is_not_found(full: VectorIndex) -> None:
    gone = [*IDS[::2], IDS[0], 5]
    full.remove(gone)
    full.remove(gone)
    assert len(full) == COUNT // 2
    assert ids_of(full.search(MATRIX[0], limit=20)) == [id_ for id_ in brute(MATRIX[0], COUNT) if id_ not in gone][:20]
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
        assert ids_of(index.search(MATRIX[3], limit=30)) == [id_ for id_ in brute(MATRIX[3], COUNT) if id_ in held][:30]


def test_cosines_are_exact_and_leave_out_the_unknown(full: VectorIndex) -> None:
    query = clusters(1, DIMENSIONS, seed=3)[0]
    wanted = [IDS[9], 5, IDS[3], IDS[9]]
    cosines = full.cosines(query, wanted)
    assert cosines == {IDS[row]: pytest.approx(float(MATRIX[row] @ query), abs=1e-6) for row in (9, 3)}
    assert full.cosines(query, []) == {}


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
    assert ids_of(full.search(MATRIX[0], limit=20)) == brute(MATRIX[0], 20)
    full.synchronise([])
    assert len(full) == 0


def test_it_may_be_closed_twice(full: VectorIndex) -> None:
    full.close()
    full.close()


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="VECTOR_DB=faiss is not known: choose one of exact, chroma"):
        make_index("faiss", dimensions=3, folder="", url=None)
