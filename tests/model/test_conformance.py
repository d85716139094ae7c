"""The contract of `backend`, sentence by sentence, for every backend.

A new backend is one line in BACKENDS: a context manager that gives a Subject. Its `request` is answered with the same
text each time, of twelve tokens or more, with an emoji; its `endless` request would take many seconds (None for a
backend that gives its reply in one piece, which cannot be stopped in the middle).
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.errors import BackendFailed
from sususbot.memory.lines import RememberedLines
from sususbot.memory.long_term import LongTerm
from sususbot.messages import Author, Channel, Guild, Message, Turn
from sususbot.model.backend import Backend, Chunk, Deadline, Request, Sampling
from sususbot.model.openai import OpenAI
from sususbot.model.recall import Recall
from sususbot.model.scripted import Scripted
from tests.model.conftest import OneLlamaCpp, OneTransformers
from tests.support import tiny_gguf
from tests.support.llama_server import KEY

PATIENCE = 30.0
CHANNELS = itertools.count(1)
GREEDY = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=44)
SHORT = Request("hello", (), stop=(), sampling=GREEDY)
ENDLESS = replace(SHORT, sampling=replace(GREEDY, max_new_tokens=50_000))


@dataclass(frozen=True)
class Subject:
    backend: Backend
    request: Request
    endless: Request | None


@dataclass(frozen=True)
class Materials:
    server_url: str
    folder: Path
    llamacpp: OneLlamaCpp
    transformers: OneTransformers


@contextmanager
def scripted(_: Materials) -> Iterator[Subject]:
    def line(request: Request) -> str:
        return tiny_gguf.CYCLE_TEXT * (6 if request.sampling.max_new_tokens < 1000 else 6000)

    with closing(Scripted(line, seconds_per_token=0.0005)) as backend:
        yield Subject(backend, SHORT, ENDLESS)


@contextmanager
def llamacpp(materials: Materials) -> Iterator[Subject]:
    yield Subject(materials.llamacpp.get(), SHORT, ENDLESS)


@contextmanager
def openai(materials: Materials) -> Iterator[Subject]:
    with closing(OpenAI(f"{materials.server_url}/v1", api_key=KEY, context_tokens=tiny_gguf.CONTEXT)) as backend:
        yield Subject(backend, SHORT, ENDLESS)


@contextmanager
def transformers(materials: Materials) -> Iterator[Subject]:
    yield Subject(materials.transformers.get(), SHORT, ENDLESS)


@contextmanager
def recall(materials: Materials) -> Iterator[Subject]:
    """Recall from a small archive, in one piece: there is nothing to wait for."""
    with Archive(materials.folder) as archive:
        archive.add_channel(Guild(1, "Kettle"), Channel(2, 1, "general"), origin="export", seen_at=1)
        line = "the quick fox eats cake 🎉 and naps, then the quick fox eats more cake"
        author = Author(3, "mia", "mia")
        archive.add([Message(4, 2, author, 1000, line, line)], source=archive.add_source("export", "x"), fetched_at=0)
        with closing(Recall(RememberedLines(LongTerm(archive, None, None)))) as backend:
            yield Subject(backend, replace(SHORT, turns=(Turn("you", "who eats cake?", 2000),)), None)


BACKENDS: dict[str, Callable[[Materials], AbstractContextManager[Subject]]] = {
    "scripted": scripted,
    "llamacpp": llamacpp,
    "openai": openai,
    "transformers": transformers,
    "recall": recall,
}


@pytest.fixture
def materials(
    server_url: str, tmp_path: Path, one_llamacpp: OneLlamaCpp, one_transformers: OneTransformers
) -> Materials:
    return Materials(server_url, tmp_path, one_llamacpp, one_transformers)


@pytest.fixture(params=BACKENDS)
def subject(request: pytest.FixtureRequest, materials: Materials) -> Iterator[Subject]:
    with BACKENDS[request.param](materials) as subject:
        yield subject


def reply(subject: Subject, request: Request, deadline: Deadline | None = None) -> list[Chunk]:
    """Each in a channel of its own: what was said in one is no part of a request in another."""
    request = replace(request, channel_id=next(CHANNELS))
    chunks = list(subject.backend.generate(request, deadline or Deadline(PATIENCE)))
    assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish is not None
    assert chunks[-1].usage is not None
    return chunks


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def tokens(request: Request, count: int) -> Request:
    return replace(request, sampling=replace(request.sampling, max_new_tokens=count))


def test_it_has_the_name_of_the_setting(subject: Subject, request: pytest.FixtureRequest) -> None:
    assert subject.backend.name in request.node.name
    assert subject.backend.context_tokens is None or subject.backend.context_tokens > 0


def test_chunks_make_the_reply_and_the_last_one_tells_why_it_ends(subject: Subject) -> None:
    chunks = reply(subject, subject.request)
    assert len(text_of(chunks).split()) >= 8
    assert chunks[-1].finish in ("stop", "length")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion <= subject.request.sampling.max_new_tokens


def test_the_same_request_at_temperature_0_gives_the_same_text(subject: Subject) -> None:
    assert text_of(reply(subject, subject.request)) == text_of(reply(subject, subject.request))


def test_the_same_seed_gives_the_same_text(subject: Subject) -> None:
    seeded = replace(subject.request, sampling=Sampling(temperature=1.5, max_new_tokens=30, seed=5))
    reply(subject, seeded)  # after this, part of the prompt may be cached
    assert text_of(reply(subject, seeded)) == text_of(reply(subject, seeded))


@pytest.mark.parametrize("start", range(12))
def test_a_stop_string_ends_the_reply_wherever_it_stands(subject: Subject, start: int) -> None:
    """Twelve characters cross the border of a token at least once, from every side."""
    whole = text_of(reply(subject, subject.request))
    stop = whole[start : start + 12]
    chunks = reply(subject, replace(subject.request, stop=("never said", stop)))
    assert text_of(chunks) == whole[: whole.index(stop)]
    assert chunks[-1].finish == "stop"


def test_a_stop_string_in_the_first_token_leaves_nothing(subject: Subject) -> None:
    first = text_of(reply(subject, subject.request))[0]
    chunks = reply(subject, replace(subject.request, stop=(first,)))
    assert text_of(chunks) == ""
    assert chunks[-1].finish == "stop"


def test_the_earliest_of_several_stop_strings_counts(subject: Subject) -> None:
    whole = text_of(reply(subject, subject.request))
    stops = (whole[9:11], whole[5:7], "")
    assert text_of(reply(subject, replace(subject.request, stop=stops))) == whole[: min(map(whole.index, stops[:2]))]


def test_the_beginning_of_a_stop_string_alone_is_no_stop(subject: Subject) -> None:
    """Not so at the very end of a reply: llama.cpp drops what it held back when the length is reached."""
    whole = text_of(reply(subject, subject.request))
    assert text_of(reply(subject, replace(subject.request, stop=(whole[3:8] + "#", whole[2:7] + "#")))) == whole


@pytest.mark.parametrize("count", range(1, 13))
def test_length_cuts_between_characters(subject: Subject, count: int) -> None:
    whole = text_of(reply(subject, subject.request))
    chunks = reply(subject, tokens(subject.request, count))
    assert whole.startswith(text_of(chunks))
    assert text_of(chunks) != whole
    assert chunks[-1].finish == "length"


def test_no_chunk_has_half_a_character(subject: Subject) -> None:
    chunks = reply(subject, subject.request)
    assert "🎉" in text_of(chunks)
    assert not any("\ufffd" in chunk.text for chunk in chunks)
    text_of(chunks).encode()  # fails on half a surrogate pair


@pytest.mark.parametrize("cancelled", [True, False])
def test_it_says_nothing_when_the_time_is_over_before_it_begins(subject: Subject, cancelled: bool) -> None:
    deadline = Deadline(PATIENCE if cancelled else 0)
    if cancelled:
        deadline.cancel()
    chunks = reply(subject, subject.request, deadline)
    assert text_of(chunks) == ""
    assert chunks[-1].finish == ("cancelled" if cancelled else "deadline")


def test_it_can_be_cancelled_in_the_middle_and_works_again(subject: Subject) -> None:
    if subject.endless is None:
        pytest.skip("gives its reply in one piece")
    whole = text_of(reply(subject, subject.request))
    deadline = Deadline(PATIENCE)
    chunks = []
    for chunk in subject.backend.generate(subject.endless, deadline):
        chunks.append(chunk)
        if len(chunks) == 3:
            deadline.cancel()
    assert [chunk.finish for chunk in chunks] == [None, None, None, "cancelled"]
    assert whole.startswith(text_of(chunks))
    assert text_of(reply(subject, subject.request)) == whole


def test_it_can_be_cancelled_from_another_thread(subject: Subject) -> None:
    if subject.endless is None:
        pytest.skip("gives its reply in one piece")
    deadline = Deadline(PATIENCE)
    begun = threading.Event()

    def cancel() -> None:
        begun.wait(PATIENCE)
        deadline.cancel()

    with ThreadPoolExecutor() as pool:
        pool.submit(cancel)
        finishes = []
        for chunk in subject.backend.generate(subject.endless, deadline):
            begun.set()
            finishes.append(chunk.finish)
    assert finishes[-1] == "cancelled"


def test_the_deadline_ends_it_in_the_middle_and_it_works_again(subject: Subject) -> None:
    if subject.endless is None:
        pytest.skip("gives its reply in one piece")
    whole = text_of(reply(subject, subject.request))
    # A busy machine may need more of it for the first token.
    for seconds in (0.2, 1.0, 5.0, 20.0):
        started = time.monotonic()
        chunks = reply(subject, subject.endless, Deadline(seconds))
        if len(chunks) > 1:
            break
    assert time.monotonic() - started < seconds + 10
    assert chunks[-1].finish == "deadline"
    assert len(chunks) > 1
    assert text_of(reply(subject, subject.request)) == whole


def test_a_reply_that_nobody_reads_to_its_end_is_no_hindrance(subject: Subject) -> None:
    whole = text_of(reply(subject, subject.request))
    chunks = iter(subject.backend.generate(subject.endless or subject.request, Deadline(PATIENCE)))
    next(chunks)
    del chunks
    assert text_of(reply(subject, subject.request)) == whole


def test_longer_texts_have_no_fewer_tokens(subject: Subject) -> None:
    words = "the quick fox eats cake 🎉 and naps, ünïcode; 東京 1234 bye".split()
    counts = [subject.backend.count_tokens(" ".join(words[:count])) for count in range(len(words) + 1)]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] >= len(words)


def test_counts_told_ahead_are_the_counts(subject: Subject) -> None:
    texts = ["the quick fox\n", "", "cake 🎉", "</s><s>", "naps, ünïcode; 東京", "the quick fox\n", "a" * 300]
    alone = [subject.backend.count_tokens(f"{text} ") for text in texts]
    subject.backend.count_ahead(texts)
    subject.backend.count_ahead([f"{text} " for text in reversed(texts)])
    assert [subject.backend.count_tokens(f"{text} ") for text in texts] == alone
    assert subject.backend.count_tokens("") == 0


def test_tokens_can_be_counted_from_many_threads_while_it_answers(subject: Subject) -> None:
    texts = [f"the quick fox {number} " * (number % 7 + 1) for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        answer = pool.submit(reply, subject, subject.request)
        counts = list(pool.map(subject.backend.count_tokens, texts))
        assert text_of(answer.result()) == text_of(reply(subject, subject.request))
    assert counts == [subject.backend.count_tokens(text) for text in texts]


def test_it_may_be_closed_twice_and_says_so_when_asked_again(subject: Subject) -> None:
    reply(subject, subject.request)
    subject.backend.close()
    subject.backend.close()
    with pytest.raises(BackendFailed, match="closed"):
        reply(subject, subject.request)
