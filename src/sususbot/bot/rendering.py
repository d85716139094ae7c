"""How a reply looks on Discord: parts below the length limit, cut where a reader would, code fences whole.

Discord allows 2,000 characters a message; whether it counts code points or UTF-16 units is not documented, so units
are counted, the larger of the two, and some room is kept.
"""

import re
from typing import Final

LIMIT: Final = 1900
# Where to cut, the best first: between paragraphs, lines, sentences, words.
_CUTS: Final = (re.compile(r"\n\n+"), re.compile(r"\n"), re.compile(r"(?<=[.!?…])\s"), re.compile(r"\s"))
# Three backticks open and close in turn, wherever they stand; the rest of the line may name a language.
_FENCE: Final = re.compile(r"```(?:([\w+.#-]{1,16})(?=\n|$))?")
_CLOSE: Final = "\n```"


def units(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) + sum(ord(character) > 0xFFFF for character in text)


def split(text: str, limit: int = LIMIT) -> list[str]:
    """The text in parts of at most `limit` (50 or more) UTF-16 units. A fence that is cut in two is opened again."""
    rest = text.strip()
    if units(rest) <= limit:
        return [rest] if rest else []
    parts: list[str] = []
    opening = ""
    while rest:
        head, rest = _cut(rest, limit - units(opening + _CLOSE), inside=bool(opening))
        if not head:
            continue
        head = opening + head
        opening = _reopening(head)
        parts.append(head + _CLOSE if opening else head)
        if opening and rest.startswith("```"):
            # It ends here anyway.
            opening, rest = "", rest[3:].lstrip()
    return parts


def _cut(text: str, limit: int, *, inside: bool) -> tuple[str, str]:
    """A head of at most `limit` units, and the rest. `inside` says that the text begins within a fence."""
    end = _index_of(text, limit)
    if end == len(text):
        return text, ""
    # The second half of the head is tried first, so that parts are not needlessly short.
    for pattern, begin in [*((pattern, end // 2) for pattern in _CUTS), (_CUTS[-1], 0)]:
        for place in reversed([*pattern.finditer(text, begin, end + 1)]):
            stop = _before_opening(text[: place.start()], inside)
            if text[:stop].strip():
                return text[:stop].rstrip(), text[stop:].removeprefix(place[0]).lstrip("\n")
    if text[0].isspace():
        return "", text.lstrip()
    stop = len(text[:end].rstrip("`")) or end
    stop = _before_opening(text[:stop], inside) or stop
    return text[:stop], text[stop:]


def _before_opening(head: str, inside: bool) -> int:
    """The head's length, less a fence at its end that only just opens."""
    fences = [*_FENCE.finditer(head)]
    opens = fences and (len(fences) + inside) % 2 and not head[fences[-1].end() :].strip()
    return fences[-1].start() if opens else len(head)


def _reopening(part: str) -> str:
    """What opens the fence again that is open at the end, or ""."""
    fences = _FENCE.findall(part)
    return f"```{fences[-1]}\n" if len(fences) % 2 else ""


def _index_of(text: str, limit: int) -> int:
    """How many characters take at most `limit` units (at least one, so that cutting goes on)."""
    used = 0
    for index, character in enumerate(text):
        used += 2 if ord(character) > 0xFFFF else 1
        if used > limit:
            return max(1, index)
    return len(text)
