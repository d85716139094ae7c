"""What a test needs of the system that not every system has, said with its reason where it is missing."""

import sys
from pathlib import Path

import pytest

SHELL = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for a program")


def link(path: Path, target: Path, *, folder: bool = False) -> None:
    """Make `path` a link to it. Windows lets only some users do that."""
    try:
        path.symlink_to(target, target_is_directory=folder)
    except OSError as error:
        if sys.platform != "win32":
            raise
        pytest.skip(f"no links can be made here: {error}")
