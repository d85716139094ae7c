"""The fields for how words are drawn: temperature and the rest, by the names that settings and engines use.

Each is a field of `Sampling`: one more is a line in `_KNOBS`.
"""

from dataclasses import dataclass, replace
from typing import Final

from nicegui import html, ui

from sususbot.model.backend import Sampling


@dataclass(frozen=True, slots=True)
class _Knob:
    """A number of `Sampling`, and between what it may be."""

    name: str
    label: str
    least: float
    most: float
    step: float
    whole: bool = False


_KNOBS: Final = (
    _Knob("temperature", "Temperature", 0, 2, 0.05),
    _Knob("top_p", "Top p", 0.01, 1, 0.01),
    _Knob("min_p", "Min p", 0, 1, 0.01),
    _Knob("top_k", "Top k", 0, 1000, 1, whole=True),
    _Knob("repetition_penalty", "Repetition penalty", 1, 2, 0.01),
    _Knob("max_new_tokens", "Most tokens", 1, 1000, 1, whole=True),
    _Knob("seed", "Seed", 0, 2**31 - 1, 1, whole=True),
)


class Knobs:
    """The fields, filled in with `start`; `read` gives what they say."""

    def __init__(self, start: Sampling) -> None:
        self._start = start
        self._fields: dict[str, ui.number] = {}
        with html.div().classes("knobs"):
            for knob in _KNOBS:
                self._fields[knob.name] = ui.number(
                    knob.label,
                    value=getattr(start, knob.name),
                    min=knob.least,
                    max=knob.most,
                    step=knob.step,
                    precision=0 if knob.whole else 2,
                    placeholder="a new one" if knob.name == "seed" else None,
                ).props("outlined dense stack-label")

    def start_from(self, sampling: Sampling) -> None:
        """Fill them in anew."""
        self._start = sampling
        for name, field in self._fields.items():
            field.value = getattr(sampling, name)

    def read(self) -> Sampling:
        """What stands in them; of an empty field what it began with, and no seed where none is given."""
        values: dict[str, float | int | None] = {}
        for knob in _KNOBS:
            said = self._fields[knob.name].value
            if said is not None:
                said = min(max(float(said), knob.least), knob.most)
                values[knob.name] = round(said) if knob.whole else said
        values.setdefault("seed", None)
        return replace(self._start, **values)  # type: ignore[arg-type]
