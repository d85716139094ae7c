"""Locks on files that go with their process, however it ends: one bot on a data folder, one holder of a copy.

Nothing waits: a lock is had at once or not at all.
"""

import sys
from pathlib import Path
from typing import IO, Any


def hold(file: IO[bytes] | Any, *, shared: bool = False) -> None:
    """Lock an open file until it is closed. Raises OSError where another holds it; Windows knows no shared locks."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def held(path: Path) -> bool:
    """Whether a program holds it. Of a file that is not there, or may not be opened, nobody is known to."""
    try:
        file = path.open("rb+")
    except OSError:
        return False
    with file:
        try:
            hold(file, shared=True)
        except OSError:
            return True
    return False
