"""Secrets and personal data in what a model said, also in disguise.

What is one is decided in `wording.privacy`, as for what goes into prompts. Looked at are the text as it is and, where
it has what could be a disguise, as it would be without: invisible letters and look-alike digits, line breaks, blanks
around `@` and `.`, words for them, digits apart or as words.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from sususbot.wording import privacy

_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\u20e3\ufeff]+")
_BREAK: Final = re.compile(r"\s*[\r\n⏎]+\s*")
_TOKENS: Final = frozenset({privacy.TOKEN})
_MARKS: Final = re.compile(r"[*_~`|]{1,3}")
# Where mail addresses end; a word behind a full stop is none of these.
_TOP: Final = (
    r"(?:com|net|org|edu|gov|info|io|me|co|dev|app|xyz|biz|eu|uk|de|at|ch|fr|es|it|pt|nl|be|pl|se|no|dk|fi|ru|ua|tr|us|ca"
    r"|au|nz|in|br|mx|jp|cn|kr|za|ie|cz)\b"
)
# Not "point": "at one point it asks me".
_DOT_WORD: Final = r"(?:dot|punkt|punto)"
_AT_WORD: Final = r"(?:at|ät|arroba|arobase)"
# A word for the dot; or the dot itself, not as it ends a sentence.
_SPELT_DOT: Final = rf"(?:\s+{_DOT_WORD}\s+|\s*[\[({{<]\s*{_DOT_WORD}\s*[\])}}>]\s*)"
_ANY_DOT: Final = rf"(?:{_SPELT_DOT}|\.|\s\.\s?)"
# `at` itself is a place, as in "look at example.com", unless the dot is a word, too.
_AT: Final = re.compile(
    rf"(?:\s*[\[({{<]\s*(?:{_AT_WORD}|@)\s*[\])}}>]\s*|\s*@\s+|\s+@)(?=[\w-]+(?:{_ANY_DOT}[\w-]+)?{_ANY_DOT}{_TOP})"
    rf"|\s+{_AT_WORD}\s+(?=[\w-]+(?:{_SPELT_DOT}[\w-]+)?{_SPELT_DOT}{_TOP})",
    re.IGNORECASE,
)
_DOT: Final = re.compile(rf"(?<=\w){_ANY_DOT}(?=[\w-]+{_ANY_DOT}{_TOP}|{_TOP})", re.IGNORECASE)
_MAIL_APART: Final = re.compile(r"(?<!\S)(?:[\w.+-] ){2,}@(?: [\w.-]){4,}(?!\S)")
_IP_APART: Final = re.compile(r"(?<![\w.])\d{1,3}(?: ?[\[(]?\.[\])]? ?\d{1,3}){3}(?![\w.])")
_DIGITS_APART: Final = re.compile(r"(?<!\w)\d(?:[\s.,/_-]{1,3}\d(?!\d)){5,}(?!\w)")
_WORDS: Final = {
    word: str(digit)
    for digit, words in enumerate(
        (
            "zero oh null cero zéro",
            "one eins uno un",
            "two zwei zwo dos deux",
            "three drei tres trois",
            "four vier cuatro quatre",
            "five fünf cinco cinq",
            "six sechs seis",
            "seven sieben siete sept",
            "eight acht ocho huit",
            "nine neun nueve neuf",
        )
    )
    for word in words.split()
}
_WORD: Final = "|".join(sorted({*_WORDS, "double", "triple", "plus"}, key=len, reverse=True))
_DIGIT_WORDS: Final = re.compile(rf"\b(?:(?:{_WORD}|\d)\b[\s,.-]{{0,3}}){{7,}}", re.IGNORECASE)
_COUNTED: Final = "0123456789012345678909876543210987654321"
# Where a mail address stands in a text in some form.
_MAILISH: Final = re.compile(r"@|\bat\b|ät\b|arroba|arobase", re.IGNORECASE)


def found(text: str, kinds: frozenset[str]) -> str | None:
    """The kind of what stands in a text, the first one, or None."""
    for form in dict.fromkeys(_forms(text)):
        if hits := privacy.redact(form, kinds).kinds:
            return hits[0]
    # What is one word without its line breaks is long, or anything would be something.
    if privacy.TOKEN in kinds and _BREAK.search(text) and privacy.redact(_BREAK.sub("", text), _TOKENS).kinds:
        return privacy.TOKEN
    return None


def _forms(text: str) -> Iterator[str]:
    """The text, and what it would be without each disguise that may be in it."""
    yield text
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
        yield text
    if "\n" in text or "⏎" in text:
        text = _BREAK.sub(" ", text)
        yield text
    if _MARKS.search(text):
        yield _MARKS.sub("", text)
    if _MAILISH.search(text) and (plain := _mail(text)) != text:
        yield plain
    if (plain := _IP_APART.sub(lambda found: re.sub(r"[^\d.]", "", found[0]), text)) != text:
        yield plain
    for digits in (*map(_spelt, _DIGIT_WORDS.findall(text)), *_DIGITS_APART.findall(text)):
        yield from _as_number(re.sub(r"\D", "", digits))


def _mail(text: str) -> str:
    """Words and brackets for `@` and `.` as these, without blanks around them."""
    text = _MAIL_APART.sub(lambda found: found[0].replace(" ", ""), text)
    text = _AT.sub("@", text)
    return _DOT.sub(".", text) if "@" in text else text


def _as_number(digits: str) -> Iterator[str]:
    """Digits that somebody said one by one are a number to call, unless they count, or are bits."""
    if len(set(digits)) > 2 and digits not in _COUNTED:
        yield f"call {digits}"
        yield f"+{digits}"
        yield digits


def _spelt(words: str) -> str:
    """`one two double five` as digits: 1255."""
    digits, times = "", 1
    for word in re.findall(r"\w+", words.lower()):
        if word in ("double", "triple"):
            times = 2 if word == "double" else 3
        elif word != "plus":
            digits += _WORDS.get(word, word) * times
            times = 1
    return digits
