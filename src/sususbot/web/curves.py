"""What trainings report, read on as it is written: `metrics.jsonl` of a run as columns, and points few enough to draw.

A file is read from where the last look ended; one that was put in its place (a run that went on from a checkpoint takes
back what it will do again) is read anew. Blocks: call it in a thread.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final

import orjson

FILE: Final = "metrics.jsonl"
MOST_POINTS: Final = 500
# Of one look; the next one goes on.
_MOST_BYTES: Final = 8 << 20

Point = tuple[int, float]


@dataclass(slots=True)
class Curve:
    """All steps of a run. `last` is the newest row of a step, `best` the lowest bits per byte on what is kept apart."""

    loss: list[Point] = field(default_factory=list)
    learning_rate: list[Point] = field(default_factory=list)
    tokens_per_s: list[Point] = field(default_factory=list)
    vram_mb: list[Point] = field(default_factory=list)
    celsius: list[Point] = field(default_factory=list)
    kept_apart: list[Point] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> float | None:
        return min((bits for _, bits in self.kept_apart), default=None)

    def take(self, row: dict[str, Any]) -> None:
        """A row of the file; what is no number stands as none in it, and is no point."""
        step = int(row.get("step") or 0)
        if row.get("kind") == "note":
            self.notes.append(str(row.get("text", "")))
        elif row.get("kind") == "measured":
            self._add(self.kept_apart, step, row.get("bits_per_byte"))
        elif row.get("kind") == "step":
            machine = row.get("machine") or {}
            self._add(self.loss, step, row.get("loss"))
            self._add(self.learning_rate, step, row.get("learning_rate"))
            self._add(self.tokens_per_s, step, row.get("tokens_per_s"))
            self._add(self.vram_mb, step, machine.get("vram_used_mb", machine.get("vram_mb")))
            self._add(self.celsius, step, machine.get("celsius"))
            self.last = row

    @staticmethod
    def _add(column: list[Point], step: int, value: object) -> None:
        if isinstance(value, int | float):
            column.append((step, float(value)))


class Reading:
    """One run's file, from several threads."""

    def __init__(self, run: Path) -> None:
        self._path = run / FILE
        self._lock = Lock()
        self._at = 0
        self._file: tuple[int, int] | None = None
        self._curve = Curve()

    def look(self) -> Curve:
        """All that stands there by now. The same object each time, until the file is another one."""
        with self._lock:
            try:
                with self._path.open("rb") as file:
                    self._read_on(file)
            except OSError:
                self._begin(None)
            return self._curve

    def _read_on(self, file: IO[bytes]) -> None:
        found = os.fstat(file.fileno())
        if (found.st_dev, found.st_ino) != self._file or found.st_size < self._at:
            self._begin((found.st_dev, found.st_ino))
        file.seek(self._at)
        piece = file.read(_MOST_BYTES)
        # A row that is being written is for the next look.
        whole = piece[: piece.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            # A row that is not as a training writes it is left out.
            with suppress(AttributeError, TypeError, ValueError):
                self._curve.take(row)

    def _begin(self, file: tuple[int, int] | None) -> None:
        if file != self._file or self._at:
            self._curve = Curve()
        self._at, self._file = 0, file


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most so many points: each the mean of its neighbours, at the last of their steps."""
    if len(points) <= most:
        return list(points)
    size = -(-len(points) // most)
    groups = (points[first : first + size] for first in range(0, len(points), size))
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]
