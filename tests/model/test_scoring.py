"""The contract of `scoring`, sentence by sentence, for every engine that scores.

Whether the numbers are the right ones is seen in `tests/training/test_serving_alike.py`, where the model is computed
without any of our code.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from sususbot.errors import BackendFailed
from sususbot.model.backend import Backend, Deadline, Request, Sampling
from sususbot.model.causal_lm import CausalLM
from sususbot.model.llamacpp import LlamaCpp
from sususbot.model.scoring import Scored, Scoring
from tests.model.conftest import OneTransformers
from tests.training.tiny import known_warnings

PATIENCE = 60.0
PROMPT = "mia: what does the quick fox do?\nbob: the quick fox eats"
TEXTS = (" cake", " cake🎉 and naps", "", " naps\nmia: ünïcode 東京", " cake and", "</s>", " a\0b")
# Two engines add up the same numbers in another order where a text before shares more with it.
CLOSE = 1e-4


class Engine(Scoring, Backend, Protocol):
    """A backend that scores."""


@pytest.fixture(scope="module")
def two_slots(tiny_model: Path) -> Iterator[LlamaCpp]:
    with closing(LlamaCpp(tiny_model, context_tokens=4096, threads=1, slots=2)) as backend:
        yield backend


@pytest.fixture(params=["llamacpp", "transformers"])
def engine(request: pytest.FixtureRequest, two_slots: LlamaCpp, one_transformers: OneTransformers) -> Engine:
    return two_slots if request.param == "llamacpp" else one_transformers.get()


def scores(engine: Scoring, prompt: str, *texts: str) -> list[Scored]:
    return engine.score(prompt, texts, Deadline(PATIENCE))


def same(ones: Sequence[Scored], others: Sequence[Scored]) -> bool:
    """Whether these are the same numbers."""
    return [one.tokens for one in ones] == [other.tokens for other in others] and all(
        one.logprob == pytest.approx(other.logprob, abs=CLOSE) for one, other in zip(ones, others, strict=True)
    )


def reply(engine: Backend, prompt: str, channel: int) -> tuple[str, int]:
    """Greedily; and how many tokens of the prompt were known."""
    sampling = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=14)
    chunks = list(engine.generate(Request(prompt, (), (), sampling, channel_id=channel), Deadline(PATIENCE)))
    usage = chunks[-1].usage
    assert usage is not None
    return "".join(chunk.text for chunk in chunks), usage.cached


def test_every_text_has_a_score_in_its_place(engine: Engine) -> None:
    assert isinstance(engine, Scoring)
    found = scores(engine, PROMPT, *TEXTS)
    assert len(found) == len(TEXTS)
    for text, scored in zip(TEXTS, found, strict=True):
        assert math.isfinite(scored.logprob)
        assert scored.tokens == engine.count_tokens(PROMPT + text) - engine.count_tokens(PROMPT)
        assert (scored.logprob < 0) == (scored.tokens > 0) == bool(text)
    assert found[TEXTS.index("")] == Scored(0.0, 0)
    assert scores(engine, PROMPT) == []


def test_what_the_model_would_say_is_the_likeliest(engine: Engine) -> None:
    assert reply(engine, PROMPT, 81)[0].startswith(" cake🎉")
    ends = [" cake", " naps", " fox", " the", " eats", ",", "\n"]
    found = [scored.logprob for scored in scores(engine, PROMPT, *ends)]
    assert max(found) == found[0]
    assert sum(map(math.exp, found)) <= 1


@pytest.mark.parametrize(("first", "rest"), [(" cake", "🎉 and naps"), (" cake🎉", " and\n"), (" naps\n", "mia: 東京")])
def test_a_text_is_as_likely_as_its_beginning_and_then_its_rest(engine: Engine, first: str, rest: str) -> None:
    (whole,) = scores(engine, PROMPT, first + rest)
    (beginning,) = scores(engine, PROMPT, first)
    (end,) = scores(engine, PROMPT + first, rest)
    assert whole.tokens == beginning.tokens + end.tokens
    assert whole.logprob == pytest.approx(beginning.logprob + end.logprob, abs=CLOSE)


def test_a_token_across_the_border_counts_to_the_text(engine: Engine) -> None:
    start = PROMPT.removesuffix(" quick fox eats")
    (cut,) = scores(engine, f"{start} qu", "ick fox")
    assert cut.tokens == 2
    assert same([cut], scores(engine, start, " quick fox"))
    (part,) = scores(engine, f"{start} qu", "ick foxes")
    assert cut.tokens < part.tokens


def test_without_a_prompt_all_is_text(engine: Engine) -> None:
    word, words, none = scores(engine, "", "the", "the quick", "")
    assert (word.tokens, words.tokens, none.tokens) == (1, 2, 0)
    assert words.logprob < word.logprob < 0


def test_texts_do_not_influence_each_other(engine: Engine) -> None:
    found = scores(engine, PROMPT, *TEXTS)
    assert same(found, scores(engine, PROMPT, *reversed(TEXTS))[::-1])
    assert same(found, [scored for text in TEXTS for scored in scores(engine, PROMPT, text)])


def test_the_same_call_gives_the_same_numbers_whatever_was_said_before(engine: Engine) -> None:
    found = scores(engine, PROMPT, *TEXTS)
    reply(engine, PROMPT, 82)
    reply(engine, PROMPT[5:], 83)
    assert scores(engine, PROMPT, *TEXTS) == found
    assert scores(engine, PROMPT, *TEXTS) == found


def test_a_talk_goes_on_as_if_nothing_had_been_scored(engine: Engine) -> None:
    """Nor is it read again: it stays where it was."""
    said, _ = reply(engine, PROMPT, 84)
    before = reply(engine, PROMPT, 84)
    scores(engine, PROMPT, *TEXTS)
    scores(engine, f"quite another prompt: {PROMPT}", *TEXTS)
    assert reply(engine, PROMPT, 84) == before
    assert before[0] == said
    assert before[1] > engine.count_tokens(PROMPT) - 2


@pytest.mark.parametrize("cancelled", [True, False])
def test_it_fails_when_the_time_is_over_before_it_begins(engine: Engine, cancelled: bool) -> None:
    deadline = Deadline(PATIENCE if cancelled else 0)
    if cancelled:
        deadline.cancel()
    with pytest.raises(BackendFailed, match="in the time that there was: lower CONTEXT_TOKENS"):
        engine.score(PROMPT, TEXTS, deadline)


def test_the_deadline_ends_it_in_the_middle_and_it_works_again(engine: Engine) -> None:
    found = scores(engine, PROMPT, *TEXTS)
    with pytest.raises(BackendFailed, match="in the time that there was"):
        engine.score(PROMPT, TEXTS * 400, Deadline(0.05))
    assert scores(engine, PROMPT, *TEXTS) == found


def test_halves_of_surrogate_pairs_are_no_hindrance(engine: Engine) -> None:
    found = scores(engine, "a\ud800 b", " c\udc00", " d")
    assert all(math.isfinite(scored.logprob) for scored in found)


WORDS = ("the quick fox eats cake and naps " * 40).split()
SHORT = 128


@pytest.fixture(params=["llamacpp", "transformers"])
def short(request: pytest.FixtureRequest, tiny_model: Path, tiny_base: Path) -> Iterator[tuple[Scoring, int]]:
    """An engine with a short context, and how many tokens it reads."""
    if request.param == "llamacpp":
        with closing(LlamaCpp(tiny_model, context_tokens=SHORT, threads=1)) as backend:
            # It computes a place beyond the last token.
            yield backend, backend.context_tokens - 1
        return
    with known_warnings():
        yield CausalLM(tiny_base, adapter=None, four_bit=None, context_tokens=SHORT, threads=1), SHORT


def test_a_prompt_that_is_too_long_loses_its_beginning_on_all_texts_alike(short: tuple[Scoring, int]) -> None:
    engine, room = short
    texts = (" cake", " the quick fox")
    long = scores(engine, " ".join(WORDS), *texts)
    # The mark of the beginning and the longest text are there, too.
    kept = room - 1 - 3
    assert same(long, scores(engine, " ".join(WORDS[-kept:]), *texts))
    assert not same(long, scores(engine, " ".join(WORDS[-kept // 2 :]), *texts))
    with pytest.raises(BackendFailed, match=r"text to score has 280 tokens .* raise CONTEXT_TOKENS"):
        scores(engine, "the", " " + " ".join(WORDS))
    assert same(long, scores(engine, " ".join(WORDS), *texts))


def test_an_engine_that_is_closed_says_so(tiny_model: Path) -> None:
    backend = LlamaCpp(tiny_model, context_tokens=SHORT, threads=1)
    backend.close()
    with pytest.raises(BackendFailed, match="closed"):
        scores(backend, PROMPT, " cake")
