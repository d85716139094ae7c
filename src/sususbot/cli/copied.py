"""The folder for what an evaluation or a benchmark makes of members' words: where `forget` reaches it, and gone with
its command.

Whatever ends a command, its folder does not stay: Ctrl-C and the end of a service take it away, and what a kill left
the next command does.
"""

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sususbot.artifacts import BENCH
from sususbot.errors import SettingsError
from sususbot.file_lock import Held, hold

EVALUATION: Final = "eval-"
BENCHMARK: Final = "bench-"
# Beside the folder: on Windows no folder goes that has an open file in it.
_LOCK: Final = ".lock"


@contextmanager
def folder(data: Path, begins: str = EVALUATION) -> Iterator[Path]:
    """An empty one of its own, whose name begins so."""
    room = data / BENCH
    room.mkdir(parents=True, exist_ok=True)
    _sweep(room)
    with _ended_by_service(), tempfile.NamedTemporaryFile(prefix=begins, suffix=_LOCK, dir=room, delete=False) as lock:
        path = Path(lock.name)
        mine = path.with_suffix("")
        try:
            hold(lock)
            mine.mkdir()
            yield mine
        finally:
            shutil.rmtree(mine, ignore_errors=True)
            lock.close()
            path.unlink(missing_ok=True)


def _sweep(room: Path) -> None:
    """What no command holds any more; what cannot be deleted now is for the next time."""
    for left in (path for begins in (EVALUATION, BENCHMARK) for path in room.glob(f"{begins}*")):
        if left.suffix == _LOCK:
            continue
        lock = left.with_name(left.name + _LOCK)
        with suppress(OSError, Held, SettingsError):
            if lock.is_file():
                with lock.open("r+b") as file:
                    hold(file)
            shutil.rmtree(left)
            lock.unlink(missing_ok=True)


@contextmanager
def _ended_by_service() -> Iterator[None]:
    """A service manager stops with SIGTERM: end as after Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
