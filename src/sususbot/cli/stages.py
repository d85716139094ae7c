"""The demo's stages as they are gone through and told: one after the other, each only where it is not done yet.

A stage is one line of what happened, with its seconds, and one of the command that does it for one's own server. What
goes wrong in one is one sentence; the others go on as far as they do not need it.
Not here: what the stages do (`kettle`, `tiny`).
"""

import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from sususbot import file_lock
from sususbot.cli.output import say
from sususbot.errors import SettingsError, SususError

_LOCK: Final = "demo.lock"
_WIDTH: Final = 79
_INDENT: Final = 13
_SECONDS: Final = 8


@dataclass(frozen=True, slots=True)
class Stage:
    """`whole` tells whether it is done; `make` does it and says what happened; `needs` are stages that come before it.

    `yours` is the command for one's own server.
    """

    name: str
    yours: str
    whole: Callable[[], bool]
    make: Callable[[], str]
    needs: tuple[str, ...] = ()


def go_through(stages: Sequence[Stage], folder: Path, greeting: str = "") -> None:
    """Do what is not done, after a greeting. Raises SususError where the first cannot be: nothing goes on then."""
    if all(stage.whole() for stage in stages):
        say(f"all {len(stages)} stages are done already, in {folder}")
        return
    with _alone(folder):
        say(greeting)
        missing: set[str] = set()
        for place, stage in enumerate(stages, 1):
            head = click.style(f"{place}/{len(stages)} {stage.name:<9}", bold=True)
            if stage.whole():
                say(f"{head}done already")
            elif lacking := [name for name in stage.needs if name in missing]:
                missing.add(stage.name)
                say(f"{head}left out: it needs {lacking[0]}")
            elif not _done(stage, head, must=place == 1):
                missing.add(stage.name)


def _done(stage: Stage, head: str, *, must: bool) -> bool:
    """Do one stage and tell it; False where it could not be done. Raises SususError where it must be."""
    begun = time.monotonic()
    try:
        what = stage.make()
    except SususError as error:
        if must:
            raise
        _tell(head, f"not done: {error}")
        return False
    except OSError as error:
        if must:
            raise SettingsError(_unwritten(error)) from error
        _tell(head, f"not done: {_unwritten(error)}")
        return False
    _tell(head, what, _took(time.monotonic() - begun))
    say(f"{'':<{_INDENT}}{click.style('yours:  ' + stage.yours, dim=True)}")
    return True


def _took(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _tell(head: str, what: str, seconds: str = "") -> None:
    room = _WIDTH - _INDENT - _SECONDS - 1
    first, *more = (part for line in what.splitlines() for part in textwrap.wrap(line, room, break_long_words=False))
    say(f"{head}{first:<{room}} {seconds:>{_SECONDS}}".rstrip())
    for line in more:
        say(f"{'':<{_INDENT}}{line}")


def _unwritten(error: OSError) -> str:
    where = f" to {error.filename}" if error.filename else ""
    return f"it cannot be written{where} ({error.strerror or error}): make room, or choose another folder with --data"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While one demo is made, no other is in the same folder. Raises SettingsError."""
    with (folder / _LOCK).open("ab") as file:
        try:
            file_lock.hold(file)
        except file_lock.Held as error:
            raise SettingsError(
                f"another demo is being made in {folder} right now: wait for its end, or choose another folder "
                "with --data"
            ) from error
        yield
