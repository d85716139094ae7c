"""The pictures of an analysis: which there are, and what each shows, in words too (`svg` has how they are drawn).

Pages take them by name: a new one is a line in `pictures` and a place in `page.html`. Same figures, same bytes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sususbot.analysis.analysis import Analysis, Bin
from sususbot.analysis.report import hour, number, size_of
from sususbot.analysis.svg import ACCENT, MUTED, Picture, picture, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONGEST_NAME: Final = {True: 18, False: 11}


def pictures(analysis: Analysis) -> dict[str, Picture]:
    """All pictures, by name. Raises ImportError without matplotlib."""
    drawn = [
        picture("volume", _volume_alt(analysis), lambda wide: _volume(analysis, wide=wide)),
        picture("week", _week_alt(analysis), lambda wide: _week(analysis, wide=wide)),
        picture(
            "lengths",
            f"Messages by length: half have at most {number(analysis.lengths.median)} tokens, nine of ten at most "
            f"{number(analysis.lengths.p90)}.",
            lambda wide: _bins(analysis.lengths.bins, "lengths.bins", "tokens in a message", wide=wide),
        ),
        picture(
            "conversations",
            f"Conversations by length: half have at most {number(analysis.conversations.median_messages)} messages, "
            f"nine of ten at most {number(analysis.conversations.p90_messages)}.",
            lambda wide: _bins(
                analysis.conversations.bins, "conversations.bins", "messages in a conversation", wide=wide
            ),
        ),
    ]
    if len(analysis.answers.people) > 1:
        drawn.append(picture("answers", _answers_alt(analysis), lambda wide: _answers(analysis, wide=wide)))
    return {one.name: one for one in drawn}


# -- the charts


def _volume_alt(analysis: Analysis) -> str:
    volume = analysis.volume
    if volume.busiest is None:
        return "No messages."
    first, last, busiest = (
        _period(start, volume.unit)
        for start in (volume.periods[0].start, volume.periods[-1].start, volume.busiest.start)
    )
    most = {"day": "on", "week": "in the week of", "month": "in"}[volume.unit]
    return (
        f"Messages by {volume.unit}, from {first} to {last}; most {most} {busiest}: {number(volume.busiest.messages)}."
    )


def _volume(analysis: Analysis, *, wide: bool) -> str:
    periods = analysis.volume.periods
    labels = [_period(period.start, analysis.volume.unit) for period in periods]
    titles = {
        f"volume.periods.{i}.messages": f"{label}: {number(period.messages)} messages"
        for i, (label, period) in enumerate(zip(labels, periods, strict=True))
    }

    def draw(axes: "Axes") -> None:
        _bars(axes, [period.messages for period in periods], list(titles))
        step = -(-len(periods) // (9 if wide else 4))
        axes.set_xticks(range(0, len(periods), step), labels[::step])
        axes.tick_params("x", pad=8)

    return svg(draw, titles, size=(720, 220) if wide else (340, 200))


def _period(start: str, unit: str) -> str:
    from datetime import date

    day = date.fromisoformat(start)
    return f"{day:%b %Y}" if unit == "month" else f"{day.day} {day:%b %y}"


def _week_alt(analysis: Analysis) -> str:
    week = analysis.week
    return (
        f"Messages by weekday and hour, {analysis.overview.timezone}: {week.busiest_day} is the busiest day, "
        f"{hour(week.busiest_hour)} the busiest hour, {hour(week.quietest_hour)} the quietest."
    )


def _week(analysis: Analysis, *, wide: bool) -> str:
    hours = analysis.week.hours
    titles = {
        f"week.hours.{day}.{at}": f"{_DAYS[day]} {hour(at)}: {number(count)} messages"
        for day, row in enumerate(hours)
        for at, count in enumerate(row)
    }

    def draw(axes: "Axes") -> None:
        # On a phone the days stand side by side, so that a cell can be touched.
        rows = hours if wide else tuple(zip(*hours, strict=True))
        _cells(axes, rows, "week.hours", turned=not wide)
        labels = [hour(at) for at in range(0, 24, 3)]
        if wide:
            axes.set_xticks(range(0, 24, 3), labels)
            axes.set_yticks(range(7), _DAYS)
        else:
            axes.set_xticks(range(7), _DAYS)
            axes.set_yticks(range(0, 24, 3), labels)

    return svg(draw, titles, size=(720, 230) if wide else (340, 460))


def _bins(bins: Sequence[Bin], path: str, what: str, *, wide: bool) -> str:
    labels = [size_of(one) for one in bins]
    titles = {
        f"{path}.{i}.count": f"{label} {what}: {number(one.count)}"
        for i, (label, one) in enumerate(zip(labels, bins, strict=True))
    }

    def draw(axes: "Axes") -> None:
        _bars(axes, [one.count for one in bins], list(titles))
        axes.set_xticks(range(len(bins)), labels, fontsize=11 if wide else 9)
        axes.set_xlabel(what, color=MUTED, labelpad=6)

    return svg(draw, titles, size=(720, 220) if wide else (340, 200))


def _answers_alt(analysis: Analysis) -> str:
    first = analysis.answers.pairs[0]
    return (
        f"Who answers whom among the {len(analysis.answers.people)} who talk with each other most; most often "
        f"{first.source} answers {first.target}, {number(first.replies + first.mentions)} times."
    )


def _answers(analysis: Analysis, *, wide: bool) -> str:
    people, matrix = analysis.answers.people, analysis.answers.matrix
    titles = {
        f"answers.matrix.{i}.{j}": f"{source} answers {target}: {number(matrix[i][j])}"
        for i, source in enumerate(people)
        for j, target in enumerate(people)
    }
    longest = _LONGEST_NAME[wide]
    shown = [name if len(name) <= longest else f"{name[: longest - 1]}…" for name in people]

    def draw(axes: "Axes") -> None:
        _cells(axes, matrix, "answers.matrix")
        axes.set_xticks(range(len(people)), [str(i + 1) for i in range(len(people))])
        axes.set_yticks(range(len(people)), [f"{name}  {i + 1}" for i, name in enumerate(shown)])
        axes.tick_params("x", labeltop=True, labelbottom=False)

    side = 30 if wide else 20
    return svg(draw, titles, size=((190 if wide else 110) + side * len(people), 40 + side * len(people)))


# -- marks


def _bars(axes: "Axes", heights: Sequence[int], paths: Sequence[str]) -> None:
    for place, (height, path) in enumerate(zip(heights, paths, strict=True)):
        _box(axes, path, (place - 0.41, 0, 0.82, height))
    top = max(heights, default=0) or 1
    axes.set_xlim(-0.6, len(heights) - 0.4)
    axes.set_ylim(0, top * 1.04)
    ticks = [tick for tick in axes.get_yticks() if tick <= top and float(tick).is_integer()]
    axes.set_yticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    axes.grid(axis="y", clip_on=False)


def _cells(axes: "Axes", rows: Sequence[Sequence[int]], path: str, *, turned: bool = False) -> None:
    """Squares, the fuller the more; the root makes small differences visible beside great ones."""
    top = max((count for row in rows for count in row), default=0) or 1
    for y, row in enumerate(rows):
        for x, count in enumerate(row):
            strength = 0.06 + 0.94 * (count / top) ** 0.5 if count else 0.03
            place = f"{path}.{x}.{y}" if turned else f"{path}.{y}.{x}"
            _box(axes, place, (x - 0.46, y - 0.46, 0.92, 0.92), alpha=strength)
    axes.set_xlim(-0.5, len(rows[0]) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _box(axes: "Axes", path: str, sides: tuple[float, float, float, float], *, alpha: float | None = None) -> None:
    """A mark: left, bottom, width and height."""
    from matplotlib.patches import Rectangle

    left, bottom, width, height = sides
    box = Rectangle((left, bottom), width, height, facecolor=ACCENT, linewidth=0, alpha=alpha, clip_on=False, gid=path)
    # It stays within its axes, whose limits are set: there is nothing to measure, which takes longer than to draw it.
    box.set_in_layout(False)
    axes.add_artist(box)
