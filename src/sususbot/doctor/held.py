"""Whether a program holds a lock file, as `bot` and `train` do while they run. Nothing waits, nothing stays locked."""

import sys
from pathlib import Path


def held(path: Path) -> bool:
    """Of a file that is not there, or may not be opened, nobody is known to hold it."""
    try:
        file = path.open("rb+")
    except OSError:
        return False
    with file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
