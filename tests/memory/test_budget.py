"""The token budget holds for whatever is said, by an estimate as by a real tokenizer, and nothing is lost unsaid."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sususbot.chat_format import GIST_HEADING, memories_heading
from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.recent import Relevance
from sususbot.memory.sections import CountTokens
from sususbot.memory.summary import Summary
from sususbot.memory.surroundings import Hit
from sususbot.messages import Author, Message, Turn
from sususbot.model.estimate import estimate_tokens

TOKENS = 700
WORDS = st.lists(st.sampled_from("the quick fox eats cake and naps 🎉 東京 don't\n\n  x".split(" ")), max_size=60)
TEXT = WORDS.map(" ".join) | st.text(max_size=300)
NAME = st.text(max_size=40) | st.sampled_from(["mia", "🎉" * 32, "", "susu", "a:b > c\n#d"])
MESSAGES = st.builds(
    Message,
    id=st.integers(1, 30),
    channel_id=st.integers(1, 3),
    author=st.builds(Author, st.integers(1, 5), NAME, NAME),
    created_at=st.integers(0, 2_000_000_000_000),
    content=st.just(""),
    rendered=TEXT,
)
TURNS = st.builds(
    Turn,
    NAME,
    TEXT,
    st.sampled_from([0, 100_000, 600_000]),
    own=st.booleans(),
    message_id=st.none() | st.integers(1, 30),
    author_id=st.none() | st.integers(1, 3),
)
SUMMARIES = st.none() | st.lists(TEXT, max_size=9).map(lambda lines: Summary("\n".join(lines), "bart", 0, 0, 5))


@st.composite
def hits(draw: st.DrawFn) -> Hit:
    around = draw(st.lists(MESSAGES, min_size=1, max_size=5, unique_by=lambda message: message.id))
    return Hit(draw(st.sampled_from(around)), 1.0, {"words": 1.0}, tuple(around))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CountTokens]:
    """A llama tokenizer with bytes for what it does not know."""
    tiny_gguf = pytest.importorskip("tests.support.tiny_gguf")
    llamacpp = pytest.importorskip("sususbot.model.llamacpp")
    path: Path = tiny_gguf.write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")
    model = llamacpp.LlamaCpp(path, context_tokens=512, threads=1)
    yield model.count_tokens
    model.close()


def by_length(turns: Sequence[Turn], _asked: Turn) -> list[float]:
    """Some relevance or other."""
    return [len(one.text) % 11 / 10 for one in turns]


def check(
    count: CountTokens,
    asked: Turn,
    recent: list[Turn],
    found: list[Hit],
    summary: Summary | None = None,
    relevance: Relevance | None = None,
) -> None:
    builder = ContextBuilder(
        persona="A chat among friends.", own_name="susu", tokens=TOKENS, count_tokens=count, relevance=relevance
    )
    context = builder.build(asked, recent, found, {1: "general", 2: "a: b\n"}, None, summary)
    for section in context.sections:
        assert section.used <= section.budget, section
        heading = {"memories": memories_heading(asked.at) + "\n", "summary": GIST_HEADING + "\n\n"}
        above = heading.get(section.name, "") if section.lines else ""
        assert section.used <= count(above) + sum(count(line + "\n") for line in section.lines)
    # One more for the token that a model begins every text with.
    assert count(context.prompt) + 1 <= TOKENS
    nothing_is_lost_unsaid(context, recent, found)
    shown = {turn.message_id for turn in context.turns}
    assert not [hit for hit in context.memories if hit.message.id in shown]


def nothing_is_lost_unsaid(context: Context, recent: list[Turn], found: list[Hit]) -> None:
    older = [left for left in context.left_out if left.section == "recent"]
    dropped = int(older[0].what.split()[0]) if older else 0
    assert len(context.turns) - 1 + dropped == len(recent)
    whole = [
        left
        for left in context.left_out
        if left.section == "memories" and not re.match(r"\d+ messages around ", left.what)
    ]
    assert len(context.memories) + len(whole) == len(found)


@settings(max_examples=50, deadline=None)
@given(TURNS, st.lists(TURNS, max_size=25), st.lists(hits(), max_size=8), SUMMARIES, st.sampled_from([None, by_length]))
def test_it_holds_with_an_estimate(
    asked: Turn, recent: list[Turn], found: list[Hit], summary: Summary | None, relevance: Relevance | None
) -> None:
    check(estimate_tokens, asked, recent, found, summary, relevance)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_holds_with_a_real_tokenizer(tokenizer: CountTokens, data: st.DataObject) -> None:
    recent = data.draw(st.lists(TURNS, max_size=12))
    found, summary = data.draw(st.lists(hits(), max_size=4)), data.draw(SUMMARIES)
    relevance = data.draw(st.sampled_from([None, by_length]))
    check(lru_cache(1000)(tokenizer), data.draw(TURNS), recent, found, summary, relevance)


@pytest.mark.parametrize("unit", ["a ", "the quick ", "🎉", "東", "\n", "x\n", "\t", "\u200d", "…"])
def test_it_holds_for_huge_messages(tokenizer: CountTokens, unit: str) -> None:
    text = unit * (4000 // len(unit))
    message = Message(7, 1, Author(1, "m", "m"), 0, text, text)
    found = [Hit(message, 1.0, {"words": 1.0}, (message,))]
    for count in (tokenizer, estimate_tokens):
        recent = [Turn("tom", text, 0), Turn("tom", "hi", 0)]
        check(count, Turn("mia", text, 0), recent, found, Summary(text, "bart", 0, 0, 5))
        check(count, Turn("mia", text, 0), recent, found, None, by_length)
