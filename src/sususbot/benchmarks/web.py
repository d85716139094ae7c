"""How soon does the page paint, and does a click wait while the bot answers?

A real `sususbot web` over the files' community, with a model of random weights behind it, in a real browser without a
window. First paint is what the browser reports (First Contentful Paint), in a profile that has nothing cached; usable
is when the page's socket is up. An interaction is timed in the page: from the click to the first frame after its answer
stands in the document. Busy means that another tab keeps the bot answering all the while.
Bare minimum: the same library's page with one button and nothing else, served and clicked in the same way.
The bars: 1,000 ms to the first paint, 100 ms for an interaction (p95).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from sususbot.archive.archive import Archive
from sususbot.benchmarks.report import Metrics, Result, percentile_ms
from sususbot.errors import MissingExtra, WebError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES: Final = {"chat": "/", "memory": "/memory", "data": "/data", "training": "/training", "health": "/health"}
_LOADS: Final = 5
_CLICKS: Final = 40
_PATIENCE_MS: Final = 60_000
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
# Windows that stand behind others would be drawn once a second.
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)
_KEPT: Final = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "HOME", "USERPROFILE", "LANG")
_QUESTION: Final = "who broke the printer?"

# One button; the library's own way to start, without what this page leaves out as well.
_BARE: Final = """
from nicegui import app, ui
@ui.page('/')
def page():
    label = ui.label('0').props('id=answer')
    ui.button('more', on_click=lambda: label.set_text(str(int(label.text) + 1))).props('id=more')
app.on_startup(lambda: print('http://127.0.0.1:%s/' % PORT, flush=True))
ui.run(host='127.0.0.1', port=PORT, reload=False, show=False, tailwind=False, show_welcome_message=False,
    uvicorn_logging_level='error')
"""
# From a click to the frame in which the answer can be seen; ms.
_TIMED: Final = """([clicked, watched, asks]) => new Promise((resolve, reject) => {
    const target = document.querySelector(watched), begun = performance.now();
    const seen = new MutationObserver(() => {
        seen.disconnect();
        requestAnimationFrame(() => resolve(performance.now() - begun));
    });
    seen.observe(target, {subtree: true, childList: true, characterData: true, attributes: true});
    setTimeout(() => reject(new Error('no answer to ' + clicked)), 20000);
    document.querySelector(clicked).click();
})"""


@dataclass(frozen=True, slots=True)
class _Click:
    """What is clicked, and where its answer shows."""

    clicked: str
    watched: str


# Drawing a panel of a hundred elements; writing to the archive; a switch.
_INTERACTIONS: Final = {
    "why": _Click(".line.own [aria-label='Why this reply']", ".line.own .why"),
    "thumb": _Click(".line.own [aria-label='Thumb up']", ".line.own [aria-label='Thumb up']"),
    "send": _Click(".writing .q-btn", ".log-lines"),
}


def bench_web(files: Sequence[Path], folder: Path, tell: Callable[[str], None], scratch: Path | None = None) -> Result:
    """`files` are exports; `folder` keeps the model between runs, and their archive is made below `scratch`.

    Raises MissingExtra and WebError.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingExtra("a browser to measure with", "dev") from error
    chromium = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if chromium is None:
        raise WebError("no chromium is installed: install the package chromium, in which pages are measured")
    with tempfile.TemporaryDirectory(dir=scratch) as place, sync_playwright() as playwright:
        settings = _prepared(files, Path(place), folder)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
        tell("the page")
        with _served(Path(place), settings) as link:
            mine = {**_loads(browser, link, PAGES), **_interactions(browser, link, tell)}
        tell("the library's own page with one button")
        bare = _bare(browser)
        browser.close()
    return Result(
        "web",
        mine,
        bare,
        f"the page in a browser; medians of {_LOADS} first visits, {_CLICKS} of each kind of click",
        "a page of the same library with one button",
    )


def _prepared(files: Sequence[Path], place: Path, folder: Path) -> dict[str, str]:
    """A data folder with the community, and the settings for a model made of its words."""
    from sususbot.benchmarks.tiny_model import tiny_model

    _sususbot(place, "import", *(str(path.resolve()) for path in files))
    with Archive(place / "data") as archive:
        texts = [row.rendered for row in archive.dump.messages() if row.rendered]
    folder.mkdir(parents=True, exist_ok=True)
    base, adapter = tiny_model(folder, texts)
    return {
        "BACKEND": "llamacpp",
        "MODEL_PATH": str(base.resolve()),
        "ADAPTER_PATH": str(adapter.resolve()),
        "CONTEXT_TOKENS": "2048",
        "REPLY_DEADLINE": "60",
        "WEB_PORT": "0",
    }


def _loads(browser: "Browser", link: str, pages: dict[str, str]) -> Metrics:
    """Each visit in a profile of its own, with nothing cached."""
    paints: dict[str, float] = {}
    usables: dict[str, float] = {}
    for name, path in pages.items():
        measured = [_load(browser, link, path) for _ in range(_LOADS)]
        paints[name] = median(paint for paint, _ in measured)
        usables[name] = median(usable for _, usable in measured)
    return {"first_paint_ms": paints, "usable_ms": usables}


def _load(browser: "Browser", link: str, path: str) -> tuple[float, float]:
    """First paint and usable, in ms."""
    address, _, token = link.partition("?")
    context = browser.new_context()
    try:
        if token:
            # The pass alone: nothing of the page is loaded by it.
            context.request.get(link, max_redirects=0)
        page = context.new_page()
        page.goto(address.rstrip("/") + path, wait_until="commit")
        page.wait_for_function("window.socket && window.socket.connected", timeout=_PATIENCE_MS)
        usable: float = page.evaluate("performance.now()")
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length", timeout=_PATIENCE_MS)
        paint: float = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        return paint, usable
    finally:
        context.close()


def _interactions(browser: "Browser", link: str, tell: Callable[[str], None]) -> Metrics:
    """Clicks in one tab, with nothing beside them, and while another tab keeps the bot answering."""
    other, mine = _visited(browser, link), _visited(browser, link)
    _ask(mine)
    # What is said from now on in the measured tab is answered by nobody.
    mine.get_by_role("switch", name="answers").click()
    idle = _clicks(mine)
    tell("the same while the bot answers")
    with _answering(other) as replies:
        busy = _clicks(mine)
        answered = replies()
    return {
        "idle": {name: _spread(took) for name, took in idle.items()},
        "busy": {name: _spread(took) for name, took in busy.items()},
        "replies_meanwhile": answered,
    }


def _visited(browser: "Browser", link: str) -> "Page":
    """The first page, in a window of its own."""
    context = browser.new_context()
    context.request.get(link, max_redirects=0)
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    page.goto(link.partition("?")[0])
    page.wait_for_function("window.socket && window.socket.connected")
    return page


def _ask(page: "Page") -> None:
    """One reply, from the first word to the last."""
    page.get_by_label("Message").fill(_QUESTION)
    page.get_by_label("Message").press("Enter")
    page.locator(".line.own").get_by_role("button", name="Why this reply").first.wait_for()


def _clicks(page: "Page") -> dict[str, list[float]]:
    """Milliseconds of each click, by kind."""
    took: dict[str, list[float]] = {name: [] for name in _INTERACTIONS}
    for _ in range(_CLICKS):
        for name, click in _INTERACTIONS.items():
            if name == "send":
                page.get_by_label("Message").fill("hm")
            took[name].append(page.evaluate(_TIMED, [click.clicked, click.watched]))
    return took


@contextmanager
def _answering(page: "Page") -> Iterator[Callable[[], int]]:
    """A tab that asks again as soon as it has its answer; gives how many answers it had so far."""
    page.evaluate(
        f"""() => {{
        const input = document.querySelector('.writing textarea'), send = document.querySelector('.writing .q-btn');
        window.asking = setInterval(() => {{
            if (document.querySelector('.line.own[aria-busy]')) return;
            input.value = '{_QUESTION}';
            input.dispatchEvent(new Event('input', {{bubbles: true}}));
            send.click();
        }}, 20);
    }}"""
    )
    count = page.locator(".line.own:not([aria-busy])").count
    try:
        yield count
    finally:
        page.evaluate("clearInterval(window.asking)")


def _bare(browser: "Browser") -> Metrics:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        with _started(["-c", _BARE.replace("PORT", str(port))], Path(place), {}) as link:
            loaded = _loads(browser, link, {"one_button": "/"})
            context = browser.new_context()
            page = context.new_page()
            page.goto(link)
            page.wait_for_function("window.socket && window.socket.connected")
            took = [page.evaluate(_TIMED, ["#more", "#answer"]) for _ in range(_CLICKS)]
            context.close()
    return {**loaded, "idle": {"one_button": _spread(took)}}


def _spread(milliseconds: Sequence[float]) -> dict[str, float]:
    seconds = [one / 1000 for one in milliseconds]
    return {"p50_ms": percentile_ms(seconds, 50), "p95_ms": percentile_ms(seconds, 95)}


@contextmanager
def _served(place: Path, settings: dict[str, str]) -> Iterator[str]:
    """The page, and the link to it."""
    with _started(["-m", "sususbot", "web"], place, settings) as link:
        yield link


@contextmanager
def _started(arguments: list[str], place: Path, settings: dict[str, str]) -> Iterator[str]:
    """A server of pages in a process of its own, and the line it prints once it answers."""
    with (place / "errors.log").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=place,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
        )
        try:
            assert process.stdout is not None
            link = process.stdout.readline().strip()
            if not link:
                said = (place / "errors.log").read_text(encoding="utf-8", errors="replace")
                raise WebError(f"a page did not start: {said.strip()[-300:]}")
            yield link
        finally:
            process.terminate()
            process.communicate()


def _sususbot(place: Path, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "sususbot", *arguments],
        cwd=place,
        env=_environment({}),
        check=True,
        capture_output=True,
    )


def _environment(settings: dict[str, str]) -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | settings
