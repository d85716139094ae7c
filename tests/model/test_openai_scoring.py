"""How likely a text is by an OpenAI-compatible server: against servers that repeat a prompt, and others that do not."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest
from aiohttp import web

from sususbot.errors import BackendFailed, BackendUnreachable, CannotScore
from sususbot.model.backend import Deadline
from sususbot.model.openai import OpenAI
from sususbot.model.scoring import Scored
from tests.model.completions import Counting, Hanging, refusing, served
from tests.support.llama_server import KEY

PROMPT = "mia: did you feed the starter"


def echo(body: dict[str, Any]) -> dict[str, Any]:
    """As vLLM repeats a prompt: a token is a word with the space before it, the less likely the longer it is."""
    words = re.findall(r"\s*\S+|\s+", body["prompt"])
    said = [*words, " yes"]
    logprobs = [None, *(-float(len(token)) for token in said[1:])]
    told = {"tokens": said, "token_logprobs": logprobs, "text_offset": [0] * len(said)}
    return {
        "choices": [{"text": "".join(said), "logprobs": told, "finish_reason": "length"}],
        "usage": {"prompt_tokens": len(words), "completion_tokens": 1},
    }


def answering(answer: Callable[[dict[str, Any]], object]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.json_response(answer(await request.json()))

    return handle


async def score(backend: OpenAI, *texts: str, prompt: str = PROMPT, deadline: Deadline | None = None) -> list[Scored]:
    return await asyncio.to_thread(backend.score, prompt, texts, deadline or Deadline(20))


async def test_the_tokens_of_the_text_are_added_up() -> None:
    handler = Counting(answering(echo))
    async with served(completions=handler) as url:
        with closing(OpenAI(url, model="tiny")) as backend:
            found = await score(backend, " today", " today? yes", "", " 🎉")
            assert found == [Scored(-6.0, 1), Scored(-11.0, 2), Scored(0.0, 0), Scored(-2.0, 1)]
            assert await score(backend, "") == [Scored(0.0, 0)]
            assert await score(backend) == []
    # One sentence to see whether it can, the prompt, and each text.
    assert handler.times == 5
    assert handler.bodies[-1] == {
        "model": "tiny",
        "prompt": f"{PROMPT} 🎉",
        "echo": True,
        "logprobs": 1,
        "max_tokens": 1,
        "temperature": 0.0,
    }


async def test_a_token_across_the_border_counts_to_the_text() -> None:
    async with served(completions=answering(echo)) as url:
        with closing(OpenAI(url)) as backend:
            assert await score(backend, "s today") == [Scored(-15.0, 2)]


def without(*path: str) -> Callable[[dict[str, Any]], object]:
    """An answer in which something is missing."""

    def answer(body: dict[str, Any]) -> object:
        told = echo(body)
        place: Any = told if path[0] == "usage" else told["choices"][0]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = None
        return told

    return answer


def silent(body: dict[str, Any]) -> object:
    told = {"tokens": ["yes"], "token_logprobs": [-1.0]}
    return {"choices": [{"text": "yes", "logprobs": told}], "usage": echo(body)["usage"]}


CANNOT = {
    "it says what follows alone": answering(silent),
    "it tells nothing": answering(lambda _: {}),
    "no probabilities": answering(without("logprobs")),
    "no token's": answering(without("logprobs", "token_logprobs")),
    "no counts": answering(without("usage")),
    "it refuses the field": refusing(422),
    "it refuses both together": refusing(400, json.dumps({"error": {"message": "only no echo is supported"}})),
}


@pytest.mark.parametrize("case", CANNOT)
async def test_a_server_that_does_not_tell_is_told_from_one_that_does(case: str) -> None:
    handler = Counting(CANNOT[case])
    async with served(completions=handler) as url:
        with closing(OpenAI(url)) as backend:
            with pytest.raises(CannotScore, match=r"does not tell how likely a text is: serve .* by vLLM or SGLang"):
                await score(backend, " today")
            asked = handler.times
            with pytest.raises(CannotScore):
                await score(backend, " tomorrow")
    assert handler.times == asked


def test_llamacpps_own_server_does_not_tell(server_url: str) -> None:
    with closing(OpenAI(server_url, api_key=KEY)) as backend:
        with pytest.raises(CannotScore, match="or measure with BACKEND=llamacpp"):
            backend.score(PROMPT, [" today"], Deadline(20))


async def test_without_a_prompt_nothing_is_told_of_the_first_token() -> None:
    async with served(completions=answering(echo)) as url:
        with closing(OpenAI(url)) as backend:
            with pytest.raises(CannotScore, match="nothing without a prompt"):
                await score(backend, "today", prompt="")


async def test_what_is_too_long_is_refused_and_no_sign_that_it_cannot() -> None:
    long = refusing(400, json.dumps({"error": {"message": "maximum context length is 9 tokens"}}))
    answers = answering(echo)
    async with served(completions=Counting(answers, answers, long, long, answers)) as url:
        with closing(OpenAI(url)) as backend:
            with pytest.raises(BackendFailed, match="longer than its context, lower CONTEXT_TOKENS"):
                await score(backend, " today")
            assert await score(backend, " today") == [Scored(-6.0, 1)]


async def test_a_server_that_is_busy_is_asked_again() -> None:
    async with served(completions=Counting(refusing(503), answering(echo))) as url:
        with closing(OpenAI(url)) as backend:
            assert await score(backend, " today") == [Scored(-6.0, 1)]


async def test_a_server_that_hangs_keeps_nobody_waiting() -> None:
    hanging = Hanging("")
    async with served(completions=hanging.handle) as url:
        with closing(OpenAI(url)) as backend:
            with pytest.raises(BackendFailed, match="in the time that there was"):
                await score(backend, " today", deadline=Deadline(2))
            await asyncio.wait_for(hanging.left.wait(), 10)


async def test_nobody_at_the_port_is_told() -> None:
    async with served() as url:
        pass
    with closing(OpenAI(url)) as backend:
        with pytest.raises(BackendUnreachable, match="start it, or correct OPENAI_BASE_URL"):
            await score(backend, " today", deadline=Deadline(6))
