"""Evaluations that were kept, as a small table; the page of each in a frame that runs nothing and loads nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nicegui import html, run, ui

from sususbot.errors import ReportMissing, SususError
from sususbot.evaluation import store
from sususbot.web.desk import Desk
from sususbot.web.frame import tell
from sususbot.web.tables import ONE_LINE

_SHOWN: Final = 20
# Of each measure the figure that says most; others are in its page.
_TELLING: Final = 1
_FRAME: Final = "width: 100%; height: 75vh; border: 1px solid var(--line); border-radius: 8px; background: #fff"


@dataclass(frozen=True, slots=True)
class _Kept:
    name: str
    date: str
    system: str
    figures: str


def build(desk: Desk) -> None:
    """Draw what is there when the page is opened."""
    _Evaluations(desk.data)


class _Evaluations:
    def __init__(self, data: Path) -> None:
        self._data = data
        with html.section().classes("card"):
            html.h2("Evaluations")
            self._list = html.div()
            self._frame = html.div()
        ui.timer(0.0, self._fill, once=True)

    async def _fill(self) -> None:
        kept = await run.io_bound(_kept, self._data)
        with self._list:
            if not kept:
                ui.label("None was made yet: run  sususbot eval").classes("note")
                return
            with html.div(tabindex=0, role="region", **{"aria-label": "Evaluations"}).classes("scroll"):
                self._draw(kept)

    def _draw(self, kept: list[_Kept]) -> None:
        with html.table().classes("plain-table figure").style(ONE_LINE):
            with html.thead(), html.tr():
                for name in ("evaluation", "made", "system", "figures", ""):
                    html.th(name, scope="col")
            with html.tbody():
                for before, one in zip([None, *kept], kept, strict=False):
                    first = before is None or before.name != one.name
                    with html.tr():
                        html.th(one.name if first else "", scope="row")
                        html.td(one.date[:16].replace("T", " ") if first else "")
                        html.td(one.system)
                        html.td(one.figures)
                        with html.td():
                            if first:
                                self._button(one.name)

    def _button(self, name: str) -> None:
        ui.button("Show", on_click=lambda: self._show(name)).props(f'dense outline aria-label="Show evaluation {name}"')

    async def _show(self, name: str) -> None:
        """The page as a document of its own without an origin: no script of it runs, and it sees nothing of ours."""
        try:
            page = await run.io_bound(_page, self._data, name)
        except SususError as error:
            tell(error)
            return
        self._frame.clear()
        with self._frame:
            with html.div().classes("row"):
                html.h3(name)
                ui.button("Close", on_click=self._frame.clear).props("dense outline")
            html.iframe(sandbox="", srcdoc=page, title=f"Evaluation {name}").style(_FRAME)


def _kept(data: Path) -> list[_Kept]:
    """The newest first; one that cannot be read is left out."""
    found = []
    for name in reversed(store.names(data)[-_SHOWN:]):
        try:
            report = store.load(data, name)
        except ReportMissing:
            continue
        for system, sections in report.systems.items():
            told = [
                f"{title} {figure.value:.3g}"
                for section in sections.values()
                for title, figure in list(section.figures.items())[:_TELLING]
            ]
            found.append(_Kept(name, report.date, system, " · ".join(told)))
    return found


def _page(data: Path, name: str) -> str:
    path = store.page_of(data, name)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReportMissing(
            f"the page of {name} cannot be read ({error.strerror}): run  sususbot eval  again"
        ) from error
