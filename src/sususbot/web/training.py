"""The page Training: all runs, their curves over each other, and starting, stopping, going on. Polled each second.

Files are read in threads, each from where the last look ended; a run's process is its own and outlives the page.
"""

from dataclasses import dataclass
from typing import Final, Literal

from nicegui import html, ui

from sususbot.artifacts import RUNS
from sususbot.errors import SususError
from sususbot.web import evaluations, training_form
from sususbot.web.curves import Reading
from sususbot.web.desk import Desk
from sususbot.web.frame import tell
from sususbot.web.parts import aside
from sususbot.web.runs import BASE, Run, differences, runs
from sususbot.web.tables import ONE_LINE, table
from sususbot.web.training_charts import Charts, Drawn, Tiles
from sususbot.web.trainings import How, trainings_of

_SECONDS: Final = 1.0
_LIVE: Final = ("starting", "training", "measuring", "stopping")
_CAN_GO_ON: Final = ("stopped", "broken off", "failed", "not measured")
_COLOURS: Final = {
    "failed": "bad",
    "refused": "bad",
    "unreadable": "bad",
    "broken off": "warn",
    "not measured": "warn",
    "finished": "good",
}
_COLUMNS: Final = ("show", "run", "state", "", "step", "kept apart", "thumbs", "base", "begun")
_ODD: Final = (AttributeError, KeyError, TypeError, ValueError, OverflowError)
_MOST_CHOSEN: Final = 6


@dataclass(frozen=True, slots=True)
class _Looked:
    """A run at one look. `run` is None where nothing of it is on disk yet; `drawn` only of what is shown or lives."""

    name: str
    how: How | Literal["unreadable"]
    run: Run | None
    drawn: Drawn | None = None
    said: tuple[str, ...] = ()
    thumbs: tuple[int, int] = (0, 0)
    """Up and down, of replies with its adapter."""


def build(desk: Desk) -> None:
    """Draw it; what stands in files comes once the page stands."""
    ui.timer(_SECONDS, _Training(desk).look)


class _Training:
    """One tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._trainings = trainings_of(desk.data, desk.env)
        self._readings: dict[str, Reading] = {}
        self._rows: dict[str, _Row] = {}
        self._chosen: list[str] = []
        # Until a run is shown, and again where what was shown is gone: not where the last one was unchecked.
        self._choosing = True
        self._looking = False
        self._compared: tuple[object, ...] = ()
        self._said: tuple[str, ...] = ()
        self._tiles = Tiles()
        with html.section().classes("card"):
            html.h2("Runs")
            with html.div(tabindex=0, role="region", **{"aria-label": "Runs"}).classes("scroll"):
                self._list = html.div()
            self._empty = ui.label("looking …").classes("note")
        self._form = training_form.Form(desk, self._trainings, self._started)
        self._charts = Charts()
        self._difference = html.section().classes("card")
        with html.section().classes("card") as self._log_card:
            html.h2("What it says")
            self._log = html.div().classes("mono").props('data-log="training"')
        for element in (self._difference, self._log_card):
            element.set_visibility(False)
        evaluations.build(desk)

    async def look(self) -> None:
        """Read what is new, in a thread, and show it."""
        if self._looking:
            return
        self._looking = True
        try:
            looked = await aside(self._gather, chosen := list(self._chosen))
        finally:
            self._looking = False
        # Of a run that was chosen meanwhile nothing was read: the next look does.
        if chosen == self._chosen:
            self._show(looked)

    def _gather(self, chosen: list[str]) -> list[_Looked]:
        on_disk = {one.name: one for one in runs(self._desk.data)}
        begun = [name for name in self._trainings.begun_here() if name not in on_disk]
        thumbs = self._thumbs()
        looked = []
        for name in [*begun, *on_disk]:
            one = on_disk.get(name)
            try:
                looked.append(self._one(name, one, chosen, thumbs.get(name, (0, 0))))
            except _ODD:
                # Somebody's own hand, or another version: the other runs are shown all the same.
                looked.append(_Looked(name, "unreadable", one))
        return looked

    def _one(self, name: str, one: Run | None, chosen: list[str], thumbs: tuple[int, int]) -> _Looked:
        how = self._trainings.how(one, name)
        shown = name in chosen or how in _LIVE or self._choosing
        drawn = self._drawn(name) if shown and one is not None else None
        return _Looked(name, how, one, drawn, tuple(self._trainings.said(name)) if shown else (), thumbs)

    def _thumbs(self) -> dict[str, tuple[int, int]]:
        """Adapters are called after their runs."""
        counted: dict[str, tuple[int, int]] = {}
        for votes in self._desk.archive.feedback.votes():
            ups, downs = counted.get(votes.adapter, (0, 0))
            counted[votes.adapter] = ups + votes.ups, downs + votes.downs
        return counted

    def _drawn(self, name: str) -> Drawn:
        if name not in self._readings:
            self._readings[name] = Reading(self._desk.data / RUNS / name)
        return Drawn.of(name, self._readings[name].look())

    def _show(self, looked: list[_Looked]) -> None:
        self._show_list(looked)
        by_name = {one.name: one for one in looked}
        standing = [name for name in self._chosen if name in by_name]
        self._choosing |= standing != self._chosen
        self._chosen = standing
        if self._choosing and not standing and looked:
            # What lives, or else the newest.
            first = next((one for one in looked if one.how in _LIVE), looked[0])
            self._rows[first.name].choose()
        self._choosing &= not self._chosen
        chosen = [by_name[name] for name in self._chosen]
        self._charts.show([one.drawn for one in chosen if one.drawn is not None])
        focus = chosen[-1] if chosen else None
        if focus is None:
            self._tiles.clear()
        else:
            self._tiles.show(focus.drawn, focus.how)
        self._show_log(focus)
        self._compare([one.run for one in chosen if one.run is not None])

    def _show_list(self, looked: list[_Looked]) -> None:
        self._empty.set_text("" if looked else "Nothing was trained yet.")
        if list(self._rows) != [one.name for one in looked]:
            self._list.clear()
            self._rows = {}
            with self._list, html.table().classes("plain-table").style(ONE_LINE):
                with html.thead(), html.tr():
                    for name in _COLUMNS:
                        html.th(name, scope="col")
                with html.tbody():
                    for one in looked:
                        self._rows[one.name] = _Row(self, one.name, chosen=one.name in self._chosen)
        for one in looked:
            self._rows[one.name].show(one)

    def _show_log(self, focus: _Looked | None) -> None:
        said = focus.said if focus is not None else ()
        self._log_card.set_visibility(bool(said))
        if said != self._said:
            self._said = said
            self._log.clear()
            with self._log:
                for line in said:
                    ui.label(line)

    def _compare(self, chosen: list[Run]) -> None:
        self._difference.set_visibility(len(chosen) > 1)
        rows = differences(chosen) if len(chosen) > 1 else []
        if (names := (*[one.name for one in chosen], *rows)) == self._compared:
            return
        self._compared = names
        self._difference.clear()
        with self._difference:
            html.h2("What is different in them")
            cells = [(name, *values) for name, values in rows] or [("nothing", *["the same"] * len(chosen))]
            table("Differences of the recipes", ("", *(one.name for one in chosen)), cells)

    def choose(self, name: str, *, chosen: bool) -> None:
        """Show it with the others, or no more."""
        self._chosen = [one for one in self._chosen if one != name] + [name] * chosen
        for dropped in self._chosen[:-_MOST_CHOSEN]:
            self._rows[dropped].drop()

    def _started(self, name: str) -> None:
        """Alone on the screen, once it is in the list."""
        for other in list(self._chosen):
            self._rows[other].drop()
        self._chosen = [name]
        if name in self._rows:
            self._rows[name].choose()
        ui.notify(f"{name} is starting")

    async def stop(self, name: str) -> None:
        try:
            await aside(self._trainings.stop, name)
        except SususError as error:
            tell(error)
            return
        ui.notify(f"{name} stops after this step")

    async def go_on(self, name: str) -> None:
        try:
            await aside(self._trainings.resume, name, self._desk.settings)
        except SususError as error:
            tell(error)


class _Row:
    """One run in the list; its texts change, its controls stay, so that the keyboard is not lost."""

    def __init__(self, page: _Training, name: str, *, chosen: bool) -> None:
        with html.tr() as row:
            row.props["data-run"] = name
            with html.td():
                self._box = ui.checkbox(value=chosen, on_change=lambda event: page.choose(name, chosen=event.value))
                self._box.props("dense").props["aria-label"] = f"Show {name}"
            html.th(name, scope="row")
            self._cells: dict[str, ui.label] = {}
            with html.td():
                self._cells["state"] = ui.label().props('role="status"')
            # Near its state, so that a narrow window shows both.
            with html.td():
                self._stop = ui.button("Stop", on_click=lambda: page.stop(name)).props("dense outline")
                self._resume = ui.button("Resume", on_click=lambda: page.go_on(name)).props("dense outline")
                self._stop.props["aria-label"] = f"Stop {name}"
                self._resume.props["aria-label"] = f"Resume {name}"
            for cell in ("step", "bits", "thumbs", "base", "begun"):
                with html.td():
                    self._cells[cell] = ui.label()

    def show(self, one: _Looked) -> None:
        outcome = one.run.outcome if one.run is not None else {}
        last = one.drawn.last if one.drawn is not None else {}
        step, of = last.get("step", outcome.get("step")), last.get("of")
        bits = one.drawn.best if one.drawn is not None else outcome.get("bits_per_byte")
        kind = "" if one.run is None else ("a base" if one.run.kind == BASE else one.run.base)
        ups, downs = one.thumbs
        texts = {
            "state": one.how,
            "step": _grouped(step) + (f" of {_grouped(of)}" if of else ""),
            "bits": f"{bits:.4f}" if isinstance(bits, int | float) else "–",
            "thumbs": f"{ups:,} up, {downs:,} down" if ups or downs else "–",
            "base": kind,
            "begun": one.run.begun[:16].replace("T", " ") if one.run is not None else "now",
        }
        for name, text in texts.items():
            self._cells[name].set_text(text)
        self._cells["state"].classes(replace=_COLOURS.get(one.how, ""))
        self._stop.set_visibility(one.how in ("starting", "training"))
        self._resume.set_visibility(one.how in _CAN_GO_ON and one.run is not None)

    def choose(self) -> None:
        self._box.set_value(True)

    def drop(self) -> None:
        self._box.set_value(False)


def _grouped(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else "–"
