"""`sususbot purge`: all of ours is gone, nothing else is, and nothing goes unasked."""

import json
import sys
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from tests.cli.community import left_of_her, write_export
from tests.cli.terminal import typed_at
from tests.support.commands import refusal
from tests.support.commands import run_here as run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run("import", str(write_export(tmp_path)), folder=tmp_path)
    for name in ("corpora/default/train.jsonl", "runs/first/adapter.gguf", "models/base.gguf", "mine.txt"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    return tmp_path


def test_all_of_ours_goes_and_what_is_left_is_named(folder: Path) -> None:
    asked = run("purge", folder=folder)
    assert asked.returncode == 2
    assert "  runs  (0.0 MB)" in asked.stderr
    assert len(left_of_her(folder / "data")) > 80
    done = run("purge", "--yes", "--json", folder=folder)
    assert json.loads(done.stdout) == {"deleted": ["archive.db", "corpora", "runs"], "left": ["mine.txt", "models/"]}
    assert left_of_her(folder / "data") == []
    again = run("purge", folder=folder)
    assert again.returncode == 0
    assert "there is nothing of sususbot in data" in again.stderr
    assert "left in data: mine.txt, models/" in again.stderr
    assert ".env" in again.stderr


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = run("--data", "nowhere", "purge", folder=tmp_path)
    assert done.returncode == 0
    assert "there is nothing of sususbot in nowhere" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_while_the_bot_runs_nothing_is_touched(folder: Path) -> None:
    with Archive(folder / "data"):
        done = run("purge", "--yes", folder=folder)
    assert done.returncode == 1
    assert "stop the bot" in refusal(done.stderr)
    assert (folder / "data" / "corpora").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_on_a_terminal_a_no_keeps_everything(folder: Path, answer: str, code: int) -> None:
    ended, shown = typed_at("purge", folder=folder, answers=[("[y/N]: ", answer)])
    assert ended == code, shown
    assert (folder / "data" / "archive.db").exists() == bool(code)
