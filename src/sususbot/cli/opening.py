"""The demo's page, opened in a browser with the bot in #general.

**Invariant.** Nothing is waited for that may never come: a browser that does not start, or that nobody sees, ends the
page. Where the usual port is taken, another one is.
Not here: what is said there (`demo`), the page itself (`web`).
"""

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from sususbot import sample
from sususbot.cli import browser, kettle
from sususbot.cli.main import Place
from sususbot.cli.output import say
from sususbot.errors import MissingExtra, PortTaken, SususError

if TYPE_CHECKING:
    from sususbot.archive.archive import Archive
    from sususbot.cli.web import PageBot
    from sususbot.responder import Reply
    from sususbot.settings import Settings
    from sususbot.web.server import Visitor

_CHANNEL: Final = "general"
# How long the page waits for its first visitor.
_PATIENCE_SECONDS: Final = 120.0
_NOTE: Final = (
    "This is #general of The Leaky Kettle, a small made-up server. The bot answers from what was said in the channels "
    "that everybody may read. Under a reply stands what a tiny model says that was made here of the same messages: a "
    "smoke test that the way works, not sense. Ask, or begin with one of these:"
)


def possible() -> bool:
    """Whether somebody sits at a terminal, and has a browser with a window."""
    return _at_terminal() and browser.windowed() is not None


def show(
    settings: "Settings",
    place: Place,
    archive: "Archive",
    questions: Sequence[str],
    beside: "Callable[[Reply], str | None]",
) -> bool:
    """The page in a browser, until Ctrl-C. False where there is none, or nobody came to see it; it is said why."""
    from sususbot.bot.logs import logged
    from sususbot.cli.web import PageBot

    try:
        from sususbot.web.desk import Scene
        from sususbot.web.server import Visitor
    except ImportError:
        say(f"without the page: {MissingExtra('the web page', 'web')}")
        return False
    # Its own, so that those of the folder in which the demo was started say nothing here.
    place = replace(place, env=kettle.settings_file(place.data))
    scene = Scene(_CHANNEL, sample.public_channels(), _NOTE, tuple(questions), beside)
    bot = PageBot(settings, place, archive, scene=scene)
    door = browser.Door(place.data, lambda: visitor.give_up())
    visitor = Visitor(_PATIENCE_SECONDS, door.come)
    waking = threading.Thread(target=_wake, args=(bot,), name="waking up")
    try:
        with logged("WARNING"), door:
            _serve(bot, settings, door, visitor, waking)
    except SususError as error:
        say(f"without the page: {error}")
        return False
    finally:
        if waking.ident is not None:
            waking.join()
        bot.close()
    if visitor.missed:
        say("no browser came to the page")
    return not visitor.missed


def _serve(
    bot: "PageBot", settings: "Settings", door: browser.Door, visitor: "Visitor", waking: threading.Thread
) -> None:
    from sususbot.web.server import serve

    def started(link: str) -> None:
        say("the bot is in #general; the page opens in your browser, or is to be found at")
        click.echo(link)
        say("Ctrl-C ends it")
        waking.start()
        door.open(link)

    desk = bot.desk()
    try:
        serve(desk, settings.web_host, settings.web_port, None, started, visitor)
    except PortTaken:
        serve(desk, settings.web_host, 0, None, started, visitor)


def _wake(bot: "PageBot") -> None:
    """So that the first reply need not wait; what goes wrong is told to whoever asks."""
    with suppress(SususError):
        bot.wake()


def _at_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
