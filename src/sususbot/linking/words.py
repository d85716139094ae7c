"""The words of a line: what kind of line they make it, and how much it says that two lines share one.

The shipped network was fitted to these: after a change, or in another order of `Kind`, fit it again (`fit`).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

_WORD: Final = re.compile(r"\w+")
# Words that begin alike are one word: partition, partitions, partitioning.
_STEM: Final = 7
# How many lines the common words that come with the model stand for.
PRIOR_LINES: Final = 2000

_QUESTION: Final = frozenset(
    "how what why where when who which anyone anybody does do did is are can could would should will whats has have any"
    " am".split()
)
_GREETING: Final = frozenset("hi hello hey hiya morning greetings yo hola evening re".split())
_THANKS: Final = frozenset("thanks thx thank ty tnx cheers thankyou".split())
_REACTION: Final = frozenset(
    "ok okay yes yeah yep no nope ah oh k right sure lol hmm hm cool nice good great heh haha yea nah true exactly"
    " indeed aha ahh ohh sorry".split()
)
_YOU: Final = frozenset("you your u ur youre".split())
_I: Final = frozenset("i my me im ive".split())


class Kind(NamedTuple):
    """What a line looks like from its words."""

    length: int
    asks: bool
    begins_asking: bool
    greets: bool
    thanks: bool
    reacts: bool
    commands: bool
    you: bool
    i: bool


def kind_of(text: str, words: Sequence[str], *, commands: bool) -> Kind:
    said = frozenset(words)
    first = words[0] if words else ""
    return Kind(
        length=len(words),
        asks="?" in text,
        begins_asking=first in _QUESTION,
        greets=len(words) < 8 and not said.isdisjoint(_GREETING),
        thanks=not said.isdisjoint(_THANKS),
        reacts=first in _REACTION,
        commands=commands,
        you=not said.isdisjoint(_YOU),
        i=not said.isdisjoint(_I),
    )


def split(texts: Iterable[str]) -> list[str]:
    return [word for text in texts for word in _WORD.findall(text)]


def stems(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in words if len(word) > 1)


class Rarity:
    """How rare each word is: in what the channel said so far, and before that in chat at large."""

    def __init__(self, common: Mapping[str, float]) -> None:
        self._common = common
        self._lines = 0
        self._with: Counter[str] = Counter()

    def add(self, words: Iterable[str]) -> None:
        self._lines += 1
        self._with.update(words)

    def of(self, word: str) -> float:
        """Inverse document frequency."""
        met = PRIOR_LINES * self._common.get(word, 0.0) + self._with.get(word, 0)
        return math.log((PRIOR_LINES + self._lines + 2) / (met + 1))

    def is_word(self, name: str) -> bool:
        """Whether a name is rather a word that people use."""
        stem = name[:_STEM]
        return self._common.get(stem, 0.0) > 0.001 or self._with.get(stem, 0) > 2 + self._lines / 1000
