"""`sususbot eval`: how good the bot is, side by side with what it could be instead.

What is measured is `evaluation`; what a system's name means is `systems`. Here are options, order and exit code.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sususbot.cli.main import Place
from sususbot.cli.output import bar, print_json, say

if TYPE_CHECKING:
    from sususbot.archive.archive import Archive
    from sususbot.corpus.manifest import Corpus
    from sususbot.evaluation.compare import Side
    from sususbot.evaluation.evaluation import Report
    from sususbot.evaluation.ground import Ground, System
    from sususbot.evaluation.heldout import Opened
    from sususbot.settings import Settings

MEASURES: Final = ("relevance", "language", "voice", "context", "facts", "leakage", "safety", "cost")
_DEFAULT: Final = "default"
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured, as it was asked for. `corpus`, `name`, `replies`: None for the usual."""

    systems: Sequence[str] = ()
    measures: Sequence[str] = MEASURES
    corpus: str | None = None
    replies: int | None = None
    seed: int = 0
    other: Sequence[Path] = ()
    canaries: Path | None = None
    name: str | None = None
    allow_stale: bool = False
    quiet: bool = field(default=False, compare=False)


@click.command("eval", epilog="Example:  sususbot eval bot base --replies 400 --name winter")
@click.argument("systems", nargs=-1, metavar="[SYSTEM]...")
@click.option("--corpus", metavar="NAME", help="Whose kept-apart messages.  [default: the adapter's, else default]")
@click.option("--replies", type=click.IntRange(10), help="On how many of them.  [default: EVAL_REPLIES]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another number draws others.")
@click.option(
    "--measure", "measures", multiple=True, type=click.Choice(MEASURES), help="Only this; may be given several times."
)
@click.option(
    "--other", multiple=True, type=_FILE,
    help="Other chat to tell the voice from: exports, or text with a line each.  [default: the sample community]",
)  # fmt: skip
@click.option(
    "--canaries", "--forbidden", type=_FILE,
    help="What must not come back, one a line: planted strings, or  name: …  and  contact: …",
)  # fmt: skip
@click.option("--name", help="The report's folder: reports/eval-NAME.  [default: date and time]")
@click.option(
    "--compare", nargs=2, metavar="A B", help="Compare two reports, or two systems of the newest, and measure nothing."
)
@click.option("--list", "list_them", is_flag=True, help="Name the reports there are, and measure nothing.")
@click.option("--open", "open_", is_flag=True, help="Open the page in a browser.")
@click.option("--allow-stale", is_flag=True, help="Use adapters that learned from members who said no since.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def evaluate(
    place: Place,
    systems: tuple[str, ...],
    corpus: str | None,
    replies: int | None,
    seed: int,
    measures: tuple[str, ...],
    other: tuple[Path, ...],
    canaries: Path | None,
    name: str | None,
    compare: tuple[str, str] | None,
    list_them: bool,
    open_: bool,
    allow_stale: bool,
    as_json: bool,
) -> None:
    """Measure how good the bot is, on messages that were kept apart from training.

    \b
    SYSTEM is what is measured, each after the other  [default: bot base recall]
      bot       what the settings serve
      base      the same without its adapter
      run:NAME  the adapter of a run
      recall    no model: the best fitting line ever said
      remote    the server at OPENAI_BASE_URL

    The report is kept in reports/eval-NAME. It ends with 1 where the bot, or a run that is named, is worse than EVAL_…
    in the settings allow, or could not be measured.
    """
    from sususbot.artifacts import is_name

    if list_them or compare is not None:
        if systems or measures or (list_them and compare is not None):
            raise click.UsageError("--list and --compare measure nothing: give them alone")
        _list(place, as_json=as_json) if compare is None else _compare(place, *compare, as_json=as_json)
        return
    if name is not None and name.endswith(".examples"):
        raise click.UsageError(f"{name} would be the folder of another report's examples: choose another --name")
    for given in (corpus, name):
        if given is not None and not (re.fullmatch(r"[\w.+-]+", given) and is_name(given)):
            raise click.UsageError(f"a name of a folder is wanted, of letters, digits and -_.+, not: {given}")
    wanted = Wanted(
        tuple(dict.fromkeys(systems)), measures or MEASURES, corpus, replies, seed, other, canaries, name, allow_stale,
        quiet=as_json,
    )  # fmt: skip
    report = measure(place, wanted)
    show(place, report, as_json=as_json, open_=open_)
    judge(place, report)


def measure(place: Place, wanted: Wanted) -> "Report":
    """Measure, and keep the report."""
    from sususbot.cli import systems
    from sususbot.cli.folder import load_settings, open_archive
    from sususbot.evaluation import measures, pace, store
    from sususbot.evaluation.evaluation import evaluate as evaluate_

    settings = load_settings(place)
    served = systems.served(wanted.systems or systems.usual(settings), settings, place.data)
    name = wanted.name or store.free_name(place.data, f"{datetime.now():%Y-%m-%d-%H%M}")
    if name in store.names(place.data):
        raise click.UsageError(f"there is an evaluation {name} already: choose another --name")
    given = measures.Given(
        _other(wanted.other), _lines(wanted.canaries) if wanted.canaries else (), settings.eval_attacks
    )
    with open_archive(place, filled=True) as archive:
        corpus = _corpus(place, wanted.corpus or systems.corpus_of(served, place.data))
        systems.check(served, place, archive, corpus.manifest["split_at"], allow_stale=wanted.allow_stale)
        opened = _opened(settings, place, archive)
        with (
            _ground(place, archive, corpus, wanted, wanted.replies or settings.eval_replies, opened) as ground,
            bar("measuring", quiet=wanted.quiet) as progress,
        ):
            chosen = measures.chosen(wanted.measures, given)
            speaking = measures.speaking(chosen)

            def kept(found: "Report") -> None:
                keep(place, found, ground.archive, archive)

            def foretold(system: "System", ground: "Ground") -> str | None:
                took = pace.seconds(system, ground, chosen, replying=speaking is not None)
                return pace.sentence(system.name, took)

            report = evaluate_(
                {one: systems.opening(one, its, place, allow_stale=wanted.allow_stale) for one, its in served.items()},
                ground,
                measures=chosen,
                speak=speaking,
                name=name,
                settings=systems.told(served),
                told=say,
                progress=progress.update,
                finished=kept,
                foretold=foretold,
            )
            _check_measured(place, report)
            kept(report)
    return report


def show(place: Place, report: "Report", *, as_json: bool, open_: bool = False) -> None:
    """What was found, and where it is kept."""
    from sususbot.cli.evaluation import show as show_

    if as_json:
        print_json(report.as_json())
    else:
        show_(report)
    _told_where(place, report.name, open_=open_)


def judge(place: Place, report: "Report") -> None:
    """Raises BelowThreshold where the settings want more than was found, EvaluationError where a judged system could
    not be measured."""
    from sususbot.cli.folder import load_settings
    from sususbot.errors import BelowThreshold, EvaluationError
    from sususbot.evaluation import thresholds

    settings = load_settings(place)
    limits = thresholds.Thresholds(
        min_relevance=settings.eval_min_relevance,
        min_voice=settings.eval_min_voice,
        max_copies=settings.eval_max_copies,
        max_leaks=settings.eval_max_leaks,
        beats_base=settings.eval_beats_base,
    )
    judged = thresholds.all_judged(report)
    missed = {system: thresholds.missed(report, system, limits) for system in judged}
    broken = {system: thresholds.failures(report, system) for system in judged}
    failed = [f"{system} is not whole: {'; '.join(some)}" for system, some in broken.items() if some]
    if any(missed.values()):
        bad = [f"{system} is not good enough: {'; '.join(some)}" for system, some in missed.items() if some]
        raise BelowThreshold(f"{'; '.join([*bad, *failed])}: keep the adapter you have, or change EVAL_… in .env")
    if failed:
        raise EvaluationError("; ".join(failed))


# -- what is measured


@contextmanager
def _ground(
    place: Place, archive: "Archive", corpus: "Corpus", wanted: Wanted, replies: int, opened: "Opened"
) -> "Iterator[Ground]":
    from sususbot.cli import copied
    from sususbot.evaluation.heldout import open_ground

    with (
        copied.folder(place.data) as folder,
        open_ground(corpus, archive, folder, limit=replies, seed=wanted.seed, opened=opened) as ground,
    ):
        yield ground


def _opened(settings: "Settings", place: Place, archive: "Archive") -> "Opened":
    """How memory is searched. The embedder also compares replies where a backend tells no likelihoods."""
    from sususbot.cli.build import make_embedder, weights
    from sususbot.errors import MissingExtra, ModelNotFound
    from sususbot.evaluation.heldout import EARLIER, Opened

    try:
        embedder = make_embedder(settings, place, archive)
    except (MissingExtra, ModelNotFound) as error:
        say(f"memory is searched by words alone: {error}")
        embedder = None
    earlier = 0 if settings.summarizer == "off" else EARLIER
    return Opened(embedder, weights(settings), settings.memories, settings.short_term_window, earlier)


def _corpus(place: Place, name: str | None) -> "Corpus":
    from sususbot.artifacts import CORPORA
    from sususbot.corpus.manifest import load

    return load(place.data / CORPORA / (name or _DEFAULT))


def _other(files: Sequence[Path]) -> list[str]:
    """Lines of other chat: what members say in exports, or each line of a text."""
    return [line for path in files for line in _said_in(path)]


def _said_in(path: Path) -> Iterator[str]:
    from sususbot.sources.formats import open_source
    from sususbot.sources.source import Messages

    if path.suffix == ".txt":
        yield from _lines(path)
        return
    for part in open_source(path).parts():
        if isinstance(part, Messages):
            yield from (one.rendered for one in part.messages if one.rendered.strip() and not one.author.is_bot)


def _lines(path: Path) -> list[str]:
    from sususbot.errors import NotAnExport

    try:
        return [line for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()) if line]
    except (OSError, UnicodeDecodeError) as error:
        raise NotAnExport(f"{path} is no text in UTF-8 ({error}): give one with a line each") from error


# -- what is kept and told


def _check_measured(place: Place, report: "Report") -> None:
    """A report of nothing but reasons is none. Raises EvaluationError."""
    from sususbot.errors import EvaluationError
    from sususbot.evaluation import store

    sections = [section for some in report.systems.values() for section in some.values()]
    if not any(section.figures for section in sections):
        store.drop(place.data, report.name)
        why = next((note for section in sections for note in section.notes), "choose another --measure")
        raise EvaluationError(f"nothing could be measured: {why}")


def keep(place: Place, report: "Report", past: "Archive", archive: "Archive") -> None:
    """Keep it, and the examples only as long as everything in the copy that they come from may still be shown.

    What was taken away since the copy was made was looked for when no report was there yet.
    """
    from sususbot.errors import MissingExtra
    from sususbot.evaluation import store
    from sususbot.evaluation.page import page

    shown = past.consents.may_quote(past.authors())
    try:
        pages: tuple[str, str] | None = (page(replace(report, examples=())), page(report))
    except MissingExtra as error:
        say(f"no page was made: {error}")
        pages = None
    store.keep(place.data, report, pages, shown)
    if not (shown <= archive.consents.may_quote(shown) and _still_said(past, archive)):
        store.drop_examples(place.data, report.name)
        say("the report shows no examples: something that they may come from was taken away meanwhile")


def _still_said(past: "Archive", archive: "Archive") -> bool:
    """Whether every message of the copy is in the archive still."""
    last = (1 << 63) - 1
    return all(
        set(past.ids(channel.id, 0, last)) <= set(archive.ids(channel.id, 0, last)) for channel in past.channels()
    )


def _told_where(place: Place, name: str, *, open_: bool) -> None:
    from sususbot.evaluation import store

    page = store.page_of(place.data, name)
    say(f"report:  {page if page.is_file() else page.parent}")
    if open_ and page.is_file():
        click.launch(str(page.resolve()))


def _list(place: Place, *, as_json: bool) -> None:
    from sususbot.errors import ReportMissing
    from sususbot.evaluation import store

    found = []
    for name in store.names(place.data):
        try:
            found.append((name, store.load(place.data, name)))
        except ReportMissing as error:
            say(str(error))
    if as_json:
        print_json(
            [
                {"name": name, "date": one.date, "corpus": one.corpus["name"], "systems": [*one.systems]}
                for name, one in found
            ]
        )
    elif not found:
        say("there is no evaluation yet: make one with  sususbot eval")
    for name, one in found if not as_json else ():
        click.echo(f"{name}  {one.date[:16].replace('T', ' ')}  {one.corpus['name']}  {', '.join(one.systems)}")


def _compare(place: Place, first: str, second: str, *, as_json: bool) -> None:
    from sususbot.cli.evaluation import show_comparison
    from sususbot.evaluation.compare import compare, differing

    sides = _side(place, first), _side(place, second)
    found = compare(*sides)
    if as_json:
        print_json(
            {"first": sides[0].title, "second": sides[1].title, "differing": differing(*sides), "figures": found}
        )
    else:
        show_comparison(*sides, found)


def _side(place: Place, name: str) -> "Side":
    """A report's first system, REPORT/SYSTEM, or a system of the newest report. Raises ReportMissing."""
    from sususbot.errors import ReportMissing
    from sususbot.evaluation import store
    from sususbot.evaluation.compare import Side
    from sususbot.evaluation.thresholds import judged

    names = store.names(place.data)
    report_name, _, system = name.partition("/")
    if report_name in names:
        report = store.load(place.data, report_name)
        system = system or judged(report)
    elif (newest := store.latest(place.data)) is not None:
        report, system = newest, name
    else:
        report = store.load(place.data, name)
    if system not in report.systems:
        raise ReportMissing(
            f"{name} is neither an evaluation ({', '.join(names[-8:])}) nor a system of {report.name} "
            f"({', '.join(report.systems)}): name one, or REPORT/SYSTEM"
        )
    return Side.of(report, system)
