"""The `openai` backend and time: who is asked again, for how long, who falls silent, adapters, how a server fares."""

import asyncio
import json
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sususbot.errors import BackendFailed, BackendUnreachable
from sususbot.model.backend import Deadline, Request, Sampling
from sususbot.model.openai import OpenAI
from sususbot.model.wire import Patience
from sususbot.standin.listening import stop_listening
from tests.model.completions import (
    ASKED,
    FINE,
    Counting,
    Handler,
    Hanging,
    ask,
    event,
    nobody,
    refusing,
    reply,
    served,
    server_of,
    streaming,
    text_of,
)
from tests.support.llama_server import KEY, llama_server

# -- asked again


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_who_refuses_for_a_moment_is_asked_again(status: int) -> None:
    handler = Counting(refusing(status), refusing(status), FINE)
    assert text_of(await reply(handler)) == "fine"
    assert handler.times == 3


async def test_it_is_asked_again_for_half_of_the_time_alone() -> None:
    """So that there is an error, and time for who answers instead, and not a deadline that is over."""
    handler = Counting(refusing(503))
    with pytest.raises(BackendFailed, match=r"failed .503"):
        await reply(handler, deadline=Deadline(8))
    assert 3 <= handler.times <= 5


async def test_an_address_where_nobody_listens_is_given_up_soon_whatever_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An evaluation gives a reply minutes: nobody is to wait for half of them for what is not there."""
    monkeypatch.setattr("sususbot.model.openai._NOBODY_SECONDS", 0.3)
    with nobody() as (_, host), closing(OpenAI(f"http://{host}/v1")) as backend:
        async with asyncio.timeout(20):
            with pytest.raises(BackendUnreachable, match="start it, or correct OPENAI_BASE_URL"):
                await ask(backend, deadline=Deadline(300))


async def test_cancelling_ends_asking_again() -> None:
    handler = Counting(refusing(503, **{"Retry-After": "9"}))
    deadline = Deadline(20)
    async with served(completions=handler) as url:
        with closing(OpenAI(url)) as backend:
            answer = asyncio.create_task(ask(backend, deadline=deadline))
            await handler.asked.wait()
            deadline.cancel()
            (last,) = await asyncio.wait_for(answer, 8)
    assert last.finish == "cancelled"


async def test_nothing_is_asked_again_after_the_first_token() -> None:
    broken = streaming(event("half"), 'data: {"error": {"code": 503, "message": "gone"}}\n\n')
    handler = Counting(broken, FINE)
    with pytest.raises(BackendFailed, match=r"failed .503.:"):
        await reply(handler)
    assert handler.times == 1


@pytest.mark.parametrize("as_date", [False, True])
async def test_a_server_is_left_alone_for_as_long_as_it_wants(as_date: bool) -> None:
    """Longer than a reply may take: it is told at once, and the next question does not go there either."""
    at = datetime.now(UTC) + timedelta(seconds=3600)
    handler = Counting(refusing(429, **{"Retry-After": format_datetime(at, usegmt=True) if as_date else "3600"}), FINE)
    async with served(completions=handler) as url:
        with closing(OpenAI(url)) as backend:
            with pytest.raises(BackendFailed, match=r"asked too much for 3\d\d\d s .429.: raise"):
                await ask(backend)
            with pytest.raises(BackendFailed, match=r"wants to be left alone for 3\d\d\d s"):
                await ask(backend)
    assert handler.times == 1


async def test_a_server_that_says_when_is_asked_then() -> None:
    handler = Counting(refusing(503, **{"Retry-After": "0.4"}), FINE)
    begun = time.monotonic()
    assert text_of(await reply(handler)) == "fine"
    assert time.monotonic() - begun >= 0.4
    assert text_of(await reply(Counting(refusing(429, **{"Retry-After": "soon"}), FINE))) == "fine"


class Heard(logging.Handler):
    """Sets `refused` once somebody was refused and says that they ask again."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        if "it is asked again" in record.getMessage():
            self._loop.call_soon_threadsafe(self.refused.set)


async def test_a_server_that_is_just_starting_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heard, logger = Heard(), logging.getLogger("sususbot.model.openai")
    monkeypatch.setattr(logger, "handlers", [heard])
    caplog.set_level(logging.INFO, logger.name)
    with nobody() as (place, host), closing(OpenAI(f"http://{host}")) as backend:
        server = server_of({"completions": FINE}, place)
        answer = asyncio.create_task(ask(backend))
        await asyncio.wait_for(heard.refused.wait(), 10)
        await server.start_server()
        try:
            assert text_of(await answer) == "fine"
        finally:
            await stop_listening(place)
            await server.close()


# -- silence


@pytest.mark.parametrize(("first", "patience"), [("", Patience(2, 20)), (event("half"), Patience(20, 2))])
async def test_a_server_that_falls_silent_is_told_before_the_time_is_over(first: str, patience: Patience) -> None:
    hanging = Hanging(first)
    async with served(completions=hanging.handle) as url:
        with closing(OpenAI(url, patience=patience)) as backend:
            with pytest.raises(BackendFailed, match=r"broke off its reply .it said nothing for 2 s"):
                await ask(backend)
            await asyncio.wait_for(hanging.left.wait(), 10)


# -- adapters


def listed(*entries: dict[str, Any]) -> Handler:
    return refusing(200, json.dumps({"object": "list", "data": entries}))


async def test_an_adapter_of_vllm_is_one_of_its_models() -> None:
    handler = Counting(FINE)
    models = Counting(listed({"id": "base"}, {"id": "kettle", "parent": "base"}))
    async with served(completions=handler, models=models) as url:
        with closing(OpenAI(url, model="base", adapter="kettle")) as backend:
            assert [text_of(await ask(backend)) for _ in range(2)] == ["fine", "fine"]
            assert await asyncio.to_thread(backend._health.known.wait, 20)
    assert [body["model"] for body in handler.bodies] == ["kettle", "kettle"]
    # Once for how it fares, once for the adapter.
    assert models.times == 2


@pytest.mark.parametrize("name", ["kettle", "kettle.gguf"])
async def test_an_adapter_of_llamacpp_is_one_of_its_files(name: str) -> None:
    handler = Counting(FINE)
    loras = refusing(200, json.dumps([{"id": 0, "path": "other.gguf"}, {"id": 3, "path": "C:\\runs\\kettle.gguf"}]))
    async with served(completions=handler, models=listed({"id": "base.gguf"}), loras=loras) as url:
        with closing(OpenAI(url, adapter=name)) as backend:
            assert text_of(await ask(backend)) == "fine"
    assert handler.bodies[0]["lora"] == [{"id": 3, "scale": 1.0}]
    assert "model" not in handler.bodies[0]


async def test_an_adapter_that_a_server_does_not_have_is_told_with_those_it_has() -> None:
    async with served(completions=FINE, models=listed({"id": "base"}, {"id": "kettle"})) as url:
        with closing(OpenAI(url, adapter="kettel")) as backend:
            with pytest.raises(BackendFailed, match=r"no adapter 'kettel' .it has base, kettle.: correct"):
                await ask(backend)


async def test_a_server_that_is_loading_is_asked_for_its_adapters_again() -> None:
    models = Counting(refusing(503), refusing(503), listed({"id": "kettle"}))
    async with served(completions=FINE, models=models) as url:
        with closing(OpenAI(url, adapter="kettle")) as backend:
            assert text_of(await ask(backend)) == "fine"


def test_llamacpps_own_server_uses_the_adapter_that_is_named(tiny_model: Path, tiny_adapter: Path) -> None:
    greedy = Request("eats the quick", (), sampling=Sampling(0.0, repetition_penalty=1.0, max_new_tokens=14))
    with llama_server(tiny_model, 512, tiny_adapter) as url:
        with closing(OpenAI(url, api_key=KEY, adapter=tiny_adapter.stem)) as backend:
            adapted = text_of(list(backend.generate(greedy, Deadline(20))))
            assert adapted
            assert not adapted.startswith(" fox eats cake")
            assert backend.facts()["adapter"] == tiny_adapter.stem
        with closing(OpenAI(url, api_key=KEY, adapter="another")) as backend:
            with pytest.raises(BackendFailed, match=f"it has .*{tiny_adapter.name}"):
                list(backend.generate(greedy, Deadline(20)))


# -- how it fares


async def facts(backend: OpenAI) -> dict[str, Any]:
    """Once the server was looked at."""
    assert await asyncio.to_thread(backend._health.known.wait, 20)
    return backend.facts()


async def test_how_a_server_fares_is_told_with_its_model() -> None:
    async with served(models=listed({"id": "base", "max_model_len": 4096})) as url:
        with closing(OpenAI(url)) as backend:
            told = await facts(backend)
            assert told == {"server": url[7:], "state": "running", "model": "base", "context_tokens": 4096}
        assert (await facts(backend))["state"] == "down: closed"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (refusing(503), "loading"),
        (refusing(401), "down: .* refuses the key"),
        (refusing(404), "running"),
        (refusing(500), "running"),
    ],
)
async def test_a_server_that_gives_no_list_is_told_as_it_is(answer: Handler, state: str) -> None:
    async with served(models=answer) as url:
        with closing(OpenAI(url, model="tiny")) as backend:
            told = await facts(backend)
    assert re.match(state, told["state"])
    assert told["model"] == "tiny"


async def test_who_asks_how_it_fares_is_never_kept_waiting() -> None:
    hanging = Hanging("")
    models = Counting(hanging.handle)
    async with served(models=models, completions=FINE) as url:
        with closing(OpenAI(url)) as backend:
            begun = time.monotonic()
            assert [backend.facts()["state"] for _ in range(100)] == ["loading"] * 100
            assert time.monotonic() - begun < 20
            assert text_of(await ask(backend)) == "fine"
            assert backend.facts()["state"] == "running"
            await asyncio.wait_for(models.asked.wait(), 10)
    assert models.times == 1


async def test_several_replies_are_made_at_once() -> None:
    arrived = asyncio.Barrier(6)

    async def together(request: web.Request) -> web.StreamResponse:
        await arrived.wait()
        return await FINE(request)

    async with served(completions=together) as url:
        with closing(OpenAI(url, parallel=6)) as backend:
            assert backend.parallel == 6
            with ThreadPoolExecutor(6) as pool:
                loop = asyncio.get_running_loop()
                replies = [
                    loop.run_in_executor(pool, lambda: list(backend.generate(ASKED, Deadline(20)))) for _ in range(6)
                ]
                assert [text_of(chunks) for chunks in await asyncio.gather(*replies)] == ["fine"] * 6
