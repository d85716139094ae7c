"""The form that starts a training: what is learned, on what, and the few settings that matter."""

from collections.abc import Callable
from typing import Any, Final

from nicegui import html, ui

from sususbot.errors import SususError
from sususbot.web.desk import Desk
from sususbot.web.frame import tell
from sususbot.web.parts import aside
from sususbot.web.runs import LORA, bases, corpora, runs
from sususbot.web.training_wish import Wish
from sususbot.web.trainings import Trainings

_ADAPTER: Final = "An adapter for a base"
_BASE: Final = "A small base from nothing"
_SIZES: Final = ("tiny", "small", "medium")
_NONE: Final = "no: begin anew"


class Form:
    """`started` hears the name of what was started."""

    def __init__(self, desk: Desk, trainings: Trainings, started: Callable[[str], None]) -> None:
        self._desk = desk
        self._trainings = trainings
        self._started = started
        with ui.expansion("Start a training").classes("card").props('header-class="text-weight-bold"') as around:
            self._around = around
            self._draw()

    def _draw(self) -> None:
        settings, found = self._desk.settings, corpora(self._desk.data)
        if not found:
            ui.label("There is no corpus yet: run  sususbot build  first.").classes("note")
        self._what = ui.radio([_ADAPTER, _BASE], value=_ADAPTER, on_change=self._switch).props("inline")
        with html.div().classes("grid"):
            self._name = ui.input("Name of the run", value=self._free(found[0] if found else "run")).props("outlined")
            self._corpus = ui.select(found, label="Corpus", value=found[0] if found else None).props("outlined")
            named = bases(self._desk.data, settings.base_model)
            self._base = ui.select(
                named, label="Base: a folder, or a name on the hub", value=named[0], new_value_mode="add-unique"
            ).props("outlined")
            self._size = ui.select(list(_SIZES), label="Size", value="small").props("outlined")
            adapters = [one.name for one in runs(self._desk.data) if one.kind == LORA and one.state == "finished"]
            self._earlier = ui.select(
                [_NONE, *adapters], label="Go on from a finished run's adapter", value=_NONE
            ).props("outlined")
            self._numbers = self._settings()
            self._preset = ui.select(
                ["auto", "8", "11", "16", "24"], label="Memory of the card, GB", value=settings.vram_preset
            ).props("outlined")
        self._cpu = ui.switch("On the processor: right for small bases, far too slow for 7B")
        self._measured = ui.switch("Measure it at the end, and refuse it where it is worse than EVAL_… allow")
        with html.div().classes("row"):
            self._start = ui.button("Start", on_click=self._begin)
            self._check = ui.button("Check first", on_click=self._plan).props("outline")
        self._told = html.div().classes("note").props('role="status"')
        self._switch()

    def _settings(self) -> dict[str, ui.number]:
        settings = self._desk.settings
        times = ui.number("Times the corpus is read, at most", value=settings.epochs, min=1, step=1)
        rate = ui.number("Learning rate", value=settings.learning_rate, min=0, step=0.00001)
        rank = ui.number("Rank of the adapter", value=settings.lora_rank, min=1, max=256, step=1)
        fields = {"EPOCHS": times, "LEARNING_RATE": rate, "LORA_RANK": rank}
        return {name: field.props("outlined") for name, field in fields.items()}

    def _switch(self) -> None:
        adapter = self._what.value == _ADAPTER
        for element in (self._base, self._earlier, self._preset, self._measured, *self._numbers.values()):
            element.set_visibility(adapter)
        self._size.set_visibility(not adapter)

    def _free(self, wanted: str) -> str:
        taken = {one.name for one in runs(self._desk.data)} | set(self._trainings.begun_here())
        names = (f"{wanted}-{number}" if number > 1 else wanted for number in range(1, len(taken) + 2))
        return next(name for name in names if name not in taken)

    def _wish(self) -> Wish:
        adapter = self._what.value == _ADAPTER
        settings: dict[str, str] = {}
        if adapter:
            settings = {name: _plain(field.value) for name, field in self._numbers.items() if field.value is not None}
            settings["VRAM_PRESET"] = str(self._preset.value)
        return Wish(
            name=str(self._name.value or "").strip(),
            corpus=str(self._corpus.value or "default"),
            base=str(self._base.value) if adapter else None,
            size=None if adapter else str(self._size.value),
            earlier=str(self._earlier.value) if adapter and self._earlier.value != _NONE else None,
            cpu=bool(self._cpu.value),
            measured=adapter and bool(self._measured.value),
            settings=settings,
        )

    async def _begin(self) -> None:
        wish = self._wish()
        try:
            await aside(self._trainings.start, wish)
        except SususError as error:
            tell(error)
            return
        self._around.close()
        # What was typed meanwhile stays.
        if str(self._name.value or "").strip() == wish.name:
            self._name.set_value(self._free(wish.name))
        self._started(wish.name)

    async def _plan(self) -> None:
        """What it would take, before anything is begun."""
        self._say(["looking at base, corpus and machine …"])
        self._check.disable()
        try:
            fine, lines = await aside(self._trainings.plan, self._wish())
            self._say([*lines, "It can begin." if fine else "It cannot begin so."])
        except SususError as error:
            tell(error)
        finally:
            self._check.enable()

    def _say(self, lines: list[str]) -> None:
        self._told.clear()
        with self._told:
            for line in lines:
                ui.label(line)


def _plain(value: Any) -> str:
    """A number as settings have it: 3, not 3.0."""
    return str(int(value)) if float(value).is_integer() else f"{float(value):.10g}"
