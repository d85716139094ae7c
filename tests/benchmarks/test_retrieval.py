"""The archive that search is measured in: larger than what was given, like it; and the measuring itself."""

from pathlib import Path

import numpy as np
import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.vectors import Ids, Matrix
from sususbot.benchmarks.haystack import haystack
from sususbot.benchmarks.multiplied import multiplied
from sususbot.benchmarks.retrieval import bench_retrieval
from tests.memory.chat import WordEmbedder
from tests.support.kettle import small_exports


def silent(_done: int, _all: int) -> None:
    """Progress that nobody watches."""


def vectors(archive: Archive) -> tuple[Ids, Matrix]:
    ids, _, matrices = zip(*archive.vectors.load(), strict=True)
    return np.concatenate(ids), np.concatenate(matrices)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    haystack(folder, small_exports(), WordEmbedder(), silent).close()
    return next(folder.iterdir())


def test_a_multiplied_archive_is_new_everywhere_and_whole(small: Path, tmp_path: Path) -> None:
    with Archive(small) as archive:
        given = archive.counts()
        originals = {message.id: message for message in archive.history()}
        first_ids, first_matrix = vectors(archive)
    (tmp_path / "large.part").mkdir()
    (tmp_path / "large.part" / "archive.db").write_bytes(b"left by a run that was ended")
    count = given.messages * 4 + 3
    multiplied(small, tmp_path / "large", count, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["large"]
    with Archive(tmp_path / "large") as archive:
        assert archive.check() == []
        counts = archive.counts()
        assert (counts.messages, counts.vectors) == (count, given.vectors + count - given.messages)
        assert counts.authors == given.authors
        messages = {message.id: message for message in archive.history()}
        ids, matrix = vectors(archive)
    assert {id_: messages[id_] for id_ in originals} == originals
    copies = [message for id_, message in messages.items() if id_ not in originals]
    last = {message.channel_id: message.created_at for message in originals.values()}
    assert all(copy.created_at > last[copy.channel_id] for copy in copies)
    long = [copy.rendered for copy in copies if len(copy.rendered.split()) > 8]
    assert len(set(long)) > 0.95 * len(long)
    assert np.linalg.norm(matrix, axis=1) == pytest.approx(np.ones(len(matrix)), abs=0.01)
    assert matrix[np.searchsorted(ids, first_ids)] == pytest.approx(first_matrix)
    # Each copy is near to what it was made of: none has only strangers around it.
    nearest = (matrix[~np.isin(ids, first_ids)] @ first_matrix.T).max(axis=1)
    assert nearest.min() > 0.6


def test_retrieval_is_measured_from_exports_to_figures(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    few = bench_retrieval(small_exports(), embedder, "exact", tmp_path, silent).metrics
    many = bench_retrieval(small_exports(), embedder, "exact", tmp_path, silent, 3000).metrics
    assert many["messages"] == 3000
    assert few.keys() == many.keys() >= {"words_p95_ms", "vectors_p95_ms", "load_s"}
    for metrics in (few, many):
        assert metrics["questions"]
        recall, p50, p95 = (metrics[key] for key in ("recall_at_20_vs_exact", "p50_ms", "p95_ms"))
        assert recall is not None
        assert recall >= 0.95
        assert p50 is not None
        assert p95 is not None
        assert 0 < p50 <= p95
    embedded = len(embedder.embedded)
    again = bench_retrieval(small_exports(), embedder, "exact", tmp_path, silent, 3000).metrics
    assert again["messages"] == 3000
    # Nothing but the questions is embedded again.
    assert len(embedder.embedded) - embedded < 400
