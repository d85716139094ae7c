"""A disk that fills up while files are imported: one sentence, nothing committed is lost, and room makes it whole.

Shown on a small file system of its own, and with the system's limit on the size of files.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from tests.archive.making import snapshot
from tests.sources.exports import imported, item, root, stored, written
from tests.support.disk import small_disk

SMALL, LARGE = 500, 6000

LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
runpy.run_module("sususbot", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A file that still fits, and one that does not."""
    folder = tmp_path_factory.mktemp("files")
    numbers = range(SMALL), range(SMALL, SMALL + LARGE)
    texts = [written(root([item(number, f"kettle number {number}") for number in part])) for part in numbers]
    return [stored(folder, text, f"{name}.json") for name, text in zip(("small", "large"), texts, strict=True)]


@pytest.fixture(scope="module")
def whole(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that an empty disk would have given."""
    folder = tmp_path_factory.mktemp("whole")
    imported(folder, *files)
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    with small_disk(tmp_path / "disk", kilobytes=100) as small:
        yield small.folder


def resize(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)


def run(data: Path, files: list[Path], *, program: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(program or ["-m", "sususbot"]), "--data", str(data), "import", *map(str, files)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def assert_stopped(result: subprocess.CompletedProcess[str], data: Path, told: str) -> None:
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1] == f"sususbot: {told.format(data / 'archive.db')}"
    assert told.endswith("free some space and run the same command again")


def assert_holds(data: Path, messages: int) -> None:
    with Archive(data) as archive:
        assert archive.counts().messages == messages
        assert archive.check() == []


FULL = "the disk that holds {} is full: free some space and run the same command again"
LIMIT = "{} cannot be written (disk full or failing): free some space and run the same command again"


def test_a_full_disk_keeps_what_was_committed(disk: Path, files: list[Path], whole: Path) -> None:
    # Too small for an empty archive; for the small file; for the large one.
    for kilobytes, kept in ((100, 0), (200, 0), (1000, SMALL)):
        resize(disk, kilobytes)
        assert_stopped(run(disk, files), disk, FULL)
        resize(disk, kilobytes + 2000)
        assert_holds(disk, kept)
    assert run(disk, files).returncode == 0
    assert_holds(disk, SMALL + LARGE)
    assert snapshot(disk) == snapshot(whole)


def test_a_limit_on_the_size_of_files_keeps_what_was_committed(tmp_path: Path, files: list[Path], whole: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("no such limit here")
    for kilobytes, kept in ((20, 0), (600, SMALL)):
        result = run(tmp_path, files, program=["-c", LIMITED, str(kilobytes * 1024)])
        assert_stopped(result, tmp_path, LIMIT)
        assert_holds(tmp_path, kept)
    assert run(tmp_path, files).returncode == 0
    assert snapshot(tmp_path) == snapshot(whole)
