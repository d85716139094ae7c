"""`sususbot purge`: everything that the program ever wrote into the data folder, gone.

What is the program's own is told by `forgetting.purgeable`, by name: base models and what it does not know stay.
"""

from pathlib import Path

import click

from sususbot.cli.main import Place
from sususbot.cli.output import print_json, say


@click.command("purge", epilog="Example:  sususbot purge")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON object.")
@click.pass_obj
def purge(place: Place, yes: bool, as_json: bool) -> None:
    """Delete the archive, corpora, training runs, reports, indexes, benchmarks and the demo of the data folder.

    For the day on which the bot ends, or Discord or the server asks for it. Base models stay, and files that sususbot
    did not write; both are named, with all that it cannot reach.
    """
    from sususbot.cli.folder import load_settings
    from sususbot.cli.forgetting import confirmed
    from sususbot.forgetting import left_by, purgeable
    from sususbot.forgetting import purge as do_purge

    settings = load_settings(place)
    found = purgeable(place.data)
    if not found and not as_json:
        say(f"there is nothing of sususbot in {place.data}")
    elif found and not yes:
        say(f"in {place.data} these are deleted for good:")
        for path in found:
            say(f"  {path.relative_to(place.data).as_posix()}  ({_size(path) / 1e6:,.1f} MB)")
        confirmed("this cannot be undone; go on?", yes=yes)
    gone = do_purge(place.data)
    left = left_by(place.data)
    if as_json:
        print_json({"deleted": gone, "left": left})
        return
    if gone:
        say(f"deleted: {', '.join(gone)}")
    if left:
        say(f"left in {place.data}: {', '.join(left)}")
    reminders = ["your exports and backups, wherever they are", "the settings with the token (.env)"]
    if settings.vector_db == "chroma" and settings.chroma_url is not None:
        reminders.append(f"what the Chroma server at {settings.chroma_url} holds: stop it and delete its folder")
    say(f"not touched: {'; '.join(reminders)}")


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
