"""What a reply costs: the arithmetic on replies whose times are given, and the whole bot, asked."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.evaluation.cost import cost
from sususbot.evaluation.figures import Section, percentile
from sususbot.evaluation.ground import Ground
from sususbot.evaluation.replies import Said
from sususbot.memory.context import Context
from sususbot.model.backend import Backend, Usage
from sususbot.model.llamacpp import LlamaCpp
from sususbot.model.scripted import Scripted
from tests.evaluation.making import system_of, unheard
from tests.support.tiny_gguf import write_model


def said(ground: Ground, *, first: float, per_token: float) -> list[Said]:
    """Replies of ten tokens and more, that took so many seconds."""
    nothing = Context("", (), (), (), ())
    return [
        Said(one, nothing, "hm", Usage(100, 10 + place, 40), first + (9 + place) * per_token, first + place / 1000)
        for place, one in enumerate(ground.exchanges[:11])
    ]


def measured(ground: Ground, backend: Backend, replies: list[Said]) -> Section:
    with system_of(ground, backend) as system:
        return cost(system, ground, replies, unheard)


def test_a_fast_engine_is_told_from_a_slow_one(ground: Ground) -> None:
    few = replace(ground, exchanges=ground.exchanges[:5])
    fast = measured(few, Scripted(["hm"]), said(ground, first=0.1, per_token=0.02)).figures
    slow = measured(few, Scripted(["hm"]), said(ground, first=0.4, per_token=0.2)).figures
    assert fast["first_token_ms_p50"].value == pytest.approx(105)
    assert fast["first_token_ms_p95"].value == pytest.approx(109.5)
    assert slow["tokens_per_s"].value == pytest.approx(5, rel=0.01)
    assert (fast["tokens_per_s"].low or 0) > (slow["tokens_per_s"].high or 0)
    assert (fast["first_token_ms_p50"].high or 0) < (slow["first_token_ms_p50"].low or 0)
    assert fast["prompt_tokens"].value == 100
    assert fast["prompt_cached"].value == pytest.approx(0.4)


def test_replies_go_through_the_whole_bot(ground: Ground) -> None:
    backend = Scripted(["well then"])
    section = measured(ground, backend, said(ground, first=0.1, per_token=0.02))
    assert section.figures["reply_ms_p50"].of == 30
    assert len(backend.requests) == 30
    # With memories, as the bot searches them.
    assert any("said here before" in request.prompt for request in backend.requests)
    assert section.figures["answered_otherwise"].value == 0
    assert section.figures["gathering_ms_p50"].value <= section.figures["reply_ms_p95"].value


def test_falling_back_is_told(ground: Ground) -> None:
    few = replace(ground, exchanges=ground.exchanges[:10])
    section = measured(few, Scripted(["well then"], fail_at={2, 5, 7}), [])
    assert section.figures["answered_otherwise"].value == pytest.approx(0.3)
    assert "tokens_per_s" not in section.figures
    assert any("does not count the tokens" in note for note in section.notes)


def test_what_an_engine_tells_of_itself_is_told(ground: Ground, tmp_path: Path) -> None:
    few = replace(ground, exchanges=ground.exchanges[:2])
    with closing(LlamaCpp(write_model(tmp_path / "tiny.gguf"), context_tokens=2048, threads=1)) as engine:
        section = measured(few, engine, [])
    assert section.figures["memory_mb"].value > 1
    assert section.figures["vram_mb"].value >= 0
    assert any("model tiny.gguf" in note for note in section.notes)


def test_a_percentile_lies_in_its_interval() -> None:
    figure = percentile([float(value) for value in range(101)], 0.95, "lower")
    assert figure.value == 95
    assert 85 < (figure.low or 0) <= 95 <= (figure.high or 0) <= 100
    assert percentile([], 0.5, "lower").of == 0
