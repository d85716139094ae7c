"""The page Memory: what may be remembered, searched, leafed through, held back, summed up. Each is a module."""

from functools import partial

from sususbot.web import gists, holding, leafing, searching
from sususbot.web.desk import Desk
from sususbot.web.parts import note, style, views


def build(desk: Desk) -> None:
    """Draw it."""
    style()
    if desk.scene is not None:
        note(
            "You are the owner here, and this page shows you every channel, private ones, too. The bot in "
            f"#{desk.scene.channel} answers from those alone that everybody there may read."
        )
    views(
        ("Search", partial(searching.draw, desk)),
        ("Browse", partial(leafing.draw, desk)),
        ("Held back", partial(holding.draw, desk)),
        ("Summaries", partial(gists.draw, desk)),
    )
