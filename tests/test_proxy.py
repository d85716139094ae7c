"""The proxy on the way: as other programs have it, never for this machine, and the same for all that goes out."""

import asyncio
import logging
import os
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import httpx
import pytest

from sususbot.bot.client import Client as Bot
from sususbot.bot.logs import logged
from sususbot.bot.pace import Pace
from sususbot.bot.supervisor import _complaint
from sususbot.env_file import checked
from sususbot.errors import ConnectionLost, DownloadFailed, SettingsError
from sususbot.model.backend import Deadline
from sususbot.model.hub import Hub
from sususbot.model.openai import OpenAI
from sususbot.model.wire import Refused, Wire
from sususbot.proxy import proxy_for, shown, spare_this_machine
from sususbot.sources.discord_api.address import api_at
from sususbot.sources.discord_api.client import Client
from sususbot.sources.discord_api.limits import Limiter

# A name that no network has: only a proxy can be asked for it.
FAR = "http://far.invalid"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://discord.com/api", None),
        ({"HTTPS_PROXY": "http://there:1"}, "https://discord.com/api", "http://there:1"),
        ({"https_proxy": "there:1"}, "https://discord.com/api", "http://there:1"),
        ({"HTTP_PROXY": "http://there:1"}, "https://discord.com/api", None),
        ({"ALL_PROXY": "http://there:1"}, "https://discord.com/api", "http://there:1"),
        ({"HTTPS_PROXY": "http://there:1", "NO_PROXY": "discord.com"}, "https://discord.com/api", None),
        ({"HTTPS_PROXY": "http://there:1", "NO_PROXY": "*"}, "https://discord.com/api", None),
        ({"HTTP_PROXY": "http://there:1"}, "http://gpu:8000/v1", "http://there:1"),
        ({"HTTP_PROXY": "http://there:1"}, "http://127.0.0.1:8000/v1", None),
        ({"HTTP_PROXY": "http://there:1"}, "http://localhost:8000/v1", None),
        ({"HTTP_PROXY": "http://there:1"}, "http://[::1]:8000/v1", None),
    ],
)
def test_which_proxy_is_asked(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # As once settings are loaded.
    spare_this_machine(os.environ)
    assert proxy_for(url) == proxy


@pytest.mark.parametrize("address", ["socks5://me:secret@there:1", "http://", "http://there:99999", "http://there:x"])
def test_a_proxy_that_nothing_here_speaks_to_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(SettingsError, match="cannot be used: set HTTPS_PROXY to one like") as caught:
        proxy_for("https://discord.com")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "spared"),
    [
        ({}, {}),
        ({"NO_PROXY": "there"}, {"NO_PROXY": "there"}),
        ({"http_proxy": "x"}, {"http_proxy": "x", "NO_PROXY": "localhost,127.0.0.1,::1"}),
        (
            {"HTTPS_PROXY": "x", "no_proxy": "there, localhost"},
            {"HTTPS_PROXY": "x", "no_proxy": "there, localhost,127.0.0.1,::1"},
        ),
        # Nothing at all goes by one: a star among others would spare nobody.
        ({"HTTPS_PROXY": "x", "NO_PROXY": "*"}, {"HTTPS_PROXY": "x", "NO_PROXY": "*"}),
    ],
)
def test_libraries_that_read_the_environment_spare_this_machine_too(
    before: dict[str, str], spared: dict[str, str]
) -> None:
    for _ in range(2):
        spare_this_machine(before)
        assert before == spared


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://me:secret@there:1", "http://there:1"),
        ("http://me:sec/ret@there:1/v1", "http://there:1/v1"),
        ("me:secret@there:1", "there:1"),
        ("http://there:1", "http://there:1"),
        ("there", "there"),
    ],
)
def test_of_an_address_no_password_is_shown(address: str, told: str) -> None:
    assert shown(address) == told


def test_nor_is_what_opens_another_server_told_by_a_log_or_a_sentence() -> None:
    opened = "http://me:sekret99@there:1"
    names = ("openai_base_url", "hf_endpoint", "chroma_url")
    for name in names:
        assert "sekret99" in checked({name: opened}).secrets
        assert checked({name: "http://there:1"}).secrets == ()
    for wrong in ("ftp://me:sekret99@there", "me:sekret99@there"):
        with pytest.raises(SettingsError, match=r"OPENAI_BASE_URL is .*there.*, no address") as caught:
            OpenAI(wrong)
        assert "sekret99" not in str(caught.value)
        with pytest.raises(SettingsError, match=r"HF_ENDPOINT=.*there is no address") as caught:
            Hub(wrong)
        assert "sekret99" not in str(caught.value)
    hub = Hub("http://me:sekret99@127.0.0.1:1", pauses=())
    with pytest.raises(DownloadFailed, match=r"http://127\.0\.0\.1:1 cannot be reached") as lost:
        hub.find("owner/name")
    hub.close()
    assert "sekret99" not in str(lost.value)


@pytest.mark.parametrize("key", ["sekret99\nsecond", "sekret99\u2026"])
def test_a_key_that_cannot_be_sent_is_told_and_not_shown(key: str) -> None:
    """The library would repeat it in its error."""
    for name in ("openai_api_key", "hf_token"):
        with pytest.raises(SettingsError, match=f"{name.upper()}: copy it again") as caught:
            checked({name: key})
        assert "sekret" not in str(caught.value)
    with pytest.raises(SettingsError, match="HF_TOKEN holds a sign that no token has") as caught:
        Hub(FAR, token=key)
    assert "sekret" not in str(caught.value)


def test_what_a_proxy_is_opened_by_stands_in_no_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:sek%40ret99@there:1")
    said = ("http://me:sek%40ret99@there:1", "sek@ret99", "Basic bWU6c2VrQHJldDk5")
    with logged("INFO"):
        logging.getLogger("sususbot.test").info("asked by %s, %s, %s", *said)
    told = capsys.readouterr().err
    assert "asked by" in told
    assert "there:1" in told
    assert not [word for word in ("sek%40ret99", "sek@ret99", "bWU6c2VrQHJldDk5") if word in told]


@asynccontextmanager
async def proxy(
    monkeypatch: pytest.MonkeyPatch, status: str = "502 no way", password: str = "secret"
) -> AsyncIterator[asyncio.Queue[str]]:
    """A proxy that is nobody's way, with what each request to it begins with, and its password."""
    asked: asyncio.Queue[str] = asyncio.Queue()

    serving: set[asyncio.Task[Any]] = set()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await answer(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        proof = "with password" if "roxy-authorization: basic bwu6c2vjcmv0" in head.casefold() else "without"
        asked.put_nowait(f"{head.splitlines()[0].rsplit(' ', 1)[0]} {proof}")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        address = f"http://me:{password}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        monkeypatch.setenv("HTTP_PROXY", address)
        monkeypatch.setenv("HTTPS_PROXY", address)
        yield asked
        # Whoever was sent away comes again, and may be in the middle of it.
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def test_backfill_and_doctor_ask_discord_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy(monkeypatch) as asked:
        with api_at(FAR):
            client = Client("token", Limiter(50), timeout=60, patience=0)
        async with client:
            with pytest.raises(ConnectionLost, match=r"check the network and the proxy http://127\.0\.0\.1"):
                await client.get("/users/@me")
    assert await asked.get() == f"GET {FAR}/users/@me with password"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            "407 Proxy Authentication Required",
            r"the proxy http://127.* refuses the user or password .status 407.: write",
        ),
        ("502 no way", r"Discord cannot be reached .status 502.: check the network and the proxy http://127"),
    ],
)
async def test_a_proxy_that_refuses_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, scheme: str, status: str, sentence: str
) -> None:
    """Not even a traceback tells it."""
    # Wrong from the beginning is told at once, whatever the patience.
    patience = 300.0 if "407" in status else 0.0
    async with proxy(monkeypatch, status, "sek%40ret99"):
        with api_at(f"{scheme}://far.invalid"):
            client = Client("token", Limiter(50), timeout=60, patience=patience)
        async with client, asyncio.timeout(120):
            with pytest.raises(ConnectionLost, match=sentence) as caught:
                await client.get("/users/@me")
    told = "".join(traceback.format_exception(caught.value))
    assert "ret99" not in told


async def test_the_bot_logs_in_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody: Any = None
    async with proxy(monkeypatch) as asked:
        bot = Bot(1, keeper=nobody, answering=nobody, short_term=nobody, sessions=nobody, metrics=nobody, pace=Pace())
        async with bot:
            # It tries again and again, which nobody waits for.
            login = asyncio.create_task(bot.login("token"))
            first = await asyncio.wait_for(asked.get(), 20)
            login.cancel()
            await asyncio.gather(login, return_exceptions=True)
    assert first == "CONNECT discord.com:443 with password"


async def test_a_proxy_that_refuses_the_bot_is_told_in_its_log_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody: Any = None
    async with proxy(monkeypatch, "407 Proxy Authentication Required", "sek%40ret99"):
        bot = Bot(1, keeper=nobody, answering=nobody, short_term=nobody, sessions=nobody, metrics=nobody, pace=Pace())
        async with bot:
            with pytest.raises(aiohttp.ClientHttpProxyError) as caught:
                await asyncio.wait_for(bot.login("token"), 20)
    assert _complaint("unreachable", caught.value) == "the proxy refuses the user or password: correct HTTPS_PROXY"
    assert "check the network" in _complaint("unreachable", OSError())


async def test_models_come_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy(monkeypatch) as asked:
        hub = Hub(FAR, pauses=())
        with pytest.raises(DownloadFailed):
            await asyncio.to_thread(hub.find, "owner/name")
        hub.close()
    first = await asked.get()
    assert first.startswith(f"GET {FAR}/api/models/owner/name")
    assert first.endswith("with password")


async def test_a_model_server_elsewhere_is_asked_by_it_and_one_here_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy(monkeypatch) as asked:
        for url in (f"{FAR}/v1", "http://127.0.0.1:9/v1"):
            wire = Wire(url)
            try:
                with pytest.raises((Refused, httpx.TransportError)):
                    await asyncio.to_thread(lambda: list(wire.events("/models", None, Deadline(5))))  # noqa: B023
            finally:
                await asyncio.to_thread(wire.close)
    assert asked.get_nowait() == f"GET {FAR}/v1/models with password"
    assert asked.empty()
