"""Vectors: they wait beside their messages, and live and die with the words they stand for."""

from pathlib import Path

import numpy as np
import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.vectors import Matrix, Pending
from tests.archive.making import GARDEN, KITCHEN, MIA, NOON, OTHER_BOT, TOM, filled, message, snapshot
from tests.support.consents import agree, refuse

DIMENSIONS = 8


def matrix(rows: int, seed: int = 0) -> Matrix:
    """Rows of unit length, as encoders give them."""
    values = np.random.default_rng(seed).normal(size=(rows, DIMENSIONS))
    unit: Matrix = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return unit


def loaded(archive: Archive) -> dict[int, int]:
    """Message id to channel id of all vectors that may be searched."""
    return {
        int(id_): int(channel)
        for ids, channels, _ in archive.vectors.load()
        for id_, channel in zip(ids, channels, strict=True)
    }


def embedded(archive: Archive) -> list[int]:
    """Give every pending message a vector."""
    pending = archive.vectors.pending(10_000)
    return archive.vectors.put(pending, matrix(len(pending)))


def test_what_may_be_remembered_waits_for_a_vector_oldest_first(archive: Archive) -> None:
    filled(
        archive,
        message(3, "third", TOM),
        message(1, "first"),
        message(2, ""),
        message(4, "beep", OTHER_BOT),
        message(5, "joined", type=7),
        message(6, "gone"),
    )
    archive.delete([6], at=NOON)
    assert archive.vectors.pending(9) == [Pending(1, "Mia", "first"), Pending(3, "Tom", "third")]
    assert archive.vectors.pending(1) == [Pending(1, "Mia", "first")]
    assert archive.vectors.count_pending() == 2
    refuse(archive, TOM)
    assert archive.vectors.count_pending() == 1


def test_a_vector_comes_back_as_it_went_in_to_half_precision(archive: Archive) -> None:
    filled(archive, message(1, "a"), message(2, "b", channel=GARDEN))
    values = matrix(2)
    assert archive.vectors.put(archive.vectors.pending(9), values) == [1, 2]
    ((ids, channels, rows),) = archive.vectors.load()
    assert ids.tolist() == [1, 2]
    assert channels.tolist() == [KITCHEN.id, GARDEN.id]
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, values.astype(np.float16).astype(np.float32))
    np.testing.assert_allclose(rows, values, atol=2**-11)
    assert archive.vectors.count() == archive.counts().vectors == 2
    assert archive.vectors.count_pending() == 0


def test_many_vectors_come_in_pieces_and_in_order(archive: Archive) -> None:
    filled(archive, *(message(number, "tea") for number in range(1, 5001)))
    assert len(embedded(archive)) == 5000
    pieces = list(archive.vectors.load())
    assert len(pieces) == 2
    assert np.concatenate([ids for ids, _, _ in pieces]).tolist() == list(range(1, 5001))
    np.testing.assert_allclose(np.concatenate([rows for _, _, rows in pieces]), matrix(5000), atol=2**-11)


def test_an_archive_without_vectors_loads_nothing(archive: Archive) -> None:
    assert list(archive.vectors.load()) == []
    assert archive.vectors.put([], matrix(0)) == []


def test_what_changed_since_it_was_read_gets_no_vector(archive: Archive) -> None:
    filled(archive, *(message(number, "tea", TOM if number == 5 else MIA) for number in range(1, 6)))
    pending = archive.vectors.pending(9)
    filled(archive, message(2, "coffee", edited_at=NOON))
    archive.delete([3], at=NOON)
    filled(archive, message(4, "tea", edited_at=NOON))
    refuse(archive, TOM)
    assert archive.vectors.put(pending, matrix(5)) == [1, 4]
    assert archive.vectors.pending(9) == [Pending(2, "Mia", "coffee")]
    assert archive.vectors.without([1, 2, 3, 4, 5, 99]) == [2, 3, 5, 99]
    assert archive.check() == []


def test_an_edit_or_a_deletion_takes_the_vector_along(archive: Archive) -> None:
    filled(archive, *(message(number, "tea") for number in range(1, 5)))
    embedded(archive)
    filled(archive, message(1, "coffee", edited_at=NOON), message(2, "tea", edited_at=NOON), message(3, "tea"))
    archive.delete([4], at=NOON)
    assert loaded(archive) == {2: KITCHEN.id, 3: KITCHEN.id}
    assert archive.vectors.count() == 2
    assert archive.vectors.pending(9) == [Pending(1, "Mia", "coffee")]
    assert archive.check() == []


def test_a_failing_batch_leaves_words_and_vectors_together(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(1, "tea"), message(2, "tea"))
    embedded(archive)
    before = snapshot(tmp_path)
    with pytest.raises(OverflowError):
        filled(archive, message(1, "coffee", edited_at=NOON), message(2, "coffee", edited_at=1 << 70))
    with pytest.raises(OverflowError):
        archive.delete([1, 2], at=1 << 70)
    assert snapshot(tmp_path) == before
    assert archive.check() == []


def test_only_what_may_be_searched_is_loaded(archive: Archive) -> None:
    filled(archive, message(1, "tea", MIA), message(2, "tea", TOM))
    embedded(archive)
    refuse(archive, MIA)
    assert loaded(archive) == {2: KITCHEN.id}
    agree(archive, MIA)
    assert [item.id for item in archive.vectors.pending(9)] == [1]


def test_putting_again_replaces(archive: Archive) -> None:
    filled(archive, message(1, "tea"))
    pending = archive.vectors.pending(1)
    for seed in (0, 1):
        assert archive.vectors.put(pending, matrix(1, seed)) == [1]
    ((_, _, rows),) = archive.vectors.load()
    np.testing.assert_allclose(rows, matrix(1, 1), atol=2**-11)


def test_vectors_of_another_embedder_are_dropped(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(1, "tea"))
    assert archive.vectors.embedder() is None
    assert archive.vectors.use_embedder("small") == 0
    embedded(archive)
    assert archive.vectors.use_embedder("small") == 0
    assert loaded(archive) == {1: KITCHEN.id}
    assert archive.vectors.use_embedder("large") == 1
    assert archive.vectors.count() == 0
    with Archive(tmp_path) as again:
        assert again.vectors.embedder() == "large"
        assert again.vectors.count_pending() == 1


def test_one_row_is_wanted_for_each_message(archive: Archive) -> None:
    filled(archive, message(1, "tea"), message(2, "tea"))
    with pytest.raises(ValueError, match="zip"):
        archive.vectors.put(archive.vectors.pending(9), matrix(1))
    assert archive.vectors.count() == 0
