"""A browser led to the page: nobody reads the page's pass in what a browser is told, and nothing is left of the way."""

import os
import stat
import threading
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from urllib.request import url2pathname

import httpx
import pytest

from sususbot.cli import browser
from sususbot.cli.browser import Door, windowed
from tests.web.browsing import serving

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows tells nobody how a browser was called")

PASS = "the-pass"
LINK = f"http://127.0.0.1:8466/?token={PASS}"
BARE = "http://127.0.0.1:8466/"
_PATIENCE = 120.0


@pytest.fixture(autouse=True)
def no_browser_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library looks for browsers once a process."""
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file into which the browser, as BROWSER names it, writes all that it is called with."""
    called = tmp_path / "called"
    program = written(tmp_path / "a browser", f'echo "$@" >> "{called}"')
    monkeypatch.setenv("BROWSER", f"'{program}' %s")
    return called


def written(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def test_a_browser_is_told_a_file_that_leads_on_and_goes_with_the_first_visit(tmp_path: Path, called: Path) -> None:
    data = tmp_path / "meine Daten"
    data.mkdir()
    with Door(data, _never) as door:
        door.open(LINK)
        until(lambda: len(lines(called)) == 1)
        file = Path(url2pathname(lines(called)[0].removeprefix("file://")))
        assert file.parent == data
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert f'content="0;url={LINK}"' in file.read_text(encoding="utf-8")
        door.come()
        until(lambda: not file.exists())
    assert PASS not in called.read_text(encoding="utf-8")


def test_nothing_is_left_where_nobody_came(tmp_path: Path, called: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with Door(data, _never) as door:
        door.open(LINK)
        until(lambda: len(lines(called)) == 1)
        assert list(data.iterdir())
    assert list(data.iterdir()) == []


def test_a_browser_that_may_not_read_the_file_is_led_to_the_page_without_the_pass(
    tmp_path: Path, called: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "_READ_SECONDS", 0.0)
    # The library's first look for browsers is for one thread alone; here two would take it at once.
    assert windowed() is not None
    with Door(tmp_path, _never) as door:
        door.open(LINK)
        until(lambda: len(lines(called)) == 2)
    assert BARE in lines(called)
    assert PASS not in called.read_text(encoding="utf-8")


def test_where_there_can_be_no_file_it_is_led_there_at_once(tmp_path: Path, called: Path) -> None:
    with Door(tmp_path / "gone", _never) as door:
        door.open(LINK)
        until(lambda: lines(called) == [BARE])


def test_a_browser_that_does_not_start_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", "false")
    failed = threading.Semaphore(0)
    with Door(tmp_path, lambda: failed.release()) as door:
        door.open(LINK)
        assert failed.acquire(timeout=_PATIENCE)
    assert list(tmp_path.iterdir()) == []


def test_a_browser_that_would_take_the_terminal_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, its path, a link to it; with what it is called with, or without."""
    program = written(tmp_path / "w3m", "exit 0")
    link = tmp_path / "my-browser"
    link.symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for named in ("w3m", str(program), f"{program} %s", str(link), "my-browser %s"):
        monkeypatch.setattr(webbrowser, "_tryorder", None)
        monkeypatch.setattr(webbrowser, "_browsers", {})
        monkeypatch.setenv("BROWSER", named)
        assert windowed() is None, named


def test_without_a_screen_or_a_name_there_is_none(called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert windowed() is not None
    monkeypatch.delenv("BROWSER")
    assert windowed() is None
    assert not called.exists()


async def test_the_page_opens_so_and_is_told_of_no_pass(tmp_path: Path, called: Path) -> None:
    async with serving(tmp_path, "--open", BROWSER=os.environ["BROWSER"]) as served:
        until(lambda: len(lines(called)) == 1)
        laid = tmp_path / "data" / f"open-{served.port}.html"
        assert lines(called) == [laid.as_uri()]
        assert served.link in laid.read_text(encoding="utf-8")
        async with httpx.AsyncClient(base_url=served.address, timeout=60) as client:
            await client.get("/")
            assert laid.exists()
            await client.get(served.link, follow_redirects=True)
        until(lambda: not laid.exists())
    assert served.token not in called.read_text(encoding="utf-8")


async def test_where_no_browser_comes_up_the_link_is_to_be_opened(tmp_path: Path) -> None:
    async with serving(tmp_path, "--open") as served:
        log = tmp_path / f"web-{os.getpid()}.log"
        until(lambda: "no browser with a window came up" in log.read_text(encoding="utf-8"))
        assert served.link.startswith("http://")


def _never() -> None:
    raise AssertionError
