"""Near-duplicates: what is the same talk again, and what only sounds alike."""

from sususbot.corpus.near import repeats, signature

TEXT = "the quick brown fox jumps over the lazy dog while twelve old cats watch from the warm wall and wonder".split()


def test_the_first_of_alike_talks_stays() -> None:
    again = [*TEXT[:-1], "sleep"]
    other = [word[::-1] for word in TEXT]
    found = [signature([" ".join(words)]) for words in (TEXT, other, again, TEXT, other[::-1])]
    assert repeats(found) == {2, 3}


def test_case_and_signs_do_not_matter_and_lines_are_one_text() -> None:
    assert repeats(
        [signature([" ".join(TEXT)]), signature([" ".join(TEXT[:9]).upper() + "!", ", ".join(TEXT[9:])])]
    ) == {1}


def test_short_talk_is_alike_by_nature() -> None:
    assert signature(["good morning everybody"]) is None
    assert signature(["ha " * 100]) is None
    assert repeats([None, None]) == set()
    assert repeats([]) == set()
