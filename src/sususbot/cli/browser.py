"""A browser with a window, led to a page that this program serves: for `web --open` and for the demo.

**Invariant.** The page's pass stands in no list of processes, which everybody on a machine may read. The browser is
told of a file that nobody but its owner may read; that leads on, and goes with the first visit. Where there can be no
such file, or the browser does not read it (it is kept apart from other programs' files, or runs on another system),
it is led to the page without the pass, which says to paste the link that the terminal shows. Windows shows nobody
how another's programs were called: there it is told the link itself.
Not here: who may see the page (`web.access`).
"""

import os
import shutil
import sys
import threading
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sususbot.artifacts import DOOR
from sususbot.env_file import write_aside
from sususbot.in_place import put

if TYPE_CHECKING:
    from webbrowser import BaseBrowser

# Browsers that would take the terminal.
_IN_TERMINALS: Final = frozenset({"www-browser", "links", "links2", "elinks", "lynx", "w3m", "browsh", "carbonyl"})
# A browser that starts on a busy machine has read the file by then, if it can.
_READ_SECONDS: Final = 20.0
_LEADING_ON: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>sususbot</title>
<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url={link}"></head>
<body><p><a href="{link}">To the page</a></p></body></html>
"""


def windowed() -> "BaseBrowser | None":
    """The browser that would come, if it has a window of its own. BROWSER may name one that is anywhere: editors and
    WSL have theirs on another system.
    """
    import webbrowser

    named = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform not in ("win32", "darwin") and not any(os.environ.get(name) for name in named):
        return None
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return None
    return None if _takes_terminal(getattr(browser, "name", "")) else browser


class Door:
    """Leads a browser to the page. `failed` is called, in a thread, where none comes up.

    `folder` is the data folder. Use it as a context: what it laid down is gone when that ends.
    """

    def __init__(self, folder: Path, failed: Callable[[], None]) -> None:
        self._folder = folder
        self._failed = failed
        self._over = threading.Event()
        self._keeper: threading.Thread | None = None

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()

    def open(self, link: str) -> None:
        """Returns at once."""
        self._keeper = threading.Thread(target=self._keep, args=(link,), name="door")
        self._keeper.start()

    def come(self) -> None:
        """Somebody was let in. Does not block."""
        self._over.set()

    def _keep(self, link: str) -> None:
        if sys.platform == "win32":
            self._lead(link)
            return
        file = _laid(self._folder, link)
        try:
            self._lead(_without_pass(link) if file is None else file.as_uri())
            if file is not None and not self._over.wait(_READ_SECONDS):
                self._lead(_without_pass(link))
            self._over.wait()
        finally:
            if file is not None:
                file.unlink(missing_ok=True)

    def _lead(self, address: str) -> None:
        """Some browsers are only told of in a call that ends with them, so nobody waits for it."""
        threading.Thread(target=self._started, args=(address,), daemon=True).start()

    def _started(self, address: str) -> None:
        browser = windowed()
        if (browser is None or not browser.open(address)) and not self._over.is_set():
            self._over.set()
            self._failed()


def _laid(folder: Path, link: str) -> Path | None:
    """A file that leads on to a link, and is nobody else's to read; None where that cannot be."""
    place = folder.resolve() / DOOR.format(urlsplit(link).port)
    try:
        put(write_aside(place, _LEADING_ON.format(link=escape(link))), place)
        if not place.stat().st_mode & 0o077:
            return place
        # A disk that knows no modes.
        place.unlink()
    except OSError:
        pass
    return None


def _without_pass(link: str) -> str:
    return urlsplit(link)._replace(query="").geturl()


def _takes_terminal(program: str) -> bool:
    """Also by its whole path, and by a link to it."""
    found = shutil.which(program)
    names = {Path(program).name, *([Path(found).resolve().name] if found else [])}
    return not _IN_TERMINALS.isdisjoint(names)
