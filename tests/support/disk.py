"""A disk of a few kilobytes, to fill up."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Disk:
    """A file system of its own."""

    folder: Path

    def resize(self, kilobytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", self.folder], check=True)


@contextmanager
def small_disk(folder: Path, *, kilobytes: int) -> Iterator[Disk]:
    """Mounted there while this lasts; where that cannot be done the test is skipped."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        refused = subprocess.run(mounting, capture_output=True, check=False, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if refused.returncode:
        pytest.skip(f"a file system cannot be mounted here: {refused.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
