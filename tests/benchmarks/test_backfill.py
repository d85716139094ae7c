"""The benchmark of the collector, in little: its own Discord, its comparison, and the time that limits allow."""

from dataclasses import replace

import pytest

from sususbot.benchmarks.backfill import limit_seconds, measure
from sususbot.benchmarks.own_discord import Asked, Recipe, make_world, rows_of, weather
from sususbot.standin.ratelimit import RateLimits


def test_a_small_run_is_whole_and_unrefused() -> None:
    run = measure(Recipe(2, 230, rate=RateLimits.fast()))
    assert (run.missing, run.extra, run.too_many_per_500) == (0, 0, 0)
    assert run.seconds > run.limit_seconds


@pytest.mark.parametrize(
    ("channels", "messages", "seconds"),
    # 5 pages in 5 s a channel; an empty page to see the end; 40 requests a second over all.
    [(1, 350, 0), (1, 450, 5), (1, 1950, 20), (40, 450, (40 * 6 - 1) / 40), (100, 50, (100 * 2 - 1) / 40)],
)
def test_the_time_that_the_limits_allow(channels: int, messages: int, seconds: float) -> None:
    asked = Asked(0, dict.fromkeys(range(channels), 99), 0)
    assert limit_seconds(asked, Recipe(channels, messages)) == seconds


def test_with_faults_what_went_wrong_takes_its_place_too() -> None:
    assert limit_seconds(Asked(0, {1: 21}, 0), Recipe(1, 350, share=0.05)) == 20


def test_the_same_recipe_makes_the_same_guild_with_edits_and_reactions() -> None:
    recipe = Recipe(2, 120)
    rows = rows_of(make_world(recipe))
    assert rows == rows_of(make_world(replace(recipe, share=0.5)))
    assert len(rows) == 240
    assert any(row[3] for row in rows)
    assert any(row[4] for row in rows)
    assert len(weather(0.05)) == 7
