"""The client of OpenAI-compatible servers, against real servers that answer well, badly or not at all."""

import asyncio
import gc
import json
import logging
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sususbot.errors import BackendFailed, BackendUnreachable, ModelError, SettingsError
from sususbot.model.backend import Chunk, Deadline, Request, Sampling
from sususbot.model.estimate import estimate_tokens
from sususbot.model.openai import OpenAI
from sususbot.model.wire import Patience
from tests.support import tiny_gguf
from tests.support.llama_server import KEY, llama_server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SAMPLING = Sampling(max_new_tokens=20, seed=3, min_p=0.03, dry_multiplier=0.5)
ASKED = Request("hello", (), stop=("\n",), sampling=SAMPLING)
DONE = "data: [DONE]\n\n"


def event(text: str, finish: str | None = None, **more: Any) -> str:
    data = {"choices": [{"text": text, "finish_reason": finish}], **more}
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


PATHS = {
    "completions": "/v1/completions",
    "tokenize": "/tokenize",
    "models": "/v1/models",
    "loras": "/lora-adapters",
}


def server_of(handlers: Mapping[str, Handler], port: int | None = None) -> TestServer:
    application = web.Application()
    for name, handler in handlers.items():
        application.router.add_route("*", PATHS[name], function_of(handler))
    return TestServer(application, port=port)


def function_of(handler: Handler) -> Handler:
    """aiohttp takes functions alone."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    return handle


@asynccontextmanager
async def served(**handlers: Handler) -> AsyncIterator[str]:
    """A server with `completions`, `tokenize`, `models` and `loras` as given."""
    server = server_of(handlers)
    await server.start_server()
    try:
        yield str(server.make_url("/")).rstrip("/")
    finally:
        await server.close()


def streaming(*pieces: str | bytes) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece.encode() if isinstance(piece, str) else piece)
        return response

    return handle


def refusing(status: int, text: str = '{"error": {"message": "because"}}', **headers: str) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type="application/json", headers=headers)

    return handle


class Counting:
    """Handles the first requests by the first handlers, all others by the last, and counts them."""

    def __init__(self, *handlers: Handler) -> None:
        self.handlers = handlers
        self.bodies: list[dict[str, Any]] = []
        self.asked = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json() if request.can_read_body else {})
        self.asked.set()
        return await self.handlers[min(len(self.bodies), len(self.handlers)) - 1](request)

    @property
    def times(self) -> int:
        return len(self.bodies)


FINE = streaming(event("fine", "stop"), DONE)


async def ask(backend: OpenAI, request: Request = ASKED, deadline: Deadline | None = None) -> list[Chunk]:
    return await asyncio.to_thread(lambda: list(backend.generate(request, deadline or Deadline(20))))


async def reply(handler: Handler, request: Request = ASKED, deadline: Deadline | None = None) -> list[Chunk]:
    async with served(completions=handler) as url:
        with closing(OpenAI(url, model="tiny")) as backend:
            return await ask(backend, request, deadline)


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def test_events_may_arrive_in_any_pieces() -> None:
    stream = event(" naïve\u2028🎉") + ": a comment\n\n" + event(" end", "stop") + DONE
    chunks = await reply(streaming(*(bytes([byte]) for byte in stream.encode())))
    assert [(chunk.text, chunk.finish) for chunk in chunks] == [(" naïve\u2028🎉", None), (" end", None), ("", "stop")]


async def test_the_usage_of_the_last_event_is_handed_on() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 7}}
    last = f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
    found = (await reply(streaming(event("a"), event("b", "length"), last, DONE)))[-1].usage
    assert found is not None
    assert (found.prompt, found.completion, found.cached) == (9, 2, 7)


async def test_a_server_that_tells_no_usage_and_marks_no_end_is_good_enough() -> None:
    chunks = await reply(streaming(event("a"), event("b", "length")))
    assert (text_of(chunks), chunks[-1].finish) == ("ab", "length")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion == 2


async def test_a_server_that_does_not_stream_is_good_enough() -> None:
    chunks = await reply(refusing(200, '{"choices": [{"text": "all at once", "finish_reason": "stop"}]}'))
    assert (text_of(chunks), chunks[-1].finish) == ("all at once", "stop")


async def test_stop_strings_that_the_server_ignores_are_obeyed_here() -> None:
    pieces = [event("one tw"), event("o\nmi"), event("a: three"), event("", "stop"), DONE]
    chunks = await reply(streaming(*pieces), Request("", (), stop=("\nmia:",)))
    assert (text_of(chunks), chunks[-1].finish) == ("one two", "stop")


REASON = '{"error": {"message": "because", "type": "BadRequestError", "code": 400}}'
REFUSALS = {
    400: "refuses the request .400, BadRequestError.: LOG_LEVEL=DEBUG shows why",
    401: "refuses the key .401, BadRequestError.: correct OPENAI_API_KEY",
    403: "correct OPENAI_API_KEY",
    404: "does not have the model 'tiny' .* correct OPENAI_MODEL",
    500: "failed .500, BadRequestError.: look at the server's log",
    429: "asked too much .429, BadRequestError.: raise its limit, or ask less",
    503: "failed .503",
}


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_refusal_is_told_in_one_sentence(status: int) -> None:
    with pytest.raises(BackendFailed, match=REFUSALS[status]):
        await reply(refusing(status, REASON), deadline=Deadline(1))


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"message": "CUDA out of memory"}}',
        '{"error": "CUDA out of memory"}',
        '{"detail": "CUDA out of memory"}',
        '{"message": "CUDA out of memory"}',
        "torch.OutOfMemoryError",
        '["CUDA out of memory"]',
    ],
)
async def test_the_reason_is_found_in_every_shape_of_error(body: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sususbot")
    with pytest.raises(BackendFailed, match=r"failed .500, it is out of memory.: look at the server's log"):
        await reply(refusing(500, body))
    assert any(re.search("out ?of ?memory", message, re.IGNORECASE) for message in caplog.messages)


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        "the request exceeds the available context size, try increasing it",
        "prompt is too long: 5000 tokens > 4096 maximum",
    ],
)
async def test_a_prompt_that_is_too_long_is_told_in_the_same_words_for_all(message: str) -> None:
    with pytest.raises(BackendFailed, match=r".400.: the prompt is longer than its context, lower CONTEXT_TOKENS"):
        await reply(refusing(400, json.dumps({"error": {"message": message}})))


SECRET = "Аня: я развожусь"


def echoes() -> Iterator[Handler]:
    """Errors as servers make them of a request that they repeat."""
    body = {"prompt": SECRET, "max_tokens": 20}
    detail = [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": body}]
    shapes: tuple[object, ...] = (
        {"error": {"message": f"{SECRET} is no prompt", "type": SECRET, "code": SECRET}},
        {"error": SECRET, "code": "развожусь"},
        {"detail": detail},
        {"object": "error", "message": str(detail), "type": "BadRequestError", "code": 400},
        [SECRET],
    )
    for shape in shapes:
        text = json.dumps(shape, ensure_ascii=False)
        for status in (400, 401, 404, 429, 500):
            yield refusing(status, text, **{"Retry-After": "3600"})
        yield streaming(f"data: {text}\n\n")
    yield refusing(422, f"Traceback: prompt={SECRET}")
    yield refusing(200, SECRET)
    yield refusing(200, f"<html>{SECRET}")
    yield streaming(f"data: {SECRET}\n\n")
    yield streaming(f"error: {SECRET}\n\n")


async def test_what_members_said_is_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Not even where the server repeats it: errors stand in the log as warnings, and in the trace."""
    caplog.set_level(logging.DEBUG, "sususbot")
    told = []
    for handler in echoes():
        with pytest.raises(BackendFailed) as raised:
            await reply(handler, Request(SECRET, ()))
        told.append(str(raised.value))
    assert len(set(told)) > 6
    logged = [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
    assert not [line for line in (*told, *logged) if re.search("[а-яА-Я]|u04", line)]
    assert any(SECRET in record.getMessage() for record in caplog.records)


async def test_bytes_of_a_reply_that_came_instead_of_http_are_in_no_error() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"{SECRET}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        with closing(OpenAI(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")) as backend:
            with pytest.raises(BackendFailed, match=r"broke off its reply .illegal status line.: look at"):
                await ask(backend)


@pytest.mark.parametrize(
    ("pieces", "sentence"),
    [
        ([event("half")], "ended its reply halfway"),
        ([event("half"), "data: {broken\n\n"], "does not answer as a model server .*is no JSON"),
        ([event("half"), 'data: {"error": {"code": 500, "message": "out of memory"}}\n\n'], "failed .500, it is out"),
        ([event("half"), 'data: {"error": "out of memory"}\n\n'], "failed .500, it is out of memory"),
        ([event("half"), "error: out of memory\n\n"], "does not answer .*it is out of memory"),
    ],
)
async def test_a_stream_that_breaks_is_told(pieces: list[str], sentence: str) -> None:
    with pytest.raises(BackendFailed, match=sentence):
        await reply(streaming(*pieces))


async def test_a_page_instead_of_json_is_told() -> None:
    with pytest.raises(
        BackendFailed, match=r"does not answer as a model server .*no JSON object.: correct OPENAI_BASE_URL"
    ):
        await reply(refusing(200, "<html>hello"))


def dropping(times: int, after: str = "") -> Handler:
    """Breaks the connection so many times, then answers."""
    calls = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        if calls > times:
            return await streaming(event("fine", "stop"), DONE)(request)
        if after:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(after.encode())
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    return handle


async def test_a_connection_that_breaks_before_the_first_token_is_tried_again() -> None:
    assert text_of(await reply(dropping(1))) == "fine"


async def test_a_connection_that_breaks_twice_is_told() -> None:
    with pytest.raises(BackendFailed, match="broke off its reply"):
        await reply(dropping(2))


async def test_a_connection_that_breaks_after_the_first_token_is_told() -> None:
    with pytest.raises(BackendFailed, match="broke off its reply"):
        await reply(dropping(1, after=event("half")))


async def test_nobody_at_the_port() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sentence = f"127.0.0.1:{port}: start it, or correct OPENAI_BASE_URL"
    with closing(OpenAI(f"http://127.0.0.1:{port}/v1")) as backend:
        begun = time.monotonic()
        with pytest.raises(BackendUnreachable, match=sentence):
            await ask(backend, deadline=Deadline(2))
        between = time.monotonic()
        # The next one is not kept waiting for who was not there.
        with pytest.raises(BackendUnreachable, match=sentence):
            await ask(backend, deadline=Deadline(2))
        assert time.monotonic() - between < between - begun
        assert backend.facts()["state"] == f"down: nobody answers at 127.0.0.1:{port}"
        assert backend.count_tokens("hello") == estimate_tokens("hello")


class Hanging:
    """Says `first`, then nothing, and notices when the client goes away."""

    def __init__(self, first: str) -> None:
        self.first = first
        self.begun = asyncio.Event()
        self.left = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if self.first:
                response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                await response.prepare(request)
                await response.write(self.first.encode())
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.left.set()
        raise AssertionError("unreachable")


@pytest.mark.parametrize("first", ["", event("half")])
async def test_the_deadline_drops_a_server_that_hangs(first: str) -> None:
    hanging = Hanging(first)
    async with served(completions=hanging.handle) as url:
        with closing(OpenAI(url)) as backend:
            chunks = await ask(backend, deadline=Deadline(0.3))
            await asyncio.wait_for(hanging.left.wait(), 10)
    assert (text_of(chunks), chunks[-1].finish) == ("half" if first else "", "deadline")


@pytest.mark.parametrize("first", ["", event("half")])
async def test_cancelling_drops_a_server_that_hangs(first: str) -> None:
    hanging = Hanging(first)
    deadline = Deadline(20)
    async with served(completions=hanging.handle) as url:
        with closing(OpenAI(url)) as backend:
            answer = asyncio.create_task(ask(backend, deadline=deadline))
            await hanging.begun.wait()
            deadline.cancel()
            assert (await answer)[-1].finish == "cancelled"
            await asyncio.wait_for(hanging.left.wait(), 10)


@pytest.mark.parametrize("status", [400, 422])
async def test_unknown_knobs_are_left_out_once_a_server_refuses_them(status: int) -> None:
    bodies: list[dict[str, Any]] = []

    async def strict(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        handler = refusing(status) if "top_k" in bodies[-1] else streaming(event("fine", "stop"), DONE)
        return await handler(request)

    async with served(completions=strict) as url:
        with closing(OpenAI(url, model="tiny")) as backend:
            assert [text_of(await ask(backend)) for _ in range(2)] == ["fine", "fine"]
    assert ["top_k" in body for body in bodies] == [True, False, False]
    assert bodies[0]["repetition_penalty"] == bodies[0]["repeat_penalty"] == ASKED.sampling.repetition_penalty
    assert bodies[0]["min_p"] == 0.03
    assert (bodies[0]["dry_multiplier"], bodies[0]["dry_base"], bodies[0]["dry_allowed_length"]) == (0.5, 1.75, 2)
    assert "\n" in bodies[0]["dry_sequence_breakers"]
    assert bodies[1] == {
        "model": "tiny",
        "prompt": "hello",
        "max_tokens": 20,
        "temperature": 0.8,
        "top_p": 0.9,
        "seed": 3,
        "stop": ["\n"],
        "stream": True,
    }


async def test_the_key_is_sent() -> None:
    async def keyed(request: web.Request) -> web.StreamResponse:
        good = request.headers.get("Authorization") == "Bearer sesame"
        return await (streaming(event("in", "stop")) if good else refusing(401))(request)

    async with served(completions=keyed) as url:
        with closing(OpenAI(url, api_key="sesame")) as backend, closing(OpenAI(url)) as stranger:
            assert text_of(await ask(backend)) == "in"
            with pytest.raises(BackendFailed, match="OPENAI_API_KEY"):
                await ask(stranger)


async def count(backend: OpenAI, text: str) -> int:
    return await asyncio.to_thread(backend.count_tokens, text)


@pytest.mark.parametrize("answer", ['{"tokens": [1, 2, 3]}', '{"count": 3, "max_model_len": 9, "tokens": [1, 2, 3]}'])
async def test_tokens_are_counted_by_the_server_that_can(answer: str) -> None:
    async with served(tokenize=refusing(200, answer)) as url:
        with closing(OpenAI(url)) as backend:
            assert await count(backend, "no matter what it is") == 3


@pytest.mark.parametrize("answer", [(404, "{}"), (200, '{"ids": []}'), (200, "no"), (200, '{"tokens": 3}')])
async def test_tokens_are_estimated_where_the_server_cannot(answer: tuple[int, str]) -> None:
    async with served(tokenize=refusing(*answer)) as url:
        with closing(OpenAI(url)) as backend:
            assert await count(backend, "hello") == estimate_tokens("hello")


async def test_a_server_that_was_loading_is_asked_again_after_its_next_reply() -> None:
    answers = iter([refusing(503), refusing(200, '{"tokens": [1]}')])

    async def loading(request: web.Request) -> web.StreamResponse:
        return await next(answers)(request)

    async with served(tokenize=loading, completions=streaming(event("fine", "stop"))) as url:
        with closing(OpenAI(url)) as backend:
            assert await count(backend, "a b") == estimate_tokens("a b")
            assert await count(backend, "a b") == estimate_tokens("a b")
            await ask(backend)
            assert await count(backend, "a b") == 1


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_as_people_write_it(server_url: str, suffix: str) -> None:
    with closing(OpenAI(server_url + suffix, api_key=KEY)) as backend:
        assert text_of(list(backend.generate(ASKED, Deadline(20))))
        assert backend.count_tokens(tiny_gguf.CYCLE_TEXT.strip()) == len(tiny_gguf.CYCLE)


@pytest.mark.parametrize("address", ["", "127.0.0.1:8080", "ftp://host", "http://", "http://host:no"])
def test_an_address_that_is_none_is_a_wrong_setting(address: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL"):
        OpenAI(address)


def test_a_prompt_that_is_too_long_is_told(server_url: str) -> None:
    with closing(OpenAI(server_url, api_key=KEY)) as backend:
        with pytest.raises(
            ModelError, match=r"exceed_context_size_error.: the prompt is longer than its context, lower"
        ):
            list(backend.generate(Request("a " * tiny_gguf.CONTEXT, ()), Deadline(20)))
        assert list(backend.generate(ASKED, Deadline(20)))


def test_it_may_be_closed_at_any_moment_of_a_call() -> None:
    """Nothing is left behind that Python complains of, which would fail this test: its warnings are errors."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        for step in range(100):
            # The first look at how the server fares is being made.
            with closing(OpenAI(f"http://127.0.0.1:{deaf.getsockname()[1]}")) as backend:
                backend._health.known.wait(step * 6e-5)
    gc.collect()


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
        await reply(handler, deadline=Deadline(2.4))
    assert 2 <= handler.times <= 3


async def test_cancelling_ends_asking_again() -> None:
    handler = Counting(refusing(503, **{"Retry-After": "5"}))
    deadline = Deadline(20)
    async with served(completions=handler) as url:
        with closing(OpenAI(url)) as backend:
            answer = asyncio.create_task(ask(backend, deadline=deadline))
            await handler.asked.wait()
            deadline.cancel()
            (last,) = await asyncio.wait_for(answer, 3)
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


async def test_a_server_that_is_just_starting_is_waited_for() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = server_of({"completions": FINE}, port)
    with closing(OpenAI(f"http://127.0.0.1:{port}")) as backend:
        answer = asyncio.create_task(ask(backend))
        # It was refused once by now, or is so fast that it need not be.
        await asyncio.sleep(0.1)
        await server.start_server()
        try:
            assert text_of(await answer) == "fine"
        finally:
            await server.close()


# -- silence


@pytest.mark.parametrize(("first", "patience"), [("", Patience(0.2, 20)), (event("half"), Patience(20, 0.2))])
async def test_a_server_that_falls_silent_is_told_before_the_time_is_over(first: str, patience: Patience) -> None:
    hanging = Hanging(first)
    async with served(completions=hanging.handle) as url:
        with closing(OpenAI(url, patience=patience)) as backend:
            with pytest.raises(BackendFailed, match=r"broke off its reply .it said nothing for 0.2 s"):
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
            assert time.monotonic() - begun < 2
            assert text_of(await ask(backend)) == "fine"
            assert backend.facts()["state"] == "running"
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
