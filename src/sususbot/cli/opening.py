"""The demo's page, opened in a browser with the bot in #general.

**Invariant.** Nothing is waited for that may never come: a browser that does not start, or that nobody sees, ends the
page. Where the usual port is taken, another one is.
Not here: what is said there (`demo`), the page itself (`web`).
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sususbot import sample
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
# Browsers that would take the terminal.
_IN_TERMINALS: Final = frozenset({"www-browser", "links", "elinks", "lynx", "w3m"})
_ENV: Final = "demo.env"
_ENV_TEXT: Final = "# Settings of the demo's page. What the demo does in a terminal is the same on every machine.\n"
_NOTE: Final = (
    "This is #general of The Leaky Kettle, a small made-up server. The bot answers from what was said in the channels "
    "that everybody may read. Under a reply stands what a tiny model says that was made here of the same messages: a "
    "smoke test that the way works, not sense. Ask, or begin with one of these:"
)


def possible() -> bool:
    """Whether somebody sits at a terminal, and has a browser with a window."""
    return _at_terminal() and _has_browser()


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
    place = replace(place, env=_settings_file(place.data))
    scene = Scene(_CHANNEL, sample.public_channels(), _NOTE, tuple(questions), beside)
    bot, visitor = PageBot(settings, place, archive, scene=scene), Visitor(_PATIENCE_SECONDS)
    waking = threading.Thread(target=_wake, args=(bot,), name="waking up")
    try:
        with logged("WARNING"):
            _serve(bot, settings, visitor, waking)
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


def _serve(bot: "PageBot", settings: "Settings", visitor: "Visitor", waking: threading.Thread) -> None:
    from sususbot.web.server import serve

    def started(link: str) -> None:
        say("the bot is in #general; the page opens in your browser, or is to be found at")
        click.echo(link)
        say("Ctrl-C ends it")
        waking.start()
        threading.Thread(target=_open, args=(link, visitor), daemon=True).start()

    desk = bot.desk()
    try:
        serve(desk, settings.web_host, settings.web_port, None, started, visitor)
    except PortTaken:
        serve(desk, settings.web_host, 0, None, started, visitor)


def _open(link: str, visitor: "Visitor") -> None:
    import webbrowser

    if not webbrowser.open(link):
        visitor.give_up()


def _wake(bot: "PageBot") -> None:
    """So that the first reply need not wait; what goes wrong is told to whoever asks."""
    with suppress(SususError):
        bot.wake()


def _settings_file(folder: Path) -> Path:
    """The page's own, so that those of the folder in which the demo was started say nothing here."""
    path = folder / _ENV
    if not path.exists():
        path.write_text(_ENV_TEXT, encoding="utf-8")
    return path


def _at_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def _has_browser() -> bool:
    """One that is named in BROWSER may be anywhere: editors and WSL have theirs on another system."""
    import webbrowser

    named = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform not in ("win32", "darwin") and not any(os.environ.get(name) for name in named):
        return False
    try:
        return getattr(webbrowser.get(), "name", "") not in _IN_TERMINALS
    except webbrowser.Error:
        return False
