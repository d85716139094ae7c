"""Token counts: exact where the tokenizer is installed, near enough elsewhere."""

import pytest

from sususbot.corpus.samples import line_tokens
from sususbot.corpus.tokens import ESTIMATE, MISTRAL, Estimate, Mistral, TokenCounter, token_counter

LINES = [
    "hey, has anyone seen my keys? I left them on the table this morning",
    "lol no",
    "check the kitchen, that's where you always put them :)",
    "it costs 1299.50 and arrives on 2024-03-01 at 10:45!!!",
    "für heute reicht's, gute Nacht zusammen",
    "😂😂 what a day",
]
needs_tokenizer = pytest.mark.skipif(not Mistral.installed(), reason="mistral-common and sentencepiece not installed")


@pytest.mark.parametrize("name", [ESTIMATE, pytest.param(MISTRAL, marks=needs_tokenizer)])
def test_every_text_is_counted_by_itself(name: str) -> None:
    counter: TokenCounter = Mistral() if name == MISTRAL else Estimate()
    counts = counter.count(LINES)
    assert counts == [counter.count([line])[0] for line in LINES]
    assert all(count > 0 for count in counts)
    assert counter.count([]) == []
    assert counter.count(["\ud800"]) != []


@needs_tokenizer
def test_the_estimate_is_near_the_tokenizer() -> None:
    exact, near = sum(line_tokens(LINES, Mistral().count)), sum(line_tokens(LINES, Estimate().count))
    assert abs(near - exact) < 0.12 * exact


@needs_tokenizer
def test_lines_by_themselves_sum_up_to_the_whole() -> None:
    lines = [f"mia: {line}\n" for line in LINES * 5]
    (whole,) = Mistral().count(["".join(lines)])
    assert abs(sum(Mistral().count(lines)) - whole) < 0.03 * whole


@needs_tokenizer
def test_known_counts() -> None:
    # ▁m ia : ▁hell o and the byte of the newline.
    assert Mistral().count(["mia: hello\n"]) == [6]


def test_the_best_there_is_is_chosen() -> None:
    assert token_counter().name == (MISTRAL if Mistral.installed() else ESTIMATE)
