"""Where a text begins behind its prompt, and what is left out where both are too long."""

import pytest

from sususbot.errors import BackendFailed, CannotScore
from sususbot.model.joint import Joint, fitting


def test_what_fits_stays_as_it_is() -> None:
    joints = [Joint((1, 5, 6, 7), 3), Joint((1, 5), 2)]
    assert fitting(joints, 4, marks=1) == joints
    assert fitting([], 4, marks=1) == []


def test_all_lose_as_much_of_the_prompt_as_the_longest_needs() -> None:
    joints = [Joint((1, 5, 6, 7, 8, 9), 4), Joint((1, 5, 6, 7, 8), 4)]
    assert fitting(joints, 4, marks=1) == [Joint((1, 7, 8, 9), 2), Joint((1, 7, 8), 2)]
    assert fitting(joints, 4, marks=0) == [Joint((6, 7, 8, 9), 2), Joint((6, 7, 8), 2)]
    assert fitting(joints, 3, marks=1) == [Joint((1, 8, 9), 1), Joint((1, 8), 1)]


@pytest.mark.parametrize("marks", [0, 1])
def test_a_text_before_which_nothing_would_be_left_is_too_long(marks: int) -> None:
    with pytest.raises(BackendFailed, match="text to score has 2 tokens and the model's context only 2: raise CONTEXT"):
        fitting([Joint((1, 5, 6, 7, 8, 9), 4)], 2, marks=marks)


def test_the_first_token_of_all_has_nothing_to_follow() -> None:
    with pytest.raises(CannotScore, match="scores nothing without a prompt"):
        fitting([Joint((5, 6), 0)], 9, marks=0)
