"""What is told beforehand is what a model then has to read and say."""

import pytest

from sususbot.evaluation import context, language, relevance
from sususbot.evaluation.estimate import REPLYING, Way, Work, estimate
from sususbot.evaluation.evaluation import Measure
from sususbot.evaluation.ground import Ground
from sususbot.evaluation.scores import size
from tests.evaluation.making import Counting, system_of, unheard

MEASURES: dict[str, Measure] = {
    "relevance": relevance.relevance,
    "language": language.language,
    "context": context.context,
}
# Bytes are counted: four for each of the tokens that the system's prompts have.
SAYING = Way(scores_by_saying=True, context_tokens=3600, new_tokens=60)
READING = Way(scores_by_saying=False, context_tokens=3600, new_tokens=60)


@pytest.mark.parametrize(("name", "by"), [("relevance", 0.05), ("language", 0.05), ("context", 0.4)])
def test_it_is_near_what_is_asked_then(ground: Ground, name: str, by: float) -> None:
    backend = Counting(reach=0)
    with system_of(ground, backend) as system:
        MEASURES[name](system, ground, (), unheard)
    read = sum(size(prompt) for prompt, _ in backend.asked)
    said = sum(size(text) for _, texts in backend.asked for text in texts)
    told = estimate(ground, [name], SAYING, size)[name]
    assert told.read == pytest.approx(read, rel=by)
    assert told.said == pytest.approx(said, rel=by)
    assert estimate(ground, [name], READING, size)[name] == Work(told.read + told.said)


def test_replies_are_told_by_what_they_may_take(ground: Ground) -> None:
    told = estimate(ground, [REPLYING, "safety", "voice"], SAYING)
    assert told[REPLYING] == Work(60 * 3600, 60 * 30)
    assert told["safety"].said > told[REPLYING].said
    assert told["voice"] == Work()
