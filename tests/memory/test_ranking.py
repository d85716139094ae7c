"""What words say of a candidate: BM25 in plain Python says the same."""

from math import log

import numpy as np
import pytest

from sususbot.archive.archive import Archive
from sususbot.memory import ranking
from sususbot.memory.question import People, understood
from sususbot.memory.server_words import ServerWords
from sususbot.memory.terms import read, words
from tests.memory.chat import HOUR, MIA, TOM, Chat

TEXTS = ("a pear tree", "pear pear moon", "tea?", "the old spoon bends", "moon river", "nothing else")


@pytest.mark.parametrize("removed", [(), (1,), (0, 3)])
def test_word_features_are_bm25_of_the_message_and_of_what_is_around_it(
    archive: Archive, chat: Chat, removed: tuple[int, ...]
) -> None:
    said = [chat.say((MIA, TOM)[n % 2], text, after=2 * HOUR if n == 4 else 30) for n, text in enumerate(TEXTS)]
    read(archive)
    server = ServerWords(archive)
    server.drop([said[number].id for number in removed])
    living = [number for number in range(len(TEXTS)) if number not in removed]
    asked = understood("pear moon zeppelin", People({}), chat.now)
    rows = server.with_rows(np.empty(0, np.int32), [said[number].id for number in living], ())
    ids, _, features = server.features(asked, rows)
    assert ids == [said[number].id for number in living]
    near = {
        number: [n for n in range(number - 2, number + 3) if n in living and (n < 4) == (number < 4)]
        for number in living
    }
    # As they were when the words were read; a removed message's entries count on.
    count = len(living)
    every = [
        [n for n in range(number - 2, number + 3) if 0 <= n < 6 and (n < 4) == (number < 4)] for number in range(6)
    ]
    mean = sum(len(words(text)) for text in TEXTS) / 6
    mean_near = sum(len(words(TEXTS[n])) for window in every for n in window) / 6

    def bm25(window: list[int], mean_length: float) -> float:
        length = sum(len(words(TEXTS[n])) for n in window) / mean_length
        told = most = 0.0
        for word in ("pear", "moon", "zeppelin"):
            held = sum(word in words(text) for text in TEXTS)
            idf = log(1 + (count - held + 0.5) / (held + 0.5))
            times = sum(words(TEXTS[n]).count(word) for n in window)
            told += idf * times / (times + 0.9 * (0.7 + 0.3 * length))
            most += idf
        return told / most

    wide = [bm25(near[number], mean_near) for number in living]
    assert features["words"] == pytest.approx([bm25([number], mean) for number in living], abs=1e-5)
    assert features["words_near"] == pytest.approx(wide, abs=1e-5)
    for sitting in ([n for n in living if n < 4], [n for n in living if n >= 4]):
        best = sorted((wide[living.index(n)] for n in sitting), reverse=True)[:3]
        told = [features["sitting"][living.index(n)] for n in sitting]
        assert told == pytest.approx([sum(best) / len(best)] * len(sitting), abs=1e-5)


def test_parts_sum_to_the_score() -> None:
    random = np.random.default_rng(1)
    features = {name: random.random(5).astype(np.float32) for name in ranking.WEIGHTS}
    parts = ranking.parts(features, ranking.WEIGHTS)
    score = sum(weight * features[name] for name, weight in ranking.WEIGHTS.items())
    assert np.sum(list(parts.values()), axis=0) == pytest.approx(score, abs=1e-4)
    assert sorted(name for group in ranking.GROUPS.values() for name in group) == sorted(ranking.WEIGHTS)


def test_kinds_count_only_where_they_are_asked_for(archive: Archive, chat: Chat) -> None:
    said = [chat.say(MIA, "I left yesterday"), chat.say(TOM, "two cats, in Old Berlin"), chat.say(TOM, "is it?")]
    read(archive)
    server = ServerWords(archive)
    rows = server.with_rows(np.empty(0, np.int32), [one.id for one in said], ())
    people = People({MIA.id: ["Mia"]})

    def told(question: str) -> dict[str, list[float]]:
        features = server.features(understood(question, people, chat.now), rows)[2]
        return {name: [round(float(value), 2) for value in column] for name, column in features.items()}

    when, many, what = told("When did Mia leave?"), told("how many"), told("What city")
    assert when["when"] == [1, 0, 0]
    assert when["named"] == [1, 0, 0]
    assert when["many"] == when["what"] == when["span"] == [0, 0, 0]
    assert many["many"] == [0, 1, 0]
    assert what["what"][1] > 0
    assert what["asks"] == [0, 0, 1]
    assert told("what happened today")["span"] == [1, 1, 1]
