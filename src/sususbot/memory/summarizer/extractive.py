"""Without a model: the most telling lines, word for word.

A line tells much when it has many words that carry meaning, long ones and figures above all; a question tells less, and
a line of one word nothing. Of the lines that LoCoMo's questions turn out to be about, two of five so chosen hold 67 %
(at random 38, the longest 62; its development half, on which this was chosen). What it gives is exact and costs less
than a millisecond, but it is no summary: it is what stands in when there is none.
"""

import math
import re
from collections.abc import Sequence
from typing import Final

from sususbot.memory.summarizer.checked import shortened
from sususbot.memory.summarizer.summarizer import Said, TooLate
from sususbot.memory.terms import STOP_WORDS
from sususbot.model.backend import Deadline

_WORD: Final = re.compile(r"\w+")
_MARK: Final = re.compile(r"\[\w+\]")
# Of five lines two, and never more than a few.
_SHARE: Final = 0.4
_MOST: Final = 4
_LONGEST: Final = 160
# A line of many words tells more than one of few, but not by as much.
_LENGTH_POWER: Final = 0.6
_FIGURE: Final = 0.5
_ASKS: Final = 0.7


class Extractive:
    """Chooses lines."""

    name: Final = "extractive"

    def load(self) -> None:
        """Nothing to load."""

    def summarize(self, said: Sequence[Said], deadline: Deadline) -> str:
        if deadline.over():
            raise TooLate("there was no time to choose lines")
        words = [_content(one.text) for one in said]
        scores = [_score(one.text, line) for one, line in zip(said, words, strict=True)]
        wanted = min(_MOST, math.ceil(len(said) * _SHARE))
        best = sorted(range(len(said)), key=lambda place: (-scores[place], -len(said[place].text), place))[:wanted]
        telling = [place for place in best if scores[place] > 0] or best[:1]
        return "\n".join(shortened(said[place].line, _LONGEST) for place in sorted(telling))

    def close(self) -> None:
        """Nothing is held."""


def _content(text: str) -> frozenset[str]:
    """The words that carry meaning; marks that rules left are none."""
    return frozenset(
        word
        for word in _WORD.findall(_MARK.sub(" ", text).lower())
        if word not in STOP_WORDS and (len(word) > 2 or word.isdigit())
    )


def _score(text: str, words: frozenset[str]) -> float:
    if len(_WORD.findall(_MARK.sub(" ", text))) < 2 or not words:
        return 0.0
    weights = sorted(math.log(1 + min(len(word), 12)) * (1 + _FIGURE * word.isdigit()) for word in words)
    told = sum(weights) / len(words) * math.pow(len(words), _LENGTH_POWER)
    return told * (_ASKS if text.rstrip().endswith("?") else 1)
