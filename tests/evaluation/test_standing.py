"""Where a third stands between two voices: nowhere, if these cannot be told apart."""

import math
import random

import pytest

from sususbot.evaluation.figures import Figure, Section, share
from sususbot.evaluation.standing import area, can_tell, normalised, normalised_by


def sure(middle: float, count: int, seed: int) -> list[float]:
    """How sure a classifier is of some lines, around a middle."""
    chance = random.Random(seed)
    return [min(1.0, max(0.0, chance.gauss(middle, 0.2))) for _ in range(count)]


def heard(hits: int, of: int = 100, ceiling: float = 0.9) -> Section:
    """A voice section of a system of which so many replies were taken for the persona's."""
    items = [1.0] * hits + [0.0] * (of - hits)
    return Section("voice", {"ceiling": share(ceiling * 100, 100, None)}, {"attributed": items})


def test_between_floor_and_ceiling() -> None:
    own, other = sure(0.8, 200, 1), sure(0.2, 200, 2)
    assert can_tell(own, other, seed=0)
    half = normalised([1.0, 0.0] * 50, own, other, seed=0)
    assert half.value == pytest.approx(0.5, abs=0.1)
    assert half.low is not None
    assert half.high is not None
    assert 0.3 < half.low < half.value < half.high < 0.7


@pytest.mark.parametrize("other", [0.5, 0.6])
def test_a_classifier_that_knows_nothing_places_nobody(other: float) -> None:
    """Neither is a share of 62 % anything, where other chat is taken for the persona's as often, or more."""
    own, others = sure(0.5, 100, 3), sure(other, 60, 4)
    assert not can_tell(own, others, seed=0)
    placed = normalised([1.0] * 62 + [0.0] * 38, own, others, seed=0)
    assert math.isnan(placed.value)
    assert (placed.low, placed.high) == (None, None)


def test_who_ranks_well_but_draws_the_border_elsewhere_places_nobody() -> None:
    """All above one half: ceiling and floor are the same."""
    own, other = [0.9, 0.8, 0.85] * 30, [0.6, 0.7, 0.65] * 30
    assert (area(own, other, seed=0).low or 0) > 0.5
    assert not can_tell(own, other, seed=0)


def test_nobody_stands_further_away_than_a_number_means_something() -> None:
    own, other = sure(0.62, 150, 5), sure(0.45, 150, 6)
    placed = normalised([0.0] * 100, own, other, seed=0)
    assert placed.low is not None
    assert -1 <= placed.low <= placed.value <= 0


def test_between_the_base_and_the_ceiling() -> None:
    placed = normalised_by(heard(60), heard(30))
    assert placed.value == pytest.approx(0.5)
    assert placed.low is not None
    assert placed.high is not None
    assert 0.3 < placed.low < 0.5 < placed.high < 0.75
    assert normalised_by(heard(30), heard(30)).value == 0
    assert placed == normalised_by(heard(60), heard(30))


def test_a_base_as_near_as_the_persona_leaves_no_room() -> None:
    assert math.isnan(normalised_by(heard(60), heard(88)).value)


def test_what_was_not_heard_is_not_placed() -> None:
    assert math.isnan(normalised_by(heard(60), Section("voice")).value)
    assert math.isnan(normalised_by(Section("voice", {"ceiling": Figure(float("nan"))}), heard(3)).value)
