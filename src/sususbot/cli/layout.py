"""Lines that fit a console: what is long is folded, commands and addresses stay whole."""

import shutil
import sys
import textwrap
from typing import IO, Final

# What a console has at least, and how long a line may get before eyes lose it.
NARROW: Final = 80
_WIDE: Final = 110


def width_of(stream: IO[str]) -> int | None:
    """Of the console behind a stream; None where there is none, and lines stay as they are for who reads them there."""
    return min(shutil.get_terminal_size((NARROW, 24)).columns, _WIDE) - 1 if stream.isatty() else None


def folded(text: str, begin: str = "", *, rest: str | None = None, width: int | None = NARROW - 1) -> str:
    """`begin` and a text behind it, in lines of that width; further lines are set in by as much, or begin as `rest`."""
    if width is None:
        return begin + text
    return textwrap.fill(
        text,
        width,
        initial_indent=begin,
        subsequent_indent=" " * len(begin) if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )


def asked_here() -> bool:
    """Whether somebody sits at a terminal who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
