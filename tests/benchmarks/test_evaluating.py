"""The benchmark of evaluation runs from exports to figures, and gives the same figures again."""

from dataclasses import replace
from itertools import pairwise

from sususbot.benchmarks.evaluating import Sizes, bench_evaluating
from sususbot.benchmarks.training_gain import general_texts
from sususbot.evaluation.prose import sentences
from sususbot.training import from_scratch
from sususbot.training.recipe import Recipe
from tests.support.kettle import small_exports


def test_small_it_runs_to_its_end_and_says_the_same_twice() -> None:
    sizes = Sizes(
        base="tiny",
        texts=60,
        base_recipe=replace(from_scratch.pretraining_recipe(1_500_000, size="tiny"), epochs=1, pack_tokens=512),
        recipe=Recipe(learning_rate=4e-3, epochs=1, rows=1, pack_tokens=512, evals_per_epoch=1),
        replies=12,
        context_tokens=512,
        new_tokens=6,
        measured=("relevance", "language"),
    )
    told: list[str] = []
    result = bench_evaluating(small_exports(), None, told.append, sizes=sizes)
    assert result.name == "eval"
    assert result.metrics["reproduced"] == 1.0
    assert result.metrics["replies"] == 12
    assert result.metrics["lora_over_base_in_language"] == 1.0
    assert result.metrics["reply_bits_per_byte"]["value"] < result.baseline["reply_bits_per_byte"]["value"]
    assert 0 <= result.metrics["recall_relevance"]["value"] <= 1
    # What was not measured has no figure, rather than a bad one.
    assert result.metrics["context_over_none"] is None
    assert result.metrics["voice_over_base"] is None
    assert any("recall" in sentence for sentence in told)
    assert result.as_lines()


def test_the_base_has_read_nothing_of_what_voices_are_told_from() -> None:
    """Or it would write what a classifier was shown as nobody's voice, and its adapter would seem to help."""
    read = " ".join(" ".join(general_texts(None, reference=False)).split())
    words = read.split(" ")
    pairs = set(pairwise(words))
    suspects = [one for one in sentences() if pairs.issuperset(pairwise(one.split()[1:-1]))]
    assert len(read) > 1_000_000
    assert [one for one in suspects if one in read] == []
