"""Runs of words that a reply has from the training: as long as trying all finds, and never over a message's end."""

import random
from collections.abc import Callable, Sequence

from sususbot.evaluation.verbatim import Learned, Run, unquoted, words

# -- runs


def brute_force(text: str, lines: Sequence[str], cut: Callable[[str], Sequence[str]], least: int) -> int:
    """The longest run of a text in any of these lines, by trying all."""
    said = list(cut(text))
    there = [list(cut(line)) for line in lines]
    return max(
        (
            end - begin
            for begin in range(len(said))
            for end in range(begin + least, len(said) + 1)
            if any(said[begin:end] == line[at : at + end - begin] for line in there for at in range(len(line)))
        ),
        default=0,
    )


def test_runs_are_as_long_as_trying_all_finds() -> None:
    chance = random.Random(4)
    lines = [" ".join(chance.choices("ab ba aab bb".split(), k=chance.randint(1, 7))) for _ in range(20)]
    learned = Learned(lines)
    for _ in range(15):
        text = " ".join(chance.choices("ab ba aab bb cc".split(), k=9))
        assert learned.longest(text) == Run(brute_force(text, lines, words, 2), brute_force(text, lines, list, 3))


def test_no_run_goes_over_the_end_of_a_message() -> None:
    learned = Learned(["one two three", "four five six ⏎ seven eight nine"])
    assert learned.longest("two three four five six seven").words == 3
    assert learned.longest("five six\nseven eight").words == 2
    assert learned.longest("ONE, two... (three)").words == 3


def test_a_copy_is_long_enough_to_be_known_again() -> None:
    learned = Learned(["lol", "that is so true", "i have never seen a better teapot than this"])
    assert not learned.copied("lol")
    assert not learned.copied("that is so true")
    assert learned.copied("I have never seen a better teapot than this!")
    assert learned.copied("lol\ni have never seen a better teapot than this")
    assert not learned.copied("well i have never seen a better teapot than this")


def test_quotations_are_cut_out() -> None:
    text = "he said the kettle is in the attic, and then left"
    assert list(unquoted(text, "tom: the kettle is in the attic now")) == ["he said ", ", and then left"]
    assert list(unquoted(text, "the kettle is")) == [text]
