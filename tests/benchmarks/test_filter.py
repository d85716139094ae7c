"""The benchmark of the filter on the sample community: the agreed keys, and what they must say there."""

from sususbot.benchmarks.filter import bench_filter
from tests.support.kettle import small_exports


def test_it_stops_the_red_team_and_nothing_of_the_sample() -> None:
    result = bench_filter(small_exports())
    assert {"lines", "false_positive_rate", "p50_ms", "p95_ms", "hits", "red_team_blocked"} <= result.metrics.keys()
    assert result.metrics["lines"] > 250
    assert (result.metrics["false_positive_rate"], result.metrics["red_team_blocked"]) == (0, 1)
    assert result.baseline["red_team_blocked"] < 0.5
    assert result.as_lines()[0].startswith("filter: ")
