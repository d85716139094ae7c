"""Ways to train side by side: each in a process of its own, one round at a time, in turns.

The machine may have other things to do, so what counts is the ratio within a round, and of those the median.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple, Self

import orjson

from sususbot.benchmarks.training_ways import Taken

TRL: Final = "1.16.0"
# What its environment has in the same versions as this one.
_SHARED: Final = ("torch", "transformers", "peft", "accelerate")
_MEGABYTE: Final = 1_000_000
_WAYS: Final = "sususbot.benchmarks.training_ways"


class Raced(NamedTuple):
    """What each counted round took a way, and the most memory it ever held."""

    rounds: list[Taken]
    peak_rss_mb: float | None


class WayFailed(Exception):
    """A way ended before its time; says how."""


def race(order: Path, rounds: int, trl: Path | None) -> dict[str, Raced | WayFailed]:
    """All ways through so many rounds of an order; the first warms up and is not counted.

    `trl`: the interpreter of its environment. A way that fails leaves the others going.
    """
    commands = {name: [sys.executable, "-m", _WAYS, name, str(order)] for name in ("packed", "padded")}
    if trl is not None:
        commands["trl"] = [str(trl), str(Path(__file__).with_name("training_trl.py")), str(order)]
    taken: dict[str, list[Taken]] = {name: [] for name in commands}
    failed: dict[str, WayFailed] = {}
    with ExitStack() as stack:
        ways = {
            name: stack.enter_context(_Way(command, order.with_name(f"{name}.log")))
            for name, command in commands.items()
        }
        for number in range(rounds):
            for name in _turned(list(ways), number):
                if name in failed:
                    continue
                try:
                    taken[name].append(ways[name].round())
                except WayFailed as failure:
                    failed[name] = failure
        peaks = {name: way.peak_rss_mb() for name, way in ways.items()}
    return {name: failed.get(name) or Raced(rows[1:], peaks[name]) for name, rows in taken.items()}


def _turned(names: list[str], number: int) -> list[str]:
    """Whoever comes first in a round comes last in the next."""
    first = number % len(names)
    return names[first:] + names[:first]


class _Way:
    """The process of a way; what it has to say beside its answers goes to a file."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def round(self) -> Taken:
        """Let it train the next one. Raises WayFailed."""
        go, answers = self._process.stdin, self._process.stdout
        assert go is not None
        assert answers is not None
        # Where it is gone already, so is its answer.
        with suppress(BrokenPipeError):
            go.write(b"\n")
            go.flush()
        answer = answers.readline()
        if not answer:
            raise WayFailed(self._last_words())
        return Taken(**orjson.loads(answer))

    def peak_rss_mb(self) -> float | None:
        """The most memory it held so far; None where the system does not tell."""
        status = Path(f"/proc/{self._process.pid}/status")
        if not status.is_file():
            return None
        high = [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")]
        return int(high[0].split()[1]) * 1024 / _MEGABYTE if high else None

    def _last_words(self) -> str:
        self._process.wait()
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with {self._process.returncode}"


# -- TRL's environment


def trl_python(folder: Path, told: Callable[[str], None]) -> Path:
    """The interpreter of an environment that has TRL, made in `folder` on the first call. Raises WayFailed."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = requirements()
    complete = folder / "complete"
    if complete.is_file() and complete.read_text(encoding="utf-8").split() == wanted:
        return python
    told(f"making an environment for TRL in {folder}, once")
    venv.create(folder, clear=True, with_pip=True)
    # torch first, so that nothing else decides which.
    for some in (wanted[:1], wanted):
        command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", *some]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        if done.returncode:
            lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise WayFailed(f"pip cannot install it: {lines[-1] if lines else 'it says nothing'}")
    complete.write_text("\n".join(wanted), encoding="utf-8")
    return python


def requirements() -> list[str]:
    """What its environment is made of."""
    return [*(f"{name}=={version(name).partition('+')[0]}" for name in _SHARED), f"trl=={TRL}"]
