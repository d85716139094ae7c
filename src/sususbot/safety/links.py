"""Links and invites taken out of a text, however they are written.

A link is what Discord makes one of: `https://…`, also with words of its own, `[words](https://…)`, which stay. An
invite leads to another server: Discord's own addresses and those that forward to them, with or without `https://`, and
also with blanks, look-alike letters or invisible ones in it, or a word for the dot.
"""

import re
import unicodedata
from collections.abc import Collection
from typing import Final, Literal

from sususbot.safety.reading import folded
from sususbot.wording.lookalikes import DRAWN_ALIKE, UNSEEN

Allowed = Literal["none", "said", "all"]

_LINK: Final = re.compile(r"<?https?:/{1,2}(?:[^\s<>`()\[\]]|\([^\s<>`()]*\))+>?", re.IGNORECASE)
_MASKED: Final = re.compile(
    r"!?\[([^\[\]]*)\]\(\s*<?(https?:/{1,2}[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)>?[^()]*\)", re.IGNORECASE
)
# What could stand in a link unseen.
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+")
_TRAIL: Final = ".,!?;:'\"*_~|"
_EMPTY: Final = re.compile(r"\(\s*\)|\[\s*\]|<\s*>")
_BLANKS: Final = re.compile(r"[ \t]{2,}")
_BEFORE_BREAK: Final = re.compile(r"[ \t]+(?=\n|$)")

# In letters that look like these: `l` is `i` there (see `wording.lookalikes`).
_DOT: Final = r"(?:[\s()\[\]{}]*(?:[.,·。]|\bdot\b|\bpunkt\b|\bpunto\b|\bpoint\b)[\s()\[\]{}]*)"
_SLASH: Final = r"\s*[/\\⁄∕]+\s*"


def _loose(word: str) -> str:
    return r"[\s.\-_*|~]{0,2}".join(word)


_CODE: Final = r"(?:[^\s<>()\[\]`]+)"
_INVITE: Final = re.compile(
    rf"(?:h\s?t\s?t\s?p\s?s?\s?:\s?/*\s*)?(?:w{{3}}\.)?"
    rf"(?:{_loose('discord')}(?:{_loose('app')})?"
    rf"(?:(?:{_DOT}|\s*)g\s?g{_SLASH}(?:invite{_SLASH})?{_CODE}|{_DOT}c\s?o\s?m{_SLASH}invite{_SLASH}{_CODE}"
    rf"|{_DOT}(?:me|io|ii|iink|com{_SLASH}servers){_SLASH}{_CODE})"
    rf"|dsc{_DOT}gg{_SLASH}{_CODE}|invite{_DOT}gg{_SLASH}{_CODE}|disboard{_DOT}org{_SLASH}server{_SLASH}{_CODE}"
    rf"|top{_DOT}gg{_SLASH}servers{_SLASH}{_CODE})"
)
_INVITE_HINT: Final = re.compile(r"g\s?g|invite|d[\s.\-_*|~]{0,2}i[\s.\-_*|~]{0,2}s[\s.\-_*|~]{0,2}c|disboard")


def without_invites(text: str) -> str:
    """The text without invites to servers."""
    if not _INVITE_HINT.search(folded(text).translate(DRAWN_ALIKE)):
        return text
    drawn, places = _drawn(text)
    spans = [found.span() for found in _INVITE.finditer(drawn)]
    if not spans:
        return text
    parts, at = [], 0
    for start, end in spans:
        parts.append(text[at : places[start]])
        at = places[end - 1] + 1
    return without_invites(_tidied("".join([*parts, text[at:]])))


def without_links(text: str, allowed: Allowed, said: Collection[str] = ()) -> str:
    """The text without links that are not allowed; with "said", those that stand in one of these texts are."""
    if allowed == "all" or ":" not in text:
        return text
    known = {_address(found[0]) for one in said for found in _LINK.finditer(one)} if allowed == "said" else set()
    seen = text if text.isascii() else _INVISIBLE.sub("", text)
    if not _LINK.search(seen):
        return text
    # Words that a link is laid under could be those of another.
    shown = _MASKED.sub(
        lambda found: found[1] if _address(found[2]) not in known or _LINK.search(found[1]) else found[0], seen
    )
    left = _LINK.sub(lambda found: found[0] if _address(found[0]) in known else _tail(found[0]), shown)
    if left == seen:
        return text
    return _tidied(left)


def _address(link: str) -> str:
    """What tells two links apart."""
    bare = link.strip("<>").rstrip(_TRAIL)
    scheme, _, rest = bare.partition(":")
    host, slash, path = rest.lstrip("/").partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}".rstrip("/")


def _tail(link: str) -> str:
    """The end of a sentence that stands at a link."""
    return link[len(link.rstrip(_TRAIL)) :] if not link.endswith(">") else ""


def _drawn(text: str) -> tuple[str, list[int]]:
    """Small letters in look-alike form, and the place in the text that each is from."""
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        drawn = character.lower()
        if not character.isascii():
            drawn = UNSEEN.sub("", unicodedata.normalize("NFKD", character)).casefold()
        drawn = drawn.translate(DRAWN_ALIKE)
        letters += drawn
        places += [place] * len(drawn)
    return "".join(letters), places


def _tidied(text: str) -> str:
    """Without the brackets and blanks that what was taken out leaves."""
    return _BEFORE_BREAK.sub("", _BLANKS.sub(" ", _EMPTY.sub("", text))).strip()
