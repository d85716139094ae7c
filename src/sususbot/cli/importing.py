"""`sususbot import`: export files into the archive."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sususbot.cli.main import Place
from sususbot.cli.output import bar, print_json, say

if TYPE_CHECKING:
    from sususbot.sources.ingest import Ingested

_SHOWN_FAULTS = 5


@click.command("import", epilog="Example:  sususbot import exports/*.json.gz")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON object.")
@click.pass_obj
def import_(place: Place, files: tuple[Path, ...], as_json: bool) -> None:
    """Take DiscordChatExporter JSON files in, plain or gzipped.

    Importing a file again adds only what is missing. A broken file gives what is whole of it, and says where it broke.
    """
    from sususbot.archive.archive import Added
    from sususbot.cli.build import open_archive
    from sususbot.errors import BrokenExport, NotAnExport
    from sususbot.messages import joined_names
    from sususbot.sources.ingest import ingest

    done: list[Ingested] = []
    refused: list[NotAnExport] = []
    with open_archive(place) as archive:
        for path in files:
            size = path.stat().st_size if path.is_file() else None
            with bar(path.name, total=size, quiet=as_json) as progress:
                try:
                    result = ingest(archive, path, progress.bytes_of(size))
                except NotAnExport as error:
                    refused.append(error)
                    continue
            done.append(result)
            if not as_json:
                _report(result)
        counts = archive.counts()
    added = sum((result.added for result in done), Added())
    if as_json:
        print_json(
            {
                "files": len(files),
                "new": added.new,
                "changed": added.changed,
                "known": added.known,
                "archive_messages": counts.messages,
                "faults": {str(result.path): [str(fault) for fault in result.faults] for result in done},
            }
        )
    else:
        say(f"{added.new:,} new messages; the archive now holds {counts.messages:,} of {counts.authors:,} authors")
        say("next:  sususbot index")
    if refused:
        for refusal in refused[:-1]:
            say(str(refusal))
        raise refused[-1]
    broken = [result.path.name for result in done if result.faults]
    if broken:
        raise BrokenExport(
            f"{joined_names(broken)} {'is' if len(broken) == 1 else 'are'} not whole; what is whole was imported: "
            "export the channel again and import it once more, only what is missing will be added"
        )


def _report(result: "Ingested") -> None:
    added = result.added
    say(
        f"{result.path.name}: #{result.channel.name}, {added.new:,} new, {added.changed:,} changed, "
        f"{added.known:,} known already"
    )
    for fault in result.faults[:_SHOWN_FAULTS]:
        say(f"  broken at {fault}")
    if len(result.faults) > _SHOWN_FAULTS:
        say(f"  and at {len(result.faults) - _SHOWN_FAULTS} more places")
