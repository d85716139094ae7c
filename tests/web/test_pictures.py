"""Pictures of every page for the documentation, narrow and wide; each is what a visitor sees, and fits its window.

A run of all tests draws them and keeps none. `make pictures` puts them into `docs/pictures/`, and only where the page
looks different by now. What this machine is called, and where things lie on it, is not to be in a picture.
"""

import io
import json
import math
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from sususbot import sample
from sususbot.artifacts import RUNS
from sususbot.bot.health import Health, HealthServer
from sususbot.training.metrics import Measured, Metrics, StepDone
from sususbot.web.pages import PAGES
from tests.support.shown import demo_in
from tests.web.browsing import BROWSING, NARROW, PATIENCE_MS, WIDE, Served, Visit, overflows, push, serving
from tests.web.test_chat import ask
from tests.web.test_health import busy, written

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = BROWSING

_KEPT: Final = bool(os.environ.get("SUSUSBOT_PICTURES"))
FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
# Of all pixels, how many may differ in a page that looks the same: times of day, milliseconds.
_SAME: Final = 0.01
_VISIBLY: Final = 24
# Of all pixels, how many are letters and lines at least.
_LEAST: Final = 0.03
# Charts on the screen on which nothing is drawn.
_BLANK: Final = """[...document.querySelectorAll("canvas")].filter((one) => {
    const { width, height } = one;
    return one.checkVisibility() && width && !one.getContext("2d").getImageData(0, 0, width, height).data.some(Boolean);
}).map((one) => one.closest("[aria-label]")?.ariaLabel)"""
# Promises to tell of the next time that a line is gone to.
_HEAR_SCROLL: Final = """(line) => {
    line.scrolled = new Promise((done) => {
        line.scrollIntoView = (...how) => {
            delete line.scrollIntoView;
            line.scrollIntoView(...how);
            done();
        };
    });
}"""
# As wide as a page of text shows a picture, so that its words are as large as the page's.
_BESIDE_TEXT: Final = 880
_STEPS: Final = 600
_LOOKS: Final = 40
# Nobody is asked the same twice: recall does not say again what it just said.
_QUESTIONS: Final = {
    (WIDE, False): "who broke the printer?",
    (NARROW, False): "why is the cat called Invoice?",
    (NARROW, True): "what did Gaz do when he lost the bet?",
}
_SEARCHED: Final = "who broke the printer?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's data in a folder of its own."""
    folder = tmp_path_factory.mktemp("pictures")
    demo_in(folder / "data", tmp_path_factory)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(folder: Path) -> AsyncIterator[Served]:
    """A page with something to see on each of its pages: two runs, a log, a bot that counted."""
    data = folder / "data"
    data.chmod(0o700)
    for seed, (name, best) in enumerate({"autumn": 1.62, "winter": 1.55}.items()):
        _write_run(data, name, best, seed)
    written(data / "logs" / "bot.jsonl", ("INFO", "connected as sususbot"), ("WARNING", "a reply took 6.1 s"))
    metrics = busy()
    settings = {"LOG_FILE": "data/logs/bot.jsonl", "SEED": "7"}
    async with (
        HealthServer(Health(metrics, lambda: 1), metrics, 0) as server,
        serving(folder, METRICS_PORT=str(server.port), **settings) as served,
    ):
        yield served


def _write_run(data: Path, name: str, best: float, seed: int) -> None:
    """A finished training, as its files tell of it."""
    run, chance = data / RUNS / name, random.Random(seed)
    run.mkdir(parents=True)
    facts = {
        "format": 1, "name": name, "kind": "lora", "state": "finished", "begun": f"2026-1{seed}-07T18:00:00+00:00",
        "authors": {}, "corpus": {"name": "default"}, "base": {"name": "Mistral-7B-v0.3"},
        "recipe": {"rank": 16 + 16 * seed, "learning_rate": 0.0002},
        "outcome": {"step": _STEPS, "bits_per_byte": best},
    }  # fmt: skip
    (run / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")
    metrics = Metrics(run)
    metrics.add(Measured(0, 2.4, best=True))
    for number in range(1, _STEPS + 1):
        loss = best + 1.4 * math.exp(-number / 140) + chance.gauss(0, 0.05)
        machine = {"vram_used_mb": 8900.0 + 200 * seed, "vram_total_mb": 11264.0, "celsius": 58 + number % 60 / 20}
        rate = 2e-4 * (1 + math.cos(math.pi * number / _STEPS)) / 2
        speed = 880 + chance.gauss(0, 25)
        metrics.add(StepDone(number, _STEPS, 1, loss, rate, 0.5, 1.0, 0, 4096, speed, 60.0, machine))
        if number % 100 == 0:
            metrics.add(Measured(number, best + 0.9 * math.exp(-number / 150), best=True))


@pytest_asyncio.fixture(loop_scope="session")
async def owner(browser: "Browser", place: Served) -> AsyncIterator[Visit]:
    visit = Visit(browser, place)
    yield visit
    await visit.close()


async def _chat(tab: "Page") -> None:
    wide: bool = await tab.evaluate(f"innerWidth == {WIDE}")
    dark: bool = await tab.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    # The encoder is loaded for the first question.
    await ask(tab, "hello there")
    line = await ask(tab, _QUESTIONS[WIDE if wide else NARROW, dark])
    await line.evaluate(_HEAR_SCROLL)
    await push(line.get_by_role("button", name="Why this reply"))
    await line.get_by_role("heading", name="Memories").wait_for()
    # The page goes to what was opened a moment later.
    await line.evaluate("(line) => line.scrolled")
    await tab.locator(".line:not(.own)").last.evaluate("(asked) => asked.scrollIntoView()")


async def _memory(tab: "Page") -> None:
    await tab.get_by_label("What do you want to find?").fill(_SEARCHED)
    await tab.get_by_label("What do you want to find?").press("Enter")
    await tab.get_by_text(f"found for “{_SEARCHED}”").wait_for()


async def _data(tab: "Page") -> None:
    await tab.get_by_text("may be learned from").first.wait_for()
    await tab.locator("canvas, .content svg").first.wait_for()


async def _training(tab: "Page") -> None:
    for name in ("autumn", "winter"):
        box = tab.get_by_role("checkbox", name=f"Show {name}")
        if await box.get_attribute("aria-checked") != "true":
            await push(box)
    curves = tab.get_by_role("img", name="Loss by step")
    for name in ("autumn", "winter"):
        await curves.and_(tab.get_by_label(f"{name}: ")).wait_for()


async def _health(tab: "Page") -> None:
    await tab.get_by_text("It runs, and answers.").wait_for()
    await tab.locator('li[data-state="ok"]', has_text="archive content").wait_for()
    # Where things lie on this machine.
    await tab.evaluate(
        """for (const item of document.querySelectorAll('li[data-state]'))
            if (/[\\\\/](site-packages|tmp|home)[\\\\/]|GB are free/.test(item.textContent)) item.remove()"""
    )


_SHOWN: Final[dict[str, Callable[["Page"], Awaitable[None]]]] = {
    "chat": _chat,
    "memory": _memory,
    "data": _data,
    "training": _training,
    "health": _health,
}
_PICTURES: Final = [(page.name, page.path, width, False) for page in PAGES for width in (NARROW, WIDE)]


@pytest.mark.parametrize(
    ("name", "path", "width", "dark"),
    [*_PICTURES, ("chat", "/", NARROW, True), ("training", "/training", WIDE, True)],
    ids=lambda value: str(value).strip("/"),
)
async def test_a_page_looks_right(owner: Visit, name: str, path: str, width: int, dark: bool) -> None:
    from playwright.async_api import expect

    tab = await owner(path, width=width, dark=dark)
    await _SHOWN[name](tab)
    await tab.evaluate("document.activeElement.blur()")
    await tab.mouse.move(0, 0)
    assert not await overflows(tab)
    assert await tab.locator(".failed").count() == 0
    for part in (tab.get_by_role("heading", level=1), tab.get_by_role("navigation", name="Pages")):
        await expect(part).to_be_in_viewport(ratio=1, timeout=PATIENCE_MS)
    # One that was shown only now is drawn a moment later.
    await tab.wait_for_function(f"{_BLANK}.length === 0")
    picture = await _settled(tab)
    assert _painted(picture) > _LEAST
    _keep(picture, FOLDER / f"{name}-{'dark-' * dark}{width}.png")


async def test_an_exchange_as_the_readme_shows_it(owner: Visit) -> None:
    tab = await owner("/", width=_BESIDE_TEXT)
    await tab.set_viewport_size({"width": _BESIDE_TEXT, "height": _BESIDE_TEXT * 7 // 8})
    for question in sample.questions()[:3]:
        await ask(tab, question.text)
    await tab.evaluate("document.activeElement.blur()")
    await tab.mouse.move(0, 0)
    picture = await _settled(tab)
    assert _painted(picture) > _LEAST
    _keep(picture, FOLDER / "exchange.png")


async def _settled(tab: "Page") -> Image.Image:
    """The window once two pictures in a row are alike: charts are drawn, widths are found."""
    before = await _taken(tab)
    for _ in range(_LOOKS):
        now = await _taken(tab)
        # Mostly not a byte is another, and neither needs to be unpacked.
        if now == before or _alike(_unpacked(before), _unpacked(now)):
            return _unpacked(now)
        before = now
    raise AssertionError("the page never settles")


async def _taken(tab: "Page") -> bytes:
    await tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return await tab.screenshot(animations="disabled", caret="hide")


def _unpacked(taken: bytes) -> Image.Image:
    return Image.open(io.BytesIO(taken)).convert("RGB")


def _painted(picture: Image.Image) -> float:
    """How much of it is not the ground: neither the page's nor the cards'."""
    red, green, blue = (np.asarray(one, np.uint32) for one in picture.split())
    _, counts = np.unique(red << 16 | green << 8 | blue, return_counts=True)
    return 1 - float(np.sort(counts)[-3:].sum()) / (picture.width * picture.height)


def _alike(one: Image.Image, other: Image.Image) -> bool:
    """Whether nobody would call them two looks."""
    if one.size != other.size:
        return False
    apart = np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max(axis=2) > _VISIBLY
    return float(apart.mean()) <= _SAME


def _keep(picture: Image.Image, path: Path) -> None:
    """Put it in its place, small, where that is asked for, unless what is there looks the same."""
    if not _KEPT:
        return
    small = picture.quantize(192, dither=Image.Dither.NONE)
    if path.is_file() and _alike(Image.open(path).convert("RGB"), small.convert("RGB")):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    small.save(path, optimize=True)
