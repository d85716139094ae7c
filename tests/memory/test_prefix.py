"""What an engine has read once it need not read again: consecutive prompts of a talk begin alike."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.chat_format import STOP
from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.summary import Summary
from sususbot.memory.surroundings import Hit
from sususbot.messages import Author, Message, Turn
from sususbot.model.backend import Deadline, Request, Sampling
from sususbot.model.estimate import estimate_tokens

WINDOW, STEP = 20, 5
SUSU = Author(9, "sususbot", "Susu", is_bot=True)
# Two are called alike, and one like the bot.
PEOPLE = (("mia", 1), ("tom", 2), ("Mia", 3), ("SUSU", 4), ("Susu", SUSU.id))
SAID = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from(["tea?", "@Susu so", "hello\nyou", "https://example.com", "words " * 12, "password: hunter22"]),
        st.sampled_from([20_000, 400_000]),
    ),
    min_size=30,
    max_size=70,
)


def talk(said: Sequence[tuple[tuple[str, int], str, int]]) -> list[Turn]:
    turns: list[Turn] = []
    at = 1_709_424_000_000
    for number, ((name, id_), text, pause) in enumerate(said, start=1):
        at += pause
        turns.append(Turn(name, text, at, own=id_ == SUSU.id, message_id=number, author_id=id_))
    return turns


def contexts(builder: ContextBuilder, turns: Sequence[Turn]) -> list[Context]:
    """A prompt for each message, with the window, the summary and the memories that it would have."""
    built = []
    for place in range(1, len(turns)):
        first = max(0, (place - WINDOW) // STEP * STEP)
        summary = Summary(f"3 Mar 2024, what was said until {first}", "bart", 0, 0, first) if first else None
        old = Message(-place, 1, Author(place % 4, "eve", "eve"), 0, f"old {place}", f"old {place}")
        hits = [Hit(old, 1.0, {"words": 1.0}, (old,))]
        built.append(builder.build(turns[place], turns[first:place], hits, {1: "general"}, SUSU, summary))
    return built


def head(context: Context) -> str:
    """A prompt up to the end of its recent turns."""
    persona, summary, recent, *_ = context.sections
    gist = ["(earlier, in short:)", *summary.lines, ""] if summary.lines else []
    text = "\n".join([*persona.lines, "", *gist, *recent.lines])
    assert context.prompt.startswith(text)
    return text


def first_shown(context: Context) -> int | None:
    return context.turns[0].message_id


@settings(max_examples=20, deadline=None)
@given(SAID)
def test_a_prompt_goes_on_from_the_one_before_until_the_window_steps(
    said: list[tuple[tuple[str, int], str, int]],
) -> None:
    builder = ContextBuilder(persona="A chat.", own_name="susu", tokens=3000, count_tokens=estimate_tokens)
    built = contexts(builder, talk(said))
    for place, (earlier, later) in enumerate(pairwise(built), start=2):
        assert not [left for left in later.left_out if left.section == "recent"]
        if place > WINDOW and (place - WINDOW) % STEP == 0:
            assert first_shown(later) == (first_shown(earlier) or 0) + STEP
        else:
            assert later.prompt.startswith(head(earlier))


def test_a_budget_that_is_too_small_drops_turns_some_at_a_time() -> None:
    said = [(PEOPLE[number % 2], f"number {number} " + "word " * (number * 7 % 9), 400_000) for number in range(300)]
    builder = ContextBuilder(persona="A chat.", own_name="susu", tokens=600, count_tokens=estimate_tokens)
    built = contexts(builder, talk(said))[WINDOW * 2 :]
    assert all(left.what.endswith("older turns") for one in built for left in one.left_out)
    moves = sum(first_shown(earlier) != first_shown(later) for earlier, later in pairwise(built))
    assert moves < len(built) * 0.6
    for one in built:
        recent = one.sections[2]
        assert recent.used >= recent.budget * 0.6


def test_an_engine_reads_only_what_is_new(tmp_path: Path) -> None:
    tiny_gguf = pytest.importorskip("tests.support.tiny_gguf")
    llamacpp = pytest.importorskip("sususbot.model.llamacpp")
    engine = llamacpp.LlamaCpp(tiny_gguf.write_model(tmp_path / "tiny.gguf"), context_tokens=2048, threads=1)
    try:
        builder = ContextBuilder(persona="A chat.", own_name="susu", tokens=2000, count_tokens=engine.count_tokens)
        turns = talk([(PEOPLE[number % 3], f"it was number {number}", 400_000) for number in range(25)])
        *_, earlier, later = contexts(builder, turns)
        for context in (earlier, later):
            request = Request(context.prompt, context.turns, STOP, Sampling(max_new_tokens=1, temperature=0))
            *_, last = engine.generate(request, Deadline(30))
        # A token may reach over the end of the turns.
        assert last.usage.cached >= engine.count_tokens(head(earlier)) - 2
        assert last.usage.cached < last.usage.prompt
    finally:
        engine.close()
