"""SIGKILL in the middle of real commands: the archives are those of runs that nobody killed.

Most kills are a backfill's: `test_ingest` kills twenty imports, `cli/test_forget` twenty forgets.
"""

import random
import sys
from pathlib import Path

import pytest

from sususbot.benchmarks.kills import contents, kill_backfills, kill_forgets, kill_imports, write_exports
from tests.support.commands import run_here

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


async def test_a_backfill_killed_by_its_progress(tmp_path: Path) -> None:
    tally = await kill_backfills(tmp_path / "town", 12, random.Random(7), pages=5)
    assert (tally.kills, tally.differences) == (12, 0)
    assert tally.archives < 12, "some archives were killed more than once"


def test_an_import_killed_at_chance_moments(tmp_path: Path) -> None:
    tally = kill_imports(tmp_path / "import", 2, random.Random(7), messages=2000)
    assert (tally.kills, tally.differences) == (2, 0)


def test_a_forget_killed_at_chance_moments(tmp_path: Path) -> None:
    tally = kill_forgets(tmp_path / "forget", 2, random.Random(7), messages=2000)
    assert (tally.kills, tally.differences) == (2, 0)


def test_a_missing_message_is_a_difference(tmp_path: Path) -> None:
    """So that the tests above prove something."""
    whole, *_ = write_exports(tmp_path, 30)
    text = whole.read_text(encoding="utf-8")
    (tmp_path / "other.json").write_text(text.replace("nobody", "somebody", 1), encoding="utf-8")
    for name in ("whole", "again", "other"):
        file = tmp_path / "other.json" if name == "other" else whole
        done = run_here("--data", name, "import", str(file), folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "whole") == contents(tmp_path / "again") != contents(tmp_path / "other")
