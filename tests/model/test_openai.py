"""The client of OpenAI-compatible servers, against real servers that answer well, badly or not at all."""

import asyncio
import gc
import json
import logging
import re
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from aiohttp import web

from sususbot.errors import BackendFailed, BackendUnreachable, ModelError, SettingsError
from sususbot.log_content import MARK, shown
from sususbot.model.backend import Deadline, Request
from sususbot.model.estimate import estimate_tokens
from sususbot.model.openai import OpenAI
from tests.model.completions import (
    ASKED,
    DONE,
    Handler,
    Hanging,
    ask,
    event,
    nobody,
    refusing,
    reply,
    served,
    streaming,
    text_of,
)
from tests.support import tiny_gguf
from tests.support.llama_server import KEY


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
    400: "refuses the request .400, BadRequestError.: LOG_LEVEL=DEBUG with LOG_CONTENT=true shows why",
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
        await reply(refusing(status, REASON), deadline=Deadline(6))


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
    with shown(True), pytest.raises(BackendFailed, match=r"failed .500, it is out of memory.: look at the server's"):
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
        told += [str(raised.value), *traceback.format_exception(raised.value)]
    assert len(set(told)) > 6
    assert any("says: (" in message for message in caplog.messages)
    assert not [line for line in (*told, *caplog.messages) if re.search("[а-яА-Я]|u04", line)]


async def test_what_a_server_says_of_a_refusal_is_logged_where_words_may_be(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sususbot")
    with shown(True), pytest.raises(BackendFailed):
        await reply(refusing(400, json.dumps({"error": {"message": f"not this: {SECRET}"}})))
    assert any(f"{MARK} not this: {SECRET}" in message for message in caplog.messages)


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
    with nobody() as (_, host), closing(OpenAI(f"http://{host}/v1")) as backend:
        sentence = f"{host}: start it, or correct OPENAI_BASE_URL"
        begun = time.monotonic()
        with pytest.raises(BackendUnreachable, match=sentence):
            await ask(backend, deadline=Deadline(6))
        between = time.monotonic()
        # The next one is not kept waiting for who was not there.
        with pytest.raises(BackendUnreachable, match=sentence):
            await ask(backend, deadline=Deadline(6))
        assert time.monotonic() - between < between - begun
        assert backend.facts()["state"] == f"down: nobody answers at {host}"
        assert backend.count_tokens("hello") == estimate_tokens("hello")


@pytest.mark.parametrize("first", ["", event("half")])
async def test_the_deadline_drops_a_server_that_hangs(first: str) -> None:
    hanging = Hanging(first)
    async with served(completions=hanging.handle) as url:
        with closing(OpenAI(url)) as backend:
            chunks = await ask(backend, deadline=Deadline(2))
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
