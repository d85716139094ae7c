"""An evaluation in the terminal: what an owner should know first, then the figures, systems side by side."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sususbot.evaluation import report as words
from sususbot.evaluation.compare import Compared, Side, Verdict, differing
from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.findings import findings
from sususbot.evaluation.report import Cell, Row
from sususbot.messages import joined_names

_VERDICTS: Final[Mapping[Verdict, tuple[str, str]]] = {
    "better": ("better", "green"),
    "worse": ("worse", "red"),
    "no difference that counts": ("the same", "dim"),
    "too few to tell": ("too few to tell", "dim"),
    "not to be told": ("–", "dim"),
}
# A figure with its interval, and what a line needs besides.
_CELL_WIDE: Final = 21
_BESIDE: Final = 34
_WORDS_WIDE: Final = 44
_NOTES: Final = 2


def show(report: Report, console: Console | None = None) -> None:
    """Print it on stdout; `*` marks the best of a line. Words are text to rich, never markup."""
    console = console or _console()
    console.print(Text(f"{report.name}: {', '.join(report.systems)}", style="bold"))
    console.print(Text(_of_what(report), style="dim"))
    for sentence in findings(report):
        console.print(Text(f"- {sentence}"))
    for section, rows in words.rows(report, short=True).items():
        console.print()
        console.print(Text(words.TITLES.get(section, section), style="bold"))
        if rows:
            console.print(_table(rows, list(report.systems), console.width))
        notes = words.notes(report, section)
        for note, systems in notes[:_NOTES]:
            console.print(Text(f"  {_about(systems, report)}{note}", style="dim"))
        if len(notes) > _NOTES:
            console.print(Text(f"  … {len(notes) - _NOTES} more remarks in the report", style="dim"))


def show_comparison(first: Side, second: Side, found: Sequence[Compared], console: Console | None = None) -> None:
    """What the first is better or worse in, of what tells most; the table has the rest."""
    console = console or _console()
    console.print(Text(f"{first.title} beside {second.title}", style="bold"))
    if unlike := differing(first, second):
        console.print(Text(f"- not the same for both: {joined_names(unlike)}"))
    for verdict in ("better", "worse"):
        names = [
            words.label(one.section, one.name).words.removeprefix("… ")
            for one in found
            if one.verdict == verdict and words.label(one.section, one.name).short
        ]
        console.print(Text(f"- {first.title} is {verdict} in {joined_names(names) if names else 'nothing'}"))
    table = _empty([one.title.partition("/")[2] or one.title for one in (first, second)])
    table.add_column(Text("difference"), justify="right", no_wrap=True)
    table.add_column(Text("first is"), no_wrap=True)
    for one in found:
        how = words.label(one.section, one.name)
        apart = "" if one.difference is None else words.told(one.difference, _SIGNED.get(how.form, how.form))
        verdict, style = _VERDICTS[one.verdict]
        table.add_row(
            Text(how.words),
            *(Text(words.written(figure.value, how.form)) for figure in (one.first, one.second)),
            Text(apart, style="dim"),
            Text(verdict, style=style),
        )
    console.print(table)
    console.print(Text(_COUNTS, style="dim"))


_COUNTS: Final = """\
  a difference counts when its whole interval is on one side of 0; of twenty that are none about one does so by chance,
  and fewer than 30 items are too few to tell"""
_SIGNED: Final = {"number": "signed", "percent": "points"}


def _of_what(report: Report) -> str:
    begins = (
        "" if report.split_at is None else f" said since {datetime.fromtimestamp(report.split_at / 1000, UTC):%d %b %Y}"
    )
    return (
        f"{len(report.exchanges):,} replies{begins}, kept apart from the corpus {report.corpus['name']}; seed "
        f"{report.seed}; in brackets where the true figure lies with 95 % confidence; * is the best of its line, "
        "by chance or not"
    )


def _about(systems: Iterable[str], report: Report) -> str:
    named = list(systems)
    return "" if len(named) == len(report.systems) else f"{joined_names(named)}: "


def _table(rows: Sequence[Row], systems: Sequence[str], width: int) -> Table:
    """Where a line has no room for all of them, intervals stand below their figures."""
    between = " " if _BESIDE + _CELL_WIDE * len(systems) <= width else "\n"
    table = _empty(systems)
    table.add_column(Text("of"), justify="right", no_wrap=True)
    for row in rows:
        cells = (_cell(cell, between) for cell in row.cells)
        table.add_row(Text(row.label.words), *cells, Text(f"{row.of:,}" if row.of else "", style="dim"))
    return table


def _empty(systems: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    table.add_column(Text(""), overflow="fold", max_width=_WORDS_WIDE)
    for system in systems:
        table.add_column(Text(system), justify="right", no_wrap=True)
    return table


def _cell(cell: Cell | None, between: str) -> Text:
    if cell is None:
        return Text("–", style="dim")
    text = Text(f"{cell.text} *" if cell.best else cell.text, style="bold" if cell.best else "")
    return text.append(f"{between}({cell.interval})", style="dim not bold") if cell.interval else text


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)
