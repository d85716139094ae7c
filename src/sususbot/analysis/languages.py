"""Which languages are spoken: py3langid, offline, on the messages that are long enough to tell.

A line of a few words is a language only to a human who knows the talk, so short ones are left out and said so, and what
the detector is not sure of is not counted for a language. Of very many messages it looks at each n-th.
"""

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Final

from sususbot.analysis.analysis import Counted, Languages

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

DETECTOR: Final = "py3langid"
# Bytes of letters without which a guess is a guess (20 Latin letters, 7 Chinese ones), and how sure it must be.
LETTER_BYTES: Final = 20
CONFIDENCE: Final = 0.8
# More messages than this, and only each n-th is looked at.
ENOUGH: Final = 50_000
_NO_LETTERS: Final = re.compile(r"[\W\d_]+")
_NOT_A_LANGUAGE: Final = ("und", "zxx")


class LanguageCount:
    """Counts the languages of texts as they come."""

    def __init__(self, every: int = 1) -> None:
        self._every = every
        self._seen = 0
        self._looked_at = 0
        self._short = 0
        self._found: Counter[str] = Counter()

    def add(self, text: str) -> None:
        self._seen += 1
        if self._seen % self._every:
            return
        if len(_NO_LETTERS.sub("", text).encode(errors="replace")) < LETTER_BYTES:
            self._short += 1
            return
        self._looked_at += 1
        language, confidence = _identifier().classify(text)
        self._found[language if confidence >= CONFIDENCE and language not in _NOT_A_LANGUAGE else ""] += 1

    def result(self) -> Languages:
        uncertain = self._found.pop("", 0)
        ranked = sorted(self._found.items(), key=lambda item: (-item[1], item[0]))
        return Languages(
            DETECTOR,
            self._every,
            self._looked_at,
            self._short,
            uncertain,
            tuple(Counted(language, count) for language, count in ranked),
        )


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
