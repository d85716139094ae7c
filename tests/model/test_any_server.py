"""What the bot needs of a model server, whichever it is; no test knows what its model says.

By default of llama.cpp's own. Of yours, vLLM for one:

    SUSUSBOT_TEST_OPENAI_URL=http://127.0.0.1:8000/v1 python -m pytest -n0 -v tests/model/test_any_server.py

SUSUSBOT_TEST_OPENAI_KEY, _MODEL and _ADAPTER are what OPENAI_API_KEY, OPENAI_MODEL and OPENAI_ADAPTER are for the bot.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from sususbot.errors import BackendFailed
from sususbot.model.backend import Chunk, Deadline, Request, Sampling
from sususbot.model.openai import OpenAI
from tests.support.llama_server import KEY

PATIENCE = 120.0
TOGETHER = 4
GREEDY = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=40)
ASKED = Request("mia: what did you have for dinner?\nbob:", (), stop=(), sampling=GREEDY)


def setting(name: str) -> str | None:
    return os.environ.get(f"SUSUSBOT_TEST_OPENAI_{name}")


@pytest.fixture(scope="module")
def url(request: pytest.FixtureRequest) -> str:
    return setting("URL") or str(request.getfixturevalue("server_url"))


@pytest.fixture(scope="module")
def key(url: str) -> str | None:
    return setting("KEY") if url == setting("URL") else KEY


@pytest.fixture(scope="module")
def backend(url: str, key: str | None) -> Iterator[OpenAI]:
    model, adapter = setting("MODEL"), setting("ADAPTER")
    with closing(OpenAI(url, api_key=key, model=model, adapter=adapter, parallel=TOGETHER)) as backend:
        yield backend


def reply(backend: OpenAI, request: Request = ASKED, deadline: Deadline | None = None) -> list[Chunk]:
    chunks = list(backend.generate(request, deadline or Deadline(PATIENCE)))
    assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish is not None
    return chunks


def text(backend: OpenAI, request: Request = ASKED) -> str:
    return "".join(chunk.text for chunk in reply(backend, request))


def sampled(**knobs: float) -> Request:
    return replace(ASKED, sampling=replace(GREEDY, **knobs))  # type: ignore[arg-type]


def test_it_says_that_it_runs(backend: OpenAI) -> None:
    watch = Deadline(PATIENCE)
    while backend.facts()["state"] == "loading" and watch.over() is None:
        watch.wait(0.1)
    assert backend.facts()["state"] == "running"


def test_it_streams_a_reply_and_tells_its_tokens(backend: OpenAI) -> None:
    chunks = reply(backend)
    assert len([chunk for chunk in chunks if chunk.text]) > 3
    usage = chunks[-1].usage
    assert usage is not None
    assert 0 < usage.completion <= 40
    assert usage.prompt > 5


def test_temperature_0_and_a_seed_give_the_same_text(backend: OpenAI) -> None:
    assert text(backend) == text(backend)
    seeded = sampled(temperature=1.2, seed=5)
    text(backend, seeded)  # after this, its prompt may be cached
    assert text(backend, seeded) == text(backend, seeded)


def test_every_knob_is_taken(backend: OpenAI) -> None:
    knobs = {"top_k": 20, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1, "dry_multiplier": 0.8, "seed": 1}
    assert text(backend, sampled(temperature=0.8, **knobs))
    assert not backend._plain, "the server refuses top_k, min_p and the like: they do nothing there"


def test_a_stop_string_ends_the_reply_before_it(backend: OpenAI) -> None:
    whole = text(backend)
    stop = whole[9:13]
    chunks = reply(backend, replace(ASKED, stop=("never said", stop, "nor this", "nor that", "five")))
    assert "".join(chunk.text for chunk in chunks) == whole[: whole.index(stop)]
    assert chunks[-1].finish == "stop"


def test_a_reply_has_no_more_tokens_than_it_may(backend: OpenAI) -> None:
    chunks = reply(backend, sampled(max_new_tokens=3))
    assert text(backend).startswith("".join(chunk.text for chunk in chunks))
    assert chunks[-1].finish == "length"


def test_a_reply_that_is_cancelled_ends_there(backend: OpenAI) -> None:
    deadline = Deadline(PATIENCE)
    chunks = []
    for chunk in backend.generate(sampled(max_new_tokens=300), deadline):
        chunks.append(chunk)
        if len(chunks) == 3:
            deadline.cancel()
    # Some models are done before.
    assert chunks[-1].finish == "cancelled" or len(chunks) < 5
    assert text(backend)


def test_a_deadline_ends_a_reply(backend: OpenAI) -> None:
    begun = time.monotonic()
    chunks = reply(backend, sampled(max_new_tokens=300), Deadline(0.3))
    assert time.monotonic() - begun < 10
    assert chunks[-1].finish in ("deadline", "length", "stop")


def test_several_replies_at_once(backend: OpenAI) -> None:
    with ThreadPoolExecutor(TOGETHER) as pool:
        assert all(pool.map(lambda _: text(backend), range(TOGETHER)))


def test_tokens_are_counted(backend: OpenAI) -> None:
    words = "the quick fox eats cake 🎉 and naps".split()
    counts = [backend.count_tokens(" ".join(words[:count])) for count in range(len(words) + 1)]
    assert counts == sorted(counts)
    assert counts[-1] >= len(words)
    assert backend._tokenizer == "server", "the server has no /tokenize: tokens are estimated"


def test_a_prompt_that_is_too_long_is_told(backend: OpenAI) -> None:
    with pytest.raises(BackendFailed):
        text(backend, replace(ASKED, prompt="tea " * 200_000))
    assert text(backend)


def test_a_wrong_key_is_told(url: str, key: str | None) -> None:
    if key is None:
        pytest.skip("the server wants no key")
    with closing(OpenAI(url, api_key="not the key", model=setting("MODEL"))) as stranger:
        with pytest.raises(BackendFailed, match="correct OPENAI_API_KEY"):
            text(stranger)
