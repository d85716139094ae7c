"""The demo, shown once for all tests of a run, whichever process asks first.

It costs more processor time than any test beside it: vectors, and a tiny model that reads the sample once. Nobody
changes what lies there: take a copy.
"""

import os
import pickle
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from filelock import FileLock

from sususbot.artifacts import DEMO, MODELS, RUNS
from tests.support.commands import run_here

Finished = subprocess.CompletedProcess[str]
_SAID: Final = "said.pickle"


def shown_demo(factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """The folder it was shown in, with spaces and marks in its name, and what it said."""
    base = factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "mein Übungs ordner"
    said = home.with_suffix(f".{_SAID}")
    with FileLock(f"{home}.lock"):
        if not said.is_file():
            home.mkdir(exist_ok=True)
            said.write_bytes(pickle.dumps(run_here("demo", "--epochs", "1", folder=home)))
    done: Finished = pickle.loads(said.read_bytes())
    assert done.returncode == 0, done.stderr
    return home, done


def demo_in(folder: Path, factory: pytest.TempPathFactory) -> Path:
    """The demo's data as it left them, but without its tiny model, in a data folder of the caller's; gives that."""
    home, _ = shown_demo(factory)
    return Path(shutil.copytree(home / "data" / DEMO, folder, ignore=shutil.ignore_patterns(RUNS, MODELS)))
