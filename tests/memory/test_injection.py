"""Texts that try to be more than something said stay what they are, wherever in a prompt they stand."""

import re
from pathlib import Path

import pytest

from sususbot.chat_format import GIST_HEADING, memories_heading
from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.summary import Summary
from sususbot.memory.surroundings import Hit
from sususbot.messages import Author, Message, Turn
from sususbot.model.estimate import estimate_tokens
from sususbot.wording.lookalikes import skeleton
from sususbot.wording.rules import Rewriting
from tests.memory.injections import INJECTIONS

MARCH = 1_709_424_000_000  # 3 Mar 2024
PERSONA = "A chat among friends."
MIA, EVE = Author(1, "mia", "mia"), Author(2, "eve", "eve")
FIRST, LAST = "before it all", "after it all"
TOP, TURNS, ASKED = [PERSONA, ""], [f"mia: {FIRST}", f"mia: {LAST}"], ["mia: what now?", "susu:"]
BEFORE_MEMORIES, AFTER_MEMORIES = [*TOP, *TURNS, "", memories_heading(MARCH)], ["", *ASKED]
# With the rules that change texts and without: the fences hold by themselves.
REWRITINGS = {"as set": Rewriting(), "no rules": Rewriting(frozenset())}

texts = pytest.mark.parametrize("text", INJECTIONS.values(), ids=INJECTIONS)
rules = pytest.mark.parametrize("rewriting", REWRITINGS.values(), ids=REWRITINGS)


def built(
    rewriting: Rewriting | None = None,
    *,
    turns: tuple[Turn, ...] = (),
    memory: Message | None = None,
    summary: str = "",
    channel: str = "general",
) -> Context:
    builder = ContextBuilder(
        persona=PERSONA, own_name="susu", tokens=30_000, count_tokens=estimate_tokens, rewriting=rewriting
    )
    recent = [turn(MIA, FIRST, 1), *turns, turn(MIA, LAST, 1_000_000)]
    hits = [] if memory is None else [Hit(memory, 1.0, {"words": 1.0}, (memory,))]
    gist = Summary(summary, "bart", MARCH, MARCH, 5) if summary else None
    asked = turn(MIA, "what now?", 2_000_000)
    return builder.build(asked, recent, hits, {1: channel}, Author(9, "sususbot", "susu", is_bot=True), gist)


def turn(author: Author, text: str, at: int) -> Turn:
    return Turn(author.display_name, text, MARCH + at, message_id=1000 + at, author_id=author.id, account=author.name)


def memory(text: str, author: Author = EVE) -> Message:
    return Message(7, 1, author, MARCH, text, text)


def lines_between(context: Context, before: list[str], after: list[str]) -> list[str]:
    """What stands there, in a prompt that otherwise is what it would be without it."""
    lines = context.prompt.split("\n")
    assert lines == context.prompt.splitlines()
    context.prompt.encode()
    assert (lines[: len(before)], lines[-len(after) :]) == (before, after)
    return lines[len(before) : -len(after)]


@rules
@texts
def test_a_memory_stays_one_quoted_line(text: str, rewriting: Rewriting) -> None:
    context = built(rewriting, memory=memory(text))
    (line,) = lines_between(context, BEFORE_MEMORIES, AFTER_MEMORIES)
    begin = "> 3 Mar 2024, #general, eve: "
    assert line.startswith(begin)
    is_quiet(line.removeprefix(begin))


@rules
@texts
def test_a_line_of_the_summary_stays_one_quoted_line(text: str, rewriting: Rewriting) -> None:
    context = built(rewriting, summary=f"3 Mar 2024, 14:05, eve: {text}")
    lines = lines_between(context, [*TOP, GIST_HEADING], ["", *TURNS, *ASKED])
    # A summary may have several lines, each as its summarizer gave it.
    assert lines
    assert all(line.startswith("> ") for line in lines)
    for line in lines:
        is_quiet(line.removeprefix("> "))


def is_quiet(text: str) -> None:
    """Nothing in it looks like a quotation or like another's words."""
    assert not text.startswith((">", " "))
    for part in text.split("⏎")[1:]:
        assert not part.strip().startswith(">")
        assert not re.match(r"\s*[\w ]{1,32}\s*[:：](\s|$)", part)


@rules
@texts
def test_a_recent_turn_stays_one_speakers(text: str, rewriting: Rewriting) -> None:
    context = built(rewriting, turns=(turn(EVE, text, 500_000),))
    # A long one has several lines, and each of them names its speaker.
    lines = lines_between(context, [*TOP, *TURNS[:1]], [*TURNS[1:], *ASKED])
    assert lines
    assert all(line.startswith("eve: ") for line in lines)


@rules
@texts
def test_a_message_stays_its_writers(text: str, rewriting: Rewriting) -> None:
    builder = ContextBuilder(
        persona=PERSONA, own_name="susu", tokens=30_000, count_tokens=estimate_tokens, rewriting=rewriting
    )
    lines = builder.build(turn(EVE, text, 0), [], [], {}).prompt.split("\n")
    assert (lines[:2], lines[-1]) == ([PERSONA, ""], "susu:")
    assert lines[2:-1]
    assert all(line.startswith("eve: ") for line in lines[2:-1])


@texts
def test_a_name_stays_a_name(text: str) -> None:
    author = Author(2, "eve", text)
    context = built(turns=(turn(author, "hi", 500_000),), memory=memory("old", author))
    before = [*TOP, *TURNS[:1]]
    line, *_, quotation = lines_between(context, before, AFTER_MEMORIES)
    name = line.removesuffix(": hi")
    assert f"{name}: hi" == line
    assert re.fullmatch(r"[^:：>#,⏎\[\]\n]{1,32}", name)
    assert skeleton(name) not in ("susu", "mia")
    assert quotation == f"> 3 Mar 2024, #general, {name}: old"


@texts
def test_a_channels_name_stays_one(text: str) -> None:
    (line,) = lines_between(built(memory=memory("old"), channel=text), BEFORE_MEMORIES, AFTER_MEMORIES)
    assert re.fullmatch(r"> 3 Mar 2024, #[^:：>#,⏎\[\]\n]{1,32}, eve: old", line)


@texts
def test_no_control_token_of_a_known_model_stands_in_a_prompt(text: str) -> None:
    context = built(
        Rewriting(frozenset()), turns=(turn(Author(3, text, text), text, 500_000),), memory=memory(text), summary=text
    )
    known = (
        r"<[|｜][^<>\s]+[|｜]>|</?s>|<(?:bos|eos|start_of_turn|end_of_turn)>|\[/?(?:INST|[A-Z_]*TOOL_?[A-Z_]*)\]"
        r"|<turn\|>|<\|turn>|\[\|\w+\|\]|\[gMASK\]|<sop>|<unused\d+>|<seed:\w+>|<fim_\w+>|<extra_id_\d+>"
    )
    assert not re.findall(known, context.prompt)


def test_llama_cpp_reads_no_control_token_in_any_of_them(tmp_path: Path) -> None:
    tiny_gguf = pytest.importorskip("tests.support.tiny_gguf")
    llamacpp = pytest.importorskip("sususbot.model.llamacpp")
    engine = llamacpp.LlamaCpp(tiny_gguf.write_model(tmp_path / "tiny.gguf"), context_tokens=512, threads=1)
    try:
        for text in INJECTIONS.values():
            prompt = built(Rewriting(frozenset()), memory=memory(text), summary=text).prompt
            assert not {tiny_gguf.UNKNOWN, tiny_gguf.BEGIN, tiny_gguf.EOS} & set(engine.tokens(prompt))
        # Not even where no fence stands before it.
        assert tiny_gguf.EOS not in engine.tokens("so </s> be it")
    finally:
        engine.close()


def test_there_are_enough_of_them() -> None:
    assert len(INJECTIONS) >= 50
