"""Contacts and secrets that members wrote, as they are looked for in other texts.

In: what `wording.privacy` finds in what anybody wrote, and who that was. Out: which of it stands in a text. Numbers are
told by their last digits, whatever stands between these; all else as words of their own, never as a part of others.
No secret is a password without a digit, of one or two characters again and again, or of digits that count; nor a mail
or network address that two wrote, one of them a member who may be learned from (`support@…`); nor what has less than
six characters (a PIN).
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sususbot.wording import privacy

SHORTEST: Final = 6
# Written in many ways, but told by their last digits.
_NUMBERS: Final = frozenset({privacy.PHONE, privacy.BANK, privacy.CARD, privacy.PERSON_NUMBER})
_ADDRESSES: Final = frozenset({privacy.MAIL, privacy.IP})
_TOLD_BY: Final = 9
# Digits that belong together: a few signs between them at most.
_GROUPS: Final = re.compile(r"\d(?:[ ()./-]{0,2}\d)*")
_ONLY_NUMBER: Final = re.compile(r"[\d\s()+./-]+")
_AT: Final = re.compile(r"\s*[\[({]at[\])}]\s*|\s+at\s+")
_DOT: Final = re.compile(r"\s*[\[({]dot[\])}]\s*|\s+dot\s+")
_DIGIT: Final = re.compile(r"\d")
_FEWEST_SIGNS: Final = 3
_COUNTING: Final = "01234567890123456789 98765432109876543210"

Contact = tuple[str, str]
"""(kind, as it is compared)"""


@dataclass(frozen=True, slots=True)
class Contacts:
    """What is looked for: ends of numbers, and words. `public` is what everybody may know."""

    numbers: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    public: frozenset[Contact] = frozenset()

    def __len__(self) -> int:
        return len(self.numbers) + len(self.words)

    def found(self, text: str) -> set[str]:
        """What of it stands in a text."""
        told = {value for _, value in contacts(text)}
        ends = {_end(one[0]) for one in _GROUPS.finditer(text)}
        line = " ".join(text.casefold().split())
        there = {one for one in self.words if one in line and _stands(one, line)}
        return {*self.numbers & (told | ends), *self.words & told, *there}

    def any(self, text: str) -> set[Contact]:
        """All contacts in a text, whosever they are."""
        return contacts(text) - self.public


def contacts(text: str) -> set[Contact]:
    """All contacts in a text that would be secrets of somebody."""
    found = set()
    for kind, words in privacy.found(text):
        if kind == privacy.PASSWORD and not _tells(words):
            continue
        value = _compared(kind, words)
        if len(value) >= SHORTEST:
            found.add((kind, value))
    return found


def looked_for(
    writers: Mapping[Contact, Collection[int]], learnable: Collection[int], handed_in: Iterable[str] = ()
) -> Contacts:
    """What is looked for of all that members wrote, and what a caller names besides."""
    public = frozenset(one for one, who in writers.items() if _public(one, who, learnable))
    kept = set(writers) - public
    for text in handed_in:
        kept |= contacts(text) or {_named(text)}
    numbers = frozenset(value for kind, value in kept if kind in _NUMBERS)
    words = frozenset(value for kind, value in kept if kind not in _NUMBERS and value)
    return Contacts(numbers, words, public - kept)


def _public(contact: Contact, writers: Collection[int], learnable: Collection[int]) -> bool:
    return contact[0] in _ADDRESSES and len(writers) > 1 and any(who in learnable for who in writers)


def _compared(kind: str, words: str) -> str:
    if kind in _NUMBERS:
        return _end(words)
    value = " ".join(words.casefold().split())
    return _DOT.sub(".", _AT.sub("@", value)) if kind == privacy.MAIL else value


def _named(text: str) -> Contact:
    """What a caller names and nothing finds: a number where it is nothing else."""
    if _ONLY_NUMBER.fullmatch(text) and len(_end(text)) >= SHORTEST:
        return privacy.PHONE, _end(text)
    return "", " ".join(text.casefold().split())


def _end(text: str) -> str:
    return re.sub(r"\D", "", text)[-_TOLD_BY:]


def _tells(password: str) -> bool:
    """Whether a password is one that nobody says by chance."""
    word = password.strip(".,?!;:")
    # What has no digit is words, and if it is `rootPass`.
    return bool(_DIGIT.search(word)) and len(set(word.casefold())) >= _FEWEST_SIGNS and word not in _COUNTING


def _stands(words: str, line: str) -> bool:
    # Nor as a part of a longer address.
    return re.search(rf"(?<![\w.+-]){re.escape(words)}(?![\w@-]|\.\w)", line) is not None
