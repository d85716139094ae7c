"""One archive, several users: threads of one process write and read at once, other processes wait or are told."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sususbot.archive import database
from sususbot.archive.archive import Archive
from sususbot.archive.browsing import Wanted
from sususbot.archive.upsert import Added
from sususbot.errors import ArchiveError, ArchiveLocked
from tests.archive.making import NOON, TOM, filled, found, message, python, snapshot

HOLD_THE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
print("free", flush=True)
"""

ADD_AND_DELETE = """
import sys
from pathlib import Path
from sususbot.archive.archive import Archive
from tests.archive.making import filled, message
first = int(sys.argv[2])
with Archive(Path(sys.argv[1])) as archive:
    for id_ in range(first, first + 60):
        filled(archive, message(id_, f"tea from {first}"))
        if id_ % 3 == 0:
            archive.delete([id_], at=1)
print("done")
"""


def test_threads_write_and_read_at_once(archive: Archive) -> None:
    """Four write their own messages, edit and delete them; four read; one embeds. Nothing is lost, nothing torn."""
    archive.vectors.use_embedder("small")

    def write(first: int) -> None:
        for id_ in range(first, first + 50):
            filled(archive, message(id_, "tea", TOM))
            filled(archive, message(id_, "coffee", TOM, edited_at=NOON))
            if id_ % 2:
                archive.delete([id_], at=NOON)

    def read() -> None:
        for _ in range(40):
            page = archive.browsing.page(Wanted(), limit=50)
            assert all(m.rendered in ("tea", "coffee") for m in archive.messages(page).values())
            assert all(m.rendered for m in archive.window(20, limit=20))
            assert archive.counts().messages >= 0

    def embed() -> None:
        for _ in range(40):
            pending = archive.vectors.pending(16)
            archive.vectors.put(pending, np.ones((len(pending), 4), np.float32))
            for ids, channels, rows in archive.vectors.load():
                assert len(ids) == len(channels) == len(rows)

    with ThreadPoolExecutor(9) as pool:
        work = [pool.submit(write, first) for first in (1000, 2000, 3000, 4000)]
        work += [pool.submit(task) for task in (read, read, read, read, embed)]
        for task in work:
            task.result()
    assert archive.counts().messages == 200
    assert archive.counts().deleted == 100
    assert len(found(archive, "coffee")) == 100
    assert found(archive, "tea") == []
    assert archive.check() == []


def test_vectors_are_read_on_while_others_write(archive: Archive) -> None:
    filled(archive, *(message(number, "tea") for number in range(1, 9001)))
    pending = archive.vectors.pending(9000)
    archive.vectors.put(pending, np.ones((9000, 4), np.float32))
    read = []
    for ids, _, _ in archive.vectors.load():
        read += ids.tolist()
        archive.delete([read[0], 9000 - len(read) // 4096], at=NOON)
        with pytest.raises(ArchiveError):
            filled(archive, replace(message(9500), channel_id=999))
    assert set(range(2, 8990)) <= set(read)
    assert archive.check() == []


def test_a_writer_is_told_when_another_program_holds_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with Archive(tmp_path) as archive:
        filled(archive, message(1, "tea"))
        before = snapshot(tmp_path)
        with python(HOLD_THE_LOCK, tmp_path / "archive.db", "BEGIN IMMEDIATE") as holder:
            assert holder.stdout
            assert holder.stdout.readline() == "held\n"
            sentence = f"{tmp_path / 'archive.db'} is in use by another program: stop it, or wait, and try again"
            for write in (
                lambda: filled(archive, message(2)),
                lambda: archive.delete([1], at=NOON),
                lambda: archive.vectors.use_embedder("small"),
            ):
                with pytest.raises(ArchiveLocked) as caught:
                    write()
                assert str(caught.value) == sentence
            # Who only reads is not kept waiting.
            assert found(archive, "tea") == [1]
            with Archive(tmp_path) as second:
                assert list(second.messages([1])) == [1]
            holder.communicate("\n")
        assert snapshot(tmp_path) == before
        assert filled(archive, message(2)) == Added(new=1)
        assert archive.check() == []


def test_opening_is_refused_while_another_program_holds_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with python(HOLD_THE_LOCK, tmp_path / "archive.db", "BEGIN EXCLUSIVE") as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ArchiveLocked, match="is in use by another program"):
            Archive(tmp_path)
        holder.communicate("\n")
    with Archive(tmp_path) as archive:
        assert archive.check() == []


def test_a_writer_waits_for_another_program_that_is_soon_done(archive: Archive, tmp_path: Path) -> None:
    with python(HOLD_THE_LOCK, tmp_path / "archive.db", "BEGIN IMMEDIATE") as holder, ThreadPoolExecutor(1) as pool:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        writing = pool.submit(filled, archive, message(1))
        holder.communicate("\n")
        assert writing.result() == Added(new=1)


def test_processes_write_at_once(tmp_path: Path) -> None:
    with ExitStack() as stack:
        writers = [stack.enter_context(python(ADD_AND_DELETE, tmp_path, first)) for first in (1000, 2000, 3000)]
        assert [writer.communicate()[0] for writer in writers] == ["done\n"] * 3
    with Archive(tmp_path) as archive:
        assert archive.counts().messages == 180
        assert len(found(archive, "tea")) == 120
        assert archive.check() == []
