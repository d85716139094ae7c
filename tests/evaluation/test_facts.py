"""Whether a bot knows what was once said: who quotes its memories is told from who does not, and from who is wrong."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import pytest

from sususbot import sample
from sususbot.evaluation.facts import ANSWERED, Community, community, facts
from sususbot.evaluation.figures import Section
from sususbot.evaluation.ground import Ground
from sususbot.model.backend import Backend, Deadline, Request
from sususbot.model.scoring import Scored
from sususbot.model.scripted import Scripted
from tests.evaluation.making import Counting, recall, system_of, unheard

QUESTIONS: Final = [one for one in sample.questions() if one.kind in ANSWERED]
# By the tests' embedder, which knows words alone.
SHOWN: Final = 0.5
ANSWERS: Final = {one.text: one.answer for one in QUESTIONS}


class Deaf(Counting):
    """Knows how likely a text is, whatever was said before."""

    def score(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        return super().score(prompt[:0], texts, deadline)


def quoting(request: Request) -> str:
    """Says what memory has next to the question, if anything."""
    quoted = [line.split(": ", 1)[1] for line in request.prompt.split("\n") if line.startswith("> ")]
    return " ".join(quoted[-4:]) or "no idea"


@pytest.fixture(scope="module")
def kettle(ground: Ground) -> Community:
    return community(ground, unheard)


def measured(ground: Ground, backend: Backend, kettle: Community) -> Section:
    with system_of(ground, backend) as system:
        return facts(system, ground, (), unheard, kettle)


def answering(answer: Callable[[str], str]) -> Scripted:
    return Scripted(lambda request: answer(request.turns[-1].text))


def test_who_quotes_memories_knows_and_who_does_not_knows_nothing(ground: Ground, kettle: Community) -> None:
    good, bad = (
        measured(ground, backend, kettle).figures for backend in (Scripted(quoting), Scripted(["no idea, sorry"]))
    )
    assert (good["answer_told_over_chance"].low or 0) > 0
    assert (good["answer_told_by_memories"].low or 0) > 0
    assert good["answer_told_without_memories"].value == 0
    assert bad["answer_told"].value == 0
    # What was shown to both is the same.
    assert good["answer_shown"] == bad["answer_shown"]
    assert good["answer_shown"].value > SHOWN


def test_who_knows_all_answers_tells_all_and_shuffled_answers_tell_nothing(ground: Ground, kettle: Community) -> None:
    every = measured(ground, answering(ANSWERS.__getitem__), kettle).figures
    assert every["answer_told"].value == pytest.approx(1.0)
    assert every["answer_told_by_chance"].value < 0.1
    # It needs no memories.
    assert every["answer_told_by_memories"].value == 0
    order = [one.text for one in QUESTIONS]
    shuffled = measured(
        ground, answering(lambda asked: ANSWERS[order[(order.index(asked) + 5) % len(order)]]), kettle
    ).figures
    assert shuffled["answer_told"].value < 0.1
    assert (shuffled["answer_told_over_chance"].low or 0) <= 0


def test_a_bot_that_remembers_nothing_is_shown_nothing(ground: Ground, kettle: Community) -> None:
    empty = replace(kettle, sought=[replace(one, hits=()) for one in kettle.sought])
    figures = measured(ground, Scripted(quoting), empty).figures
    assert figures["answer_shown"].value == 0
    assert figures["answer_told"].value == 0


def test_memory_is_searched_by_words_where_there_is_no_embedder(ground: Ground) -> None:
    without = replace(ground, embedder=None)
    figures = measured(without, Scripted(quoting), community(without, unheard)).figures
    assert figures["answer_shown"].value > SHOWN


def test_nothing_of_a_private_channel_is_shown_where_everybody_reads(ground: Ground, kettle: Community) -> None:
    shown = measured(ground, Scripted(["no idea"]), kettle).figures["private_shown"]
    assert (shown.value, shown.of) == (0, len(sample.questions()))
    quoted = {line.source.message_id for one in kettle.sought for line in one.lines}
    organisers = {id_ for one in sample.questions() if one.kind == "private" for id_ in one.evidence}
    assert quoted
    assert quoted.isdisjoint(organisers)


def test_it_would_be_told_if_something_private_were_shown(ground: Ground, kettle: Community) -> None:
    private = next(room.id for room in sample.channels() if room.private)
    first, *rest = kettle.sought
    hit = first.hits[0]
    leaked = replace(hit, around=tuple(replace(one, channel_id=private) for one in hit.around))
    leaking = replace(kettle, sought=[replace(first, hits=[leaked]), *rest])
    shown = measured(ground, Scripted(["no idea"]), leaking).figures["private_shown"]
    assert shown.value == pytest.approx(1 / len(sample.questions()))


def test_recall_answers_from_the_sample_and_not_from_its_own_server(ground: Ground, kettle: Community) -> None:
    section = measured(ground, recall(ground), kettle)
    assert (section.figures["answer_told_over_chance"].low or 0) > 0
    assert "answer_told_without_memories" not in section.figures
    assert any("recall says nothing but memories" in note for note in section.notes)
    assert len(section.items["answer_told"]) == len(QUESTIONS)


def test_to_who_reads_memories_the_answer_is_likelier_with_them(ground: Ground, kettle: Community) -> None:
    reading, deaf = (measured(ground, backend, kettle).figures for backend in (Counting(), Deaf()))
    assert (reading["answer_bits_saved_by_memories"].low or 0) > 0
    assert reading["answer_likelier_with_memories"].value > 0.9
    assert deaf["answer_bits_saved_by_memories"].value == pytest.approx(0)
    assert deaf["answer_likelier_with_memories"].value == 0


def test_the_same_again(ground: Ground, kettle: Community) -> None:
    def said(request: Request) -> str:
        return f"{request.sampling.seed} {quoting(request)}"

    assert measured(ground, Scripted(said), kettle) == measured(ground, Scripted(said), kettle)
