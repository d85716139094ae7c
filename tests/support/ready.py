"""`sususbot` as a process of its own that starts at once: forked from one that has loaded the program and waits.

For tests that kill many commands: what Python takes to start is spent once. On Windows, where nothing is forked, each
starts as a user starts it.
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from tests.support.commands import environment

# Each line is a command to begin: its arguments, its folder, its settings, where its stdout and stderr go, and where
# Discord's API is. It says the command's pid, then how it ended.
_FORKING: Final = """
import importlib, json, os, sys
from sususbot.cli.main import main
from sususbot.sources.discord_api.address import api_at, base
for name in sys.argv[1:]:
    importlib.import_module(name)
def begin(arguments, folder, settings, out, errors, api):
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(settings)
    for number, (path, flags) in enumerate(((os.devnull, os.O_RDONLY), (out, os.O_WRONLY), (errors, os.O_WRONLY))):
        os.dup2(os.open(path, flags), number)
    sys.argv = ["sususbot", *arguments]
    with api_at(api or base()):
        main()
for line in open(os.dup(0)):
    pid = os.fork()
    if not pid:
        begin(*json.loads(line))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
# The program with Discord's API at the address that comes before the arguments.
AT_API: Final = """
import sys
from sususbot.cli.main import main
from sususbot.sources.discord_api.address import api_at, base
with api_at(sys.argv.pop(1) or base()):
    main()
"""
_NOWHERE: Final = Path(os.devnull)
# What the commands that are killed load when they are called.
_LOADED: Final = (
    *("sususbot.cli.folder", "sususbot.cli.people", "sususbot.training.runs"),
    *("sususbot.cli.forgetting", "sususbot.cli.importing", "sususbot.sources.ingest", "sususbot.sources.formats"),
)


class Running(Protocol):
    """What a test needs of a process."""

    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def kill(self) -> None: ...
    def send_signal(self, sig: int, /) -> None: ...


class Ready:
    """Begins commands, one after another: each is waited for before the next."""

    def __init__(self, waiting: "subprocess.Popen[bytes] | None") -> None:
        self._waiting = waiting

    def begin(
        self, *arguments: str, folder: Path, errors: Path, out: Path = _NOWHERE, api: str | None = None, **settings: str
    ) -> Running:
        """`errors` and `out` are files into which it says what it says; what was in them before is gone."""
        with errors.open("wb") as told, out.open("wb") as said:
            if self._waiting is not None:
                return _Forked(
                    self._waiting, [arguments, str(folder), environment(settings), str(out), str(errors), api]
                )
            return subprocess.Popen(
                [sys.executable, "-c", AT_API, api or "", *arguments],
                cwd=folder, env=environment(settings), stdin=subprocess.DEVNULL, stdout=said, stderr=told,
            )  # fmt: skip


class _Forked:
    def __init__(self, waiting: "subprocess.Popen[bytes]", order: list[object]) -> None:
        assert waiting.stdin is not None
        assert waiting.stdout is not None
        self._said = waiting.stdout
        self._code: int | None = None
        waiting.stdin.write(json.dumps(order).encode() + b"\n")
        self._pid = int(self._said.readline())

    def poll(self) -> int | None:
        return self.wait() if self._code is not None or select.select([self._said], [], [], 0)[0] else None

    def wait(self) -> int:
        if self._code is None:
            self._code = int(self._said.readline())
        return self._code

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, sig: int, /) -> None:
        # Asked from another thread than the one that waits, so nothing is read here; it may have ended meanwhile.
        if self._code is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, sig)


@contextmanager
def ready(*more: str) -> Iterator[Ready]:
    """`more` are modules that are loaded before."""
    with ExitStack() as stack:
        if sys.platform == "win32":
            yield Ready(None)
            return
        command = [sys.executable, "-c", _FORKING, *_LOADED, *more]
        # Unbuffered: whether something was said is asked of the pipe.
        waiting = subprocess.Popen(
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment({})
        )
        stack.enter_context(waiting)
        yield Ready(waiting)
