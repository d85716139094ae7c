"""How commands speak: progress on stderr (bars on a terminal, plain lines elsewhere), results on stdout."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
import orjson

# After so long a task without a bar says how far it is; then after twice as long each time, but at least so often.
_PLAIN_SECONDS: Final = 5.0
_RAREST_SECONDS: Final = 60.0


def say(text: str) -> None:
    """Something to know that is not the result: on stderr."""
    click.echo(text, err=True)


def print_json(value: object) -> None:
    """One JSON object on stdout."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


class Bar:
    """A running task that is told how far it is."""

    def __init__(self, label: str, progress: Any = None, task: Any = None, *, plain: bool = False) -> None:
        self._label = label
        self._progress = progress
        self._task = task
        self._plain = plain
        self._said_at = time.monotonic()
        self._next_seconds = _PLAIN_SECONDS

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=total, note=note)
        elif self._plain and time.monotonic() - self._said_at > self._next_seconds:
            self._said_at = time.monotonic()
            self._next_seconds = min(2 * self._next_seconds, _RAREST_SECONDS)
            say(f"{self._label}: {note}")

    def bytes_of(self, size: int | None) -> Callable[[int, int], None]:
        """A progress function told (messages, bytes) of a file of this size."""
        return lambda count, position: self.update(position, size, f"{count:,} messages")

    def messages(self, done: int, total: int) -> None:
        """A progress function told (messages done, messages in all)."""
        self.update(done, total, f"{done:,} of {total:,} messages")

    def mentions(self, done: int, total: int) -> None:
        """A progress function told (mentions done, mentions in all)."""
        self.update(done, total, f"{done:,} of {total:,} mentions")


@contextmanager
def bar(label: str, total: float | None = None, *, quiet: bool = False) -> Iterator[Bar]:
    """A progress bar with time left; a plain line now and then where stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield Bar(label, plain=not quiet)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(label, progress, progress.add_task(label, total=total, note=""))


@contextmanager
def working(label: str) -> Iterator[None]:
    """A sign of life while something without a measure goes on."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(label):
        yield
