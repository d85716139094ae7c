"""How a reply looks on Discord: parts below the length limit, cut where a reader would, code fences whole.

Discord allows 2,000 characters a message; whether it counts code points or UTF-16 units is not documented, so units
are counted, the larger of the two, and some room is kept.
"""

import re
from typing import Final

LIMIT: Final = 1900
# Where to cut, the best first: between paragraphs, lines, sentences, words.
_CUTS: Final = (re.compile(r"\n\n+"), re.compile(r"\n"), re.compile(r"(?<=[.!?…])\s"), re.compile(r"\s"))
_FENCE: Final = re.compile(r"^```(\S*)", re.MULTILINE)
_CLOSE: Final = "\n```"


def units(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) + sum(ord(character) > 0xFFFF for character in text)


def split(text: str, limit: int = LIMIT) -> list[str]:
    """The text in parts of at most `limit` UTF-16 units. Empty parts are left out; a fence cut in two is reopened."""
    parts: list[str] = []
    rest = text.strip()
    while units(rest) > limit:
        head, tail = _cut(rest, limit - units(_CLOSE))
        language = _open_fence(head)
        if language is not None:
            head, tail = head + _CLOSE, f"```{language}\n{tail}"
        parts.append(head)
        rest = tail
    parts.append(rest)
    return [part for part in parts if part.strip()]


def _cut(text: str, limit: int) -> tuple[str, str]:
    """Head of at most `limit` units, and the rest, at the best place in the head's second half."""
    end = _index_of(text, limit)
    for pattern in _CUTS:
        places = [match for match in pattern.finditer(text, end // 2, end + 1) if match.end() > 0]
        if places:
            return text[: places[-1].start()].rstrip(), text[places[-1].end() :].lstrip("\n")
    return text[:end], text[end:]


def _index_of(text: str, limit: int) -> int:
    """How many characters take at most `limit` units (at least one, so that cutting goes on)."""
    used = 0
    for index, character in enumerate(text):
        used += 2 if ord(character) > 0xFFFF else 1
        if used > limit:
            return max(1, index)
    return len(text)


def _open_fence(text: str) -> str | None:
    """The language of a code fence that is open at the end (may be ""), or None."""
    fences = _FENCE.findall(text)
    return fences[-1] if len(fences) % 2 else None
