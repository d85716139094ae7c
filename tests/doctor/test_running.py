"""A bot that runs, one that does not, ports that are free and taken."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from sususbot.artifacts import BOT_LOCK
from sususbot.bot.health import Health, HealthServer
from sususbot.bot.metrics import Metrics
from sususbot.bot.service import alone
from sususbot.doctor import checks_running
from sususbot.env_file import checked
from sususbot.file_lock import held
from tests.support.ports import own_port


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is asked here shares one slow machine with the doctor."""
    monkeypatch.setattr(checks_running, "_SECONDS", 60.0)


def test_a_lock_that_is_held_and_one_that_was(tmp_path: Path) -> None:
    assert not held(tmp_path / BOT_LOCK)
    with alone(tmp_path):
        assert held(tmp_path / BOT_LOCK)
    assert not held(tmp_path / BOT_LOCK)
    # Looking locks nothing.
    with alone(tmp_path):
        pass


def found(data: Path, port: int) -> list[tuple[str, str]]:
    settings = checked({"metrics_port": str(port)})
    return [(finding.name, finding.state) for finding in checks_running.bot(settings, data)]


async def test_a_bot_by_its_lock_and_its_word(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.watch_connection(lambda: {"state": "running"})
    assert found(tmp_path, 0) == [("bot", "skipped"), ("health port", "skipped")]
    port = own_port()
    async with HealthServer(Health(metrics, lambda: 0), metrics, port):
        assert await asyncio.to_thread(found, tmp_path, port) == [("bot", "skipped"), ("health port", "warning")]
        with alone(tmp_path):
            assert await asyncio.to_thread(found, tmp_path, port) == [("bot", "ok"), ("health port", "ok")]
            metrics.watch_engine(lambda: {"state": "resting"})
            assert await asyncio.to_thread(found, tmp_path, port) == [("bot", "warning"), ("health port", "ok")]
            assert found(tmp_path, 0) == [("bot", "ok"), ("health port", "skipped")]
    assert found(tmp_path, port) == [("bot", "skipped"), ("health port", "ok")]


def test_ports_that_others_have() -> None:
    port = own_port()
    with socket.create_server(("127.0.0.1", port)):
        assert checks_running.taken("127.0.0.1", port)
    assert checks_running.web_port(checked({"web_port": str(port)})).state == "ok"
    assert checks_running.web_port(checked({"web_port": "0"})).state == "ok"


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b"])
def test_a_host_that_is_not_here_is_no_port_that_is_taken(host: str) -> None:
    finding = checks_running.web_port(
        checked({"web_host": host, "web_password": "long enough a word", "web_port": "1"})
    )
    assert finding.state == "warning"
    assert finding.sentence == f"WEB_HOST={host} is no address of this machine"


@pytest.mark.parametrize("host", ["127.0.0.1", *["127.0.0.2"] * (sys.platform == "linux")])
async def test_the_page_knows_its_own_port_from_anothers(host: str) -> None:
    async def answer(text: bytes) -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 401 no\r\n\r\n" + text)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, host, 0) as server:
            port = str(server.sockets[0].getsockname()[1])
            settings = checked({"web_host": host, "web_port": port, "web_password": "long enough a word"})
            return (await asyncio.to_thread(checks_running.web_port, settings)).state

    assert await answer(b"open the link that  sususbot web  printed") == "ok"
    assert await answer(b"who are you?") == "warning"
