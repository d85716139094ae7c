"""A text as it is heard, whatever it is written with: words in look-alike form, disguises undone.

Undone are case, accents, look-alike and invisible letters, digits and signs for letters (`h4te`, `h@te`), letters apart
(`h a t e`, `h.a.t.e`) and line breaks. Words are in the form of `wording.lookalikes`, in which `l`, `1` and `i` are
one; numbers stay numbers. Repeated letters stay as they are: a pattern takes more of each than it asks for.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sususbot.wording.lookalikes import DRAWN_ALIKE, UNSEEN

# A word, with signs in it that may stand for letters. Bars at its ends are Discord's spoiler marks.
_TOKEN: Final = re.compile(r"[^\W_]+(?:[@$!|€+*#%'’]{1,3}[^\W_]+)*(?:(?<=[^\W\d_])[$€])?")
_LEET: Final = str.maketrans("347@$!€+", "eatasiet", "'’")
# Not in colours, hashes and sizes: `#fa9`, `600k`.
_MORE_LEET: Final = _LEET | str.maketrans("698", "ggb")
_HEX: Final = re.compile("[0-9a-f]+")
# Marks that Discord shows as a style, within a word. Stars may stand for letters.
_MARKDOWN: Final = re.compile(r"(?<=[^\W_])(?:~~|\|\||__|`)(?=[^\W_])")
# Letters apart by bars; elsewhere a bar is a letter.
_BARRED: Final = re.compile(r"(?<![^\W_])(?:[^\W\d_]\|){2,}[^\W\d_](?![^\W_])")
# Three letters apart that are notes are chords.
_CHORD: Final = re.compile("[a-g]{3}")
# A word in pieces: `ha-te-ful`.
_PIECES: Final = re.compile(r"(?<![^\W_])[^\W\d_]{1,3}(?:[-._/~·•+][^\W\d_]{1,3}){2,}(?![^\W_])")
_BORDER: Final = re.compile(r"[^\W\d_]+")
_LETTER: Final = re.compile(r"[^\W\d_]")
_MASK: Final = re.compile("[*#%]+")
_REPEATED: Final = re.compile(r"(.)\1+", re.DOTALL)
# Between letters that are written apart; more of it parts words.
_BLANK: Final = re.compile(r"\s")
_WIDEST_GAP: Final = 5
_SPELLED: Final = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """`line` is the words, each with a blank behind it; `starts` says where in it each begins. `keys` are the words
    collapsed.

    `spelled` are words whose letters stood apart, with whether marks alone parted them; `pieced` are
    those in several pieces. `masked` are words with a mark in the place of letters, the mark as `*`.
    """

    words: tuple[str, ...]
    keys: tuple[str, ...]
    starts: tuple[int, ...]
    line: str
    spelled: tuple[tuple[str, bool], ...]
    pieced: tuple[str, ...]
    masked: tuple[str, ...]


def read(text: str) -> Reading:
    """What a text says."""
    words: list[str] = []
    spelled: list[tuple[str, bool]] = []
    masked: list[str] = []
    pieced: list[str] = []
    text = _MARKDOWN.sub("", folded(text))
    for found in _PIECES.finditer(text):
        pieced.append(drawn("".join(_BORDER.findall(found[0]))))
    hidden = ""
    for word, apart, marked in _words(_BARRED.sub(lambda found: found[0].replace("|", "."), text)):
        if "*" in word or "*" in hidden:
            # A phrase may have the mask in either of its words.
            masked += (word, hidden + word) if "*" in word else (hidden + word,)
        hidden, word = word, word.replace("*", "")
        if apart:
            spelled.append((word, marked))
        words += word if apart and not marked and _CHORD.fullmatch(word) else (word,)
    starts, at = [], 0
    for word in words:
        starts.append(at)
        at += len(word) + 1
    return Reading(
        words=tuple(words),
        keys=tuple(map(collapsed, words)),
        starts=tuple(starts),
        line="".join(f"{word} " for word in words),
        spelled=tuple(spelled),
        pieced=tuple(pieced),
        masked=tuple(masked),
    )


def folded(text: str) -> str:
    """Small letters without accents and without what is not seen; letters of other alphabets as they are."""
    if text.isascii():
        return text.lower()
    return UNSEEN.sub("", unicodedata.normalize("NFKD", text)).casefold().translate(_SQUARED)


@lru_cache(4096)
def drawn(word: str) -> str:
    """A folded word as all words that look like it are written."""
    if _LETTER.search(word) is None:
        return word
    numeric = 2 * sum(map(str.isdigit, word)) > len(word)
    leet = _LEET if numeric or _HEX.fullmatch(word) else _MORE_LEET
    return _MASK.sub("*", word).translate(leet).translate(DRAWN_ALIKE)


@lru_cache(4096)
def collapsed(word: str) -> str:
    """Each letter once where it stands several times: equal for words that differ only in that."""
    return _REPEATED.sub(r"\1", word)


# Letters in squares and of flags are no letters to a pattern.
_SQUARED: Final = {code: letter for code, letter in DRAWN_ALIKE.items() if code > 0x1F000}


def _words(text: str) -> Iterator[tuple[str, bool, bool]]:
    """Words, and whether their letters stood apart, by marks."""
    letters: list[str] = []
    gaps: list[str] = []
    end = 0
    for found in _TOKEN.finditer(text):
        token, gap = found[0], text[end : found.start()]
        end = found.end()
        if len(token) == 1 and letters and len(gap) <= _WIDEST_GAP:
            letters.append(token)
            gaps.append(gap)
            continue
        yield from _joined(letters, gaps)
        letters, gaps = ([token], []) if len(token) == 1 else ([], [])
        if len(token) > 1:
            yield drawn(token), False, False
    yield from _joined(letters, gaps)


def _joined(letters: list[str], gaps: list[str]) -> Iterator[tuple[str, bool, bool]]:
    """Letters that stood apart as the words they spell: a gap wider than the narrowest parts two words, and so does a
    blank where marks part letters.
    """
    if len(letters) < _SPELLED or all(map(str.isdigit, letters)):
        yield from ((drawn(letter), False, False) for letter in letters)
        return
    narrow = min(map(len, gaps))
    by_marks = not all(map(_BLANK.search, gaps))
    word, marked = letters[0], True
    for letter, gap in zip(letters[1:], gaps, strict=True):
        blank = _BLANK.search(gap) is not None
        if len(gap) > narrow or (by_marks and blank):
            yield drawn(word), len(word) > 1, marked
            word, marked = letter, True
        else:
            word, marked = word + letter, marked and not blank
    yield drawn(word), len(word) > 1, marked
