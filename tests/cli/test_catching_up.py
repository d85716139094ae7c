"""What every command does first: retention, members who said no, erasures that something ended."""

from pathlib import Path

import pytest

from sususbot.archive import database
from sususbot.archive.archive import Archive
from sususbot.forgetting import Forgetting
from tests.cli.community import HER_ID, left_of_her, write_export
from tests.support.commands import run_here as run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run("import", str(write_export(tmp_path)), folder=tmp_path).returncode == 0
    assert run("build", folder=tmp_path).returncode == 0
    return tmp_path


def test_what_is_past_its_time_goes_with_the_next_command_of_any_kind(folder: Path) -> None:
    done = run("consent", "list", folder=folder, RETENTION_DAYS="30")
    assert "240 messages are older than RETENTION_DAYS=30 and were erased" in done.stderr
    assert "deleted: corpora/default" in done.stderr
    assert "to make again what is needed:  sususbot build" in done.stderr
    assert not [text for text in left_of_her(folder / "data") if text.startswith("qx")]
    again = run("consent", "list", folder=folder, RETENTION_DAYS="30")
    assert "erased" not in again.stderr
    # An import of the same history does not bring it back.
    imported = run("import", str(write_export(folder)), folder=folder, RETENTION_DAYS="30")
    assert "0 new" in imported.stderr


def test_a_no_that_was_written_down_elsewhere_is_carried_out(folder: Path) -> None:
    with Archive(folder / "data") as archive:
        archive.consents.say(HER_ID, by="member", way="dm", at=1, learn=False, remember=False)
    done = run("consent", "list", folder=folder)
    assert "80 messages lost their words" in done.stderr
    assert not [text for text in left_of_her(folder / "data") if text.startswith("qx")]


def test_what_is_in_the_way_is_said_and_hinders_no_other_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with Archive(folder / "data") as bot, bot._database.snapshot():
        assert bot.counts().messages == 240
        done = run("forget", str(HER_ID), "--yes", folder=folder)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].endswith("stop the bot and run the same command again")
        listed = run("consent", "list", folder=folder)
        assert listed.returncode == 0
        assert "not all is erased yet: " in listed.stderr
        assert "forgotten" in listed.stdout
    assert "not all is erased" not in run("consent", "list", folder=folder).stderr
    assert left_of_her(folder / "data") == []
    with Archive(folder / "data") as archive:
        assert Forgetting(archive, folder / "data").resume(at=1).files == ()
        assert archive.erasure.unfinished() == []
