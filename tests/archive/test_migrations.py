"""Migrations: an old archive opens with all it held, a failing step changes nothing, and processes do not collide."""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from sususbot.archive.archive import FILE_NAME, Archive
from sususbot.archive.database import APPLICATION_ID, Database, Migration, migrations
from sususbot.errors import ArchiveError
from tests.archive.making import GUILD, KITCHEN, MIA, OTHER_BOT, TOM, filled, found, message, python, raw, snapshot
from tests.support.consents import refuse

NEWEST = migrations()[-1].number
BROKEN = Migration(NEWEST + 1, "broken.sql", "CREATE TABLE half (id INTEGER);\nALTER TABLE nowhere ADD COLUMN x;\n")

OPEN_EACH_FOLDER = """
import sys
from pathlib import Path
from sususbot.archive.archive import Archive
for line in sys.stdin:
    try:
        with Archive(Path(line.strip())) as archive:
            print(archive.check() or "whole", flush=True)
    except Exception as error:
        print(repr(error), flush=True)
"""


def first_archive(folder: Path) -> None:
    """An archive as the first version left it: two messages and little beside them."""
    database = Database(folder / FILE_NAME, migrations()[:1])
    try:
        with database.transaction():
            database.execute("INSERT INTO guilds VALUES (?, ?)", [GUILD.id, GUILD.name])
            database.execute(
                "INSERT INTO channels (id, guild_id, name, type) VALUES (?, ?, ?, ?)",
                [KITCHEN.id, GUILD.id, KITCHEN.name, KITCHEN.type],
            )
            database.execute_many(
                "INSERT INTO authors VALUES (?, ?, ?, ?, 1)",
                [(author.id, author.name, author.display_name, author.is_bot) for author in (MIA, TOM)],
            )
            source = database.insert("INSERT INTO sources (origin, name, started_at) VALUES ('export', 'old.json', 1)")
            database.execute_many(
                """INSERT INTO messages (id, channel_id, author_id, type, created_at, content, rendered, pinned,
                source_id, fetched_at) VALUES (?, ?, ?, 0, 1, ?, ?, 0, ?, 1)""",
                [
                    (1, KITCHEN.id, MIA.id, "the kettle boils", "the kettle boils", source),
                    (2, KITCHEN.id, TOM.id, "tea at last", "tea at last", source),
                ],
            )
    finally:
        database.close()


def test_the_files_are_numbered_without_a_gap_from_one() -> None:
    assert [step.number for step in migrations()] == list(range(1, NEWEST + 1))


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_a_new_archive_made_in_two_steps_is_the_one_made_in_one(tmp_path: Path, version: int) -> None:
    Database(tmp_path / "two" / FILE_NAME, migrations()[:version]).close()
    for folder in ("one", "two"):
        Archive(tmp_path / folder).close()
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    assert raw(tmp_path / "one", schema) == raw(tmp_path / "two", schema)


def test_an_archive_of_the_first_version_opens_with_its_messages_found(tmp_path: Path) -> None:
    first_archive(tmp_path)
    assert raw(tmp_path, "PRAGMA user_version") == [(1,)]
    with Archive(tmp_path) as archive:
        assert archive.check() == []
        assert found(archive, "kettle") == [1]
        assert found(archive, "tea") == [2]
        assert [item.id for item in archive.vectors.pending(5)] == [1, 2]
        refuse(archive, TOM)
        assert [m.id for m in archive.window(KITCHEN.id, limit=5)] == [1]
        assert filled(archive, message(3, "more kettles")).new == 1
        assert archive.delete([1], at=2) == 1
        assert found(archive, "kettles") == [3]
        assert archive.check() == []
    assert raw(tmp_path, "PRAGMA user_version") == [(NEWEST,)]


def test_an_archive_with_full_text_loses_it_and_nothing_else(tmp_path: Path) -> None:
    """Full text was written up to step 13; nobody searched it any more."""
    first_archive(tmp_path)
    Database(tmp_path / FILE_NAME, migrations()[:13]).close()
    assert raw(tmp_path, "SELECT rowid FROM words WHERE words MATCH 'boiling'") == [(1,)]
    with Archive(tmp_path) as archive:
        assert archive.check() == []
        assert [one.rendered for one in archive.history()] == ["the kettle boils", "tea at last"]
        assert archive.delete([1], at=2) == 1
    assert raw(tmp_path, "SELECT name FROM sqlite_master WHERE name LIKE 'words%'") == []
    assert b"boils" not in (tmp_path / FILE_NAME).read_bytes()


# Up to step 15 a quote was read with its words, whatever its member had said: something was made of each message.
MADE_OF_EACH = (
    "INSERT INTO vectors SELECT id, x'00' FROM messages",
    "INSERT INTO terms SELECT id, 0, x'00' FROM messages",
    "INSERT INTO links SELECT id, NULL, 1 FROM messages",
    "INSERT INTO pieces SELECT id, channel_id, id - 1, id FROM messages",
    "INSERT INTO summaries SELECT id, rendered, 'bart' FROM messages",
    "INSERT INTO summary_messages SELECT id, id FROM messages",
    "INSERT INTO feedback SELECT id, id, 1, 'what boils?', rendered, 'recall', '', '{}' FROM messages",
    "INSERT INTO feedback_messages SELECT id, id FROM messages",
)
MADE_OF = (
    "SELECT message_id FROM vectors ORDER BY 1",
    "SELECT message_id FROM terms ORDER BY 1",
    "SELECT message_id FROM links ORDER BY 1",
    "SELECT message_id FROM summaries JOIN summary_messages USING (piece_id) ORDER BY 1",
    "SELECT id FROM feedback WHERE said <> '' AND asked <> '' ORDER BY 1",
)


def answered(archive: Archive) -> None:
    archive.consents.say(MIA.id, by="member", way="dm", at=1, remember=False)


def silent(archive: Archive) -> None:
    archive.consents.set_mode("opt-in")
    archive.consents.say(TOM.id, by="member", way="dm", at=1, remember=True)


def agreeing(archive: Archive) -> None:
    archive.consents.say(MIA.id, by="member", way="dm", at=1, remember=True, quote=False)


@pytest.mark.parametrize(("said", "lost"), [(answered, {2, 3}), (silent, {2, 3}), (agreeing, set())])
def test_what_was_made_of_quotes_goes_once_where_their_members_had_said_no(
    tmp_path: Path, said: Callable[[Archive], None], lost: set[int]
) -> None:
    with Archive(tmp_path, migrations()[:15]) as archive:
        filled(
            archive,
            message(1, "the kettle boils", MIA),
            message(2, "> the kettle boils\nso it does", TOM, reply_to=1),
            message(3, ">>> the kettle boils", TOM, mentions=(MIA.id,)),
            message(4, "tea -> cup", TOM),
            message(5, "> beep\nbeep", TOM, mentions=(OTHER_BOT.id,)),
            message(6, "beep", OTHER_BOT),
        )
        said(archive)
        archive.withdrawn.index_gone()
    for sql in MADE_OF_EACH:
        raw(tmp_path, sql)
    left = [(id_,) for id_ in range(1, 7) if id_ not in lost]
    with Archive(tmp_path) as archive:
        assert archive.withdrawn.index_due() == ("now" if lost else None)
        assert [raw(tmp_path, sql) for sql in MADE_OF] == [left] * len(MADE_OF)
        archive.withdrawn.index_gone()
    # What is made of them now is made without those words.
    raw(tmp_path, "INSERT OR REPLACE INTO terms SELECT id, 0, x'00' FROM messages")
    with Archive(tmp_path) as archive:
        assert archive.withdrawn.index_due() is None
        assert raw(tmp_path, "SELECT count(*) FROM terms") == [(6,)]


def test_a_failing_step_leaves_the_old_version_whole(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, message(1, "kettle"))
    schema = raw(tmp_path, "SELECT name, sql FROM sqlite_master ORDER BY name")
    before = snapshot(tmp_path)

    with pytest.raises(ArchiveError, match=r"no such table: nowhere.*report"):
        Archive(tmp_path, [*migrations(), BROKEN])

    assert snapshot(tmp_path) == before
    assert raw(tmp_path, "SELECT name, sql FROM sqlite_master ORDER BY name") == schema
    assert raw(tmp_path, "PRAGMA user_version") == [(NEWEST,)]
    with Archive(tmp_path) as archive:
        assert archive.check() == []
        assert found(archive, "kettle") == [1]


def test_the_steps_before_a_failing_one_stay(tmp_path: Path) -> None:
    first_archive(tmp_path)
    with pytest.raises(ArchiveError):
        Archive(tmp_path, [*migrations()[:2], BROKEN._replace(number=3)])
    assert raw(tmp_path, "PRAGMA user_version") == [(2,)]
    with Archive(tmp_path) as archive:
        assert archive.check() == []
        assert found(archive, "tea") == [2]


def test_a_last_statement_without_its_semicolon_is_run_too(tmp_path: Path) -> None:
    unclosed = Migration(NEWEST + 1, "unclosed.sql", "CREATE TABLE more (id INTEGER)  -- no semicolon")
    Archive(tmp_path, [*migrations(), unclosed]).close()
    assert raw(tmp_path, "SELECT count(*) FROM more") == [(0,)]


def test_an_archive_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    newer = Migration(NEWEST + 1, "newer.sql", "CREATE TABLE newer (id INTEGER);")
    with Archive(tmp_path, [*migrations(), newer]) as archive:
        filled(archive, message(1))
    before = snapshot(tmp_path)
    with pytest.raises(ArchiveError, match=r"archive\.db was written by a newer sususbot: update this one$"):
        Archive(tmp_path)
    assert snapshot(tmp_path) == before
    assert raw(tmp_path, "PRAGMA user_version") == [(NEWEST + 1,)]


def test_the_file_says_whose_it_is(tmp_path: Path) -> None:
    Archive(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert (tmp_path / FILE_NAME).read_bytes()[68:72] == b"susu"


def test_processes_that_open_an_old_or_missing_archive_at_once_do_not_collide(tmp_path: Path) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(python(OPEN_EACH_FOLDER)) for _ in range(3)]
        for number in range(16):
            folder = tmp_path / str(number)
            if number % 2:
                first_archive(folder)
            for process in processes:
                assert process.stdin
                process.stdin.write(f"{folder}\n")
                process.stdin.flush()
            assert [process.stdout.readline() for process in processes if process.stdout] == ["whole\n"] * 3
        for process in processes:
            process.communicate()
