"""The pictures of a report (`analysis.svg` has how they are drawn): figures as bars or marks, with their intervals.

A mark's path is `measure.figure.system`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Final

from sususbot.analysis.svg import ACCENT, GRID, INK, MUTED, Picture, picture, svg
from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.figures import Figure
from sususbot.evaluation.report import label, told, written
from sususbot.evaluation.thresholds import judged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHANCE: Final = 0.1
_LONGEST_NAME: Final = {True: 30, False: 16}
_BAR: Final = 0.56
_OWN: Final = "own"
_P95: Final = "19 of 20"


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of a picture. `aside` is drawn pale: no system, but what systems are measured by."""

    words: str
    path: str
    figure: Figure
    form: str
    aside: bool = False
    beside: float | None = None
    what_beside: str = ""

    @property
    def written(self) -> str:
        value = written(self.figure.value, self.form)
        return value if self.beside is None else f"{value}; {self.what_beside} {written(self.beside, self.form)}"


def pictures(report: Report) -> dict[str, Picture]:
    """All that there are figures for, by name. Raises ImportError without matplotlib."""
    return {one.name: one for one in _pictures(report)}


def _pictures(report: Report) -> Iterator[Picture]:
    if marks := _systems(report, "relevance", "accuracy"):
        yield _drawn(
            "relevance", "How often the true reply is found among ten", marks, line=(CHANCE, "chance"), top=1.0
        )
    if marks := _systems(report, "relevance", "said_accuracy"):
        yield _drawn(
            "likeness",
            "How often what it said is most like the true one of ten",
            marks,
            line=(CHANCE, "chance"),
            top=1.0,
        )
    if marks := _systems(report, "language", "bits_per_byte"):
        yield _drawn("language", "Bits per byte of what was said later; fewer are better", marks)
    if marks := _systems(report, "voice", "attributed"):
        whole = [*_aside(report, "ceiling", "your own lines"), *marks, *_aside(report, "floor", "other chat")]
        yield _drawn("voice", "Lines that are taken for the persona's", whole, top=1.0)
    if marks := _of_judged(report, "voice", _STYLE, own="_own"):
        yield _drawn("style", "Distance from the persona's own style; the line is how far these differ", marks)
    if marks := _of_judged(report, "context", _SAVED):
        yield _drawn("context", "Bits per byte of the true reply that the context saves", marks, line=(0.0, ""))
    if marks := _systems(report, "leakage", "copies"):
        yield _drawn("leakage", "Replies that are lines it learned, word for word", marks)
    if marks := _systems(report, "cost", "reply_ms_p50", beside="reply_ms_p95"):
        yield _drawn("cost", "Time of a whole reply, median; the line is what 19 of 20 take at most", marks)


_STYLE: Final = tuple(f"style_{kind}" for kind in ("length", "case", "punctuation", "emoji", "vocabulary"))
_SAVED: Final = ("bits_saved_by_all", "bits_saved_by_recent", "bits_saved_by_memories", "bits_saved_by_summary")


def _systems(report: Report, section: str, name: str, *, beside: str | None = None) -> list[Mark]:
    """A figure of each system that has it."""
    form = label(section, name).form
    found = []
    for system, sections in report.systems.items():
        figures = sections[section].figures if section in sections else {}
        if name in figures and not isnan(figures[name].value):
            other = figures[beside].value if beside is not None and beside in figures else None
            found.append(
                Mark(system, f"{section}.{name}.{system}", figures[name], form, beside=other, what_beside=_P95)
            )
    return found


def _aside(report: Report, name: str, words: str) -> list[Mark]:
    """What the voices of all systems are measured by: the same in each."""
    marks = _systems(report, "voice", name)[:1]
    return [Mark(words, mark.path, mark.figure, mark.form, aside=True) for mark in marks]


def _of_judged(report: Report, section: str, names: Sequence[str], *, own: str = "") -> list[Mark]:
    """Several figures of the system that is judged, each with what it is to be compared with."""
    system = judged(report)
    figures = report.systems[system][section].figures if section in report.systems[system] else {}
    return [
        Mark(
            label(section, name).words.removeprefix("… ").removeprefix("distance in ").removeprefix("bits per byte "),
            f"{section}.{name}.{system}",
            figures[name],
            label(section, name).form,
            beside=figures[name + own].value if own and name + own in figures else None,
            what_beside=_OWN,
        )
        for name in names
        if name in figures and not isnan(figures[name].value)
    ]


def _drawn(
    name: str, what: str, marks: Sequence[Mark], *, line: tuple[float, str] | None = None, top: float | None = None
) -> Picture:
    values = "; ".join(f"{mark.words} {told(mark.figure, mark.form)}" for mark in marks)
    return picture(name, f"{what}: {values}.", lambda wide: _bars(marks, line, top, wide=wide))


def _bars(marks: Sequence[Mark], line: tuple[float, str] | None, top: float | None, *, wide: bool) -> str:
    titles = {mark.path: f"{mark.words}: {told(mark.figure, mark.form)}" for mark in marks}
    low = min(0.0, *(_end(mark, low=True) for mark in marks))
    high = max(top or 0.0, *(_end(mark, low=False) for mark in marks)) or 1.0

    def draw(axes: "Axes") -> None:
        for place, mark in enumerate(marks):
            _bar(axes, place, mark, reach=(high - low) or 1.0)
        if line is not None:
            axes.plot(
                [line[0]] * 2, [-0.5, len(marks) - 0.5], color=INK, linewidth=1, linestyle=(0, (4, 3)), clip_on=False
            )
            axes.text(line[0], -0.55, line[1], color=MUTED, ha="center", va="bottom", fontsize=10)
        longest = _LONGEST_NAME[wide]
        names = [mark.words if len(mark.words) <= longest else f"{mark.words[: longest - 1]}…" for mark in marks]
        axes.set_yticks(range(len(marks)), names, fontsize=11 if wide else 10)
        axes.set_ylim(len(marks) - 0.4, -0.9 if line is not None and line[1] else -0.6)
        # What is written behind the bars.
        letters = max(len(mark.written) for mark in marks)
        room = letters * (0.014 if wide else 0.042)
        axes.set_xlim(low - (room * (high - low) if low < 0 else 0), high + room * (high - low))
        axes.set_xticks([])

    return svg(draw, titles, size=(720, 40 + 34 * len(marks)) if wide else (340, 40 + 34 * len(marks)))


def _end(mark: Mark, *, low: bool) -> float:
    bound = mark.figure.low if low else mark.figure.high
    ends = [mark.figure.value, *([] if bound is None else [bound]), *([] if mark.beside is None else [mark.beside])]
    return min(ends) if low else max(ends)


def _bar(axes: "Axes", place: int, mark: Mark, *, reach: float) -> None:
    """A bar from 0, its interval as a thin line across its end, and the value written behind both."""
    figure = mark.figure
    (bar,) = axes.barh(
        place, figure.value, height=_BAR, color=MUTED if mark.aside else ACCENT, alpha=0.45 if mark.aside else 0.85,
        linewidth=0, clip_on=False,
    )  # fmt: skip
    bar.set_gid(mark.path)
    axes.barh(place, reach * 0.002, height=_BAR, color=GRID, linewidth=0, clip_on=False)
    if figure.low is not None and figure.high is not None:
        axes.plot([figure.low, figure.high], [place, place], color=INK, linewidth=1.5, clip_on=False)
    if mark.beside is not None:
        axes.plot([mark.beside] * 2, [place - 0.4, place + 0.4], color=INK, linewidth=2, clip_on=False)
    axes.text(
        _end(mark, low=False) + reach * 0.015, place, mark.written, color=INK, ha="left", va="center", fontsize=11,
    )  # fmt: skip
