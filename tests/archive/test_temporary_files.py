"""Where SQLite puts what does not fit into its memory: beside the archive, never into the system's folder."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from sususbot.archive.database import Database

OPEN = Path("/proc/self/fd")
# SQLite's name for a file of its own that has none in any folder.
TEMPORARY = "etilqs"

pytestmark = pytest.mark.skipif(not OPEN.is_dir(), reason="which files are open can be seen on Linux alone")


def temporary_files() -> set[Path]:
    found = set()
    for number in OPEN.iterdir():
        with suppress(OSError):
            path = number.readlink()
            found |= {path} if TEMPORARY in path.name else set()
    return found


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """The folders of the temporary files that are open while statements run."""
    folders: set[Path] = set()
    connected = Database._connected

    def look() -> int:
        folders.update(path.parent for path in temporary_files())
        return 0

    def watched(database: Database) -> sqlite3.Connection:
        connection = connected(database)
        connection.set_progress_handler(look, 50)
        return connection

    monkeypatch.setattr(Database, "_connected", watched)
    return folders


def filled(folder: Path) -> Database:
    database = Database(folder / "archive.db")
    words = [(f"{number}", f"{number * 7919 % 4999} " * 500) for number in range(4000)]
    with database.transaction():
        database.execute_many("INSERT INTO facts (name, value) VALUES (?, ?)", words)
    return database


@pytest.mark.parametrize("name", ["plain", "it's größer"])
def test_a_file_that_is_written_anew_is_put_together_beside_it(tmp_path: Path, seen: set[Path], name: str) -> None:
    for folder in (tmp_path / name, tmp_path / f"other {name}"):
        database = filled(folder)
        seen.clear()
        database.rewrite()
        database.close()
        assert seen == {folder}
        assert [path.name for path in folder.iterdir()] == ["archive.db"]


def test_a_query_that_sorts_much_opens_no_file(tmp_path: Path, seen: set[Path]) -> None:
    database = filled(tmp_path)
    # As with many times as many words.
    database.execute("PRAGMA cache_size=-500")
    rows = database.rows("SELECT value || name AS words FROM facts ORDER BY words DESC")
    database.close()
    assert rows == sorted(rows, reverse=True)
    assert len(rows) == 4000
    assert seen == set()
