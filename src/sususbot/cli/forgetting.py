"""`sususbot forget`: erase a person everywhere.

What goes, and in which order, is `sususbot.forgetting`; here a person is found, asked about, and told what went.
"""

from typing import TYPE_CHECKING, Any

import click

from sususbot.cli.main import Place
from sususbot.cli.output import print_json, say

if TYPE_CHECKING:
    from sususbot.archive.archive import Archive
    from sususbot.forgetting import Forgetting
    from sususbot.settings import Settings


@click.command("forget", epilog="Example:  sususbot forget mia")
@click.argument("author")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON object.")
@click.pass_obj
def forget(place: Place, author: str, yes: bool, as_json: bool) -> None:
    """Erase a member, by id or name, from the whole data folder, for good.

    Their words and names leave the archive and its vectors; corpora that hold them, reports and benchmarks
    are deleted (and made again without them); so is any other file in the data folder that names them, except models:
    keep your own files elsewhere. Later imports leave them out. Adapters that learned from them are named, and refused.
    """
    from sususbot.archive.archive import now_ms
    from sususbot.artifacts import CHROMA
    from sususbot.cli.folder import forgetting, load_settings, open_archive
    from sususbot.cli.people import People
    from sususbot.forgetting import told

    settings = load_settings(place)
    with open_archive(place) as archive:
        people = People(archive)
        author_id = people.find(author)
        work = forgetting(place, settings, archive)
        called = people.called(author_id)
        _confirm(archive, work, author_id, called, yes=yes)
        say(f"erasing {called}")
        gone = work.forget(author_id, at=now_ms())
        adapters = stale_adapters(place, archive)
        server = _server_note(settings)
    if as_json:
        print_json(
            {
                "author_id": str(author_id),
                "messages": gone.messages,
                "deleted": list(gone.files),
                "next": gone.steps,
                "stale_adapters": adapters,
            }
        )
        return
    for line in told(gone):
        say(line)
    say_stale(adapters)
    if server:
        say(server)
    if CHROMA in gone.files:
        say("start a running bot again: its Chroma folder was deleted, and until then it searches by words")
    say(f"{author_id} is forgotten: nothing of theirs is left in {place.data}, and later imports leave them out")


def confirmed(question: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere, and with a no, end. Raises click.Abort and UsageError."""
    import sys

    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("this deletes words: say --yes where nobody can be asked")
    if not click.confirm(question, err=True):
        say("nothing was changed")
        raise click.exceptions.Exit(1)


def stale_adapters(place: Place, archive: "Archive") -> list[dict[str, Any]]:
    """Runs whose adapters are refused from now on, and how many members on whose account."""
    from sususbot.training import runs

    return [
        {"run": run.name, "members": len(gone) if gone is not None else None}
        for run, gone in runs.stale(place.data, archive.consents)
    ]


def say_stale(adapters: list[dict[str, Any]]) -> None:
    for adapter in adapters:
        why = (
            "does not say whose words it learned"
            if adapter["members"] is None
            else f"learned from {adapter['members']} who may not be learned from any more"
        )
        say(f"stale: the adapter of run {adapter['run']} {why}; it is refused until it is trained anew")


def _confirm(archive: "Archive", work: "Forgetting", author_id: int, called: str, *, yes: bool) -> None:
    if yes:
        return
    count = archive.erasure.count(author_id)
    files = work.about(author_id)
    say(f"{called}: {count:,} messages lose their words" + (", and these are deleted:" if files else ""))
    for name in files:
        say(f"  {name}")
    confirmed("this cannot be undone; go on?", yes=yes)


def _server_note(settings: "Settings") -> str | None:
    if settings.vector_db != "chroma" or settings.chroma_url is None:
        return None
    return (
        f"the Chroma server at {settings.chroma_url} finds them no more, but keeps deleted vectors in its files: to be "
        "rid of those too, stop it, delete its folder and start it; the bot fills it again"
    )
