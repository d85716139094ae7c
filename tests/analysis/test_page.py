"""The page: each figure is the archive's, nothing a member wrote is markup, nothing is loaded, and browsers agree."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sususbot.analysis import cost
from sususbot.analysis.activity import Clock
from sususbot.analysis.analysis import Analysis
from sususbot.analysis.page import LIMITS, SECTIONS, as_json, page
from sususbot.analysis.statistics import analyze
from sususbot.archive.archive import Archive
from sususbot.corpus.tokens import Estimate
from tests.analysis import teahouse
from tests.analysis.teahouse import DOLLAR, SCRIPT
from tests.web.browsing import CHROMIUM

pytest.importorskip("matplotlib", reason="the extra `analyze` is not installed")

VOID = {"meta", "br", "img", "link", "input", "hr", "path", "use"}


class Seen(HTMLParser):
    """What a reader of the page has before it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.figures: list[tuple[str, str, str]] = []
        self.marks: dict[str, list[str]] = {}
        self.text: list[str] = []
        self._open: tuple[str, str] | None = None
        self._mark: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in values.items()]
        if "data-figure" in values:
            self._open = values["data-figure"], values["value"]
        self._mark = values.get("data-mark", self._mark)
        if tag == "path" and self._mark is not None:
            self.marks.setdefault(self._mark, []).append(values["d"])
            self._mark = None

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._open is not None:
            self.figures.append((*self._open, data))

    def handle_endtag(self, tag: str) -> None:
        if tag == "data":
            self._open = None


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    with teahouse.built(tmp_path_factory.mktemp("teahouse")) as archive:
        return analyze(archive, Clock("UTC"), Estimate(), [cost.Card("GeForce RTX 3060", 12.0)])


@pytest.fixture(scope="module")
def html(analysis: Analysis) -> str:
    return page(analysis)


@pytest.fixture(scope="module")
def seen(html: str) -> Seen:
    return Seen(html)


def value_at(values: Any, path: str) -> Any:
    for step in path.split("."):
        values = values[int(step)] if step.isdecimal() else values[step]
    return values


def as_number(text: str) -> float | None:
    """What a written figure says, read as a person would."""
    found = re.fullmatch(r"([\d,]+(?:\.\d+)?)(?: %)?", text)
    return float(found[1].replace(",", "")) / (100 if text.endswith("%") else 1) if found else None


def test_every_figure_is_that_of_the_analysis(analysis: Analysis, seen: Seen) -> None:
    values = as_json(analysis)
    assert len(seen.figures) > 400
    for path, machine, shown in seen.figures:
        value = value_at(values, path)
        if isinstance(value, str):
            assert machine == value
        elif isinstance(value, dict):
            low, high = as_number(shown.split(" – ")[0]), as_number(shown.split(" – ")[-1])
            assert (low, high) == pytest.approx((value["low"], value["high"]))
        elif value is not None and path != "reactions.median_answer_s":
            assert float(machine) == value
            assert as_number(shown) == pytest.approx(value, abs=0.005 if shown.endswith("%") else 0.05), path


def test_no_figure_stands_outside(html: str) -> None:
    """Each number of three digits and more in running text belongs to a figure, a date or a formula."""
    body = re.sub(r"<(svg|style|code|data|title)\b.*?</\1>", "", html[html.index("<main>") :], flags=re.DOTALL)
    body = re.sub(r'<p class="note">(?:Estimates from|Log-odds).*?</p>', "", body, flags=re.DOTALL)
    body = re.sub(r"<bdi>.*?</bdi>|<[^>]+>|\d{4}-\d\d-\d\d( \d\d:\d\d)?", "", body, flags=re.DOTALL)
    # The classes of the length table, "99 of 100", and names of cards.
    assert set(re.findall(r"\d[\d,]{2,}", body)) <= {"100", "128", "129", "256", "257", "2080", "3060"}


def test_all_parts_of_the_analysis_are_shown(analysis: Analysis, seen: Seen) -> None:
    shown = {path for path, _, _ in seen.figures}
    parts = {path.split(".")[0] for path in shown}
    assert parts >= as_json(analysis).keys()
    for number in range(min(len(analysis.authors.rows), LIMITS["authors"])):
        assert f"authors.rows.{number}.messages" in shown
    for number in range(len(analysis.cleaning.rules)):
        assert {f"cleaning.rules.{number}.dropped", f"cleaning.rules.{number}.changed"} <= shown


def test_bars_are_as_high_as_their_figures(analysis: Analysis, seen: Seen) -> None:
    values = as_json(analysis)
    for prefix in ("volume.periods", "lengths.bins", "conversations.bins"):
        for size in (0, 1):
            heights = {path: _height(drawn[size]) for path, drawn in seen.marks.items() if path.startswith(prefix)}
            counts = {path: value_at(values, path) for path in heights}
            assert len(counts) == len(value_at(values, prefix))
            scale = max(heights.values()) / max(counts.values())
            for path, height in heights.items():
                assert height == pytest.approx(counts[path] * scale, abs=0.01), path


def _height(drawn: str) -> float:
    ys = [float(y) for y in re.findall(r"[ML] [\d.-]+ ([\d.-]+)", drawn)]
    return max(ys) - min(ys)


def test_cells_are_as_full_as_their_figures(analysis: Analysis, html: str) -> None:
    values = as_json(analysis)
    for prefix in ("week.hours", "answers.matrix"):
        cells = re.findall(rf'data-mark="({prefix}[.\d]+)">\s*<title>[^<]*</title><path ([^>]*)>', html)
        assert len(cells) == 2 * sum(len(row) for row in value_at(values, prefix))
        by_count = sorted((value_at(values, path), _opacity(attributes)) for path, attributes in cells)
        opacities = [opacity for _, opacity in by_count]
        assert opacities == sorted(opacities)
        assert opacities[-1] == 1


def _opacity(attributes: str) -> float:
    found = re.search(r'opacity="([\d.]+)"', attributes)
    return float(found[1]) if found else 1.0


def test_nothing_of_a_member_is_markup(seen: Seen, html: str) -> None:
    assert seen.tags["script"] == seen.tags["img"] == seen.tags["i"] == seen.tags["b"] == 0
    for name in (SCRIPT.display_name, DOLLAR.display_name, "Tea <i>house</i>", "#<b>garden</b>"):
        assert name in "".join(seen.text)
    assert "\u202e" not in html
    assert "\x1b" not in html


def test_nothing_is_loaded(seen: Seen, html: str) -> None:
    assert {tag for tag, name, _ in seen.attributes if name in ("src", "srcset", "data", "action", "poster")} == set()
    targets = {value for _, name, value in seen.attributes if name.endswith("href")}
    assert targets == {f"#{section}" for section, _ in SECTIONS}
    assert not [name for _, name, _ in seen.attributes if name.startswith("on") or name == "style"]
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policies = [value for tag, name, value in seen.attributes if tag == "meta" and value.startswith("default-src")]
    assert policies == [f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"]


def test_sections_have_anchors_and_pictures_have_words(seen: Seen) -> None:
    ids = [value for tag, name, value in seen.attributes if tag == "section" and name == "id"]
    assert ids == [section for section, _ in SECTIONS]
    assert len({value for _, name, value in seen.attributes if name == "id"}) == len(ids)
    labels = [value for tag, name, value in seen.attributes if tag == "figure" and name == "aria-label"]
    assert len(labels) == 5
    assert all(re.search(r"\w{3}.*\.$", label) for label in labels)


def test_the_same_archive_gives_the_same_bytes(analysis: Analysis, html: str) -> None:
    assert page(analysis) == html


def test_a_server_of_one_who_hardly_speaks(tmp_path: Path) -> None:
    house = teahouse.Teahouse()
    house.say(0, SCRIPT, "hi")
    with Archive(tmp_path) as archive:
        archive.add_channel(teahouse.GUILD, teahouse.KITCHEN, origin="export", seen_at=0)
        archive.add(house.messages, source=archive.add_source("export", "x.json"), fetched_at=0)
        html = page(analyze(archive, Clock("UTC"), Estimate()))
    assert Seen(html).tags["figure"] == 4
    assert "Nobody who may be quoted has written enough to tell" in html


# -- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(browser: Any, html: str, analysis: Analysis, tmp_path: Path, width: int, scheme: str) -> None:
    file = tmp_path / "analysis.html"
    file.write_text(html, encoding="utf-8")
    tab = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(file.as_uri())
    assert asked == [file.as_uri()]
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    outside = (
        "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth).length"
    )
    assert tab.evaluate(outside) == 0
    for details in tab.query_selector_all("details"):
        details.evaluate("element => element.open = true")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    for section, _ in SECTIONS:
        assert tab.locator(f"section#{section}").bounding_box()["height"] > 60
        assert tab.locator(f"section#{section} h2").is_visible()
    visible = tab.locator("svg:visible")
    assert visible.count() == 5
    # The style sheet passed the policy, and marks have the page's own colour.
    assert (
        tab.evaluate("getComputedStyle(document.querySelector('.fill-accent')).fill")
        == {
            "light": "rgb(61, 90, 128)",
            "dark": "rgb(143, 180, 224)",
        }[scheme]
    )
    smallest = "Math.min(...[...document.querySelectorAll('svg text')].filter(t => t.getBoundingClientRect().height)" \
        ".map(t => t.getBoundingClientRect().height))"  # fmt: skip
    assert tab.evaluate(smallest) >= 9
    values = as_json(analysis)
    figures = tab.evaluate("[...document.querySelectorAll('data')].map(d => [d.dataset.figure, d.value, d.innerText])")
    for path, machine, shown in figures:
        value = value_at(values, path)
        assert shown or tab.evaluate(f"document.querySelector('[data-figure=\"{path}\"]').offsetParent === null")
        if isinstance(value, int | float):
            assert float(machine) == value
    assert said == []
    tab.close()
