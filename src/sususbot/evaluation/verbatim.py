"""Runs of a text that stand word for word in what was learned: exact, for short texts looked up in very many lines.

An index in memory: all lines as numbers, one for each word (or letter), and for every few neighbours where they stand.
Looking a text up follows all these places at once for as long as one of them goes on.
Words are compared without case and punctuation, letters without case, spacing and the punctuation at the ends of a
line; no run goes from one line into the next. A message that was joined with another is a line of its own.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sususbot.chat_format import NEWLINE_MARK
from sususbot.wording.echo import plain

Numbers = NDArray[np.int64]

# A run of so many words that stood in the prompt is a quotation of it; fewer are said again by chance.
QUOTED_WORDS: Final = 4
# A line of fewer words or letters is said by many: to say it is no copy.
COPY_WORDS: Final = 4
COPY_LETTERS: Final = 20

_BREAK: Final = re.compile(rf"[\n{NEWLINE_MARK.strip()}]")
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|:\w+:|[^\w\s.,!?…:;'’\"()*_~-]")
# Stands between lines: no word, no letter.
_NONE: Final = 0
# So that a few numbers are one; letters have 21 bits.
_BITS: Final = 21
_WORDS_TOGETHER: Final = 2
_LETTERS_TOGETHER: Final = 3


@dataclass(frozen=True, slots=True)
class Run:
    """The longest runs of a text that were learned, in words and in letters; below two words and three letters, 0."""

    words: int = 0
    letters: int = 0


class Learned:
    """What was learned, to look texts up in."""

    def __init__(self, texts: Iterable[str]) -> None:
        lines = list(dict.fromkeys(filter(None, (plain(line) for text in texts for line in messages(text)))))
        self.lines = len(lines)
        self._whole = {line for line in lines if _long(line)}
        self._numbers: dict[str, int] = {}
        numbers = [_NONE]
        for line in lines:
            numbers += [self._numbers.setdefault(word, len(self._numbers) + 1) for word in words(line)]
            numbers.append(_NONE)
        self._words = _Places(np.array(numbers, np.int64), _WORDS_TOGETHER)
        self._letters = _Places(_letters("\0".join(("", *lines, ""))), _LETTERS_TOGETHER)

    def longest(self, text: str, prompt: str = "") -> Run:
        """The longest runs of a text, without what of it is quoted from a prompt."""
        found = Run()
        for piece in unquoted(text, prompt):
            known = np.array([self._numbers.get(word, _NONE) for word in words(piece)], np.int64)
            letters = _letters(plain(piece))
            found = Run(
                max(found.words, self._words.longest(known)), max(found.letters, self._letters.longest(letters))
            )
        return found

    def copied(self, text: str, prompt: str = "") -> bool:
        """Whether a message in a text is a line that was learned, of four words and twenty letters at least.

        With a prompt, only one that is no quotation of it.
        """
        said = {plain(line) for line in messages(text)} & self._whole
        return bool(said and (not prompt or any(not _stands(line, prompt) for line in said)))


class _Places:
    """Where numbers stand together in a row of them."""

    def __init__(self, row: Numbers, together: int) -> None:
        self._row, self._together = row, together
        keys = _keys(row, together)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def longest(self, text: Numbers) -> int:
        """The longest run of a text, `together` at least, else 0."""
        found = 0
        keys = _keys(text, self._together)
        lows, highs = (np.searchsorted(self._keys, keys, side) for side in ("left", "right"))
        for place in np.flatnonzero(highs > lows):
            if len(text) - place <= found:
                break
            if (text[place : place + self._together] == _NONE).any():
                continue
            at = self._order[lows[place] : highs[place]]
            # A longer run goes on where the longest so far ended; few do, and only these are followed.
            ends = np.minimum(at + found, len(self._row) - 1)
            at = at[self._row[ends] == text[place + found]]
            if len(at):
                found = max(found, self._run(text[place:], at))
        return found

    def _run(self, text: Numbers, at: Numbers) -> int:
        """How far a text goes on at the best of some places. The row ends with no number, so none runs out of it."""
        length = self._together
        while length < len(text) and text[length] != _NONE:
            at = at[self._row[at + length] == text[length]]
            if not len(at):
                break
            length += 1
        return length


def messages(text: str) -> list[str]:
    """The messages that stand in one line or one reply, one by one."""
    return [line for line in _BREAK.split(text) if line.strip()]


def words(text: str) -> list[str]:
    return [found.casefold() for found in _WORD.findall(text)]


def unquoted(text: str, prompt: str) -> Iterator[str]:
    """The messages of a text, cut where four words or more are quoted from a prompt."""
    quotable = _runs(prompt)
    for message in messages(text):
        found = list(_WORD.finditer(message))
        said = [one[0].casefold() for one in found]
        begin = 0
        for place in range(len(said) - QUOTED_WORDS + 1):
            if tuple(said[place : place + QUOTED_WORDS]) in quotable:
                if found[place].start() > begin:
                    yield message[begin : found[place].start()]
                begin = found[place + QUOTED_WORDS - 1].end()
        yield message[begin:]


def _stands(line: str, prompt: str) -> bool:
    """Whether nothing is left of a line once quotations are cut out."""
    return not any(words(piece) for piece in unquoted(line, prompt))


def _runs(prompt: str) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for line in messages(prompt):
        said = words(line)
        found |= {tuple(said[place : place + QUOTED_WORDS]) for place in range(len(said) - QUOTED_WORDS + 1)}
    return found


def _long(line: str) -> bool:
    return len(line) >= COPY_LETTERS and len(words(line)) >= COPY_WORDS


def _letters(text: str) -> Numbers:
    return np.frombuffer(text.encode("utf-32-le", errors="replace"), np.uint32).astype(np.int64)


def _keys(row: Numbers, together: int) -> Numbers:
    """For each place, the numbers from there on as one."""
    count = max(0, len(row) - together + 1)
    keys = np.zeros(count, np.int64)
    for step in range(together):
        keys = (keys << _BITS) | row[step : step + count]
    return keys
