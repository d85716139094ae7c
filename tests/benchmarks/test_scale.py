"""The history that is made for measuring: like the given one, larger, always the same; and the measuring itself."""

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from sususbot.archive.archive import Archive
from sususbot.benchmarks import scale
from sususbot.benchmarks.scale import bench_scale, run_measured, write_history
from sususbot.messages import DISCORD_EPOCH_MS, iso_ms
from sususbot.sources.ingest import ingest
from tests.support.kettle import small_exports


def messages(folder: Path) -> list[list[dict[str, Any]]]:
    roots = [orjson.loads(gzip.decompress(path.read_bytes())) for path in sorted(folder.iterdir())]
    assert [root["messageCount"] for root in roots] == [len(root["messages"]) for root in roots]
    return [root["messages"] for root in roots]


def test_a_larger_history_is_new_everywhere_and_always_the_same(tmp_path: Path) -> None:
    given = write_history(small_exports(), tmp_path / "given", None)
    for name in ("a", "b"):
        assert write_history(small_exports(), tmp_path / name, given * 5 + 3) == given * 5 + 3
    made, first = messages(tmp_path / "a"), messages(tmp_path / "given")
    assert made == messages(tmp_path / "b")
    for copies, originals in zip(made, first, strict=True):
        assert copies[: len(originals)] == originals
        ids = [int(item["id"]) for item in copies]
        assert len(set(ids)) == len(ids)
        later = [(iso_ms(item["timestamp"]), int(item["id"])) for item in copies[len(originals) :]]
        assert all(abs((id_ >> 22) + DISCORD_EPOCH_MS - at) < 1000 for at, id_ in later)
        assert min(later)[0] > iso_ms(originals[-1]["timestamp"])
    long = [item["content"] for copies in made for item in copies if len(item["content"].split()) > 8]
    assert len(set(long)) > 0.99 * len(long)
    with Archive(tmp_path / "data") as archive:
        done = [ingest(archive, path) for path in sorted((tmp_path / "a").iterdir())]
        assert sum(result.added.new for result in done) == given * 5 + 3
        assert not any(result.faults for result in done)


def test_memory_of_children_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both hold it until somebody looked who began when both held it."""
    look, seen = scale._of_family, tmp_path / "seen"
    ready = [str(tmp_path / "ready1"), str(tmp_path / "ready2")]

    def look_and_tell(pid: int) -> tuple[float, int]:
        both = all(Path(path).exists() for path in ready)
        found = look(pid)
        if both:
            seen.touch()
        return found

    monkeypatch.setattr(scale, "_of_family", look_and_tell)
    hold = f"held = b'x' * {80 << 20}; pathlib.Path(sys.argv[1]).touch()"
    child = f"import pathlib, sys, time; {hold}\nwhile not pathlib.Path({str(seen)!r}).exists(): time.sleep(0.01)"
    parent = (
        "import subprocess, sys\n"
        f"both = [subprocess.Popen([sys.executable, '-c', {child!r}, path]) for path in {ready}]\n"
        "sys.exit(sum(one.wait() for one in both))"
    )
    run = run_measured([sys.executable, "-c", parent])
    assert run.cpu_seconds > 0
    assert run.peak_rss_mb > 160


def test_a_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run_measured([sys.executable, "-c", "import sys; sys.exit(3)"])


def test_the_benchmark_in_little() -> None:
    told: list[str] = []
    result = bench_scale(small_exports(), ["import"], told.append, large=2000)
    assert result.metrics["messages_1m"] == 2000
    assert {"import_messages_per_s_67k", "import_messages_per_s_1m", "import_growth", "import_peak_rss_mb"} <= set(
        result.metrics
    )
    assert "import of 1m" in told
