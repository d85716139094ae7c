"""Output that says again what was said: over and over in itself, or as it stands just before.

Small models fall into loops, and every model likes to repeat its last words. What people repeat on purpose ("no no no",
"hahaha", the same short word twice in an evening) is none.
"""

from collections.abc import Iterable
from typing import Final

# A loop is this many rounds of a phrase of so many words, at least two of them different.
_ROUNDS: Final = 3
_PHRASE: Final = range(3, 25)
# Fewer words may be said again, but not twice in a row.
_SHORT: Final = 3


def loops(text: str) -> bool:
    """Whether a phrase of three words or more stands there three times in a row."""
    words = text.casefold().split()
    for length in _PHRASE:
        if length * _ROUNDS > len(words):
            return False
        same = 0
        for place in range(length, len(words)):
            same = same + 1 if words[place] == words[place - length] else 0
            if same >= length * (_ROUNDS - 1) and len(set(words[place - length + 1 : place + 1])) > 1:
                return True
    return False


def repeats(text: str, own: Iterable[str], others: Iterable[str] = ()) -> bool:
    """Whether `text` is one of the speaker's lines before (`own`, the last one last) or somebody else's, word for word.

    A line of less than three words is one only when it is the speaker's last line, too.
    """
    said = plain(text)
    before = [plain(one) for one in own]
    if len(said.split()) < _SHORT:
        return bool(before) and said == before[-1]
    return said in before or any(said == plain(one) for one in others)


def plain(text: str) -> str:
    """A text without what does not tell two lines apart: case, spacing, punctuation at the ends."""
    return " ".join(text.lower().split()).strip(".,!?…:; ")
