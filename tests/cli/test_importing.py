"""`sususbot import` and `sususbot dump`: every format, what was left out and why, a dry run, a dump and back."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sususbot.sources.formats import FORMATS
from tests.sources.formats import CHAT, KITCHEN_CSV, as_csv, as_package, made, mixed
from tests.support.commands import environment, refusal, run, run_here
from tests.support.kettle import small_exports


def test_help_names_every_format(tmp_path: Path) -> None:
    words = run_here("import", "--help", folder=tmp_path).stdout
    for name in FORMATS:
        assert name.split(" (")[0] in words


def test_every_format_is_imported_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    done = run_here("import", *map(str, mixed(tmp_path)), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mia.zip: #kitchen, 4 new" in done.stderr or "mia.zip: #kitchen, 1 new" in done.stderr
    assert "left out: 1 direct messages" in done.stderr
    counted = json.loads(run_here("import", "--json", "mia.zip", folder=tmp_path).stdout)
    assert (counted["new"], counted["skipped"]) == (0, {"direct messages": 1})


def test_a_dry_run_says_what_is_there_and_writes_nothing(tmp_path: Path) -> None:
    made(tmp_path, as_csv(list(CHAT)), KITCHEN_CSV)
    made(tmp_path, as_package(list(CHAT)), "mia.zip")
    done = run_here("import", "--dry-run", KITCHEN_CSV, "mia.zip", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 messages of 2 authors, 3 Mar 2024 to 3 Mar 2024" in done.stderr
    assert "left out: 1 direct messages" in done.stderr
    assert done.stderr.splitlines()[-1] == "nothing was written: leave out --dry-run to import"
    counted = json.loads(run_here("import", "--dry-run", "--json", KITCHEN_CSV, "mia.zip", folder=tmp_path).stdout)
    assert (counted["messages"], counted["authors"], counted["skipped"]) == (9, 2, {"direct messages": 1})
    assert (counted["first_at"], counted["last_at"]) == (CHAT[0].at, CHAT[-1].at)
    assert not (tmp_path / "data").exists()


def test_a_dry_run_of_a_broken_file_says_where_and_fails(tmp_path: Path) -> None:
    made(tmp_path, as_csv(list(CHAT))[:-20], KITCHEN_CSV)
    made(tmp_path, b"nothing", "other.txt")
    done = run_here("import", "--dry-run", KITCHEN_CSV, folder=tmp_path)
    assert done.returncode == 1
    assert "broken at byte" in done.stderr
    assert "what is whole can be imported" in refusal(done.stderr)
    done = run_here("import", "--dry-run", KITCHEN_CSV, "other.txt", folder=tmp_path)
    assert "other.txt is in none of the formats" in refusal(done.stderr)


def test_a_dump_and_back(tmp_path: Path) -> None:
    run_here("import", *map(str, small_exports()), folder=tmp_path)
    first = run_here("dump", "backup.jsonl", folder=tmp_path)
    assert (first.returncode, first.stdout) == (0, "")
    assert run_here("dump", "backup.jsonl.gz", folder=tmp_path).returncode == 0
    plain = (tmp_path / "backup.jsonl").read_bytes()
    assert gzip.decompress((tmp_path / "backup.jsonl.gz").read_bytes()) == plain
    assert f"{len(plain.splitlines()):,} lines in backup.jsonl" in first.stderr
    for name in ("backup.jsonl", "backup.jsonl.gz"):
        copied = run_here("--data", f"copy of {name}", "import", "--json", name, folder=tmp_path)
        assert json.loads(copied.stdout)["new"] == plain.count(b'"kind":"message"') > 250
        assert run("--data", f"copy of {name}", "dump", "-", folder=tmp_path).stdout.encode() == plain
    assert not list(tmp_path.glob(".*"))


def test_a_dump_replaces_an_older_one_only_when_it_is_whole(tmp_path: Path) -> None:
    run_here("import", *map(str, small_exports()), folder=tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".old.jsonl.part").mkdir()
    (tmp_path / "folder" / "old.jsonl").write_text("old", encoding="utf-8")
    done = run_here("dump", "folder/old.jsonl", folder=tmp_path)
    assert done.returncode == 1
    assert "cannot be written" in refusal(done.stderr)
    assert (tmp_path / "folder" / "old.jsonl").read_text(encoding="utf-8") == "old"
    assert "cannot be written" in refusal(run_here("dump", "missing/x.jsonl", folder=tmp_path).stderr)


def test_an_empty_archive_is_not_dumped(tmp_path: Path) -> None:
    told = refusal(run_here("dump", "x.jsonl", folder=tmp_path).stderr)
    assert (
        f"the archive in {tmp_path / 'data'} is empty: run  sususbot backfill  or  sususbot import FILES  first" in told
    )
    assert not (tmp_path / "x.jsonl").exists()


@pytest.mark.parametrize("command", ["index", "chat", "eval", "analyze", "build"])
def test_in_the_wrong_folder_no_archive_is_made(tmp_path: Path, command: str) -> None:
    assert f"the archive in {tmp_path / 'data'} is empty" in refusal(run_here(command, folder=tmp_path).stderr)
    assert not (tmp_path / "data").exists()


def test_who_reads_a_dump_may_stop(tmp_path: Path) -> None:
    run_here("import", *map(str, small_exports()), folder=tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "sususbot", "dump", "-"],
        cwd=tmp_path,
        env=environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert errors == b""
