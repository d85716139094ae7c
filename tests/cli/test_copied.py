"""The folder of an evaluation's copy: gone with its command, however that ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sususbot.artifacts import BENCH
from sususbot.cli import copied


def test_the_end_of_a_service_takes_the_copy_away(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def ended() -> None:
        with copied.folder(tmp_path) as folder:
            (folder / "archive.db").write_text("words", encoding="utf-8")
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        ended()
    assert list((tmp_path / BENCH).iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_a_kill_left_goes_with_the_next_and_what_is_in_use_stays(tmp_path: Path) -> None:
    killed = (
        "import os, pathlib, signal, sys\n"
        "from sususbot.cli import copied\n"
        "with copied.folder(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'archive.db').write_text('words')\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False, timeout=120).returncode == 9
    (tmp_path / BENCH / "eval-old").mkdir()
    assert len(list((tmp_path / BENCH).glob("*/archive.db"))) == 1
    with copied.folder(tmp_path) as first, copied.folder(tmp_path) as second:
        assert sorted(path for path in (tmp_path / BENCH).iterdir() if path.is_dir()) == sorted([first, second])
    assert list((tmp_path / BENCH).iterdir()) == []
