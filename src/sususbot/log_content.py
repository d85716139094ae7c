"""What members write, and what is answered, as it may stand in a log: not at all, or behind a mark.

Whose words a line holds cannot be told in full: a reply may repeat a summary, or what an adapter learned. So nobody
tries: `forgetting` takes every file away that holds the mark, whoever is forgotten.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MARK: Final = "[LOG_CONTENT]"


@contextmanager
def shown(wanted: bool) -> Iterator[None]:
    """Whether words are logged while this lasts; otherwise they are not."""
    _state.shown = wanted
    try:
        yield
    finally:
        _state.shown = False


def content(text: str) -> str:
    """A text that holds words of members, or may, for a line of a log: with LOG_CONTENT=true itself and the mark."""
    # In front: what is taken for a secret in a text reaches to what stands behind it, never before it.
    return f"{MARK} {text}" if _state.shown else f"({len(text)} characters)"


class _State:
    """One for the whole program, as logging itself is."""

    shown = False


_state: Final = _State()
