"""The scores of the segmentation benchmark, by hand and by brute force, and the goal on the annotated logs."""

import gzip
from itertools import permutations
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.benchmarks.segmentation import METHODS, Log, _best_matching, bench_segmentation, read_logs, score
from sususbot.corpus.segment import Line
from sususbot.errors import NotAnExport
from tests.corpus.talk import DATA

DEV = DATA / "irc" / "dev.jsonl.gz"
needs_logs = pytest.mark.skipif(not DEV.is_file(), reason=f"the annotated logs are not at {DEV}")


def log_file(folder: Path, **changes: object) -> Path:
    messages = [
        {"i": 0, "time": "23:59", "author": "Mia", "text": "how do I boil an egg?"},
        {"i": 1, "time": None, "author": None, "text": "=== tom has joined"},
        {"i": 2, "time": "00:01", "author": "tom", "text": "mia: eight minutes"},
    ]
    row = {"log": "one", "messages": messages, "links": [[0, 2], [1, 1], [0, 0]], **changes}
    path = folder / "logs.jsonl.gz"
    path.write_bytes(gzip.compress(orjson.dumps(row) + b"\n"))
    return path


def test_a_log_is_read_with_names_as_mentions_and_times_over_midnight(tmp_path: Path) -> None:
    (log,) = read_logs(log_file(tmp_path))
    minute = 60_000
    first, system, second = log.lines
    assert first == Line(0, 0, 1439 * minute, name="Mia", text="how do I boil an egg?")
    assert system is None
    assert second == Line(2, 1, 1441 * minute, (0,), name="tom", text="mia: eight minutes")
    assert log.links == {(0, 2), (1, 1), (0, 0)}


def test_a_perfect_method_scores_one(tmp_path: Path) -> None:
    scores = score(list(read_logs(log_file(tmp_path))), lambda _lines: [0, 1, 0])
    assert (scores.link_f1, scores.one_to_one, scores.vi, scores.exact_f1) == (1, 1, 1, 1)


def test_scores_by_hand() -> None:
    lines = tuple(Line(place, place, 0) for place in range(4))
    gold = Log("x", lines, frozenset({(0, 0), (0, 1), (2, 2), (2, 3)}))
    # All in one: both starts right, of the links only that between 2 and 3.
    scores = score([gold], lambda _lines: [0, 1, 1, 2])
    assert scores.link_f1 == pytest.approx(2 / 4)
    assert scores.one_to_one == pytest.approx(3 / 4)
    assert scores.exact_f1 == 0


@given(st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.integers(1, 9), min_size=1))
def test_the_best_matching_is_the_best(sizes: dict[tuple[int, int], int]) -> None:
    best = max(sum(sizes.get((row, column), 0) for row, column in enumerate(order)) for order in permutations(range(5)))
    assert _best_matching(sizes) == best


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"messages": 1}\n', encoding="utf-8")
    with pytest.raises(NotAnExport, match="no annotated logs"):
        list(read_logs(path))


@needs_logs
def test_ours_beats_the_rules_that_were_published_beside_the_data() -> None:
    logs = list(read_logs(DEV))
    # The message before: 30.2, which the scorer must give for it.
    assert score(logs, METHODS["silence_30min"]).link_f1 == pytest.approx(0.302, abs=0.001)
    # A part of them: the linker itself is measured on all of them elsewhere.
    ours, silence = (score(logs[::3], METHODS[name]) for name in ("ours", "silence_30min"))
    # 63.4 by hand-made rules.
    assert ours.link_f1 >= 0.65
    for key in ("link_f1", "one_to_one", "vi", "exact_f1"):
        assert getattr(ours, key) > getattr(silence, key)


@needs_logs
def test_the_benchmark_tells_every_way_to_link_beside_silence(tmp_path: Path) -> None:
    one = tmp_path / "one.jsonl.gz"
    with gzip.open(DEV) as logs:
        one.write_bytes(gzip.compress(next(logs)))
    result = bench_segmentation([one])
    assert {"silence_30min", "without_mentions", "without_runs", "without_addressee"} < METHODS.keys()
    named = {"" if name == "ours" else f"{name}_" for name in METHODS.keys() - {"silence_30min"}}
    assert {f"{name}link_f1" for name in named} < result.metrics.keys()
    assert (result.metrics["link_f1"] or 0) > (result.baseline["link_f1"] or 0)
