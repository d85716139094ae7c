"""A text as the memory's index has it: its words as stems and numbers, and a few traits that tell what it can answer.

Stems are Porter's (snowballstemmer); a term is the CRC-32 of its stem, so that no list of words lies anywhere. Traits
look for English words of time and number; in other languages these are simply never there.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import snowballstemmer

from sususbot.archive.archive import Archive
from sususbot.archive.terms import Read, TermIds

# Another name here, and all terms are made anew.
READER: Final = "porter-crc32-1"
# Traits of a text, as bits. PROPER: names and titles in it, none to three.
ASKS: Final = 1
TIME: Final = 2
NUMBER: Final = 4
PROPER_SHIFT: Final = 3
# Words too common to tell messages apart; questions are full of them.
STOP_WORDS: Final = frozenset(
    """a about an and any are as at be been but by can could did do does for from had has have he her here him his how
    i if in into is it its just me my no not of on or our out she so some such that the their them then there these
    they this to us was we were what when where which who whom whose why will with would you your""".split()
)
# A wall of pasted text says no more than its beginning.
_MOST: Final = 400
_BATCH: Final = 8192

_WORD: Final = re.compile(r"\w+")
_TIMES: Final = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|last|next|ago|weeks?|weekend|months?|years?|days?|night|morning|monday|tuesday|"
    r"wednesday|thursday|friday|saturday|sunday|january|february|march|april|may|june|july|august|september|october|"
    r"november|december|recently|since|soon|\d+)\b",
    re.IGNORECASE,
)
_NUMBERS: Final = re.compile(
    r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|few|couple|several|many|once|twice)\b", re.IGNORECASE
)
# A capital inside a sentence, or something in quotation marks.
_PROPER: Final = re.compile(r"(?<![.!?]\s)(?<!^)(?<![\"'“:])\b(?!I\b)[A-Z][a-zA-Z]+|[\"“][^\"”]{3,40}[\"”]")

_stemmer: Final = snowballstemmer.stemmer("porter")


@lru_cache(200_000)
def term(word: str) -> int:
    """The number of a word's stem."""
    return zlib.crc32(_stemmer.stemWord(word).encode("utf-8", "surrogatepass"))


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def terms_of(text: str) -> TermIds:
    """The terms of a text in its order."""
    return np.array([term(word) for word in words(text)[:_MOST]], np.uint32)


def traits_of(text: str) -> int:
    """Its traits, as bits."""
    proper = min(3, sum(1 for _ in _PROPER.finditer(text)))
    traits = ASKS if text.rstrip().endswith("?") else 0
    traits |= TIME if _TIMES.search(text) else 0
    traits |= NUMBER if _NUMBERS.search(text) else 0
    return traits | proper << PROPER_SHIFT


def read(
    archive: Archive, ids: Sequence[int] | None = None, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> list[int]:
    """Make the terms of those of these that wait, or of all that do; gives which. `progress`: (done, all)."""
    archive.terms.use_reader(READER)
    everything = archive.terms.count_pending() if ids is None else len(ids)
    done: list[int] = []
    while waiting := archive.terms.pending(_BATCH, ids):
        archive.terms.put(Read(one, traits_of(one.text), terms_of(one.text)) for one in waiting)
        done += [one.id for one in waiting]
        progress(len(done), everything)
    return done
