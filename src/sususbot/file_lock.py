"""Locks on files that go with their process, however it ends: one bot on a data folder, one holder of a copy.

Nothing waits: a lock is had at once or not at all. That another has it, and that the disk knows no locks, are two
things: whoever is told of the first looks for a program that may not be there.
"""

import errno
import sys
from pathlib import Path
from typing import IO, Any, Final

from sususbot.errors import SettingsError

# What the systems answer where another has it. All else comes of the disk, such as a network's.
_HELD: Final = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)


class Held(Exception):
    """Another has the lock."""


def hold(file: IO[bytes] | Any, *, shared: bool = False) -> None:
    """Lock an open file until it is closed; Windows knows no shared locks.

    Raises Held where another has it, and SettingsError where the disk knows no locks.
    """
    try:
        _lock(file, shared=shared)
    except OSError as error:
        if error.errno in _HELD:
            raise Held from error
        raise SettingsError(
            f"{file.name} cannot be locked ({error.strerror or error}): put the data folder on a disk of this "
            "machine, and name it with --data"
        ) from error


def held(path: Path, *, shared: bool = True) -> bool:
    """Whether a program holds it. Of a file that is not there, or may not be opened or locked, nobody is known to.

    Who asks with `shared` does not see those who share the lock, and is in the way of none of them.
    """
    try:
        file = path.open("rb+")
    except OSError:
        return False
    with file:
        try:
            hold(file, shared=shared)
        except Held:
            return True
        except SettingsError:
            return False
    return False


def _lock(file: IO[bytes] | Any, *, shared: bool) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
