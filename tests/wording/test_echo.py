"""What counts as saying something again, and what people do on purpose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.wording.echo import loops, repeats


@pytest.mark.parametrize(
    "text",
    [
        "i like the tea i like the tea i like the tea",
        "well so it is and so it is and so it is and so it is",
        "the printer is broken. " * 9,
        "A long way to say what can be said in short. " * 3,
    ],
)
def test_loops_are_seen(text: str) -> None:
    assert loops(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no no no no no no no no no no no no",
        "hahahahahahahahahahahahahaha",
        "ha ha ha ha ha ha ha ha ha ha",
        "i like the tea and i like the cake",
        "gerald did it. gerald did it, i tell you",
        "1 2 3 4 5 6 7 8 9 10 11 12",
    ],
)
def test_what_people_write_is_no_loop(text: str) -> None:
    assert not loops(text)


@given(st.lists(st.sampled_from("ab"), min_size=3, max_size=24).filter(lambda words: len(set(words)) > 1))
def test_three_rounds_of_any_phrase_are_a_loop(phrase: list[str]) -> None:
    assert loops(" ".join(phrase * 3))
    assert loops(" ".join(["before", *phrase * 3, "after"]))


@given(st.lists(st.integers(), max_size=60, unique=True))
def test_words_that_all_differ_are_none(words: list[int]) -> None:
    assert not loops(" ".join(map(str, words)))


def test_the_same_line_again_is_a_repetition_whatever_its_case_and_end() -> None:
    assert repeats("Gerald did it!", ["gerald did it", "something else"])
    assert repeats("who broke the printer", [], ["Who broke the printer?"])
    assert not repeats("gerald did it again", ["gerald did it"])


def test_a_short_word_may_come_again_but_not_twice_in_a_row() -> None:
    assert not repeats("lol", ["lol", "something else"], ["lol"])
    assert repeats("Lol.", ["something else", "lol"])
    assert not repeats("lol", [])
