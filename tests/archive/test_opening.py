"""What stands where the archive should be: each case ends in one sentence that says what to do, and harms nothing."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sususbot.archive.archive import FILE_NAME, Archive
from sususbot.errors import ArchiveDamaged, ArchiveError, ArchiveFull
from tests.archive.making import filled, message

TEXTS = {
    "a word": b"hello",
    "prose": b"Dear diary, today I wrote no database at all.\n" * 100,
    "JSON": b'{"guild": {"id": "1"}, "messages": []}',
    "zeros": bytes(8192),
    "noise": bytes(range(256)) * 64,
}


def refused(folder: Path) -> ArchiveError:
    with pytest.raises(ArchiveError) as caught:
        Archive(folder)
    assert "\n" not in str(caught.value)
    assert "bug" not in str(caught.value)
    return caught.value


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """An archive in a folder that even root cannot write."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not hasattr(os, "geteuid"):
        pytest.skip("Windows keeps nobody out of a folder by its mode")
    if os.geteuid() != 0:
        with Archive(folder) as archive:
            filled(archive, message(1))
        (folder / FILE_NAME).chmod(0o444)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False).returncode:
        pytest.skip("root may write everywhere here, and file systems cannot be mounted")
    try:
        with Archive(folder) as archive:
            filled(archive, message(1))
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_new_folder_is_made_with_all_above_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    with Archive(folder) as archive:
        assert archive.check() == []
        assert archive.newest() is None
        assert archive.guild() is None
    assert (folder / FILE_NAME).is_file()


def test_nothing_but_the_file_itself_is_left_after_closing(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, message(1))
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS)
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    error = refused(tmp_path)
    assert isinstance(error, ArchiveDamaged)
    assert str(error) == f"{tmp_path / FILE_NAME} is not an archive: move the file away, or choose another --data"
    assert (tmp_path / FILE_NAME).read_bytes() == content


def test_an_empty_file_becomes_an_archive(tmp_path: Path) -> None:
    # SQLite leaves one when a program ends before its first commit: there is nothing in it to lose.
    (tmp_path / FILE_NAME).touch()
    with Archive(tmp_path) as archive:
        filled(archive, message(1))
        assert archive.check() == []


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path, mode: str) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = (tmp_path / FILE_NAME).read_bytes()
    error = refused(tmp_path)
    assert isinstance(error, ArchiveDamaged)
    assert str(error).endswith("is a database of another program: choose another folder with --data")
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_a_damaged_archive_is_called_damaged(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, *(message(number, f"tea number {number}") for number in range(1, 2000)))
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + bytes(range(256)) * ((len(whole) - 8192) // 256))
    with pytest.raises(ArchiveDamaged, match=r"is damaged: restore it from a backup"):
        with Archive(tmp_path) as archive:
            archive.messages(range(1, 2000))


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    assert "cannot be opened: check the folder's permissions, or choose another --data" in str(refused(tmp_path))


@pytest.mark.parametrize("folder", [Path("taken"), Path("taken/data"), Path("taken/deep/data")])
def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    assert str(refused(tmp_path / folder)).startswith(f"{tmp_path / folder} cannot be used as data folder (")
    assert str(refused(tmp_path / folder)).endswith("): choose another --data")


def test_an_archive_that_may_not_be_written_is_refused(read_only: Path) -> None:
    error = refused(read_only)
    assert not isinstance(error, ArchiveFull | ArchiveDamaged)
    assert str(error).endswith("permissions, or choose another --data")


def test_a_folder_that_may_not_be_written_is_refused(read_only: Path) -> None:
    assert str(refused(read_only / "below")).endswith("choose another --data")
