"""`sususbot analyze`: what the archive holds, in the terminal, as one HTML page and as JSON.

What is counted is `analysis`'s business; here are its settings, the bar, and where the page and its JSON go.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sususbot.cli.main import Place
from sususbot.cli.output import bar, print_json, say
from sususbot.in_place import put

if TYPE_CHECKING:
    from sususbot.analysis.analysis import Analysis
    from sususbot.archive.archive import Archive
    from sususbot.settings import Settings


@click.command("analyze", epilog="Example:  sususbot analyze --timezone Europe/Berlin")
@click.option("--timezone", metavar="NAME", help="Whose hours and days, e.g. Europe/Berlin.  [default: this machine's]")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Where the page goes.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole analysis as one JSON object.")
@click.pass_obj
def analyze(place: Place, timezone: str | None, html: Path | None, as_json: bool) -> None:
    """Report what the archive holds, what cleaning would do with it, and what training on it would take.

    The page goes to reports/analysis.html in the data folder. Words stand in it only of members who may be quoted.
    """
    from sususbot.artifacts import ANALYSIS, REPORTS
    from sususbot.errors import MissingExtra

    analysis = _analysis(place, timezone, quiet=as_json)
    if as_json:
        print_json(analysis)
    else:
        from sususbot.cli.analysis import show

        show(analysis)
    path = html or place.data / REPORTS / ANALYSIS
    try:
        write_page(analysis, path, tracked=html is None)
    except MissingExtra as error:
        say(f"no page was made: {error}")
    else:
        say(f"page:  {path}")


def _analysis(place: Place, timezone: str | None, *, quiet: bool) -> "Analysis":
    from sususbot.cli.folder import load_settings, open_archive

    settings = load_settings(place)
    with open_archive(place, filled=True) as archive, bar("analyzing", quiet=quiet) as progress:
        return analysis_of(archive, settings, progress.messages, timezone)


def analysis_of(
    archive: "Archive", settings: "Settings", progress: "Callable[[int, int], None]", timezone: str | None = None
) -> "Analysis":
    """What the archive holds; `progress` is told (messages done, messages in all)."""
    from sususbot.analysis import cost, statistics
    from sususbot.analysis.activity import Clock
    from sususbot.cli.build import persona_text
    from sususbot.corpus.clean import rules_without
    from sususbot.corpus.segment import Linking
    from sususbot.corpus.tokens import token_counter

    return statistics.analyze(
        archive,
        Clock(timezone),
        token_counter(),
        cost.cards_here(),
        rules=rules_without(settings.clean_off),
        linking=Linking(run_ms=settings.run_seconds * 1000, silence_ms=settings.silence_minutes * 60_000),
        sample_tokens=settings.sample_tokens,
        header=persona_text(settings, archive),
        progress=progress,
    )


def write_page(analysis: "Analysis", path: Path, *, tracked: bool) -> None:
    """Write it aside and put it in its place, so that a page is whole or the old one.

    `tracked`: before it, whose words it may show, so that it goes when they say no. Raises MissingExtra, SettingsError.
    """
    import orjson

    from sususbot.analysis.page import page
    from sususbot.artifacts import MANIFEST
    from sususbot.errors import SettingsError

    text = page(analysis)
    aside = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if tracked:
            quotable = [row.id for row in analysis.authors.rows if row.quote]
            path.with_name(MANIFEST).write_bytes(orjson.dumps({"authors": quotable}))
        aside.write_text(text, encoding="utf-8", newline="\n")
        put(aside, path)
    except OSError as error:
        raise SettingsError(
            f"the page cannot be written to {path} ({error.strerror}): choose another by --html"
        ) from error
