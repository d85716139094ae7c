"""The demo without its tiny model, shown once for all tests of a run, whichever process asks first.

It costs ten processor seconds, nearly all of them for vectors. Nobody changes what lies there: take a copy.
"""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest
from filelock import FileLock

from sususbot.artifacts import DEMO
from tests.support.commands import run_here

_SAID: Final = "said.txt"


def demo_in(folder: Path, factory: pytest.TempPathFactory) -> Path:
    """The demo's data as it left them, in a data folder of the caller's; gives that data folder."""
    return Path(shutil.copytree(_shown(factory) / "data" / DEMO, folder))


def _shown(factory: pytest.TempPathFactory) -> Path:
    base = factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "the-demo"
    with FileLock(f"{home}.lock"):
        if not (home / _SAID).is_file():
            home.mkdir(exist_ok=True)
            done = run_here("demo", "--no-browser", "--epochs", "0", folder=home)
            assert done.returncode == 0, done.stderr
            (home / _SAID).write_text(done.stdout, encoding="utf-8")
    return home
