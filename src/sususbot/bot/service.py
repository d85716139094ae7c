"""What runs a bot in the background, and how it is told: systemd's notifications, signals, one bot for one data folder.

Nothing here needs a library, and where there is no systemd nothing is sent.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Final

from sususbot.artifacts import BOT_LOCK
from sususbot.errors import BotRunning, SettingsError
from sususbot.file_lock import Held, hold

# How often the data folder's lock is asked for, and how many seconds apart.
_TRIES: Final = 3
_APART: Final = 0.3


class Service:
    """The service manager's ear: `READY=1`, a status line, and a sign of life from the event loop."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._interval = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if for_us else 0.0

    def ready(self) -> None:
        self._tell("READY=1")

    def status(self, sentence: str) -> None:
        self._tell(f"STATUS={sentence}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    async def watchdog(self) -> None:
        """Signs of life, twice as often as they are asked for, for as long as the event loop turns."""
        while self._interval and self._address:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._interval / 2)

    def _tell(self, state: str) -> None:
        if not self._address or sys.platform == "win32":
            return
        # "@" is how the environment writes the zero byte of an abstract address.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.setblocking(False)
            told.sendto(state.encode(), address)


@contextmanager
def signals_to(stop: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
    """Within the block the first SIGTERM or Ctrl-C (on Windows also Ctrl-Break) calls `stop`, each further one `end`.

    To be entered on the event loop, in the main thread.
    """
    loop = asyncio.get_running_loop()
    calls = [stop]

    def came() -> None:
        (calls.pop() if calls else end)()

    def handler(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(came)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    # Not `loop.add_signal_handler`: Windows has none, and this does the same on both.
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within the block no other bot runs on this data folder. The lock goes with the process, however it ends."""
    path = folder / BOT_LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}): check the folder's permissions") from error
    with file:
        try:
            _hold(file)
        except Held as error:
            raise BotRunning(
                f"another bot runs on {folder}: stop it first, or choose another folder with --data"
            ) from error
        yield


def _hold(file: IO[bytes]) -> None:
    """Whoever only looks whether a bot runs has the lock for an instant; another bot keeps it."""
    for _ in range(_TRIES - 1):
        with suppress(Held):
            hold(file)
            return
        time.sleep(_APART)
    hold(file)
