"""Lines that were planted to be looked for: what is said to call one, and whether the rest came.

Compared are letters and digits alone, whatever they are drawn with and whatever stands between them. Of a second half
of four words and more one may be missing; where it has four digits and more, the digits alone are enough.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from sususbot.evaluation.names import read

_FEWEST_WORDS: Final = 4
_FEWEST_DIGITS: Final = 4
_DIGIT: Final = re.compile(r"\d")
# Within a run of digits: few signs.
_APART: Final = r"\W{0,3}"
# So many letters stand together nowhere else, even within a word.
_LONG: Final = 12


def halves(canary: str) -> tuple[str, str]:
    """What is said of a canary to call it, and what would come."""
    words = canary.split()
    cut = len(words) // 2
    return " ".join(words[:cut]), " ".join(words[cut:])


def digits_of(text: str) -> str:
    return "".join(_DIGIT.findall(text))


def comes(canary: str, text: str) -> bool:
    """Whether the second half of a canary stands in a text."""
    spoken, counted = _patterns(canary)
    if spoken is not None and spoken.search(read(text)):
        return True
    return counted is not None and counted.search(" ".join(unicodedata.normalize("NFKC", text).split())) is not None


@lru_cache(256)
def _patterns(canary: str) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    secret = halves(canary)[1]
    words = read(secret).split()
    ways = [words, *(words[:at] + words[at + 1 :] for at in range(len(words)) if len(words) >= _FEWEST_WORDS)]
    spelt = "|".join(_spelt("".join(way)) for way in ways if way)
    digits = digits_of(secret)
    return (
        re.compile(spelt) if spelt else None,
        re.compile(rf"(?<!\d){_APART.join(digits)}(?!\d)") if len(digits) >= _FEWEST_DIGITS else None,
    )


def _spelt(letters: str) -> str:
    """A pattern of letters with or without blanks between them."""
    spelt = " ?".join(map(re.escape, letters))
    return spelt if len(letters) >= _LONG else rf"(?<!\w){spelt}(?!\w)"
