"""`sususbot import`: export files into the archive.

Files are read by `sources`; here are their order, the bar, and what is told of each. What is no export stops no other.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from sususbot.cli.main import Place
from sususbot.cli.output import bar, print_json, say

if TYPE_CHECKING:
    from sususbot.errors import NotAnExport
    from sususbot.messages import Channel
    from sususbot.sources.ingest import Ingested, Progress, Survey
    from sususbot.sources.source import Fault

_SHOWN_FAULTS = 5


class _Read(Protocol):
    @property
    def path(self) -> Path: ...

    @property
    def faults(self) -> "tuple[Fault, ...]": ...

    @property
    def skipped(self) -> Counter[str]: ...


R = TypeVar("R", bound=_Read)


@click.command("import", epilog="Example:  sususbot import exports/*.json.gz package.zip")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what the files hold; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON object.")
@click.pass_obj
def import_(place: Place, files: tuple[Path, ...], dry_run: bool, as_json: bool) -> None:
    """Take export files in, told apart by their content; all but the zip also gzipped.

    \b
    DiscordChatExporter JSON   a channel or a part of one; the best there is
    DiscordChatExporter CSV    must keep the name that the exporter gave it
    Discord's data package     the zip with what one member wrote
    JSON lines                 what  sususbot dump  writes, or API messages

    Importing a file again adds only what is missing. A broken file gives what is whole of it, and says where it broke.
    """
    refused = _dry_run(files, as_json=as_json) if dry_run else _import(place, files, as_json=as_json)
    if refused is not None:
        raise refused


def _import(place: Place, files: Sequence[Path], *, as_json: bool) -> Exception | None:
    from sususbot.archive.upsert import Added
    from sususbot.cli.folder import catch_up, forgetting, load_settings, open_archive
    from sususbot.sources.ingest import ingest

    settings = load_settings(place)
    with open_archive(place) as archive:
        done, refused = _each(files, lambda path, told: ingest(archive, path, told), _report, as_json=as_json)
        # A dump says who is forgotten, and who said no.
        catch_up(forgetting(place, settings, archive))
        counts = archive.counts()
    added = sum((result.added for result in done), Added())
    if as_json:
        print_json(
            {
                "files": len(files),
                "new": added.new,
                "changed": added.changed,
                "known": added.known,
                "withheld": added.withheld,
                "archive_messages": counts.messages,
                **_left(done),
            }
        )
    elif done:
        say(f"{added.new:,} new messages; the archive now holds {counts.messages:,} of {counts.authors:,} authors")
        say("next:  sususbot index")
    return _verdict(done, refused, "what is whole was imported")


def _dry_run(files: Sequence[Path], *, as_json: bool) -> Exception | None:
    from sususbot.sources.ingest import survey

    done, refused = _each(files, survey, _report_survey, as_json=as_json)
    if as_json:
        print_json(
            {
                "files": len(files),
                "messages": sum(found.messages for found in done),
                "authors": len(set().union(*(found.authors for found in done))),
                "first_at": min((found.first_at for found in done if found.first_at is not None), default=None),
                "last_at": max((found.last_at for found in done if found.last_at is not None), default=None),
                "deleted": sum(found.deleted for found in done),
                **_left(done),
            }
        )
    else:
        say("nothing was written: leave out --dry-run to import")
    return _verdict(done, refused, "what is whole can be imported")


def _each(
    files: Sequence[Path], read: "Callable[[Path, Progress], R]", report: Callable[[R], None], *, as_json: bool
) -> "tuple[list[R], list[NotAnExport]]":
    """Read file after file; one that is no export costs only itself."""
    from sususbot.errors import NotAnExport

    done: list[R] = []
    refused: list[NotAnExport] = []
    for path in files:
        size = path.stat().st_size if path.is_file() else None
        with bar(path.name, total=size, quiet=as_json) as progress:
            try:
                result = read(path, progress.bytes_of(size))
            except NotAnExport as error:
                refused.append(error)
                continue
        done.append(result)
        if not as_json:
            report(result)
    return done, refused


def _left(done: Sequence[_Read]) -> dict[str, object]:
    """What was not taken in, and why."""
    return {
        "skipped": dict(sum((result.skipped for result in done), Counter[str]())),
        "faults": {str(result.path): [str(fault) for fault in result.faults] for result in done},
    }


def _verdict(done: Sequence[_Read], refused: "Sequence[NotAnExport]", whole: str) -> Exception | None:
    """The error with which the command ends, if it does with one."""
    from sususbot.errors import BrokenExport
    from sususbot.messages import joined_names

    if refused:
        for refusal in refused[:-1]:
            say(str(refusal))
        return refused[-1]
    broken = [result.path.name for result in done if result.faults]
    if not broken:
        return None
    return BrokenExport(
        f"{joined_names(broken)} {'is' if len(broken) == 1 else 'are'} not whole; {whole}: "
        "export again and import once more, only what is missing will be added"
    )


def _report(result: "Ingested") -> None:
    added = result.added
    say(
        f"{result.path.name}: {_channels(result.channels)}, {added.new:,} new, {added.changed:,} changed, "
        f"{added.known:,} known already"
    )
    if added.withheld:
        say(f"  left out: {added.withheld:,} of members who were erased")
    _report_left(result)


def _report_survey(found: "Survey") -> None:
    from sususbot.messages import day

    say(f"{found.path.name}: {_channels(list(found.channels.values()))}")
    when = "" if found.first_at is None or found.last_at is None else f", {day(found.first_at)} to {day(found.last_at)}"
    say(f"  {found.messages:,} messages of {len(found.authors):,} authors{when}")
    if found.deleted:
        say(f"  {found.deleted:,} deletions")
    _report_left(found)


def _report_left(result: _Read) -> None:
    for reason, count in result.skipped.most_common():
        say(f"  left out: {count:,} {reason}")
    for fault in result.faults[:_SHOWN_FAULTS]:
        say(f"  broken at {fault}")
    if len(result.faults) > _SHOWN_FAULTS:
        say(f"  and at {len(result.faults) - _SHOWN_FAULTS} more places")


def _channels(channels: "Sequence[Channel]") -> str:
    names = [f"#{channel.name}" for channel in channels]
    return names[0] if len(names) == 1 else f"{len(names):,} channels"
