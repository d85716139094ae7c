"""Health as an owner sees it: a bot that runs and one that does not, the end of its log, the doctor's findings."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import psutil  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from nicegui import Client, ui

from sususbot.analysis.analysis import Analysis
from sususbot.archive.archive import Archive
from sususbot.bot.health import Health, HealthServer
from sususbot.bot.metrics import Metrics
from sususbot.web.bot_state import Exposition, fetch
from sususbot.web.checkup import Doctor
from sususbot.web.counting import Counting
from sususbot.web.desk import Desk
from sususbot.web.log_tail import Tail, at_least
from sususbot.web.report_view import counted
from tests.bot.running import until
from tests.bot.test_health import trace
from tests.web.browsing import BROWSING, NARROW, Served, Visit, choose, overflows, push, serving, write_community

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = BROWSING


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def written(path: Path, *lines: tuple[str, str]) -> None:
    """Lines (level, message) at the end of a log."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for level, message in lines:
            row = {"time": "2026-11-29T10:00:00.000Z", "level": level, "logger": "sususbot.bot", "message": message}
            file.write(json.dumps(row) + "\n")


def busy() -> Metrics:
    """What a bot counted that answered, fell back, and held something back."""
    metrics = Metrics()
    metrics.watch_engine(lambda: {"state": "running", "model": "tiny.gguf", "gpu_layers": 33})
    metrics.watch_connection(lambda: {"state": "running"})
    for _ in range(3):
        metrics.answered(trace(0.5))
    metrics.filtered("slurs", "slurs/17")
    metrics.identified()
    metrics.received()
    metrics.lag.observe(0.0004)
    return metrics


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Served, int]]:
    """A page of its own, and the port at which it looks for a bot."""
    port = free_port()
    folder = write_community(tmp_path_factory.mktemp("health"))
    written(folder / "data" / "logs" / "bot.jsonl", ("INFO", "connected as sususbot"), ("WARNING", "a slow disk"))
    async with serving(folder, METRICS_PORT=str(port), LOG_FILE="data/logs/bot.jsonl") as served:
        yield served, port


@pytest_asyncio.fixture(loop_scope="session")
async def owner(browser: "Browser", place: tuple[Served, int]) -> AsyncIterator[Visit]:
    visit = Visit(browser, place[0])
    yield visit
    await visit.close()


async def test_a_bot_begins_has_trouble_and_ends(owner: Visit, place: tuple[Served, int]) -> None:
    tab = await owner("/health")
    await tab.get_by_text("Start it with sususbot bot").wait_for()
    metrics = busy()
    server = HealthServer(Health(metrics, lambda: 2), metrics, place[1])
    async with AsyncExitStack() as stack:
        # The doctor, or another test, may hold the port for a moment.
        async with asyncio.timeout(60):
            while (await stack.enter_async_context(server)).port is None:  # noqa: ASYNC110  (another process has nobody to tell)
                await asyncio.sleep(0.05)
        await tab.get_by_text("It runs, and answers.").wait_for()
        assert await tab.locator('[data-figure="Replies in 24 hours"]').text_content() == "3"
        assert await tab.locator('[data-figure="Waiting"]').text_content() == "2"
        latency = tab.get_by_role("region", name="Latency by stage")
        assert "total" in (await latency.text_content() or "")
        told = await tab.get_by_role("region", name="Fallbacks, filter hits, signs").text_content() or ""
        assert "llamacpp late" in told
        assert "slurs" in told
        assert "tiny.gguf" in (await tab.get_by_role("region", name="Engine").text_content() or "")
        metrics.watch_engine(lambda: {"state": "resting"})
        await tab.get_by_text("the engine is resting").wait_for()
    await tab.get_by_text("Start it with sususbot bot").wait_for()


async def test_the_log_is_followed_and_filtered(owner: Visit, place: tuple[Served, int]) -> None:
    tab = await owner("/health", width=NARROW)
    log = tab.get_by_role("log")
    await log.get_by_text("connected as sususbot").wait_for()
    file = place[0].folder / "data" / "logs" / "bot.jsonl"
    written(file, ("ERROR", "<b>the archive</b> cannot be written"))
    await log.get_by_text("<b>the archive</b> cannot be written").wait_for()
    await choose(tab, "From level", "WARNING")
    await log.get_by_text("connected as sususbot").wait_for(state="detached")
    assert await log.get_by_text("a slow disk").count() == 1
    file.replace(file.with_suffix(".1"))
    written(file, ("WARNING", "a new file"))
    await log.get_by_text("a new file").wait_for()
    assert await log.get_by_text("a slow disk").count() == 0
    assert not await overflows(tab)


async def test_the_doctor_looks_again(owner: Visit, place: tuple[Served, int]) -> None:
    env = place[0].folder / ".env"
    tab = await owner("/health")
    await tab.locator('li[data-state="ok"]', has_text="archive content").wait_for()
    assert await tab.locator('li[data-state="wrong"]').count() == 0
    env.write_text("TEMPERATUR=1\n", encoding="utf-8")
    await push(tab.get_by_role("button", name="Check again"))
    wrong = tab.locator('li[data-state="wrong"]')
    await wrong.first.wait_for()
    assert "TEMPERATUR is no setting (did you mean TEMPERATURE?)" in (await wrong.first.text_content() or "")
    env.unlink()
    await push(tab.get_by_role("button", name="Check again"))
    await wrong.first.wait_for(state="detached")


async def test_one_doctor_comes_for_all_and_ends_with_the_page(tmp_path: Path) -> None:
    doctor = Doctor(tmp_path / "data", tmp_path / ".env")
    leaving, *staying = (asyncio.create_task(doctor.examine(online=False)) for _ in range(3))
    await until(lambda: doctor.calls == 1)
    leaving.cancel()
    first, second = await asyncio.gather(*staying)
    assert first is second
    assert {finding.state for finding in first.findings} >= {"ok", "skipped"}
    assert await doctor.examine(online=False) is first
    assert doctor.calls == 1

    # As at the end of the event loop: what goes on is cancelled.
    before = asyncio.all_tasks()

    def doctors() -> list[psutil.Process]:
        found = []
        for one in psutil.Process().children():
            # Others may end meanwhile.
            with suppress(psutil.Error):
                if "doctor" in one.cmdline():
                    found.append(one)
        return found

    looking = asyncio.create_task(doctor.examine(online=False, anew=True))
    await until(lambda: bool(doctors()))
    (child,) = doctors()
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await until(lambda: not child.is_running())
    assert doctor.calls == 2


async def test_a_counting_is_shared_and_one_with_words_of_the_forgotten_is_not_kept() -> None:
    counting, go, begun = Counting(), Event(), []

    def analyze(told: Callable[[int, int], None]) -> Analysis:
        begun.append(True)
        told(1, 2)
        assert go.wait(60)
        return cast(Analysis, object())

    leaving, staying = (asyncio.create_task(counting.of("now", analyze)) for _ in range(2))
    await until(lambda: counting.done == 0.5)
    leaving.cancel()
    assert counting.heard((1,)) == 0
    assert counting.heard((2,)) == 1
    again = asyncio.create_task(counting.of("now", analyze))
    go.set()
    assert await staying is not await again
    assert len(begun) == 2
    assert counting.kept("now") is await again
    assert counting.kept("later") is None


async def test_who_leaves_while_it_is_counted_leaves_nothing_behind(tmp_path: Path) -> None:
    go, begun = Event(), Event()

    def analyze(_told: Callable[[int, int], None]) -> Analysis:
        begun.set()
        assert go.wait(60)
        return cast(Analysis, object())

    with Archive(tmp_path) as archive:
        desk = cast(Desk, SimpleNamespace(archive=archive, data=tmp_path, env=tmp_path / ".env", analyze=analyze))
        client = Client(ui.page("/"))

        async def look() -> Analysis:
            with client:
                return await counted(desk)

        looking = asyncio.create_task(look())
        await until(begun.is_set)
        client.delete()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await looking


async def test_figures_are_those_of_the_bot() -> None:
    metrics = busy()
    exposition = Exposition(metrics.exposition().decode())
    total = exposition.quantiles("sususbot_reply_seconds", stage="total")
    # Half a second lies in the bucket from 0.3 to 0.6.
    assert total.count == 3
    assert total.p50 == pytest.approx(0.45)
    assert total.p95 == pytest.approx(0.3 + 0.3 * 0.95)
    assert exposition.counts("sususbot_fallbacks_total", "backend", "cause") == {"llamacpp late": 3}
    assert exposition.quantiles("sususbot_reply_seconds", stage="nothing").p50 is None
    async with HealthServer(Health(metrics, lambda: 0), metrics, 0) as server:
        assert server.port is not None
        state = await asyncio.to_thread(fetch, server.port)
    assert state is not None
    assert (state.state, state.identifies, state.filter_hits) == ("running", 1, {"slurs": 1})
    assert next(iter(state.stages)) == "total"


async def test_who_answers_something_else_is_no_bot() -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'["no bot"]')

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        assert await asyncio.to_thread(fetch, other.server_port) is None
        other.shutdown()
    assert fetch(0) is None


async def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "bot.jsonl"
    written(path, *(("INFO", f"line {number} {'x' * 300}") for number in range(2000)))
    tail = Tail(path)
    fresh, lines = tail.new()
    assert fresh
    assert 300 < len(lines) < 1000
    assert lines[-1].text.startswith("line 1999 ")
    assert tail.new() == (False, [])
    with path.open("a") as file:
        file.write('{"level": "ERROR", "message": "half')
        file.flush()
        assert tail.new() == (False, [])
        file.write(' a line", "exception": "Traceback\\nValueError: no", "count": 3}\nnot json\n')
    _, (line,) = tail.new()
    assert (line.text, line.level) == ("half a line", "ERROR")
    assert line.shown().endswith("half a line count=3 (ValueError: no)")
    assert at_least([*lines[-2:], line], "WARNING") == [line]
    path.unlink()
    assert tail.new() == (True, [])
    assert tail.new() == (False, [])
