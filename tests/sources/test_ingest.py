"""An import as a whole: killed at any moment, larger than memory, or a real community's chat."""

import gzip
import itertools
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from sususbot.archive.archive import Archive
from sususbot.sources.ingest import ingest
from tests.archive.making import raw, snapshot
from tests.sources.exports import imported, item, root, stored, varied, written
from tests.support.ready import Ready
from tests.support.ready import ready as ready_to_run

REAL: Final = Path(__file__).parents[3] / "shared" / "data" / "gitter"

# Kills itself within SQLite's work on a transaction, at the step of the given number; or where it is told of progress.
KILLED = """
import os, signal, sys
from pathlib import Path
from sususbot.archive.archive import Archive
from sususbot.sources import source
from sususbot.sources.ingest import ingest
source.BATCH = 200
steps = 0
def step():
    global steps
    steps += 1
    die(steps, "step")
def told(count, _):
    die(count, "message")
def die(number, kind):
    if number == int(sys.argv[3]) and kind == sys.argv[4]:
        os.kill(os.getpid(), signal.SIGKILL)
with Archive(Path(sys.argv[1])) as archive:
    archive._database._connection.set_progress_handler(step, 1000)
    ingest(archive, Path(sys.argv[2]), told)
"""

MEASURED = """
import sys
from pathlib import Path
from sususbot.archive.archive import Archive
from sususbot.sources.ingest import ingest
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
with Archive(Path(sys.argv[1])) as archive:
    before = peak()
    done = ingest(archive, Path(sys.argv[2]))
    print(done.added.new, len(done.faults), peak() - before)
"""


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def test_progress_is_told_after_each_batch(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sususbot.sources.source.BATCH", 2)
    told: list[tuple[int, int]] = []
    path = stored(tmp_path, written(root(varied())))
    done = ingest(archive, path, lambda messages, read: told.append((messages, read)))
    assert [messages for messages, _ in told] == [2, 4, 5]
    assert told[-1] == (5, path.stat().st_size)
    assert (done.path, done.added.new, done.faults) == (path, 5, ())
    assert [channel.name for channel in done.channels] == ["kitchen"]


def test_each_message_knows_the_file_it_came_from(tmp_path: Path) -> None:
    paths = [stored(tmp_path, written(root(part)), f"{n}.json") for n, part in enumerate((varied()[:3], varied()))]
    imported(tmp_path, *paths)
    came_from = raw(
        tmp_path, "SELECT sources.name FROM messages JOIN sources ON sources.id = source_id ORDER BY messages.id"
    )
    assert [name for (name,) in came_from] == ["0.json"] * 3 + ["1.json"] * 2


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chat")
    return stored(folder, written(root([item(number, f"kettle number {number}") for number in range(1500)])))


@pytest.fixture(scope="module")
def clean(chat: Path) -> Path:
    """The archive of an import that nobody disturbed."""
    imported(chat.parent / "clean", chat)
    return chat.parent / "clean"


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a signal")
@pytest.mark.parametrize(
    ("number", "kind", "kept"),
    [
        (5, "step", 0),
        (40, "step", None),
        (80, "step", None),
        (120, "step", None),
        (200, "message", 200),
        (1000, "message", 1000),
    ],
)
def test_a_killed_import_leaves_whole_batches_and_can_be_run_again(
    tmp_path: Path, chat: Path, clean: Path, number: int, kind: str, kept: int | None
) -> None:
    killed = run(KILLED, tmp_path, chat, number, kind)
    assert killed.returncode == -signal.SIGKILL, killed
    with Archive(tmp_path) as archive:
        assert archive.check() == []
        known = archive.counts().messages
        assert known % 200 == 0
        assert kept is None or known == kept
        assert known < 1500
        done = ingest(archive, chat)
        assert (done.added.new, done.added.known) == (1500 - known, known)
        assert archive.check() == []
    assert snapshot(tmp_path) == snapshot(clean)


FILES, EACH, KILLS = 12, 150, 20


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A chat in parts, each of which is a transaction."""
    folder = tmp_path_factory.mktemp("parts")
    numbers = range(FILES * EACH)
    texts = [
        written(root([item(number, f"kettle number {number}") for number in numbers[start : start + EACH]]))
        for start in numbers[::EACH]
    ]
    return [stored(folder, text, f"part {number:02}.json") for number, text in enumerate(texts)]


@pytest.fixture(scope="module")
def ready() -> Iterator[Ready]:
    with ready_to_run() as waiting:
        yield waiting


def committed(folder: Path) -> int:
    """How many messages another process has written so far."""
    try:
        return int(raw(folder, "SELECT count(*) FROM messages")[0][0])
    except sqlite3.OperationalError:
        # Not there yet, or just being made.
        return -1


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a signal")
def test_twenty_killed_imports_that_are_run_again_give_the_archive_of_a_clean_run(
    ready: Ready, tmp_path: Path, parts: list[Path]
) -> None:
    """The real command, killed wherever it is when so many messages are there; each time from the beginning."""
    imported(tmp_path / "clean", *parts)
    expected = snapshot(tmp_path / "clean")
    chance = random.Random(7)
    left: list[int] = []
    tries = itertools.count()
    while len(left) < KILLS:
        data = tmp_path / str(next(tries))
        target = chance.randrange(-1, (FILES - 3) * EACH)
        command = ("--data", str(data), "import", *map(str, parts))
        process = ready.begin(*command, folder=tmp_path, errors=tmp_path / "told")
        while process.poll() is None and (not data.is_dir() or committed(data) <= target):
            # Looked at without a pause, it takes the processor from the import.
            time.sleep(0.002)
        process.kill()
        if (ended := process.wait()) == 0:
            # On a busy machine it may be done before it is looked at again.
            continue
        assert ended == -signal.SIGKILL
        with Archive(data) as archive:
            assert archive.check() == []
            left.append(archive.counts().messages)
        assert left[-1] % EACH == 0
        assert left[-1] > target
        imported(data, *parts)
        assert snapshot(data) == expected
    assert len(set(left)) > 5


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the system does not tell a process's peak memory")
def test_a_file_larger_than_the_memory_it_may_use_is_streamed(tmp_path: Path) -> None:
    """150 MB, plain and packed, most of it what large exports mostly are: embeds, roles, and who reacted."""
    count, padding = 25_000, [{"url": "x" * 5500}]
    head, tail = written(root([], messageCount=count)).rsplit(b"[]", 1)
    before, between, after = written(item(0, "NUMBER", id="ID", embeds=padding)).replace(b"NUMBER", b"ID").split(b"ID")
    plain, packed = tmp_path / "large.json", tmp_path / "large.json.gz"
    with plain.open("wb") as file, gzip.open(packed, "wb", compresslevel=1) as gz:
        for start in range(0, count, 1000):
            numbers = [b"%d" % ((1 << 60) + number) for number in range(start, start + 1000)]
            piece = b",".join(before + number + between + number + after for number in numbers)
            for out in (file, gz):
                out.write((b"," if start else head + b"[") + piece)
        for out in (file, gz):
            out.write(b"]" + tail)
    assert plain.stat().st_size > 150_000_000
    for path in (plain, packed):
        measured = run(MEASURED, tmp_path / f"from {path.name}", path)
        new, faults, kilobytes = map(int, measured.stdout.split())
        assert (new, faults) == (count, 0)
        assert kilobytes < 100_000
    assert snapshot(tmp_path / "from large.json.gz") == snapshot(tmp_path / "from large.json")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real chat is not at {REAL}")
def test_a_real_chat_comes_in_whole_and_only_once(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        for new in (67_505, 0):
            done = [ingest(archive, path) for path in sorted(REAL.glob("*.json.gz"))]
            assert sum(result.added.new for result in done) == new
            assert not any(result.faults for result in done)
        counts = archive.counts()
        assert (counts.messages, counts.channels, counts.authors, counts.deleted) == (67_505, 7, 1_525, 0)
        assert archive.check() == []
