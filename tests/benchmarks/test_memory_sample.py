"""The benchmark of memory on the sample community: what it counts, and what it must not find."""

from pathlib import Path

from sususbot.benchmarks.locomo import CUTS
from sususbot.benchmarks.memory_sample import bench_memory_of_sample
from tests.memory.chat import WordEmbedder
from tests.support.commands import run_here
from tests.support.kettle import small_exports

KINDS = {"fact", "person", "time", "joke", "changed"}


def test_recall_is_told_by_kind_beside_the_usual_ways_and_nothing_private_is_found() -> None:
    result = bench_memory_of_sample(WordEmbedder(dimensions=512)).as_json()
    metrics, baseline = result["metrics"], result["baseline"]
    assert isinstance(metrics, dict)
    assert isinstance(baseline, dict)
    assert (metrics["questions"], metrics["private_shown"]) == (60, 0)
    # Without the bot's lines, the private channel's, and those of two members.
    assert 1700 < metrics["messages"] < 2000
    assert metrics["recall_at_10"] > baseline["words_alone"]["recall_at_10"] > 0.2
    assert metrics["private_recall_at_10_for_members"] > 0
    assert metrics["never_said_told_apart"] > 0.5
    for told in (metrics, baseline, baseline["vectors_alone"], baseline["words_alone"]):
        assert set(told["by_kind"]) == KINDS
        assert {f"recall_at_{cut}" for cut in CUTS} <= set(told)


def test_a_haystack_needs_what_is_looked_for_in_it(tmp_path: Path) -> None:
    done = run_here("bench", "memory", "--haystack", str(small_exports()[0]), folder=tmp_path)
    assert done.returncode == 2
    assert "give both" in done.stderr
