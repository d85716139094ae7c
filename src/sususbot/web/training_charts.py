"""The curves of one training or of several over each other, as charts and as a table, and its figures of the moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nicegui import html, ui

from sususbot.web import theme
from sususbot.web.curves import Curve, Point, thinned
from sususbot.web.tables import table

# Curves want width more than company.
_GRID: Final = "grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr))"
_FEW: Final = 40
_ROWS: Final = 40
_HOUR: Final = 3600
_NOTHING: Final = "No run is chosen"


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is drawn of a run, made in a thread: points few enough, and the newest row."""

    name: str
    loss: list[Point]
    kept_apart: list[Point]
    tokens_per_s: list[Point]
    learning_rate: list[Point]
    vram_gb: list[Point]
    celsius: list[Point]
    notes: list[str]
    last: Mapping[str, Any]
    best: float | None
    steps: int

    @classmethod
    def of(cls, name: str, curve: Curve) -> "Drawn":
        return cls(
            name,
            thinned(curve.loss),
            thinned(curve.kept_apart),
            thinned(curve.tokens_per_s),
            thinned(curve.learning_rate),
            [(step, megabytes / 1000) for step, megabytes in thinned(curve.vram_mb)],
            thinned(curve.celsius),
            curve.notes[-5:],
            dict(curve.last),
            curve.best,
            len(curve.loss),
        )


# Column -> what it is called, and where a chart without points is left out.
_CHARTS: Final = {
    "loss": ("Loss by step, nats a learned token", False),
    "kept_apart": ("Kept apart by step, bits per byte", False),
    "tokens_per_s": ("Speed, tokens a second", False),
    "learning_rate": ("Learning rate", False),
    "vram_gb": ("Memory of the card, GB", True),
    "celsius": ("Heat of the card, °C", True),
}


class Charts:
    """Draws what is chosen, and only what changed."""

    def __init__(self) -> None:
        self._drawn: list[Drawn] = []
        self._open = False
        self._shown_rows: tuple[object, ...] = ()
        self._charts: dict[str, ui.echart] = {}
        self._cards: dict[str, html.div] = {}
        with html.div().classes("grid").style(_GRID):
            for column, (title, _) in _CHARTS.items():
                with html.div().classes("card") as card:
                    html.h3(title)
                    self._charts[column] = ui.echart(_options()).style("height: 260px").props('role="img"')
                self._cards[column] = card
        with html.details().classes("card") as details:
            html.summary("The same as a table")
            self._table = html.div()
        details.on("toggle", self._toggled, js_handler="(event) => emit(event.target.open)")

    def show(self, drawn: Sequence[Drawn]) -> None:
        """`drawn` in the order of their colours."""
        if list(drawn) == self._drawn:
            return
        self._drawn = list(drawn)
        for column, (title, optional) in _CHARTS.items():
            series = [(one.name, getattr(one, column)) for one in drawn]
            self._cards[column].set_visibility(not optional or any(points for _, points in series))
            chart = self._charts[column]
            chart.options["series"] = [_line(name, points) for name, points in series]
            chart.props["aria-label"] = f"{title}. " + "; ".join(_in_words(name, points) for name, points in series)
            chart.update()
        self._show_table()

    def _toggled(self, event: Any) -> None:
        self._open = bool(event.args)
        self._show_table()

    def _show_table(self) -> None:
        rows = [row for one in self._drawn for row in _rows(one)] if self._open else []
        if tuple(rows) == self._shown_rows:
            return
        self._shown_rows = tuple(rows)
        self._table.clear()
        if rows:
            with self._table:
                head = ("run", "step", "loss", "kept apart", "tokens/s", "learning rate")
                table("Curves of the chosen runs", head, rows)


class Tiles:
    """Figures of the moment, of one run."""

    _NAMES: Final = ("Step", "Loss", "Kept apart, best", "Tokens a second", "Time left", "Card", "Heat")

    def __init__(self) -> None:
        self._big: dict[str, ui.label] = {}
        self._tiles: dict[str, html.div] = {}
        with html.div().classes("card"):
            self._title = html.h2(_NOTHING)
            with html.div().classes("tiles"):
                for name in self._NAMES:
                    with html.div().classes("tile") as self._tiles[name]:
                        self._big[name] = ui.label("–").classes("big").props(f'data-figure="{name}"')
                        ui.label(name).classes("what")
            self._notes = ui.label().classes("note")

    def show(self, drawn: Drawn | None, how: str) -> None:
        if drawn is None:
            return
        last, machine = drawn.last, drawn.last.get("machine") or {}
        step, of = _figure(last.get("step")), _figure(last.get("of"))
        used, total = _figure(machine.get("vram_used_mb")), _figure(machine.get("vram_total_mb"))
        heat, left = _figure(machine.get("celsius")), _figure(last.get("seconds_left"))
        figures = {
            "Step": f"{step:,} of {of:,}" if step is not None and of is not None else "–",
            "Loss": _number(last.get("loss"), 3),
            "Kept apart, best": _number(drawn.best, 4),
            "Tokens a second": _number(last.get("tokens_per_s"), 0),
            "Time left": duration(left) if how == "training" and left is not None else "–",
            "Card": f"{used / 1000:.1f} of {total / 1000:.0f} GB" if used is not None and total else "",
            "Heat": f"{heat:.0f} °C" if heat is not None else "",
        }
        self._title._text = f"{drawn.name}: {how}"
        self._title.update()
        for name, text in figures.items():
            self._big[name].set_text(text)
            self._tiles[name].set_visibility(bool(text))
        self._notes.set_text(" · ".join(drawn.notes))
        self._notes.set_visibility(bool(drawn.notes))

    def clear(self) -> None:
        """Nothing is chosen any more."""
        self._title._text = _NOTHING
        self._title.update()
        for figure in self._big.values():
            figure.set_text("–")
        self._notes.set_text("")


def duration(seconds: float) -> str:
    """Seconds in words as short as they are exact enough."""
    if seconds >= _HOUR:
        return f"{seconds / _HOUR:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _figure(value: object) -> float | None:
    """Files may hold anything."""
    return value if isinstance(value, int | float) else None


def _number(value: object, digits: int) -> str:
    return f"{value:,.{digits}f}" if isinstance(value, int | float) else "–"


def _options() -> dict[str, Any]:
    return theme.chart(
        xAxis={"type": "value", "minInterval": 1},
        yAxis={"type": "value", "scale": True},
        tooltip={"trigger": "axis"},
        legend={"type": "scroll", "top": 0},
        series=[],
    )


def _line(name: str, points: Sequence[Point]) -> dict[str, Any]:
    return {
        "type": "line",
        "name": name,
        "data": [list(point) for point in points],
        "showSymbol": len(points) <= _FEW,
        "symbolSize": 5,
        "lineStyle": {"width": 2},
    }


def _in_words(name: str, points: Sequence[Point]) -> str:
    if not points:
        return f"{name}: nothing yet"
    (_, first), (step, last) = points[0], points[-1]
    return f"{name}: {len(points)} points, from {first:.4g} to {last:.4g} at step {step}"


def _rows(drawn: Drawn) -> list[tuple[str, ...]]:
    """Some steps, and every measurement on what is kept apart."""
    measured = dict(drawn.kept_apart)
    columns = {name: dict(getattr(drawn, name)) for name in ("loss", "tokens_per_s", "learning_rate")}
    steps = sorted({step for step, _ in thinned(drawn.loss, _ROWS)} | measured.keys())
    return [
        (
            drawn.name,
            f"{step:,}",
            _number(columns["loss"].get(step), 3),
            _number(measured.get(step), 4),
            _number(columns["tokens_per_s"].get(step), 0),
            f"{rate:.2e}" if (rate := columns["learning_rate"].get(step)) is not None else "–",
        )
        for step in steps
    ]
