"""SIGKILL in the middle of a real `sususbot backfill`, twenty times: the archive is that of a run nobody killed."""

import random
import sys
from pathlib import Path

import pytest

from sususbot.benchmarks.kills import kill_backfills


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_twenty_kills_cost_nothing(tmp_path: Path) -> None:
    tally = await kill_backfills(tmp_path / "town", 20, random.Random(7), pages=14)
    assert tally.kills == 20
    assert tally.differences == 0
    assert tally.archives < 20, "some archives were killed more than once"
