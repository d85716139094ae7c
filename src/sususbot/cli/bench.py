"""`sususbot bench`: which benchmark is called with what. What each measures, and how, stands in `benchmarks`.

To add one: its function here, a line in `_RUNS`, in the list of names and in the help.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from sususbot.artifacts import BENCH
from sususbot.cli.main import Place
from sususbot.cli.output import bar, print_json, say, working

if TYPE_CHECKING:
    from sususbot.archive.archive import Archive
    from sususbot.benchmarks.report import Result

# What `--export` is without files: enough to see that it runs, too little to mean anything.
_SAMPLE: Final = "the sample community"
_EMBEDDED: Final = 6000
# Benchmarks that are measured on annotated logs.
_ON_LOGS: Final = ("segmentation", "links")


@click.command("bench", epilog="Example:  sususbot bench retrieval --export exports/*.json.gz")
@click.argument(
    "name",
    metavar="WHAT",
    type=click.Choice(
        [
            *("import", "index", "memory", "retrieval", "links", "segmentation", "summarizing", "reply", "filter"),
            *("train", "eval", "backfill", "kills", "soak", "scale", "web"),
        ]
    ),
)
@click.argument("more_exports", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--export",
    "exports",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"Export files to measure on.  [default: {_SAMPLE}]",
)
@click.option(
    "--irc",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="segmentation, links: annotated logs, JSON lines of {log, messages, links}; eval: other chat.",
)
@click.option(
    "--locomo",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="memory: a file of LoCoMo.  [default: the sample community's questions]",
)
@click.option(
    "--haystack",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="memory: export files to find it among, too.",
)
@click.option(
    "--messages",
    type=click.IntRange(1),
    help="index, retrieval, train, eval: how many; reply: mentions.  [index: 6000; eval: 12000; reply: 100; else all]",
)
@click.option("--no-trl", is_flag=True, help="train: without TRL beside it, which installs its own environment.")
@click.option("--mentions", type=click.IntRange(100), default=100_000, show_default=True, help="soak: how many.")
@click.option("--restarts", type=click.IntRange(0, 1000), default=20, show_default=True, help="soak: kills by SIGKILL.")
@click.option("--seed", type=click.IntRange(0), default=0, help="soak: another number, other faults.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def bench(
    place: Place,
    name: str,
    exports: tuple[Path, ...],
    more_exports: tuple[Path, ...],
    irc: tuple[Path, ...],
    locomo: Path | None,
    haystack: tuple[Path, ...],
    messages: int | None,
    no_trl: bool,
    mentions: int,
    restarts: int,
    seed: int,
    as_json: bool,
) -> None:
    """Measure one thing, with its bare minimum beside it in the same run.

    \b
    import        export files to archive
    index         archive to vectors
    memory        what answers a question, found or not: of the sample community, or LoCoMo, also in a haystack
    retrieval     a question to its memories: how fast
    links         who answers whom, against annotated logs
    segmentation  messages to conversations, against annotated logs
    summarizing   summing up talk, and what the event loop feels of it
    reply         a mention to its reply, beside the model and llama.cpp called bare (some 5 minutes)
    filter        what the filter stops of what people say, and of the red team's list
    train         corpus to adapter, unpacked and TRL beside it (some 20 minutes)
    eval          an evaluation of a small model that learned from a server, twice (some 20 minutes)
    backfill      history through the API, beside what its limits allow (some 9 minutes)
    kills         commands killed at any instant, 200 times (some 6 minutes)
    soak          the whole bot under 100,000 mentions, every fault and 20 kills (some 40 minutes)
    scale         import, analyze and build of a million messages
    web           the page in a browser: first paint, and clicks while the bot answers (some 2 minutes)
    """
    if name in _ON_LOGS and not irc:
        raise click.UsageError(f"{name} needs --irc FILE: annotated logs")
    if name == "memory":
        if locomo is None and (haystack or more_exports):
            raise click.UsageError("memory finds among --haystack FILE what is asked by --locomo FILE: give both")
        result = _memory(place, locomo, [*haystack, *more_exports])
    elif name == "soak":
        result = _soak(mentions, restarts, seed)
    elif name == "train":
        result = _train(place, [*exports, *more_exports] or _sample(), messages, trl=not no_trl)
    elif name == "eval":
        result = _evaluating(place, [*exports, *more_exports] or _sample(), messages, irc)
    else:
        files = list(irc) if name in _ON_LOGS else [*exports, *more_exports] or _sample()
        result = _RUNS[name](place, files, messages)
    if as_json:
        print_json(result.as_json())
    else:
        click.echo("\n".join(result.as_lines()))


def _import(place: Place, files: list[Path], _messages: int | None) -> "Result":
    from sususbot.benchmarks.importing import bench_import

    with working("importing, again and again"), _room(place) as room:
        return bench_import(files, room.scratch)


def _index(place: Place, files: list[Path], messages: int | None) -> "Result":
    from sususbot.benchmarks.indexing import bench_index
    from sususbot.cli.folder import load_settings

    with working("embedding, again and again"), _room(place) as room:
        return bench_index(files, load_settings(place).embedding_model, messages or _EMBEDDED, room.scratch)


def _memory(place: Place, locomo: Path | None, files: list[Path]) -> "Result":
    from sususbot.benchmarks.memory import bench_memory
    from sususbot.benchmarks.memory_sample import bench_memory_of_sample
    from sususbot.cli.build import make_embedder
    from sususbot.cli.folder import load_settings

    embedder = make_embedder(load_settings(place), place)
    with bar("indexing") as progress:
        if locomo is None:
            return bench_memory_of_sample(embedder, progress.messages)
        with _room(place) as (kept, scratch, owner):
            return bench_memory(locomo, files, embedder, kept, say, progress.messages, scratch=scratch, owner=owner)


def _summarizing(_place: Place, _files: list[Path], _messages: int | None) -> "Result":
    from sususbot.benchmarks.summarizing import bench_summarizing

    with working("summing up"):
        return bench_summarizing("base")


def _retrieval(place: Place, files: list[Path], messages: int | None) -> "Result":
    from sususbot.benchmarks.retrieval import bench_retrieval
    from sususbot.cli.build import make_embedder
    from sususbot.cli.folder import load_settings

    settings = load_settings(place)
    with bar("indexing") as progress, _room(place) as room:
        return bench_retrieval(
            files,
            make_embedder(settings, place),
            settings.vector_db,
            room.kept,
            progress.messages,
            messages,
            room.owner,
        )


def _reply(place: Place, files: list[Path], messages: int | None) -> "Result":
    from sususbot.errors import MissingExtra

    try:
        import sususbot.benchmarks.tiny_model  # noqa: F401
        from sususbot.benchmarks.reply import MENTIONS, bench_reply
    except ImportError as error:
        raise MissingExtra("a model to measure with", "train") from error
    from sususbot.cli.build import make_embedder
    from sususbot.cli.folder import load_settings

    with bar("indexing") as progress, _room(place) as room:
        return bench_reply(
            files,
            make_embedder(load_settings(place), place),
            room.kept,
            progress.messages,
            messages or MENTIONS,
            scratch=room.scratch,
            owner=room.owner,
        )


def _filter(_place: Place, files: list[Path], _messages: int | None) -> "Result":
    from sususbot.benchmarks.filter import bench_filter

    with working("looking at what was said"):
        return bench_filter(files)


def _train(place: Place, files: list[Path], messages: int | None, *, trl: bool) -> "Result":
    from sususbot.errors import MissingExtra

    try:
        from sususbot.benchmarks.training import bench_train
    except ImportError as error:
        raise MissingExtra("training", "train") from error
    with _room(place) as (kept, scratch, owner):
        return bench_train(files, kept, say, messages=messages, trl=trl, scratch=scratch, owner=owner)


def _evaluating(place: Place, files: list[Path], messages: int | None, irc: tuple[Path, ...]) -> "Result":
    from sususbot.cli.build import make_embedder
    from sususbot.cli.folder import load_settings
    from sususbot.errors import MissingExtra, ModelNotFound

    try:
        from sususbot.benchmarks.evaluating import bench_evaluating
    except ImportError as error:
        raise MissingExtra("a model to measure", "train") from error
    try:
        embedder = make_embedder(load_settings(place), place)
    except (MissingExtra, ModelNotFound) as error:
        say(f"memory is searched by words alone: {error}")
        embedder = None
    with bar("evaluating") as progress, _room(place) as room:
        return bench_evaluating(
            files,
            embedder,
            lambda what: progress.update(0, None, what),
            other=irc,
            messages=messages,
            scratch=room.scratch,
            owner=room.owner,
        )


def _soak(mentions: int, restarts: int, seed: int) -> "Result":
    from sususbot.benchmarks.soak import bench_soak

    with bar("soaking") as progress:
        return bench_soak(mentions, restarts, seed, say=say, progress=progress.mentions)


def _segmentation(_place: Place, files: list[Path], _messages: int | None) -> "Result":
    from sususbot.benchmarks.segmentation import bench_segmentation

    with working("linking messages"):
        return bench_segmentation(files)


def _links(_place: Place, files: list[Path], _messages: int | None) -> "Result":
    from sususbot.benchmarks.linking import bench_links

    with working("linking messages"):
        return bench_links(files)


def _scale(place: Place, files: list[Path], _messages: int | None) -> "Result":
    from sususbot.benchmarks.scale import STAGES, bench_scale

    with _room(place) as room:
        return bench_scale(files, list(STAGES), say, scratch=room.scratch)


def _backfill(_place: Place, _files: list[Path], _messages: int | None) -> "Result":
    from sususbot.benchmarks.backfill import bench_backfill

    with working("collecting, at Discord's pace"):
        return bench_backfill()


def _web(place: Place, files: list[Path], _messages: int | None) -> "Result":
    from sususbot.benchmarks.web import bench_web

    with _room(place) as room:
        return bench_web(files, room.kept, say, room.scratch)


def _kills(_place: Place, _files: list[Path], _messages: int | None) -> "Result":
    from sususbot.benchmarks.kills import bench_kills

    with working("killing"):
        return bench_kills()


_RUNS: Final[dict[str, Callable[[Place, list[Path], int | None], "Result"]]] = {
    "import": _import,
    "index": _index,
    "retrieval": _retrieval,
    "reply": _reply,
    "backfill": _backfill,
    "kills": _kills,
    "web": _web,
    "scale": _scale,
    "filter": _filter,
    "segmentation": _segmentation,
    "links": _links,
    "summarizing": _summarizing,
}


class _Room(NamedTuple):
    """Where a benchmark keeps what the next run uses again, where what is gone with it, and the owner's archive."""

    kept: Path
    scratch: Path
    owner: "Archive | None"


@contextmanager
def _room(place: Place) -> Iterator[_Room]:
    """For what members said: below the data folder, where the owner has one, and without what is left out there."""
    from sususbot.archive.archive import FILE_NAME
    from sususbot.cli import copied
    from sususbot.cli.folder import open_archive

    there = (place.data / FILE_NAME).is_file()
    with (
        open_archive(place) if there else nullcontext() as owner,
        copied.folder(place.data, copied.BENCHMARK) as scratch,
    ):
        # Commands that a benchmark runs begin elsewhere.
        yield _Room(place.data / BENCH, scratch.absolute(), owner)


def _sample() -> list[Path]:
    from sususbot import sample

    return sample.exports()
