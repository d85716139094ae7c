"""Names in a text: parts that tell who it is are found, ordinary words are not."""

import pytest

from sususbot.evaluation.names import Names, forms
from sususbot.wording.lookalikes import skeleton


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        # Ordinary words, spoken ones among them.
        ("the real one", {"the real one"}),
        ("wobbly hedgehog", {"wobbly hedgehog", "wobbly"}),
        # Who is called by name in the sample has a name.
        ("otto van dyke", {"otto van dyke", "otto", "dyke"}),
        ("maurice 1987", {"maurice 1987", "maurice"}),
    ],
)
def test_of_a_longer_name_words_of_english_tell_nobody(name: str, parts: set[str]) -> None:
    assert forms(name) == set(map(skeleton, parts))


def test_a_name_is_found_however_it_is_written() -> None:
    names = Names(["✨Johnny Doe✨", "joe"])
    assert names.uncounted == 1
    for text in ("ask johnny", "Johnny_Doe said so", "JOHNNYDOE"):
        assert names.found(text) == {"✨johnny doe✨"}, text
    assert names.found("nobody at all") == set()
