"""The classifier of voices: it ranks who is who, and what is no voice tells it nothing."""

import decimal
import logging
import math
import random
import sys
import threading
import zipfile
from collections.abc import Sequence
from inspect import getdoc
from pathlib import Path
from statistics import fmean

import pytest

from sususbot.errors import EvaluationError, MissingExtra
from sususbot.evaluation.figures import Section
from sususbot.evaluation.ground import Ground
from sususbot.evaluation.topics import voice_words
from sususbot.evaluation.voice import Voice, classifier, other_chat, voice
from sususbot.messages import Author
from sususbot.model.scripted import Scripted
from tests.evaluation.making import ANA, LEO, MIA, TOM, ground_of, in_the_way_of, replies_of, system_of, unheard

THINGS = "tea coffee cake rain roses chess books songs bread soup boats hills birds snow trains maps".split()
OTHERS = "goal match season striker keeper derby penalty offside referee corner transfer league cup fans".split()
PLAIN = ("the {} is over there", "who has the {} now", "we need a new {} again", "it was a good {} after all")


@pytest.fixture(scope="module")
def heard(ground: Ground) -> Voice:
    """All of the server, against the sample community."""
    return classifier(ground, other_chat(ground))


def measured(ground: Ground, heard: Voice, texts: Sequence[str]) -> Section:
    said = dict(zip([one.id for one in ground.exchanges], texts, strict=True))
    with system_of(ground, Scripted(["hm"])) as system:
        return voice(system, ground, replies_of(said, ground.exchanges), unheard, heard)


def bounds(section: Section, name: str) -> tuple[float, float]:
    figure = section.figures[name]
    assert figure.low is not None
    assert figure.high is not None
    return figure.low, figure.high


def said_by_chance(lines: Sequence[str], like: Sequence[str]) -> list[str]:
    """As many words as these have, each drawn from all words of the lines."""
    words = [word for line in lines for word in line.split()]
    return [" ".join(random.Random(number).choices(words, k=len(one.split()))) for number, one in enumerate(like)]


def test_the_persona_stands_above_its_words_in_disorder_and_these_above_other_chat(
    ground: Ground, heard: Voice
) -> None:
    true = [one.reply for one in ground.exchanges]
    learned = [turn.text for sample in ground.corpus.train() for turn in sample.turns]
    other = (other_chat(ground)[4::5] * 9)[: len(true)]
    own, babble, others = (measured(ground, heard, texts) for texts in (true, said_by_chance(learned, true), other))
    for name in ("attributed", "probability", "normalised"):
        values = [section.figures[name].value for section in (own, babble, others)]
        assert values == sorted(values, reverse=True), name
    between = babble.figures["probability"].value
    assert bounds(own, "probability")[0] > between > bounds(others, "probability")[1]
    assert bounds(own, "attributed")[0] > bounds(others, "attributed")[1]
    assert own.figures["attributed"].value == own.figures["ceiling"].value
    assert own.figures["normalised"].value == pytest.approx(1)
    assert len(own.items["attributed"]) == len(own.items["probability"]) == len(ground.exchanges)
    assert bounds(own, "classifier_auc")[0] > 0.9
    assert own.figures["can_tell"].value == 1
    assert bounds(own, "normalised")[0] > bounds(others, "normalised")[1]


def test_a_member_is_told_from_the_others_of_the_same_server(tmp_path: Path) -> None:
    with ground_of(tmp_path, persona=frozenset({MIA.id})) as ground:
        other = other_chat(ground)
        assert not any(text.endswith(("hehe", "lol", "😂", "hihi")) for text in other)
        heard = classifier(ground, other)
        later = [turn for sample in ground.corpus.valid() for turn in sample.turns]
        count = len(ground.exchanges)
        ours, theirs = (
            measured(ground, heard, ([turn.text for turn in later if turn.author_id == author.id] * 9)[:count])
            for author in (MIA, TOM)
        )
    assert ours.figures["attributed"].value > 0.8 > 0.2 > theirs.figures["attributed"].value


def test_handed_in_lines_are_the_other_chat(ground: Ground) -> None:
    assert other_chat(ground, ["a", "b"]) == ["a", "b"]


def test_what_is_kept_apart_of_other_chat_is_of_every_file() -> None:
    """A second file that is quite another chat: the floor is of both, as the training is."""
    chance = random.Random(4)

    def lines(author: Author, count: int) -> list[str]:
        return [in_the_way_of(author, chance.choice(PLAIN).format(chance.choice(THINGS)), chance) for _ in range(count)]

    heard = Voice(lines(MIA, 300), [*lines(TOM, 200), *lines(ANA, 50)], lines(MIA, 50), seed=1)
    assert heard.classifier.lines == (300, 200)
    assert len(heard.other) == 50
    shouted = heard.classifier.probabilities(lines(ANA, 20))
    assert max(shouted) < 0.5
    assert heard.can_tell


def test_the_same_again_gives_the_same_figures(ground: Ground, heard: Voice) -> None:
    texts = [one.reply for one in ground.exchanges]
    again = classifier(ground, other_chat(ground))
    assert measured(ground, again, texts) == measured(ground, heard, texts)


def test_with_shuffled_labels_nothing_is_told(ground: Ground) -> None:
    learned = [turn.text for sample in ground.corpus.train() for turn in sample.turns]
    mixed = [*learned, *other_chat(ground)]
    random.Random(3).shuffle(mixed)
    third = len(mixed) // 3
    heard = Voice(mixed[:third], mixed[third : 2 * third], mixed[2 * third :], seed=1)
    section = measured(ground, heard, [one.reply for one in ground.exchanges])
    for name in ("classifier_accuracy", "classifier_auc"):
        low, high = bounds(section, name)
        assert low < 0.5 < high, name
    assert section.figures["can_tell"].value == 0
    assert math.isnan(section.figures["normalised"].value)
    assert "cannot be told apart" in section.notes[0]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param((THINGS, 1), (OTHERS, 1), id="topics"),
        pytest.param((THINGS, 1), (THINGS, 3), id="length"),
    ],
)
def test_what_is_talked_of_and_how_long_tells_nothing(
    ours: tuple[list[str], int], theirs: tuple[list[str], int]
) -> None:
    chance = random.Random(5)

    def lines(things: list[str], most: int) -> list[str]:
        """Each thing is talked of for forty lines."""
        talked_of = [things[number // 40 % len(things)] for number in range(400)]
        return [" and ".join(chance.choices(PLAIN, k=chance.randint(1, most))).replace("{}", one) for one in talked_of]

    heard = Voice(lines(*ours), lines(*theirs), lines(*ours), seed=1)
    assert fmean(heard.own) == pytest.approx(0.5, abs=0.1)


def test_written_english_is_nobodys_voice(ground: Ground, heard: Voice) -> None:
    """From the standard library, of which the classifier saw nothing."""
    texts = [getdoc(one) or "" for module in (decimal, logging, threading, zipfile) for one in vars(module).values()]
    written = list(dict.fromkeys(line for text in texts for line in text.splitlines() if len(line.split()) > 3))
    section = measured(ground, heard, written[: len(ground.exchanges)])
    assert bounds(section, "attributed")[1] < section.figures["ceiling"].value / 2


def test_an_empty_reply_is_nobodys(ground: Ground, heard: Voice) -> None:
    section = measured(ground, heard, [""] * len(ground.exchanges))
    assert section.figures["attributed"].value == 0
    assert f"{len(ground.exchanges)} replies are empty" in " ".join(section.notes)


def test_too_few_lines_are_said_to_be(ground: Ground) -> None:
    with pytest.raises(EvaluationError, match=r"4 lines of other chat's are too few .* at least 50"):
        classifier(ground, ["one line", "two lines", "three lines", "four lines"])


def test_without_scikit_learn_it_says_what_to_install(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(MissingExtra, match=r"pip install -e .\.\[eval\]"):
        classifier(ground, other_chat(ground))


def test_words_said_all_the_time_are_voice_and_names_and_topics_are_none() -> None:
    chance = random.Random(2)

    def lines(author: Author, name: str, topics: list[str]) -> list[str]:
        """Each topic for forty lines."""
        topical = [topics[number // 40 % len(topics)] for number in range(1600)]
        return [
            in_the_way_of(author, f"{chance.choice(PLAIN).format(topic)} {name}", chance).removesuffix(" tbh")
            for topic in topical
        ]

    mia, leo = lines(MIA, "Fabian", THINGS), lines(LEO, "Gregor", OTHERS)
    kept = voice_words(mia, leo, ["Fabian", "Gregor"])
    assert {"hehe", "lol", "hihi", "da", "good"} <= kept
    assert not kept & {"fabian", "gregor", *THINGS, *OTHERS}
    heard = Voice(mia, leo, mia[-50:], seed=1, names=["Fabian", "Gregor"])
    swapped = [text.replace("Fabian", "Gregor") for text in mia[:50]]
    assert heard.classifier.probabilities(swapped) == heard.classifier.probabilities(mia[:50])
    assert min(heard.own) > 0.5 > max(heard.other)
