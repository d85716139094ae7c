"""How the newest training fares, by its files alone: nothing of the training itself is loaded."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.artifacts import MANIFEST, RUNS

_METRICS: Final = "metrics.jsonl"
# Of a file that grows with every step, only its end is read.
_TAIL: Final = 1 << 16
# A training reports every step; one that is silent for so long was killed or waits.
SILENT_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class Latest:
    """A training: `state` as its manifest has it. Times in seconds; None where nothing was reported yet."""

    name: str
    state: str
    silent_for: float
    step: int | None = None
    of: int | None = None
    epoch: int | None = None
    loss: float | None = None
    bits_per_byte: float | None = None
    seconds_left: float | None = None

    @property
    def stalled(self) -> bool:
        """It should be training, and says nothing."""
        return self.state == "training" and self.silent_for > SILENT_SECONDS

    def sentence(self) -> str:
        """All of it for a reader."""
        parts = [f"run {self.name} is {self.state}" if self.state == "training" else f"run {self.name}: {self.state}"]
        if self.step is not None:
            parts.append(f"step {self.step} of {self.of}, epoch {self.epoch}")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.3f}")
        if self.bits_per_byte is not None:
            parts.append(f"{self.bits_per_byte:.3f} bits per byte on what was kept apart, at best")
        if self.stalled:
            parts.append(f"nothing was heard of it for {_span(self.silent_for)}: go on with  sususbot train --resume")
        elif self.state == "training" and self.seconds_left is not None:
            parts.append(f"{_span(self.seconds_left)} left")
        return "; ".join(parts)


def latest(data: Path, *, now: float | None = None) -> Latest | None:
    """The training of a data folder that wrote last; None where there is none that can be read."""
    runs = sorted(
        ((_touched(folder), folder) for folder in (data / RUNS).glob("*") if (folder / MANIFEST).is_file()),
        reverse=True,
    )
    for touched, folder in runs:
        try:
            manifest = orjson.loads((folder / MANIFEST).read_bytes())
            state = str(manifest.get("state", "unknown"))
        except (OSError, ValueError, AttributeError):
            continue
        silent = max(0.0, (time.time() if now is None else now) - touched)
        return Latest(folder.name, state, silent, **_reported(folder))
    return None


def _touched(folder: Path) -> float:
    """When a run last wrote something, in seconds since 1970."""
    times = [path.stat().st_mtime for path in (folder / MANIFEST, folder / _METRICS) if path.is_file()]
    return max(times, default=0.0)


def _reported(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for row in _rows(folder / _METRICS):
        if row.get("kind") == "step":
            told |= {name: row.get(name) for name in ("step", "of", "epoch", "loss", "seconds_left")}
        elif row.get("kind") == "measured" and row.get("best"):
            told["bits_per_byte"] = row.get("bits_per_byte")
    return told


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The last rows; what was cut off at either end is passed over."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            raw = file.read()
    except OSError:
        return
    for line in raw.splitlines():
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(row, dict):
            yield row


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
