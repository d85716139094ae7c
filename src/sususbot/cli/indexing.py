"""`sususbot index`: archive into long-term memory."""

import time

import click

from sususbot.cli.main import Place
from sususbot.cli.output import bar, print_json, say, working


@click.command("index", epilog="Example:  sususbot index")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON object.")
@click.pass_obj
def index(place: Place, as_json: bool) -> None:
    """Make every message findable by meaning. Only what is new is embedded; stop and go on as you like."""
    from sususbot.cli.build import load_settings, make_embedder, open_archive
    from sususbot.memory import indexing

    settings = load_settings(place)
    with open_archive(place, filled=True) as archive:
        with working("loading the encoder"):
            embedder = make_embedder(settings)
        begun = time.monotonic()
        with bar("embedding", quiet=as_json) as progress:
            done = indexing.index(archive, embedder, progress.messages)
        seconds = time.monotonic() - begun
        held = archive.vectors.count()
    if as_json:
        print_json({"embedded": done, "seconds": seconds, "vectors": held, "embedder": embedder.name})
    else:
        say(f"{done:,} messages embedded in {seconds:.1f} s; {held:,} can be found by meaning")
        say("next:  sususbot chat")
