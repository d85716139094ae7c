"""The SQLite file: how it is opened, migrated and written, and what its errors mean.

One connection, shared by threads under one lock. Every write happens inside `transaction()`: all of it, or nothing.
Migrations are the numbered files beside this one. Each runs in a transaction of its own together with the number it
leaves in `user_version`; they are never edited once released, only added to.
Not here: what the tables mean (`archive`, `vectors`, `terms` and their neighbours).
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

from sususbot.errors import ArchiveDamaged, ArchiveError, ArchiveFull, ArchiveLocked

# Says in the file's header that it is ours ("susu"), so that another program's database is refused, not migrated.
APPLICATION_ID: Final = 0x73757375
BUSY_SECONDS: Final = 5.0
# Kibibytes, below zero as SQLite wants it. A million messages come in a fifth faster than with the usual 24 MB.
_BULK_CACHE: Final = -131_072

# Where SQLite's temporary files lie is said for the whole process.
_REWRITING: Final = threading.Lock()

Row = tuple[Any, ...]


class Migration(NamedTuple):
    number: int
    name: str
    sql: str


@cache
def migrations() -> tuple[Migration, ...]:
    """The numbered files, in order."""
    folder = resources.files("sususbot.archive") / "migrations"
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return tuple(Migration(int(name[:4]), name, (folder / name).read_text(encoding="utf-8")) for name in files)


class Database:
    """An open archive file."""

    def __init__(self, path: Path, steps: Sequence[Migration] | None = None) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._log_waits = False
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._connected()
        try:
            with self._told():
                self._check_owner()
                self._configure()
                self._migrate(migrations() if steps is None else steps)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def define(self, name: str, function: Callable[[str], str]) -> None:
        """Let SQL call a pure function of one text."""
        with self._lock, self._told():
            self._connection.create_function(name, 1, function, deterministic=True)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        with self._lock, self._told():
            return self._connection.execute(sql, parameters).fetchall()

    def chunks(self, sql: str, parameters: Sequence[object] = (), *, size: int) -> Iterator[list[Row]]:
        """All rows of a query, `size` at a time, so that the whole never stands in memory."""
        with self._lock, self._told():
            cursor = self._connection.execute(sql, parameters)
        while True:
            with self._lock, self._told():
                rows = cursor.fetchmany(size)
            if not rows:
                return
            yield rows

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement, give the number of rows it changed."""
        with self._lock, self._told():
            return self._connection.execute(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one INSERT, give the new row's id."""
        with self._lock, self._told():
            rowid = self._connection.execute(sql, parameters).lastrowid
            assert rowid is not None
            return rowid

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        with self._lock, self._told():
            self._connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is kept together, or not at all. One inside another is a part of it."""
        with self._lock, self._told():
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            if self._log_waits:
                self.empty_log()

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """A larger page cache for as long as much is written: channels lie between each other in time, so that an
        import of one after another writes all over the file."""
        before = self._pragma("cache_size")
        self.execute(f"PRAGMA cache_size={_BULK_CACHE}")
        try:
            yield
        finally:
            self.execute(f"PRAGMA cache_size={before}")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read inside is as it was at the beginning; other programs may write meanwhile."""
        with self._lock, self._told():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")

    def empty_log(self, *, must: bool = False) -> None:
        """Fold the write-ahead log into the file and empty it: what was erased stands there until then.

        Where a reader is in the way, the next time does it; with `must`, raises ArchiveLocked instead. Within a
        transaction, it is done at its end.
        """
        self._log_waits = self._connection.in_transaction
        if self._log_waits:
            return
        try:
            busy = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        except ArchiveLocked:
            busy = 1
        if busy and must:
            raise ArchiveLocked(
                f"{self.path} is being read by another program, so what was erased still stands in its log: "
                "stop the bot and run the same command again"
            )

    def rewrite(self) -> None:
        """Write the whole file anew: what was deleted is in no corner of it any more. Seconds for a million rows."""
        # A connection of its own: others read on meanwhile, and it works in a file where ours would do so in memory.
        with self._told(), _REWRITING, closing(self._connected()) as connection:
            connection.execute("PRAGMA secure_delete=ON")
            # That file holds every word, and its blocks are not overwritten: it lies on the archive's own disk, not in
            # the system's folder. Whole processes have one such place; no other connection of ours writes such files.
            folder = str(self.path.parent.resolve()).replace("'", "''")
            connection.execute(f"PRAGMA temp_store_directory='{folder}'")
            connection.execute("VACUUM")

    def copy_to(self, path: Path) -> None:
        """The whole file as it is now, as another one, whoever writes meanwhile."""
        with self._lock, self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(path, isolation_level=None)) as copy:
                copy.execute("PRAGMA synchronous=OFF")
                self._connection.backup(copy)

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _check_owner(self) -> None:
        # In this order: the owner is written together with the first tables, perhaps by another process between.
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and self._pragma("application_id") != APPLICATION_ID:
            raise ArchiveDamaged(f"{self.path} is a database of another program: choose another folder with --data")

    def _configure(self) -> None:
        self._keep_log()
        # secure_delete: a deleted message's bytes are overwritten, not only unlinked.
        for pragma in (
            "synchronous=NORMAL",
            "secure_delete=ON",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-24576",
            # Pages until the log is folded back: an import writes long runs, and each folding waits for the disk.
            "wal_autocheckpoint=8000",
        ):
            self._connection.execute(f"PRAGMA {pragma}")

    def _keep_log(self) -> None:
        """WAL mode. SQLite does not wait when two processes switch to it at once: it refuses one of them."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _migrate(self, steps: Sequence[Migration]) -> None:
        newest = steps[-1].number
        if self._pragma("user_version") > newest:
            raise ArchiveError(f"{self.path} was written by a newer sususbot: update this one")
        for step in steps:
            if self._pragma("user_version") < step.number:
                self._apply(step)

    def _apply(self, step: Migration) -> None:
        with self.transaction():
            # Asked again under the write lock: another process may just have done the same.
            if self._pragma("user_version") >= step.number:
                return
            for statement in _statements(step.sql):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version={step.number}")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn SQLite's and the file system's errors into ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._translated(error) from error
        except OSError as error:
            raise ArchiveError(
                f"{self.path.parent} cannot be used as data folder ({error.strerror}): choose another --data"
            ) from error

    def _translated(self, error: sqlite3.Error) -> ArchiveError:
        code: str = getattr(error, "sqlite_errorname", "")
        for beginning, (kind, sentence) in SENTENCES.items():
            if code.startswith(beginning):
                return kind(sentence.format(path=self.path))
        return ArchiveError(f"the archive {self.path} failed ({error}): this is a bug, please report it")


SENTENCES: Final[dict[str, tuple[type[ArchiveError], str]]] = {
    "SQLITE_FULL": (ArchiveFull, "the disk that holds {path} is full: free some space and run the same command again"),
    "SQLITE_IOERR": (
        ArchiveFull,
        "{path} cannot be written (disk full or failing): free some space and run the same command again",
    ),
    "SQLITE_BUSY": (ArchiveLocked, "{path} is in use by another program: stop it, or wait, and try again"),
    "SQLITE_LOCKED": (ArchiveLocked, "{path} is in use by another program: stop it, or wait, and try again"),
    "SQLITE_READONLY": (ArchiveError, "{path} may not be written: change its permissions, or choose another --data"),
    "SQLITE_CANTOPEN": (
        ArchiveError,
        "{path} cannot be opened: check the folder's permissions, or choose another --data",
    ),
    "SQLITE_NOTADB": (ArchiveDamaged, "{path} is not an archive: move the file away, or choose another --data"),
    "SQLITE_CORRUPT": (ArchiveDamaged, "{path} is damaged: restore it from a backup, or move it away and import again"),
}


def in_use(path: Path) -> bool:
    """Whether another connection has the archive open. A file that is no archive is in nobody's use."""
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            # SQLite leaves WAL mode for whoever is alone.
            mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
            return bool(mode != "delete")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    except sqlite3.DatabaseError:
        return False


def _statements(script: str) -> Iterator[str]:
    """A script's statements one by one (`executescript` would commit the transaction it runs in)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    yield statement
