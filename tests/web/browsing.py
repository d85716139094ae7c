"""A real browser before the real page: `sususbot web` in a process of its own, chromium, and what no page may do.

A test takes `visit` and says which page: `page = await visit("/memory")`. What it writes to the console as an error,
and every request that leaves this machine, fails the test. `at_width` makes the window as narrow as a phone or as wide
as a desk. Modules that browse have `pytestmark = BROWSING`: browser, server and tests share one event loop.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests.support.commands import environment, run_here

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request

CHROMIUM: Final = next(
    (
        found
        # The first is the same browser without windows, and takes two thirds of the time.
        for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
BROWSING: Final = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here: install the package chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]
NARROW: Final = 360
WIDE: Final = 1600
_HEIGHTS: Final = {NARROW: 740, WIDE: 1000}
_FLAGS: Final = [
    *("--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb", "--font-render-hinting=none"),
    # No address but this machine's is found. (Requests that a test may stop are never kept by the browser for the next
    # page: each would load all scripts anew.)
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
_SAMPLE: Final = Path(__file__).parents[2] / "src" / "sususbot" / "sample"
# How long a test waits for what is to appear; only a broken one does.
PATIENCE_MS: Final = 60_000


def write_community(folder: Path) -> Path:
    """A folder with the sample community's archive in `data`; gives it."""
    (folder / "data").mkdir()
    for name, held in _community().items():
        (folder / "data" / name).write_bytes(held)
    return folder


@cache
def _community() -> dict[str, bytes]:
    """What lies in its data folder: read in once for all tests of a process."""
    files = [str(_SAMPLE / f"{name}.json") for name in ("general", "gaming", "projects")]
    with TemporaryDirectory() as folder:
        done = run_here("import", *files, folder=Path(folder))
        assert done.returncode == 0, done.stderr
        return {one.name: one.read_bytes() for one in (Path(folder) / "data").iterdir()}


@dataclass(frozen=True, slots=True)
class Served:
    """A page that runs: the link that was printed, its address, the folder it runs in and its process."""

    link: str
    folder: Path
    process: asyncio.subprocess.Process

    @property
    def address(self) -> str:
        return self.link.partition("/?")[0]

    @property
    def port(self) -> int:
        return urlsplit(self.link).port or 0

    @property
    def token(self) -> str:
        return self.link.partition("token=")[2]


@asynccontextmanager
async def serving(folder: Path, *arguments: str, **settings: str) -> AsyncIterator[Served]:
    """`sususbot web` over the data folder below `folder`, on a port that was free; ended as Ctrl-C ends it."""
    chosen = {"BACKEND": "recall", "WEB_PORT": "0", **settings}
    errors = folder / f"web-{os.getpid()}.log"
    with errors.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sususbot", "web", *arguments),
            cwd=folder,
            env=environment(chosen),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(120):
            link = (await process.stdout.readline()).decode().strip()
        assert link.startswith("http://"), errors.read_text(encoding="utf-8")
        yield Served(link, folder, process)
    finally:
        await stop(process)


async def stop(process: asyncio.subprocess.Process) -> int:
    """End it as a terminal does, and wait; gives its exit code."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
    async with asyncio.timeout(120):
        return await process.wait()


@asynccontextmanager
async def browsing() -> AsyncIterator["Browser"]:
    """Chromium without a window."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS, timeout=120_000)
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """One owner at the page, with a browser profile of their own. Called with a path, it opens a tab there."""

    def __init__(self, browser: "Browser", served: Served) -> None:
        self._browser = browser
        self._context: BrowserContext | None = None
        self.served = served
        self.faults: list[str] = []

    async def __call__(self, path: str = "/", *, width: int = WIDE, dark: bool = False) -> "Page":
        """A tab at this page, once it can be used."""
        if self._context is None:
            self._context = await self._enter(dark=dark)
        page = await self._context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        await at_width(page, width)
        await page.goto(self.served.address + path)
        await page.wait_for_function("window.socket && window.socket.connected")
        return page

    async def close(self) -> None:
        """Leave; fails if a page did what it may not."""
        if self._context is not None:
            await self._context.close()
        assert self.faults == []

    async def _enter(self, *, dark: bool) -> "BrowserContext":
        context = await self._browser.new_context(
            color_scheme="dark" if dark else "light", reduced_motion="reduce", locale="en-US", timezone_id="UTC"
        )
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", self._asked)
        # The link is followed once; from then on the cookie is the pass.
        assert (await context.request.get(self.served.link)).ok
        return context

    def _heard(self, message: "ConsoleMessage") -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def _asked(self, request: "Request") -> None:
        if not request.url.startswith((self.served.address, "data:", "blob:")):
            self.faults.append(f"asked for {request.url}")


async def push(part: "Locator") -> None:
    """Use a button, switch, tab or link once it can be used, by keyboard.

    A mouse is aimed at a place, and what is written above it a moment later moves the part away from there.
    """
    from playwright.async_api import expect

    await expect(part).to_be_enabled(timeout=PATIENCE_MS)
    await part.press("Enter")


async def choose(page: "Page", field: str, option: str) -> None:
    """Unfold a field of choices and take the one of this name."""
    await page.get_by_label(field).press("Enter")
    await page.get_by_role("option", name=option).dispatch_event("click")


async def at_width(page: "Page", width: int) -> None:
    """Make the window so wide: NARROW or WIDE."""
    await page.set_viewport_size({"width": width, "height": _HEIGHTS.get(width, 800)})


async def overflows(page: "Page") -> bool:
    """Whether the page stays wider than the window, so that it must be scrolled sideways."""
    from playwright.async_api import TimeoutError as Late

    within = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    try:
        # Parts that follow the window's width by script do so a moment later.
        await page.wait_for_function(within)
    except Late:
        return True
    return False
