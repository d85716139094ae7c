"""What a training reports while it goes on, kept in `metrics.jsonl`, and its learning curve as a picture.

Rows of three kinds: `step` (one optimiser step), `measured` (on what was kept apart), `note` (something to know).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import orjson

from sususbot.artifacts import flush, sync
from sususbot.in_place import put
from sususbot.training.disk import writing

FILE: Final = "metrics.jsonl"
CURVE: Final = "learning_curve.png"


@dataclass(frozen=True, slots=True)
class StepDone:
    """`loss` is in nats a learned token; `skipped` counts all steps so far whose gradients were no numbers."""

    kind: ClassVar[str] = "step"
    step: int
    of: int
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float
    scale: float
    skipped: int
    tokens: int
    tokens_per_s: float
    seconds_left: float
    machine: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Measured:
    """Bits per byte on what was kept apart; `best` so far or not."""

    kind: ClassVar[str] = "measured"
    step: int
    bits_per_byte: float
    best: bool


@dataclass(frozen=True, slots=True)
class Note:
    """Something the owner should know, in one sentence."""

    kind: ClassVar[str] = "note"
    step: int
    text: str


Event = StepDone | Measured | Note
Report = Callable[[Event], None]


class Metrics:
    """The file of a run."""

    def __init__(self, run: Path) -> None:
        self._path = run / FILE

    def add(self, event: Event) -> None:
        with writing("what a step gave", self._path.parent), self._path.open("ab") as file:
            file.write(orjson.dumps({"kind": event.kind, **asdict(event)}, option=orjson.OPT_APPEND_NEWLINE))

    def begin(self) -> None:
        """Take back all that was reported: by a run that ended before its first checkpoint."""
        self._path.unlink(missing_ok=True)

    def rewind(self, step: int) -> None:
        """Take back what was reported after this step: it will be done again."""
        kept = [row for row in rows(self._path.parent) if row["step"] <= step]
        aside = self._path.with_name(f".{FILE}.new")
        with writing("what the steps gave", self._path.parent), aside.open("wb") as file:
            file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in kept)
            sync(file)
        put(aside, self._path)


def rows(run: Path) -> Iterator[dict[str, Any]]:
    """All that a run reported, oldest first; a last row that was cut off by a kill is passed over."""
    path = run / FILE
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                continue


def draw_curve(run: Path) -> Path:
    """The learning curve of a run: loss of each step, and bits per byte on what was kept apart."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # What is no number stands as none in the file.
    told = list(rows(run))
    steps = [row for row in told if row["kind"] == "step" and row["loss"] is not None]
    measured = [row for row in told if row["kind"] == "measured" and row["bits_per_byte"] is not None]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    losses = [row["loss"] for row in steps]
    axes.plot([row["step"] for row in steps], losses, color="#9db4d0", linewidth=0.8, label="loss of a step")
    axes.plot([row["step"] for row in steps], _smoothed(losses), color="#1f5fa8", linewidth=1.8, label="loss, smoothed")
    axes.set(xlabel="step", ylabel="nats a learned token", title=f"{run.name}: learning curve")
    axes.grid(alpha=0.25)
    lines = axes.get_lines()
    if measured:
        right = axes.twinx()
        right.plot(
            [row["step"] for row in measured], [row["bits_per_byte"] for row in measured],
            "o-", color="#c2571a", markersize=4, label="kept apart",
        )  # fmt: skip
        best = min(measured, key=lambda row: float(row["bits_per_byte"]))
        right.annotate(
            f"{best['bits_per_byte']:.3f}", (best["step"], best["bits_per_byte"]),
            textcoords="offset points", xytext=(0, -14), ha="center", color="#c2571a",
        )  # fmt: skip
        right.set_ylabel("bits per byte, kept apart")
        right.margins(y=0.15)
        lines = [*lines, *right.get_lines()]
    axes.legend(handles=lines, loc="upper right")
    aside = run / f".{CURVE}.new"
    with writing("the learning curve", run):
        figure.savefig(aside, dpi=110, format="png")
        flush(aside)
    put(aside, run / CURVE)
    return run / CURVE


def _smoothed(values: list[float], share: float = 0.1) -> list[float]:
    """Exponential mean, corrected for its beginning."""
    smooth, mean, weight = [], 0.0, 0.0
    for value in values:
        mean, weight = (1 - share) * mean + share * value, (1 - share) * weight + share
        smooth.append(mean / weight)
    return smooth
