"""A child process of ours that runs an engine, so that what kills an engine does not kill the bot.

`Child` is the parent's end: `python -m MODULE`, no fork, the same on Windows. `Parent` is the child's end. Both speak
JSON objects, one a line, over the child's stdin and stdout; what libraries print goes to stderr, and from there into
the log (DEBUG). The child ends when its stdin does, so that it never outlives its parent, whatever ends that; till then
it minds neither Ctrl-C nor SIGTERM: a parent that is told to stop first finishes the reply in hand.
A child that hangs reads nothing, and a pipe holds 64 KB: what is said to it waits in a queue, not in who says it.
"""

import io
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

from sususbot.log_content import content

_log = logging.getLogger(__name__)

_LAST_WORDS: Final = 20
_LONGEST_WORDS: Final = 200
_READ_BYTES: Final = 1 << 16
# How long a child may take to end after its stdin did.
_STOP_SECONDS: Final = 5.0
# Exit codes of Windows are NTSTATUS values; negative ones elsewhere are signals.
_ACCESS_VIOLATION: Final = 0xC0000005

Message = dict[str, Any]


class Child:
    """A child process that runs. `pid` is its process id; `ended` tells how it ended, None while it runs.

    `hear` is called with each of its messages, in their order; after the last one `died` is called with the child,
    whether it was stopped or not. Both come from one thread of their own, and may come before the constructor returns.
    """

    def __init__(self, module: str, *, hear: Callable[[Message], None], died: Callable[["Child"], None]) -> None:
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        # -P: scripts in the current folder (`token.py`, `queue.py`) must not stand in for Python's own modules.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=flags,
        )
        self.pid = self._process.pid
        self.ended: str | None = None
        self.heard_members = False
        """Whether it was given members' words: what it prints from then on may repeat them."""
        self._hear = hear
        self._died = died
        # None: there will be no more.
        self._unsaid: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        name = module.rpartition(".")[2]
        self._errors = threading.Thread(target=self._read_errors, args=(name,), name=f"{name}-log", daemon=True)
        self._reader = threading.Thread(target=self._read, name=f"{name}-read", daemon=True)
        writer = threading.Thread(target=self._write, name=f"{name}-write", daemon=True)
        try:
            for thread in (self._errors, writer, self._reader):
                thread.start()
        except RuntimeError:
            # Want of memory stops threads, too. A process that nobody hears is not left behind.
            self._unsaid.put(None)
            with self._process:
                self._process.kill()
            raise

    @property
    def words(self) -> list[str]:
        """The last lines of its stderr, oldest first; complete once it ended."""
        return list(self._words)

    @property
    def memory(self) -> int:
        """Bytes of main memory that it holds now, what it maps of files among them; 0 once it ended. Takes no time."""
        if self.ended is not None:
            return 0
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def say(self, message: Message) -> None:
        """Thread-safe; returns at once. To a child that is dead nothing is said: `died` tells."""
        self._unsaid.put(_packed(message))

    def stop(self) -> None:
        """End it once it heard what was said, or after a few seconds, and wait for its end.

        May be called twice, but not from `hear` or `died`.
        """
        self._unsaid.put(None)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join()

    def kill(self) -> None:
        """End it at once; `died` follows."""
        self._process.kill()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:
                    # Cut off by its death, or printed by a library that writes past Python.
                    _log.debug("process %d: %s", self.pid, content(repr(line[:_LONGEST_WORDS])))
                    continue
                self._hear(message)
        code = self._process.wait()
        self._errors.join()
        self.ended = _how(code, self._shown(self._words[-1].strip()[:_LONGEST_WORDS]) if self._words else None)
        self._unsaid.put(None)
        self._died(self)

    def _write(self) -> None:
        assert self._process.stdin is not None
        try:
            with self._process.stdin as lines:
                while (line := self._unsaid.get()) is not None:
                    lines.write(line)
                    lines.flush()
        except (OSError, ValueError):
            _log.debug("process %d listens no more", self.pid)

    def _read_errors(self, name: str) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                if words := line.decode(errors="replace").rstrip():
                    self._words.append(words)
                    _log.debug("%s: %s", name, self._shown(words))

    def _shown(self, words: str) -> str:
        # Only for DEBUG is an engine made so talkative that it tells of prompts; else its last line says what ended it.
        return content(words) if self.heard_members and _log.isEnabledFor(logging.DEBUG) else words


def _how(code: int, words: str | None) -> str:
    """How a process ended, in a few words."""
    if code == -getattr(signal, "SIGKILL", 9):
        return "it was killed, by somebody or for want of memory"
    if code < 0:
        return f"it crashed ({signal.Signals(-code).name})"
    if code == _ACCESS_VIOLATION:
        return "it crashed (access violation)"
    if code == 0:
        return "it ended"
    return f"it ended with {words!r}" if words else f"it ended with exit code {code}"


class Parent:
    """The parent, as its child sees it. Made once, before anything is printed or imported that prints."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What a pipe would keep until its buffer is full is lost by an end at once.
            sys.stdout.reconfigure(line_buffering=True)
        self._lock = threading.Lock()
        for name in ("SIGINT", "SIGTERM"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)

    def say(self, message: Message) -> None:
        """Thread-safe."""
        with self._lock:
            self._out.write(_packed(message))
            self._out.flush()

    def listen(self, hear: Callable[[Message], None]) -> None:
        """Have each message heard in a thread of its own; when they end, so does this process, whatever it is doing."""
        threading.Thread(target=self._listen, args=(hear,), name="parent", daemon=True).start()

    def _listen(self, hear: Callable[[Message], None]) -> None:
        try:
            for message in self._messages():
                hear(message)
        finally:
            # Not sys.exit: the engine's own threads are not waited for, and there is nothing to save.
            os._exit(0)

    def _messages(self) -> Iterator[Message]:
        # Not by sys.stdin: a thread that waits in it would have Python abort when the process ends by an exception.
        rest = b""
        while data := os.read(0, _READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            yield from map(json.loads, lines)


def _packed(message: Message) -> bytes:
    # ASCII, so that halves of surrogate pairs, which members can write, go through.
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
