"""Language: bits per byte as training counts them, fewer for whoever knows the talk better."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sususbot.errors import CannotScore
from sususbot.evaluation.figures import Section
from sususbot.evaluation.ground import Ground
from sususbot.evaluation.heldout import continuation, prompt_of
from sususbot.evaluation.language import cost, language
from sususbot.evaluation.scores import bits, likelihoods, size
from sususbot.model.backend import Backend, Deadline
from sususbot.model.scoring import Scored
from tests.evaluation.making import ANA, Counting, ground_of, recall, system_of, unheard


def measured(ground: Ground, backend: Backend, lines: int = 60) -> Section:
    with system_of(ground, backend) as system:
        return language(system, ground, (), unheard, lines=lines)


def text_of(ground: Ground, *, held_out: bool) -> str:
    samples = ground.corpus.valid() if held_out else ground.corpus.train()
    return "".join(text for sample in samples for text, _ in sample.pieces(""))


class Even(Counting):
    """Knows nothing: each byte is as likely as any other."""

    def score(self, _prompt: str, texts: Sequence[str], _deadline: Deadline) -> list[Scored]:
        return [Scored(-5.545177444479562 * size(text), size(text)) for text in texts]


def test_who_knows_nothing_needs_eight_bits_a_byte(ground: Ground) -> None:
    section = measured(ground, Even())
    for name in ("bits_per_byte", "reply_bits_per_byte"):
        figure = section.figures[name]
        assert (figure.value, figure.low, figure.high) == pytest.approx((8.0, 8.0, 8.0))


def test_the_better_a_model_knows_the_talk_the_fewer_bits_it_needs(ground: Ground) -> None:
    base, learned, knowing = (
        measured(ground, Counting(shown))
        for shown in ("", text_of(ground, held_out=False), text_of(ground, held_out=True))
    )
    for name in ("bits_per_byte", "reply_bits_per_byte"):
        low, middle, high = (section.figures[name] for section in (knowing, learned, base))
        assert low.value < middle.value < high.value
        assert middle.high is not None
        assert high.low is not None
        assert middle.high < high.low


def test_replies_in_other_exchanges_cost_more(ground: Ground) -> None:
    """With labels shuffled a model is surprised."""
    turned = (*ground.exchanges[1:], ground.exchanges[0])
    shuffled = [replace(one, reply=other.reply) for one, other in zip(ground.exchanges, turned, strict=True)]
    model = Counting(text_of(ground, held_out=False))
    right, wrong = (
        measured(one, model, lines=1).figures["reply_bits_per_byte"]
        for one in (ground, replace(ground, exchanges=shuffled))
    )
    assert right.high is not None
    assert right.high < wrong.value


def test_items_are_those_of_the_replies(ground: Ground) -> None:
    model = Counting(text_of(ground, held_out=False))
    section = measured(ground, model, lines=1)
    first = ground.exchanges[0]
    text = continuation(first.reply)
    (scored,) = likelihoods(model, prompt_of(first, ground.persona, ground.own_name), [text])
    items, figure = section.items["reply_bits_per_byte"], section.figures["reply_bits_per_byte"]
    sizes = [size(continuation(one.reply)) for one in ground.exchanges]
    assert len(items) == len(ground.exchanges) == figure.of
    assert items[0] == pytest.approx(bits(scored) / (sum(sizes) / len(sizes)))
    assert sum(items) / len(items) == pytest.approx(figure.value)


def test_as_many_conversations_are_asked_about_as_have_the_lines(ground: Ground) -> None:
    few, more, all_ = (measured(ground, Even(), lines).figures["bits_per_byte"].of for lines in (5, 40, 10_000))
    assert 1 <= few < more < all_
    assert all_ == ground.corpus.manifest["files"]["valid.jsonl"]["samples"]


def test_conversations_with_who_said_no_since_are_left_out(tmp_path: Path) -> None:
    with ground_of(tmp_path) as ground:
        samples = list(ground.corpus.valid())
        hers = sum(ANA.id in {turn.author_id for turn in sample.turns} for sample in samples)
        assert hers
        ground.archive.consents.say(ANA.id, by="member", way="asked", at=1, learn=False)
        assert measured(ground, Even(), 10_000).figures["bits_per_byte"].of == len(samples) - hers


def test_where_nothing_is_told_nothing_is_measured(ground: Ground) -> None:
    section = measured(ground, recall(ground))
    assert (section.name, dict(section.figures)) == ("language", {})
    assert section.notes == ("not measured: recall does not tell how likely a text is",)
    with pytest.raises(CannotScore):
        likelihoods(recall(ground), "a", ["b"])


def test_it_agrees_with_what_training_says(ground: Ground, tmp_path: Path) -> None:
    """The same model, the same samples: but for the mark that a conversation is over, the same bits per byte."""
    pytest.importorskip("torch")
    from transformers import AutoTokenizer

    from sususbot.model.causal_lm import CausalLM
    from sususbot.training.documents import documents
    from sususbot.training.processes import Processes
    from sususbot.training.train_lora import Data, _Loop
    from tests.training import tiny
    from tests.training.learning import CPU, RECIPE, learner

    base = tiny.base(tmp_path / "base")
    samples = [replace(sample, ends=False) for sample in ground.corpus.valid()][:12]
    learned = documents(samples, ground.persona, AutoTokenizer.from_pretrained(base))
    recipe, processes = replace(RECIPE, pack_tokens=1024), Processes(cpu=True)
    rest: Any = (CPU, tmp_path, processes, lambda _: None, bool, lambda _: ({}, None))
    loop = _Loop(learner(base, recipe), Data(learned, learned), recipe, *rest)
    model = CausalLM(base, adapter=None, four_bit=False, context_tokens=1024, threads=1)
    costs = [cost(model, ground.persona, sample) for sample in samples]  # type: ignore[arg-type]
    ours = sum(one.bits for one in costs) / sum(one.size for one in costs)
    assert ours == pytest.approx(loop.bits_per_byte(learned), rel=1e-3)
