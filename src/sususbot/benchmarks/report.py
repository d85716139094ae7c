"""What every benchmark gives back, and the measures that several of them take.

The shape of `Result.as_json` and the names of figures, which carry their unit, are what kept results are compared by:
add to them, rename none. `docs/benchmarks.md` says which machine and day a figure is from.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

import numpy as np
import psutil  # type: ignore[import-untyped]

from sususbot.machine import machine

T = TypeVar("T")
# Figures by name; some by name of a group first.
Metrics = dict[str, Any]

_MEGABYTE: Final = 1_000_000
_STARTS: Final = 5


@dataclass(frozen=True, slots=True)
class Result:
    """Keys carry their unit (`_ms`, `_mb`, `_s`, `_per_s`); shares are fractions of the bare minimum's speed."""

    name: str
    metrics: Metrics
    baseline: Metrics
    what: str
    bare: str
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d"))
    machine: str = field(default_factory=machine)

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "date": self.date,
            "machine": self.machine,
            "metrics": self.metrics,
            "baseline": self.baseline,
        }

    def as_lines(self) -> list[str]:
        mine, its = dict(_flat(self.metrics)), dict(_flat(self.baseline))
        keys = list(dict.fromkeys([*mine, *its]))
        width = max(map(len, keys))
        rows = [f"  {key:<{width}}  {_cell(mine.get(key)):>12}  {_cell(its.get(key)):>12}" for key in keys]
        return [
            f"{self.name}: {self.what}",
            f"bare minimum: {self.bare}",
            f"  {'':<{width}}  {'sususbot':>12}  {'bare':>12}",
            *rows,
            f"{self.date}, {self.machine}",
        ]


def peak_rss_mb() -> float | None:
    """The most memory this process ever held, in MB; None where the system does not tell."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / _MEGABYTE
    import resource

    status = Path("/proc/self/status")
    if status.is_file():
        # Linux counts in `ru_maxrss` what the parent held when it started this process, too.
        high = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(high.split()[1]) * 1024 / _MEGABYTE
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak * (1 if sys.platform == "darwin" else 1024) / _MEGABYTE


def startup_s() -> float:
    """The median time until `sususbot --help` has answered, in seconds."""
    return median(timed(lambda: _help())[1] for _ in range(_STARTS))


def _help() -> None:
    subprocess.run([sys.executable, "-m", "sususbot", "--help"], check=True, stdout=subprocess.DEVNULL)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """A result and the seconds it took."""
    begun = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun


def in_new_process(work: Callable[..., T], *arguments: object) -> T:
    """Run a module's function in a fresh interpreter, so that its memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def percentile_ms(seconds: Sequence[float], percent: float) -> float:
    return float(np.percentile(np.asarray(seconds), percent)) * 1000


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float | str | None]]:
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _cell(value: float | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
