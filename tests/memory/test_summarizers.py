"""The contract of `summarizer`, sentence by sentence, for every summarizer.

A new one is a line in SUMMARIZERS: a context manager that gives it, ready or not.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from sususbot.errors import ModelError
from sususbot.memory.summarizer.bart import Bart
from sususbot.memory.summarizer.chat import Chat
from sususbot.memory.summarizer.extractive import Extractive
from sususbot.memory.summarizer.summarizer import LONGEST, MOST_LINES, Said, Summarizer, TooLate
from sususbot.model.backend import Deadline, Request
from sususbot.model.inference import Inference
from sususbot.model.scripted import Scripted
from tests.support import tiny_bart

PATIENCE = 30.0
TALK = [Said(*line.split(": ", 1)) for line in tiny_bart.TEXTS]
SPEAKERS = {said.speaker for said in TALK}


def in_short(request: Request) -> str:
    """What a good model would make of it, at whatever length it is asked."""
    lines = request.prompt.rsplit("\n\n", 1)[1].split("\n")[:-1]
    return " " + "; ".join(line.replace(": ", " says ", 1) for line in lines)


@contextmanager
def bart(folder: Path) -> Iterator[Summarizer]:
    with closing(Bart(tiny_bart.write(folder))) as summarizer:
        yield summarizer


@contextmanager
def chat(_: Path) -> Iterator[Summarizer]:
    with closing(Scripted(in_short, context_tokens=160)) as backend:
        yield Chat(backend.generate, backend.count_tokens, context_tokens=backend.context_tokens)


@contextmanager
def chat_behind_replies(_: Path) -> Iterator[Summarizer]:
    backend = Scripted(in_short)
    with closing(Inference([backend], canned=["hm."], queue_size=1, deadline_seconds=PATIENCE)) as inference:
        yield Chat(inference.aside, backend.count_tokens)


@contextmanager
def extractive(_: Path) -> Iterator[Summarizer]:
    yield Extractive()


SUMMARIZERS: dict[str, Callable[[Path], AbstractContextManager[Summarizer]]] = {
    "bart": bart,
    "chat": chat,
    "chat behind replies": chat_behind_replies,
    "extractive": extractive,
}


@pytest.fixture(params=SUMMARIZERS)
def summarizer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Summarizer]:
    if request.param == "bart":
        pytest.importorskip("torch")
        pytest.importorskip("transformers")
    with SUMMARIZERS[request.param](tmp_path) as summarizer:
        yield summarizer


def hold(text: str, said: list[Said]) -> None:
    """What every summary must be."""
    lines = text.split("\n")
    assert 1 <= len(lines) <= MOST_LINES
    speakers = {one.speaker for one in said}
    for line in lines:
        assert line.strip()
        assert line.isprintable()
        assert len(line) <= LONGEST
        assert speakers & set(line.replace(":", " ").replace(",", " ").split()), line


def test_it_has_a_name(summarizer: Summarizer) -> None:
    assert summarizer.name.isidentifier()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_it_gives_visible_lines_with_speakers_by_name(summarizer: Summarizer, count: int) -> None:
    hold(summarizer.summarize(TALK[:count], Deadline(PATIENCE)), TALK[:count])


def test_somebody_is_named_even_where_all_lines_are_one_word(summarizer: Summarizer) -> None:
    said = [Said("mia", "lol"), Said("tom", "ok"), Said("mia", "🎉")]
    hold(summarizer.summarize(said, Deadline(PATIENCE)), said)


def test_what_is_too_long_for_a_model_is_read_all_the_same(summarizer: Summarizer) -> None:
    said = [Said("mia", "the kettle and the shed " * 12), *TALK]
    hold(summarizer.summarize(said, Deadline(PATIENCE)), said)


def test_the_same_talk_gives_the_same_lines(summarizer: Summarizer) -> None:
    first = summarizer.summarize(TALK, Deadline(PATIENCE))
    summarizer.summarize(TALK[:2], Deadline(PATIENCE))
    assert summarizer.summarize(TALK, Deadline(PATIENCE)) == first


@pytest.mark.parametrize("ended", ["late", "cancelled"])
def test_a_deadline_that_is_over_ends_it_and_it_works_again(summarizer: Summarizer, ended: str) -> None:
    deadline = Deadline(0.0 if ended == "late" else PATIENCE)
    if ended == "cancelled":
        deadline.cancel()
    with pytest.raises(TooLate):
        summarizer.summarize(TALK, deadline)
    hold(summarizer.summarize(TALK, Deadline(PATIENCE)), TALK)


def test_too_late_is_an_error_of_a_model() -> None:
    assert issubclass(TooLate, ModelError)


def test_it_may_be_loaded_first_and_used_in_another_thread(summarizer: Summarizer) -> None:
    made: list[str] = []
    summarizer.load()
    summarizer.load()
    thread = threading.Thread(target=lambda: made.append(summarizer.summarize(TALK, Deadline(PATIENCE))))
    thread.start()
    thread.join(PATIENCE)
    assert made == [summarizer.summarize(TALK, Deadline(PATIENCE))]


def test_it_may_be_closed_twice(summarizer: Summarizer) -> None:
    summarizer.close()
    summarizer.close()
