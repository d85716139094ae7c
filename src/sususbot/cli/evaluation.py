"""An evaluation in the terminal: what an owner should know first, then the figures, systems side by side."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sususbot.evaluation import report as words
from sususbot.evaluation.compare import Compared, Side
from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.report import Cell, Row
from sususbot.messages import joined_names

_VERDICTS: Final = {"better": "green", "worse": "red"}
_WORDS_WIDE: Final = 44
_NOTES: Final = 2


def show(report: Report, console: Console | None = None) -> None:
    """Print it on stdout; `*` marks the best of a line. Words are text to rich, never markup."""
    console = console or _console()
    console.print(Text(f"{report.name}: {', '.join(report.systems)}", style="bold"))
    console.print(Text(_of_what(report), style="dim"))
    for sentence in words.findings(report):
        console.print(Text(f"- {sentence}"))
    for section, rows in words.rows(report, short=True).items():
        console.print()
        console.print(Text(words.TITLES.get(section, section), style="bold"))
        if rows:
            console.print(_table(rows, list(report.systems)))
        notes = words.notes(report, section)
        for note, systems in notes[:_NOTES]:
            console.print(Text(f"  {_about(systems, report)}{note}", style="dim"))
        if len(notes) > _NOTES:
            console.print(Text(f"  … {len(notes) - _NOTES} more remarks in the report", style="dim"))


def show_comparison(first: Side, second: Side, found: Sequence[Compared], console: Console | None = None) -> None:
    """What the first is better or worse in."""
    console = console or _console()
    console.print(Text(f"{first.title} beside {second.title}", style="bold"))
    for verdict in ("better", "worse"):
        names = [words.label(one.section, one.name).words for one in found if one.verdict == verdict]
        console.print(Text(f"- {first.title} is {verdict} in {joined_names(names) if names else 'nothing'}"))
    table = _empty([first.title.partition("/")[2] or first.title, second.title.partition("/")[2] or second.title])
    table.add_column(Text("difference"), justify="right", no_wrap=True)
    table.add_column(Text("the first is"))
    for one in found:
        how = words.label(one.section, one.name)
        apart = "" if one.difference is None else words.told(one.difference, _SIGNED.get(how.form, how.form))
        table.add_row(
            Text(how.words),
            *(Text(words.told(figure, how.form)) for figure in (one.first, one.second)),
            Text(apart),
            Text(one.verdict, style=_VERDICTS.get(one.verdict, "dim")),
        )
    console.print(table)


_SIGNED: Final = {"number": "signed", "percent": "points"}


def _of_what(report: Report) -> str:
    begins = (
        "" if report.split_at is None else f" said since {datetime.fromtimestamp(report.split_at / 1000, UTC):%d %b %Y}"
    )
    return (
        f"{len(report.exchanges):,} replies{begins}, kept apart from the corpus {report.corpus['name']}; seed "
        f"{report.seed}; in brackets where the true figure lies with 95 % confidence"
    )


def _about(systems: Iterable[str], report: Report) -> str:
    named = list(systems)
    return "" if len(named) == len(report.systems) else f"{joined_names(named)}: "


def _table(rows: Sequence[Row], systems: Sequence[str]) -> Table:
    table = _empty(systems)
    table.add_column(Text("of"), justify="right", no_wrap=True)
    for row in rows:
        cells = (_cell(cell) for cell in row.cells)
        table.add_row(Text(row.label.words), *cells, Text(f"{row.of:,}" if row.of else "", style="dim"))
    return table


def _empty(systems: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    table.add_column(Text(""), overflow="fold", max_width=_WORDS_WIDE)
    for system in systems:
        table.add_column(Text(system), justify="right", no_wrap=True)
    return table


def _cell(cell: Cell | None) -> Text:
    if cell is None:
        return Text("–", style="dim")
    text = Text(cell.text, style="bold" if cell.best else "")
    if cell.interval:
        text.append(f" ({cell.interval})", style="dim not bold")
    return text.append(" *" if cell.best else "  ")


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)
