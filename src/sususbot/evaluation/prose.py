"""Written English that every Python carries: the sentences of the language's reference, always the same.

So that a classifier of voices knows that there is writing which is nobody's chat. Not here: English of other kinds. A
model that was trained on these sentences would seem to write as nobody does.
"""

import random
import re
from functools import cache
from typing import Final

MOST: Final = 2000
_SHORTEST, _LONGEST = 15, 160
_PARAGRAPH: Final = re.compile(r"\n\s*\n")
_SENTENCE: Final = re.compile(r"(?<=[.:?])\s+")
# What an interpreter prints is in the reference, too, and no English.
_BEGINS: Final = re.compile(r'(?!Traceback )["(]?[A-Z][a-z]*\b.*[a-z]')


@cache
def sentences() -> tuple[str, ...]:
    """Some of them, by chance, but in every run the same."""
    from pydoc_data.topics import topics

    paragraphs = [part for _, text in sorted(topics.items()) for part in _PARAGRAPH.split(text)]
    found = dict.fromkeys(" ".join(one.split()) for part in paragraphs for one in _SENTENCE.split(part))
    fit = [one for one in found if _SHORTEST < len(one) < _LONGEST and _BEGINS.match(one)]
    return tuple(random.Random(0).sample(fit, min(MOST, len(fit))))
