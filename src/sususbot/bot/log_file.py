"""A log file of bounded size, for a program that runs for months."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

from sususbot.errors import SettingsError

# Windows lets nobody delete a file that is open, so that a member who is forgotten would stay in it.
_CLOSE: Final = sys.platform == "win32"


class LogFile(logging.Handler):
    """A line for each record; at most `most` bytes, and `kept` older files beside it, the youngest called .1.

    `missed` is called for each line that could not be written; the first line after them says how many there were.

    Unlike the library's RotatingFileHandler it leaves no half line on a full disk; goes on in the same file while
    another program (Windows: an editor, a second bot) keeps it from being renamed; and begins a new one when it was
    deleted, as the log is that names a member who is forgotten.
    """

    def __init__(
        self, path: Path, formatter: logging.Formatter, *, most: int, kept: int, missed: Callable[[], None]
    ) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._path = path.absolute()
        self._most = most
        self._kept = kept
        self._missed = missed
        self._turn_at = most
        self._missing = 0
        self._why = ""
        try:
            self._file = self._open()
        except OSError as error:
            raise SettingsError(
                f"the log {path} cannot be written ({error.strerror}): set LOG_FILE to a place that this user may "
                "write to, or to nothing"
            ) from error

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode(errors="backslashreplace") + b"\n"
            if self._missing:
                line = self._after_a_gap().encode() + b"\n" + line
            self._append(line)
            self._missing, self._why = 0, ""
        except OSError as error:
            self._miss(error.strerror or type(error).__name__)
        except Exception as error:  # noqa: BLE001  (no line is worth the thread that writes all others)
            self._miss(type(error).__name__)

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()
        super().close()

    def _open(self) -> FileIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: what a full disk refused must not wait in a buffer for ever.
        return self._path.open("ab", buffering=0)

    def _append(self, line: bytes) -> None:
        if self._file.closed or self._deleted():
            self._file.close()
            self._file = self._open()
        size = os.fstat(self._file.fileno()).st_size
        if size and size + len(line) > self._turn_at:
            size = self._turn(size)
        written = self._file.write(line)
        if written < len(line):
            self._file.truncate(size)
            raise OSError(0, "the disk is full")
        if _CLOSE:
            self._file.close()

    def _deleted(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return True

    def _turn(self, size: int) -> int:
        """Put the file aside and begin another; gives its size. One that is held fast grows, and is tried later."""
        self._file.close()
        try:
            for number in range(self._kept - 1, 0, -1):
                if (older := self._numbered(number)).exists():
                    older.replace(self._numbered(number + 1))
            self._path.replace(self._numbered(1))
        except OSError:
            self._turn_at = size + self._most // 10
        else:
            self._turn_at, size = self._most, 0
        self._file = self._open()
        return size

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _miss(self, why: str) -> None:
        self._missed()
        self._missing += 1
        if why != self._why:
            # Once, and where it can still be read.
            self._why = why
            with suppress(OSError, ValueError):
                print(f"{self._path}: {why}; lines are missing there until that is mended", file=sys.stderr)

    def _after_a_gap(self) -> str:
        lines = "1 line is" if self._missing == 1 else f"{self._missing:,} lines are"
        told = {"msg": f"{lines} missing before this one: {self._why}", "levelno": logging.WARNING}
        return self.format(logging.makeLogRecord({**told, "name": __name__, "levelname": "WARNING"}))
