"""A disk of a few kilobytes, to fill up."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Disk:
    """A file system of its own."""

    folder: Path

    def fill(self) -> None:
        """To the last byte."""
        ballast = os.open(self.folder / "ballast", os.O_WRONLY | os.O_CREAT)
        with suppress(OSError):
            while os.write(ballast, b"x" * 4096):
                pass
        os.close(ballast)

    def only_read(self) -> None:
        """From now on, whoever asks: to the superuser modes of files say nothing."""
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)

    def resize(self, kilobytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", self.folder], check=True)


@contextmanager
def small_disk(folder: Path, *, kilobytes: int) -> Iterator[Disk]:
    """Mounted there while this lasts; where that cannot be done the test is skipped."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        refused = subprocess.run(mounting, capture_output=True, check=False, encoding="utf-8")
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if refused.returncode:
        pytest.skip(f"a file system cannot be mounted here: {refused.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
