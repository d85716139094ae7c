"""The end of the bot's log, and what is added to it: lines of JSON from LOG_FILE, read from the end alone. Blocks.

A file that is put aside (it grew to its size) or emptied (somebody was forgotten) is begun anew.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import orjson

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Of a log of any size, what is looked at first, and at most at each look.
_END_BYTES: Final = 256 << 10
_LONGEST: Final = 2000
_USUAL: Final = frozenset({"time", "level", "logger", "message", "exception"})


@dataclass(frozen=True, slots=True)
class Line:
    """`extra` are the fields beside the usual ones, as `name=value`."""

    at: str
    level: str
    logger: str
    text: str
    extra: str = ""
    error: str = ""

    @property
    def severity(self) -> int:
        return LEVELS.index(self.level) if self.level in LEVELS else 1

    def shown(self) -> str:
        """One line for a reader, and the error's last one."""
        parts = [self.at.replace("T", " ").removesuffix("Z"), self.level, f"{self.logger}:", self.text, self.extra]
        told = " ".join(filter(None, parts))
        return f"{told} ({self.error.strip().splitlines()[-1]})" if self.error.strip() else told


class Tail:
    """Follows one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        self._file: tuple[int, int] | None = None

    def new(self) -> tuple[bool, list[Line]]:
        """What came since the last look; True where it is another file, so that what was shown is gone."""
        try:
            with self.path.open("rb") as file:
                return self._read(file)
        except OSError:
            begun = self._file is not None
            self._file, self._at = None, 0
            return begun, []

    def _read(self, file: IO[bytes]) -> tuple[bool, list[Line]]:
        found = os.fstat(file.fileno())
        fresh = (found.st_dev, found.st_ino) != self._file or found.st_size < self._at
        begin = 0 if fresh else self._at
        # More than is looked at may have come: then the newest of it.
        first = max(begin, found.st_size - _END_BYTES)
        file.seek(first)
        piece = file.read(_END_BYTES)
        end = piece.rfind(b"\n") + 1
        # A line that was cut at its beginning is none.
        start = piece.find(b"\n") + 1 if first > begin or (fresh and first) else 0
        self._file, self._at = (found.st_dev, found.st_ino), first + end
        return fresh, [line for raw in piece[start:end].splitlines() if (line := _line(raw)) is not None]


def at_least(lines: Sequence[Line], level: str) -> list[Line]:
    return [line for line in lines if line.severity >= LEVELS.index(level)]


def _line(raw: bytes) -> Line | None:
    """None for what is no line of ours."""
    try:
        fields: Any = orjson.loads(raw)
        extra = " ".join(f"{name}={value}" for name, value in fields.items() if name not in _USUAL)
    except (ValueError, AttributeError):
        return None
    return Line(
        str(fields.get("time", "")),
        str(fields.get("level", "INFO")),
        str(fields.get("logger", "")),
        str(fields.get("message", ""))[:_LONGEST],
        extra[:_LONGEST],
        str(fields.get("exception", ""))[:_LONGEST],
    )
