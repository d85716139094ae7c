"""The scripted backend: what the contract leaves open."""

import pytest

from sususbot.errors import BackendFailed, CannotScore
from sususbot.model.backend import Deadline, Request
from sususbot.model.scoring import Scored
from sususbot.model.scripted import Scripted


def said(backend: Scripted, prompt: str = "hello") -> str:
    return "".join(chunk.text for chunk in backend.generate(Request(prompt, ()), Deadline(10)))


def test_lines_come_in_turn_and_begin_again() -> None:
    backend = Scripted(["one", "two"])
    assert [said(backend) for _ in range(3)] == ["one", "two", "one"]


def test_a_function_sees_the_request() -> None:
    assert said(Scripted(lambda request: request.prompt.upper())) == "HELLO"


def test_it_streams_words_with_the_space_before_them() -> None:
    chunks = list(Scripted(["so  it goes "]).generate(Request("", ()), Deadline(10)))
    assert [chunk.text for chunk in chunks] == ["so", "  it", " goes", " ", ""]


def test_it_fails_when_told_and_goes_on_with_the_next_line() -> None:
    backend = Scripted(["one", "two", "three"], fail_at={2})
    assert said(backend) == "one"
    with pytest.raises(BackendFailed, match="request 2"):
        said(backend)
    assert said(backend) == "three"


def test_it_remembers_what_it_was_asked() -> None:
    backend = Scripted(["one"])
    said(backend, "a")
    said(backend, "b")
    assert [request.prompt for request in backend.requests] == ["a", "b"]


def test_a_script_without_lines_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one line"):
        Scripted([])


def test_a_function_tells_how_likely_a_text_is() -> None:
    backend = Scripted(["one"], logprob=lambda prompt, text: -float(len(text)) - (prompt == "b"))
    assert backend.score("a", ["so it goes", ""], Deadline(10)) == [Scored(-10.0, 3), Scored(0.0, 0)]
    assert backend.score("b", ["so"], Deadline(10)) == [Scored(-3.0, 1)]
    with pytest.raises(BackendFailed, match="in the time that there was"):
        backend.score("a", ["so"], Deadline(0))
    with pytest.raises(CannotScore, match="give it a function"):
        Scripted(["one"]).score("a", ["so"], Deadline(10))
