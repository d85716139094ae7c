"""A terminal with a program in it, whose screen is read while it runs. POSIX alone has them."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.commands import environment

_PATIENCE: Final = 120.0
_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """What a program has shown so far, and somebody who looks at it, types and presses Ctrl-C."""

    def __init__(self, process: "subprocess.Popen[bytes]", ours: int) -> None:
        self._process = process
        self._ours = ours
        self._shown = b""

    @property
    def text(self) -> str:
        """Without colours and how a cursor moved."""
        return _CONTROL.sub("", self._shown.decode(errors="replace"))

    def wait_for(self, words: str, times: int = 1) -> None:
        until = time.monotonic() + _PATIENCE
        while self.text.count(words) < times:
            assert time.monotonic() < until, self.text
            assert self._read(until), self.text

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for the end and give the exit code."""
        until = time.monotonic() + _PATIENCE
        while self._read(until):
            pass
        return self._process.wait(max(1.0, until - time.monotonic()))

    def _read(self, until: float) -> bool:
        """Whether there is more to come."""
        if not select.select([self._ours], [], [], max(0.0, until - time.monotonic()))[0]:
            return False
        try:
            more = os.read(self._ours, 4096)
        except OSError:
            # Linux: the other side was closed.
            return False
        self._shown += more
        return bool(more)


@contextmanager
def on_screen(*arguments: str, folder: Path, **settings: str) -> Iterator[Screen]:
    """Python with these arguments in a terminal of its own; it does not outlive the block."""
    import pty

    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment({"TERM": "dumb", **settings}),
        stdin=its,
        stdout=its,
        stderr=its,
        close_fds=True,
    )
    os.close(its)
    try:
        yield Screen(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
