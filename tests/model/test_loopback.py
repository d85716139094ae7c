"""HTTP to an engine on this machine, against llama.cpp's own server."""

import threading
import time

import pytest

from sususbot.model.backend import Deadline
from sususbot.model.loopback import Loopback, Refused
from tests.support.llama_server import KEY

LONG = {"prompt": "the quick fox " * 200, "n_predict": 50_000, "temperature": 0.0, "stream": True}


@pytest.fixture
def wire(server_url: str) -> Loopback:
    return Loopback(server_url, KEY)


def test_an_answer_is_its_object(wire: Loopback) -> None:
    answer = wire.call("/tokenize", {"content": "cake 🎉 ünï", "add_special": False}, Deadline(10))
    assert answer is not None
    again = wire.call("/detokenize", {"tokens": answer["tokens"]}, Deadline(10))
    assert again == {"content": " cake 🎉 ünï"}


def test_a_stream_is_its_events_in_their_order(wire: Loopback) -> None:
    events = list(wire.events("/completion", LONG | {"n_predict": 40}, Deadline(30)))
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]
    whole = wire.call("/completion", LONG | {"n_predict": 40, "stream": False}, Deadline(30))
    assert whole is not None
    assert "".join(event["content"] for event in events) == whole["content"]


def test_a_refusal_tells_why(server_url: str, wire: Loopback) -> None:
    with pytest.raises(Refused, match="401: Invalid API Key"):
        Loopback(server_url, "guessed").call("/tokenize", {"content": "x"}, Deadline(10))
    with pytest.raises(Refused, match="exceed") as refused:
        list(wire.events("/completion", LONG | {"prompt": [5] * 70_000}, Deadline(30)))
    assert refused.value.error["n_prompt_tokens"] == 70_000


def test_nobody_there_is_told_at_once() -> None:
    with pytest.raises(OSError, match="refused"):
        Loopback("http://127.0.0.1:9", "x").call("/props", None, Deadline(10))


def test_it_ends_when_its_time_is_over(wire: Loopback) -> None:
    # A busy machine may need more of it for the first token.
    for seconds in (0.3, 1.0, 5.0, 20.0):
        begun = time.monotonic()
        if heard := list(wire.events("/completion", LONG, Deadline(seconds))):
            break
    assert heard
    assert time.monotonic() - begun < seconds + 5
    over = Deadline(0)
    assert wire.call("/props", None, over) is None
    assert list(wire.events("/completion", LONG, over)) == []
    assert not wire.answers("/health", over)
    assert wire.answers("/health", Deadline(10))


def test_it_ends_when_another_thread_says_so(wire: Loopback) -> None:
    deadline = Deadline(30)
    # Before the first token: the prompt takes longer than that.
    threading.Timer(0.1, deadline.cancel).start()
    begun = time.monotonic()
    assert list(wire.events("/completion", LONG | {"prompt": "a b " * 8000, "cache_prompt": False}, deadline)) == []
    assert time.monotonic() - begun < 5
