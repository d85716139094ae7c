"""Plain tables: what charts show, for readers of words. Texts reach the browser as text."""

from collections.abc import Iterable, Sequence
from typing import Final

from nicegui import html

# Wider than a narrow window, it is moved sideways rather than broken letter by letter.
ONE_LINE: Final = "white-space: nowrap; overflow-wrap: normal"


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table with a caption that is read, not seen; it scrolls within itself where a window is narrow."""
    # What scrolls must be reachable by keyboard.
    with html.div(tabindex=0, role="region", **{"aria-label": caption}).classes("scroll"):
        with html.table().classes("plain-table figure").style(ONE_LINE):
            html.caption(caption).classes("sr-only")
            with html.thead(), html.tr():
                for name in head:
                    html.th(name, scope="col")
            with html.tbody():
                for row in rows:
                    with html.tr():
                        for number, cell in enumerate(row):
                            html.td(cell) if number else html.th(cell, scope="row")
