"""Distances of style: what is alike is near, and what differs in one thing is far in that alone."""

import math
import random
from collections.abc import Callable
from statistics import fmean

import pytest

from sususbot.evaluation.style import distances

KINDS = ("length", "case", "punctuation", "emoji", "vocabulary")
WORDS = "tea coffee cake rain roses chess books songs bread soup boats hills birds snow trains maps and or the".split()


def lines(count: int, seed: int) -> list[str]:
    """Some begin small, some end with a stop, some smile."""
    chance = random.Random(seed)

    def line() -> str:
        text = " ".join(chance.choices(WORDS, k=chance.randint(2, 9)))
        text = text if chance.random() < 0.8 else text.capitalize()
        return f"{text}{chance.choice(('', '', '.', '?'))}{chance.choice(('', '', ' 😂', ' :kek:'))}"

    return [line() for _ in range(count)]


OWN = lines(200, 1)
CHANGED: dict[str, Callable[[str], str]] = {
    "length": lambda text: " ".join([text] * 4),
    "case": str.upper,
    "punctuation": lambda text: f"{text.rstrip('.?')}!!!",
    "emoji": lambda text: text.replace("😂", "🙄").replace(":kek:", ":pog:"),
    "vocabulary": lambda text: text.replace("e", "ee").replace("a", "aa"),
}


def test_lines_of_the_same_voice_are_as_near_as_its_own_halves() -> None:
    figures = distances(lines(200, 2), OWN, seed=1)
    for kind in KINDS:
        near, own = figures[f"style_{kind}"], figures[f"style_{kind}_own"]
        assert near.low is not None
        assert own.high is not None
        assert near.low <= own.high, kind
        assert (near.better, own.better, near.of) == ("lower", None, 100)


@pytest.mark.parametrize("kind", KINDS)
def test_what_differs_in_one_thing_is_far_in_that_one(kind: str) -> None:
    figures = distances([CHANGED[kind](text) for text in lines(200, 2)], OWN, seed=1)
    far, own = figures[f"style_{kind}"], figures[f"style_{kind}_own"]
    assert far.low is not None
    assert own.high is not None
    assert far.low > 2 * own.high
    apart = {one: figures[f"style_{one}"].value - figures[f"style_{one}_own"].value for one in KINDS}
    assert max(apart, key=lambda one: apart[one]) == kind


def test_four_times_as_long_is_two_doublings() -> None:
    figures = distances([" ".join([text] * 4) for text in OWN], OWN, seed=1)
    assert figures["style_length"].value == pytest.approx(2, abs=0.1)


def test_an_interval_has_what_other_lines_of_the_same_two_come_to() -> None:
    """Again and again, of forty replies and forty lines: nineteen of twenty should, and some less are taken for it."""
    runs = [distances(shouting(lines(40, 100 + run), run), lines(40, 300 + run), seed=run) for run in range(24)]
    for kind in ("case", "punctuation"):
        figures = [run[f"style_{kind}"] for run in runs]
        true = fmean(figure.value for figure in figures)
        held = sum((figure.low or 0) <= true <= (figure.high or 0) for figure in figures)
        assert held >= 20, kind


def shouting(texts: list[str], seed: int) -> list[str]:
    """A third of them."""
    chance = random.Random(seed)
    return [f"{text.upper()}!!" if chance.random() < 0.33 else text for text in texts]


def test_labels_that_were_shuffled_make_no_difference() -> None:
    mixed = [*lines(200, 3), *(text.upper() for text in lines(200, 4))]
    random.Random(5).shuffle(mixed)
    figures = distances(mixed[:200], mixed[200:], seed=1)
    for kind in KINDS:
        own = figures[f"style_{kind}_own"]
        assert own.low is not None
        assert own.high is not None
        assert own.low <= figures[f"style_{kind}"].value <= own.high, kind


def test_the_same_again_gives_the_same() -> None:
    assert distances(lines(50, 2), OWN, seed=1) == distances(lines(50, 2), OWN, seed=1)


def test_ones_own_lines_are_measured_alike_whatever_a_system_says() -> None:
    """As many replies in other words: what the persona's lines differ by among themselves stays the same."""
    own = lines(60, 7)
    like, unlike = (distances(said, own, seed=1) for said in (lines(60, 8), [f"w{at} x{at} y{at}" for at in range(60)]))
    for kind in KINDS:
        assert like[f"style_{kind}_own"] == unlike[f"style_{kind}_own"], kind
    assert unlike["style_vocabulary"].value > 0.9


def test_nothing_said_has_no_style() -> None:
    assert all(math.isnan(one.value) for one in distances(["", " "], OWN, seed=1).values())


def test_links_and_marks_are_no_words() -> None:
    with_links = [f"{text} https://example.org/{number} [phone]" for number, text in enumerate(OWN)]
    assert distances(with_links, OWN, seed=1) == distances(OWN, OWN, seed=1)
