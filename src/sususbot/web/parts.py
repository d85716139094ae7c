"""What the pages about memory and data are put together from: views behind tabs, tables, charts with their figures.

A view is drawn when it is first opened, so that a page is there at once whatever its views have to count. Tables turn
into cards where the window is narrow; every chart says in words what it shows, and has its figures in a table below.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final, ParamSpec, TypeVar, cast
from zoneinfo import ZoneInfo

from nicegui import app, context, events, html, run, ui

from sususbot.errors import SususError
from sususbot.web.frame import failed, tell
from sususbot.web.theme import chart

P = ParamSpec("P")
T = TypeVar("T")
Draw = Callable[[], Awaitable[None]]
Row = Mapping[str, object]

_ROWS: Final = 10
# As Python writes `{:,}`.
_GROUPED: Final = "value => value.toLocaleString('en')"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the field of its rows, and what stands above it. `number`: to the right, and so sorted.

    `long`: its texts take several lines.
    """

    name: str
    label: str
    number: bool = False
    long: bool = False


async def aside(work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """Work that blocks, in a thread. Raises what it raises; CancelledError where the server stops meanwhile, or the
    owner leaves: there is nothing to be drawn on any more.
    """
    result = await run.io_bound(work, *given, **named)
    if not serving() or left():
        raise asyncio.CancelledError
    return cast(T, result)


def serving() -> bool:
    """Whether the server goes on."""
    return not app.is_stopping


def left() -> bool:
    """Whether the tab that this is for is gone."""
    try:
        return bool(context.slot_stack) and context.client.is_deleted
    except RuntimeError:
        # Not even the part of the page is there any more where this was begun.
        return True


@contextmanager
def told() -> Iterator[None]:
    """What goes wrong inside is told over the page, in its one sentence."""
    try:
        yield
    except SususError as error:
        tell(error)


def views(*given: tuple[str, Draw]) -> None:
    """Tabs, each with what stands behind it; the first is drawn at once, the others when they are opened."""
    drawn: set[str] = set()
    places: dict[str, ui.tab_panel] = {}

    async def show(title: str) -> None:
        if title in drawn:
            return
        drawn.add(title)
        with places[title]:
            try:
                await dict(given)[title]()
            except SususError as error:
                failed(error)

    async def opened(event: events.ValueChangeEventArguments[Any]) -> None:
        await show(event.value)

    with ui.tabs(on_change=opened).props('align="left" outside-arrows mobile-arrows no-caps') as tabs:
        for title, _ in given:
            ui.tab(title)
    with ui.tab_panels(tabs, value=given[0][0], animated=False).classes("views"):
        for title, _ in given:
            places[title] = ui.tab_panel(title).classes("view")
    ui.timer(0, lambda: show(given[0][0]), once=True)


def table(columns: Sequence[Column], rows: Sequence[Row], *, label: str, per_page: int = _ROWS) -> ui.table:
    """Rows that can be sorted and leafed through; on a phone, cards."""
    shown = [
        {
            "name": column.name,
            "label": column.label,
            "field": column.name,
            "align": "right" if column.number else "left",
            "sortable": True,
            "classes": "long" if column.long else "",
            **({":format": _GROUPED} if column.number else {}),
        }
        for column in columns
    ]
    drawn = ui.table(
        rows=[{"id": number, **row} for number, row in enumerate(rows)],
        columns=shown,
        row_key="id",
        pagination=per_page if len(rows) > per_page else 0,
    )
    drawn.props(f'flat dense :grid="window.innerWidth < 640" aria-label="{_attribute(label)}"')
    if len(rows) <= per_page:
        drawn.props("hide-pagination")
    return drawn.classes("wide")


def picture(says: str, options: Mapping[str, Any], *, height: int = 260) -> None:
    """A chart, and in words what it shows."""
    with html.figure(role="img", **{"aria-label": says}).classes("picture"):
        ui.echart(chart(**options)).style(f"height: {height}px").props('aria-hidden="true"')
        html.figcaption(says).classes("note").props('aria-hidden="true"')


def folded(title: str, draw: Callable[[], object]) -> None:
    """Something that is drawn when it is unfolded."""
    drawn = False

    def opened(event: events.ValueChangeEventArguments[bool]) -> None:
        nonlocal drawn
        if event.value and not drawn:
            drawn = True
            with fold:
                draw()

    with ui.expansion(title, on_value_change=opened).props("dense").classes("folded") as fold:
        pass


def figures(headings: tuple[str, str], rows: Sequence[tuple[str, int]], *, label: str) -> None:
    """The figures of a chart, to be unfolded."""
    columns = [Column("what", headings[0]), Column("count", headings[1], number=True)]
    values = [{"what": what, "count": count} for what, count in rows]
    folded("These figures as a table", lambda: table(columns, values, label=label, per_page=12))


def tiles(*given: tuple[str, str]) -> None:
    """Figures that stand out, each with what it is."""
    with html.div().classes("tiles"):
        for figure, what in given:
            with html.div().classes("tile"):
                html.span(figure).classes("big")
                html.span(what).classes("what")


def note(text: str) -> None:
    html.p(text).classes("note")


def moment(ms: int, zone: str | None) -> str:
    """`3 Mar 2024, 14:05`, by the clock of a zone, or by this machine's."""
    at = datetime.fromtimestamp(ms / 1000, ZoneInfo(zone) if zone else None)
    return f"{at.day} {at:%b %Y, %H:%M}"


def style() -> None:
    """What these parts look like."""
    ui.add_css(_style_sheet())


@cache
def _style_sheet() -> str:
    return files("sususbot.web").joinpath("parts.css").read_text(encoding="utf-8")


def _attribute(text: str) -> str:
    return text.replace('"', "'")
