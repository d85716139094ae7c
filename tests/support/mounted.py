"""A small file system of its own, for what happens when a disk is full; skips the test where none can be mounted."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """`folder`, which is made, with room for so much: `100k`."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        refused = subprocess.run(mounting, capture_output=True, check=False, encoding="utf-8")
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if refused.returncode:
        pytest.skip(f"a file system cannot be mounted here: {refused.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
