"""What programs on this machine are told: figures that are true, to nobody else, and never a word of anybody."""

import asyncio
import re
import socket
import time
from pathlib import Path

import aiohttp
import pytest

from sususbot.bot import loop_lag
from sususbot.bot.health import Health, HealthServer
from sususbot.bot.metrics import Metrics
from sususbot.memory.context import Context
from sususbot.messages import Turn
from sususbot.model.backend import Facts, Usage
from sususbot.model.inference import Fallback, Generation
from sususbot.responder import Trace


class _Hit:
    category = "slurs"
    rule = "slurs/17"


def trace(total: float = 0.5) -> Trace:
    asked = Turn("mia", "who broke the printer?", 1)
    seconds = {"context": 0.02, "first_token": 0.1, "model": 0.3, "total": total}
    fallbacks = (Fallback("llamacpp", "its time was over", "late"),)
    generation = Generation("gerald", "recall", Usage(100, 5, 80), fallbacks, None, seconds)
    return Trace(asked.text, Context("", (asked,), (), (), ()), generation, seconds, True, (_Hit(),))


def value(text: str, name: str) -> float:
    (found,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found)


async def get(server: HealthServer, path: str, host: str | None = None) -> tuple[int, str]:
    headers = {"Host": host} if host else {}
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{server.port}{path}", headers=headers) as answer:
            return answer.status, await answer.text()


async def test_metrics_tell_what_happened() -> None:
    metrics = Metrics()
    metrics.watch_engine(lambda: {"state": "running", "gpu_layers": 32, "model": "a.gguf"})
    metrics.answered(trace())
    metrics.filtered("slurs", "slurs/17")
    metrics.signed("busy")
    metrics.identified()
    metrics.connection_lost("zombie")
    metrics.caught_up(12, 2)
    metrics.received()
    health = Health(metrics, lambda: 3)
    async with HealthServer(health, metrics, 0) as server:
        status, text = await get(server, "/metrics")
    assert status == 200
    assert value(text, 'sususbot_replies_total{backend="recall"}') == 1
    assert value(text, 'sususbot_fallbacks_total{backend="llamacpp",cause="late"}') == 1
    assert value(text, 'sususbot_filter_hits_total{category="slurs",rule="slurs/17"}') == 1
    assert value(text, 'sususbot_signs_total{cause="busy"}') == 1
    assert value(text, 'sususbot_reply_seconds_count{stage="total"}') == 1
    assert value(text, "sususbot_cached_prompt_share_sum") == pytest.approx(0.8)
    assert value(text, "sususbot_tokens_per_second_sum") == pytest.approx(4 / 0.2)
    assert value(text, "sususbot_identifies_total") == 1
    assert value(text, 'sususbot_connections_lost_total{cause="zombie"}') == 1
    assert value(text, 'sususbot_caught_up_total{what="mentions"}') == 2
    assert value(text, "sususbot_engine_gpu_layers") == 32
    assert value(text, "sususbot_waiting") == 3
    assert value(text, "sususbot_memory_bytes") > 10_000_000
    assert "printer" not in text
    assert "mia" not in text


async def test_health_tells_what_is_wrong_and_that_nothing_arrives() -> None:
    metrics = Metrics()
    engine = {"state": "running"}
    connection: Facts = {"state": "running"}
    metrics.watch_engine(lambda: dict(engine))
    metrics.watch_connection(lambda: connection)
    metrics.answered(trace(0.25))
    health = Health(metrics, lambda: 0)
    async with HealthServer(health, metrics, 0) as server:
        status, text = await get(server, "/health")
        assert (status, health.state) == (200, "running")
        assert '"p95_s":0.25' in text
        connection["archive"] = "the disk is full"
        engine["state"] = "down: killed"
        status, text = await get(server, "/health")
        assert (status, health.state) == (200, "degraded")
        assert "the disk is full" in text
        assert "the engine is down: killed" in text
        connection["state"] = "pausing"
        assert (await get(server, "/health"))[0] == 503


async def test_nobody_but_this_machine_is_told() -> None:
    metrics = Metrics()
    health = Health(metrics, lambda: 0)
    async with HealthServer(health, metrics, 0) as server:
        assert (await get(server, "/health", host="evil.example"))[0] == 403
        assert (await get(server, "/metrics", host="localhost:1"))[0] == 200


async def test_a_port_that_is_taken_costs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    health = Health(metrics, lambda: 0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with HealthServer(health, metrics, taken.getsockname()[1]) as server:
            assert server.port is None
    assert "METRICS_PORT" in caplog.text


def test_a_day_ends_and_percentiles_are_of_the_last_replies() -> None:
    now = 0.0
    metrics = Metrics(lambda: now)
    assert metrics.day().p95 is None
    for number in range(100):
        metrics.answered(trace(number / 100))
    assert metrics.day().replies == 100
    assert metrics.day().p50 == pytest.approx(0.495)
    assert metrics.day().fallbacks == {"llamacpp late": 100}
    now = 3600.0 * 23
    assert metrics.day().replies == 100
    now = 3600.0 * 24
    assert metrics.day().replies == 0
    assert metrics.uptime == now


async def test_a_loop_that_is_held_up_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    seen: asyncio.Queue[float] = asyncio.Queue()
    watching = asyncio.create_task(loop_lag.watch(seen.put_nowait, every=0.01))
    await seen.get()
    time.sleep(1.1)  # noqa: ASYNC251  (what must not happen, on purpose)
    assert await seen.get() > 1.0
    watching.cancel()
    assert re.search(r"the event loop was held up for \d", caplog.text)


def test_no_name_of_a_folder_or_member_can_stand_in_a_figure(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.watch_engine(lambda: {"model": str(tmp_path / "mia.gguf"), "vram_mb": 5.5})
    text = metrics.exposition().decode()
    assert "mia" not in text
    assert value(text, "sususbot_engine_vram_mb") == 5.5
