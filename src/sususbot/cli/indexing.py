"""`sususbot index`: archive into long-term memory.

Words, links and vectors, in this order, each only where it is missing: that is `memory`, and goes on where it was.
"""

import time
from typing import TYPE_CHECKING

import click

from sususbot.cli.main import Place
from sususbot.cli.output import bar, print_json, say, working

if TYPE_CHECKING:
    from sususbot.memory.own_links import Fitted


@click.command("index", epilog="Example:  sususbot index")
@click.option("--fit-links", is_flag=True, help="First learn who answers whom from this server's own replies.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON object.")
@click.pass_obj
def index(place: Place, fit_links: bool, as_json: bool) -> None:
    """Make every message findable by meaning. Only what is new is embedded; stop and go on as you like."""
    from sususbot.cli.build import make_embedder
    from sususbot.cli.folder import load_settings, open_archive
    from sususbot.memory import indexing, own_links, terms
    from sususbot.memory.linking_pass import link_pending

    settings = load_settings(place)
    with open_archive(place, filled=True) as archive:
        if fit_links:
            with working("learning who answers whom"):
                fitted = own_links.fit_links(archive, place.data, lambda _line: None)
            _tell(fitted)
        with bar("reading", quiet=as_json) as progress:
            terms.read(archive, progress=progress.messages)
        with bar("linking", quiet=as_json) as progress:
            linked = link_pending(archive, *own_links.network_of(place.data), progress.messages)
        with working("loading the encoder"):
            embedder = make_embedder(settings, place, archive)
        begun = time.monotonic()
        with bar("embedding", quiet=as_json) as progress:
            done = indexing.index(archive, embedder, progress.messages)
        seconds = time.monotonic() - begun
        held = archive.vectors.count()
    if as_json:
        print_json({"embedded": done, "seconds": seconds, "vectors": held, "embedder": embedder.name, "linked": linked})
    else:
        say(f"{done:,} messages embedded in {seconds:.1f} s; {held:,} can be found by meaning")
        say("next:  sususbot chat")


def _tell(fitted: "Fitted") -> None:
    found = (
        f"of the newest {fitted.examined:,} replies it finds {fitted.own:.1%}, the shipped linker {fitted.shipped:.1%}"
    )
    say(f"own linker: {found}; " + ("it is used from now on" if fitted.used else "the linker in use stays"))
