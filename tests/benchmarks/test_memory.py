"""The benchmark of long-term memory, on conversations that the test makes up: keys, splits, and what a fit finds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sususbot.archive.vectors import Matrix
from sususbot.benchmarks.locomo import CUTS, Asked, interval, read_talks, recall
from sususbot.benchmarks.memory import TUNED_ON, bench_memory
from sususbot.benchmarks.memory_fit import Example, fit
from sususbot.errors import NotAnExport
from sususbot.memory.ranking import WEIGHTS
from tests.memory.chat import WordEmbedder
from tests.support.kettle import small_exports

THINGS = ("kettle", "ladder", "violin", "canoe", "lantern", "saddle")
TOWNS = ("Ulm", "Oslo", "Porto")
KEYS = {f"recall_at_{cut}" for cut in CUTS}


def conversation(name: str, shift: int) -> dict[str, Any]:
    """Two people speak of one thing a session; each thing is asked for."""
    things = [THINGS[(place + shift) % len(THINGS)] for place in range(len(THINGS))]
    said: dict[str, Any] = {"speaker_a": "Mia", "speaker_b": "Tom"}
    for number, thing in enumerate(things, 1):
        said[f"session_{number}_date_time"] = f"1:00 pm on {number} May, 2023"
        said[f"session_{number}"] = [
            {"speaker": "Tom", "dia_id": f"D{number}:1", "text": "Hello there, how are you?"},
            {
                "speaker": "Mia",
                "dia_id": f"D{number}:2",
                "text": f"I bought a {thing} to use in {TOWNS[shift]}",
            },
            {"speaker": "Tom", "dia_id": f"D{number}:3", "text": "Nice, see you soon"},
        ]
    asked = [
        {"question": f"When did Mia buy the {thing} in {TOWNS[shift]}?", "evidence": [f"D{number}:2"], "category": 2}
        for number, thing in enumerate(things, 1)
    ]
    asked += [{"question": "Who sang?", "evidence": [], "category": 4}]
    asked += [{"question": "What fell?", "evidence": ["D99:1"], "category": 1}]
    return {"sample_id": name, "conversation": said, "qa": asked}


def written(path: Path, items: Sequence[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(list(items)), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    known = sorted(TUNED_ON)[:2]
    return written(
        tmp_path / "locomo.json", [conversation(name, place) for place, name in enumerate([*known, "other"])]
    )


def test_a_file_is_read_as_channels_with_what_is_asked_of_them(file: Path) -> None:
    talks = read_talks(file)
    assert [talk.name for talk in talks] == [*sorted(TUNED_ON)[:2], "other"]
    assert [len(talk.messages) for talk in talks] == [18] * 3
    assert len({message.id for talk in talks for message in talk.messages}) == 54
    # A question that names no evidence is left out; evidence that does not exist is never found.
    assert [asked.category for asked in talks[0].asked] == ["temporal"] * 6 + ["multi_hop"]
    assert talks[0].asked[-1].evidence == (None,)
    assert recall([message.id for message in talks[0].messages], talks[0].asked[-1]) == [0.0] * 4


def test_recall_is_the_share_of_the_evidence_among_the_first() -> None:
    asked = Asked("?", "multi_hop", (3, 8, None, 900))
    assert recall(list(range(40)), asked) == [0.25, 0.5, 0.5, 0.5]
    low, high = interval([0.0, 1.0] * 50)
    assert low < 0.5 < high


@pytest.mark.parametrize("content", ["", "{}", "[]", '[{"sample_id": "x"}]', '[{"conversation": 3}]', "[3]"])
def test_what_is_no_such_file_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "locomo.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(NotAnExport, match="no LoCoMo file"):
        read_talks(path)


def test_a_fit_finds_the_feature_that_tells() -> None:
    random = np.random.default_rng(1)
    names = list(WEIGHTS)
    telling = names.index("named")
    taught = []
    for _ in range(60):
        features = random.normal(size=(20, len(names)))
        taught.append(Example(features, np.array([int(features[:, telling].argmax())])))
    weights = fit(taught)
    assert weights["named"] > 2 * max(abs(weight) for name, weight in weights.items() if name != "named")


def test_the_copy_of_the_haystack_lies_where_it_is_told_and_goes(file: Path, tmp_path: Path) -> None:
    copies: set[Path] = set()

    class Watching(WordEmbedder):
        def embed(self, texts: Sequence[str]) -> Matrix:
            copies.update(path.parents[1] for path in scratch.glob("*/archive.db"))
            return super().embed(texts)

    scratch = tmp_path / "bench" / "scratch"
    scratch.mkdir(parents=True)
    bench_memory(file, small_exports(), Watching(), tmp_path / "bench", lambda _text: None, scratch=scratch)
    assert copies == {scratch}
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("haystack", [False, True])
def test_the_benchmark_gives_recall_overall_and_by_category_beside_the_usual_ways(
    file: Path, tmp_path: Path, haystack: bool
) -> None:
    told: list[str] = []
    exports = small_exports() if haystack else []
    result = bench_memory(file, exports, WordEmbedder(), tmp_path / "bench", told.append).as_json()
    metrics, baseline = result["metrics"], result["baseline"]
    assert isinstance(metrics, dict)
    assert isinstance(baseline, dict)
    assert metrics["questions"] == 21
    # Six of seven questions have an answer, and the words of each lead to it.
    assert metrics["recall_at_10"] == pytest.approx(6 / 7, abs=1e-4)
    assert metrics["recall_at_10_low"] < metrics["recall_at_10"] < metrics["recall_at_10_high"]
    assert set(metrics["by_category"]) == {"temporal", "multi_hop"}
    assert set(metrics["by_category"]["temporal"]) >= KEYS
    assert set(baseline) >= KEYS | {"vectors_alone", "words_alone"}
    assert ("haystack" in metrics, "haystack" in baseline) == (haystack, haystack)
    if haystack:
        assert metrics["haystack"]["messages"] > 300
        assert metrics["haystack"]["by_category"]["temporal"]["recall_at_50"] > 0.5
    assert len(told) == 2 + haystack
