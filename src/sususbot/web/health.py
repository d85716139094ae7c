"""The page Health: how the bot is, its log, what the doctor finds. The bot is asked every two seconds, in a thread."""

from collections.abc import Sequence
from typing import Any, Final

from nicegui import html, ui

from sususbot.doctor.findings import Finding
from sususbot.errors import SususError
from sususbot.web.bot_state import BotState, Quantiles, fetch
from sususbot.web.checkup import doctor_of
from sususbot.web.desk import Desk
from sususbot.web.frame import tell
from sususbot.web.log_tail import LEVELS, Line, Tail, at_least
from sususbot.web.parts import aside
from sususbot.web.tables import table
from sususbot.web.training_charts import duration

_SECONDS: Final = 2.0
_LOG_SECONDS: Final = 1.0
_LINES: Final = 300
_WORDS: Final = {
    "running": "It runs, and answers.",
    "degraded": "It runs, and something is not as it should be.",
    "down": "It runs, and is not connected to Discord.",
}
_COLOURS: Final = {"running": "good", "degraded": "warn", "down": "bad"}
_SIGNS: Final = {"ok": ("✓", "good"), "warning": ("!", "warn"), "wrong": ("✗", "bad"), "skipped": ("–", "muted")}
_ORDER: Final = ("wrong", "warning", "ok", "skipped")
_LEVEL_COLOURS: Final = {"WARNING": "warn", "ERROR": "bad", "CRITICAL": "bad", "DEBUG": "muted"}


def build(desk: Desk) -> None:
    """Draw it; what takes time comes once the page stands."""
    bot = _Bot(desk.settings.metrics_port)
    _Log(desk)
    _Doctor(desk)
    ui.timer(_SECONDS, bot.look)


class _Bot:
    """How it is now, and what it counted since it began."""

    _NAMES: Final = (
        *("Since", "Waiting", "Replies in 24 hours", "Median reply", "Slow reply (95 %)"),
        *("Silence of Discord", "Sessions begun", "Memory"),
    )

    def __init__(self, port: int) -> None:
        self._port = port
        self._shown: object = self
        self._looking = False
        with html.section().classes("card"):
            with html.div().classes("row"):
                html.h2("The bot")
                self._state = ui.label("asking it …").props('role="status"')
            self._problems = html.div().classes("bad")
            self._problems.set_visibility(False)
            with html.div().classes("tiles") as self._tiles:
                self._big: dict[str, ui.label] = {}
                for name in self._NAMES:
                    with html.div().classes("tile"):
                        self._big[name] = ui.label("–").classes("big").props(f'data-figure="{name}"')
                        ui.label(name).classes("what")
        with html.div().classes("grid") as self._tables:
            self._latency, self._counts = (html.section().classes("card") for _ in range(2))
        for element in (self._tiles, self._tables):
            element.set_visibility(False)

    async def look(self) -> None:
        """Ask it, and show what changed."""
        if self._looking:
            return
        self._looking = True
        try:
            state = await aside(fetch, self._port)
        finally:
            self._looking = False
        self._tiles.set_visibility(state is not None)
        self._tables.set_visibility(state is not None)
        if state is None:
            self._none()
        else:
            self._there(state)

    def _none(self) -> None:
        if not self._port:
            told = "METRICS_PORT=0, so a bot tells nothing of itself: set it to a port, and restart the bot."
        else:
            told = f"No bot runs here (nobody answers at port {self._port}). Start it with  sususbot bot"
        self._state.set_text(told)
        self._state.classes(replace="muted")
        self._show_problems([])

    def _there(self, state: BotState) -> None:
        self._state.set_text(_WORDS.get(state.state, state.state))
        self._state.classes(replace=_COLOURS.get(state.state, ""))
        self._show_problems(state.problems)
        health, day = state.health, state.health.get("last_24_h") or {}
        figures = {
            "Since": _span(health.get("uptime_s")),
            "Waiting": str(health.get("waiting", "–")),
            "Replies in 24 hours": f"{day.get('replies', 0):,}",
            "Median reply": _span(day.get("p50_s")),
            "Slow reply (95 %)": _span(day.get("p95_s")),
            "Silence of Discord": _span(health.get("since_received_s")),
            "Sessions begun": f"{state.identifies}, {state.resumes} resumed",
            "Memory": "–" if state.memory_mb is None else f"{state.memory_mb:,.0f} MB",
        }
        for name, text in figures.items():
            self._big[name].set_text(text)
        # Tables are drawn anew only when a figure in them is another one.
        told = (state.stages, state.loop_lag, state.fallbacks, state.filter_hits, state.signs, health.get("engine"))
        if told != self._shown:
            self._shown = told
            self._show_latency(state)
            self._show_counts(state)

    def _show_problems(self, problems: list[str]) -> None:
        self._problems.clear()
        self._problems.set_visibility(bool(problems))
        with self._problems:
            for problem in problems:
                ui.label(problem)

    def _show_latency(self, state: BotState) -> None:
        rows = [_latency(name.replace("_", " "), times) for name, times in state.stages.items()]
        rows.append(_latency("event loop late", state.loop_lag))
        self._latency.clear()
        with self._latency:
            html.h2("Where a reply's time goes")
            table("Latency by stage", ("stage", "median", "95 %", "times"), rows)
            ui.label("Since the bot began; between the bounds of buckets, estimated.").classes("note")

    def _show_counts(self, state: BotState) -> None:
        engine: dict[str, Any] = dict(state.health.get("engine") or {})
        rows = [
            *(("fallback", cause, f"{count:,}") for cause, count in state.fallbacks.items()),
            *(("filter", category, f"{count:,}") for category, count in state.filter_hits.items()),
            *(("sign instead of a reply", cause, f"{count:,}") for cause, count in state.signs.items()),
            *(
                [("log", "lines that could not be written", f"{state.log_lines_missing:,}")]
                * bool(state.log_lines_missing)
            ),
        ]
        self._counts.clear()
        with self._counts:
            html.h2("What did not go as planned")
            if rows:
                table("Fallbacks, filter hits, signs", ("what", "why", "times"), rows)
            else:
                ui.label("No fallback, no filter hit, no sign since it began.").classes("note")
            html.h2("Engine")
            table("Engine", ("fact", "value"), [(name.replace("_", " "), str(value)) for name, value in engine.items()])


class _Log:
    """The end of LOG_FILE, followed."""

    def __init__(self, desk: Desk) -> None:
        self._lines: list[Line] = []
        with html.section().classes("card"):
            html.h2("Log")
            path = desk.settings.log_file
            if path is None:
                ui.label("LOG_FILE is not set, so there is nothing to read: set it to data/logs/bot.jsonl").classes(
                    "note"
                )
                return
            self._tail = Tail(path)
            with html.div().classes("row"):
                self._level = ui.select(list(LEVELS[:-1]), label="From level", value="INFO", on_change=self._redraw)
                self._level.props("outlined dense").style("min-width: 130px")
                self._follow = ui.switch("Follow", value=True)
            self._view = ui.log(max_lines=_LINES).classes("mono").style("height: 320px")
            self._view.props('tabindex="0" role="log" aria-label="The bot\'s log"')
            self._note = ui.label().classes("note")
        ui.timer(_LOG_SECONDS, self._look)

    async def _look(self) -> None:
        if not self._follow.value and self._lines:
            return
        fresh, new = await aside(self._tail.new)
        if fresh:
            self._lines = []
            self._view.clear()
        self._lines = [*self._lines, *new][-_LINES:]
        self._push(new[-_LINES:])
        self._note.set_text("" if self._lines else f"{self._tail.path} is empty, or not there yet.")

    def _redraw(self) -> None:
        self._view.clear()
        self._push(self._lines)

    def _push(self, lines: list[Line]) -> None:
        for line in at_least(lines, str(self._level.value)):
            colour = _LEVEL_COLOURS.get(line.level, "")
            self._view.push(line.shown(), classes=colour, style="white-space: pre-wrap")


class _Doctor:
    """What is wrong, and what to do about it."""

    def __init__(self, desk: Desk) -> None:
        self._doctor = doctor_of(desk.data, desk.env)
        with html.section().classes("card"):
            html.h2("Doctor")
            with html.div().classes("row"):
                self._button = ui.button("Check again", on_click=lambda: self.check(anew=True))
                self._online = ui.switch("Ask Discord, too")
                self._summary = ui.label("looking …").props('role="status"')
            self._list = html.div()
        ui.timer(0.0, self.check, once=True)

    async def check(self, *, anew: bool = False) -> None:
        """In a process of its own, while the page goes on."""
        self._button.disable()
        self._summary.set_text("looking …")
        try:
            found = await self._doctor.examine(online=bool(self._online.value), anew=anew)
        except SususError as error:
            self._summary.set_text("")
            tell(error)
            return
        finally:
            self._button.enable()
        if not self._list.is_deleted:
            self._summary.set_text(found.summary)
            self._show(found.findings)

    def _show(self, findings: Sequence[Finding]) -> None:
        self._list.clear()
        with self._list, html.ul().style("list-style: none; margin: 0; padding: 0"):
            for finding in sorted(findings, key=lambda one: _ORDER.index(one.state)):
                sign, colour = _SIGNS[finding.state]
                with html.li().props(f'data-state="{finding.state}"').style("padding: 3px 0"):
                    with html.div().classes("row").style("flex-wrap: nowrap; align-items: baseline"):
                        html.span(sign, **{"aria-hidden": "true"}).classes(f"{colour} mono")
                        with html.div():
                            html.span(finding.state).classes("sr-only")
                            html.b(finding.name)
                            html.span(f": {finding.sentence}")
                            if finding.step and finding.state != "ok":
                                html.div(f"→ {finding.step}").classes("note")


def _latency(name: str, times: Quantiles) -> tuple[str, ...]:
    return name, _span(times.p50), _span(times.p95), f"{times.count:,}"


def _span(seconds: object) -> str:
    """From milliseconds to hours, in words."""
    if not isinstance(seconds, int | float):
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 20 else duration(seconds)
