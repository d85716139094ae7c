"""Others' texts without the forgotten: their names where they are addressed, their words where they are quoted.

Pure functions over a message's two texts: `content`, as Discord keeps it (`<@id>`), and `rendered`, as members read it.
"""

import re
from collections.abc import Iterable
from typing import Final

from sususbot.messages import LORE_TYPES

# What stands where an erased member's name stood.
NOBODY: Final = "someone"
SOMEONE: Final = f"@{NOBODY}"
# What an application answers to a command is said, as what members write is. Discord or an exporter makes all else.
_SAID_TYPES: Final = LORE_TYPES | {20, 23}
_QUOTED: Final = "> …"
LEFT_OF_QUOTES: Final = re.compile(rf"^{_QUOTED}\n?", re.MULTILINE)
_QUOTE: Final = re.compile(r"^(?:>>> [\s\S]*|> .*)", re.MULTILINE)
_TAG: Final = re.compile(r"(<[^<>\s]+>)")
_MENTION: Final = re.compile(r"<@!?(-?\d+)>")
_EMOJI: Final = re.compile(r"<a?(:\w+:)\d+>")
_OPEN: Final = ".+?"
_OPEN_PLACES: Final = 6


def without_quotes(text: str) -> str:
    """An answer to the forgotten, without the lines that it quotes."""
    return _QUOTE.sub(_QUOTED, text)


def nameless(type_: int, content: str, rendered: str, erased: Iterable[int]) -> tuple[str, str]:
    """Both texts of a message that mentions erased members, without their names.

    `Added Mia K to the group.`: which of her names it is, and where it begins, no source tells. It is nobody's words,
    so such a text goes as a whole.
    """
    if type_ in _SAID_TYPES:
        return content, without_names(content, rendered, erased)
    left = SOMEONE if content or rendered else ""
    return left, left


def without_names(content: str, rendered: str, erased: Iterable[int]) -> str:
    """`rendered` with nobody's name where the raw text has the id of an erased member.

    The two texts are laid side by side: what is no `<…>` tag is the same in both, so a name is what stands between.
    Where they do not fit (a source that renders otherwise), or fit in several ways, the raw text is taken, its other
    tags as they are.
    """
    gone = {str(id_) for id_ in erased}
    parts = _TAG.split(content)
    hers = [bool((tag := _MENTION.fullmatch(part)) and tag[1] in gone) for part in parts]
    if not any(hers):
        return rendered
    shapes = [
        "(@.+?)" if mentioned else _shape(part) if place % 2 else re.escape(part)
        for place, (part, mentioned) in enumerate(zip(parts, hers, strict=True))
    ]
    # Each open place multiplies the ways to lay the texts side by side.
    few = sum(_OPEN in shape for shape in shapes) <= _OPEN_PLACES
    names = _only_fit("".join(shapes), rendered) if few else None
    if names is None:
        return "".join(SOMEONE if mentioned else part for part, mentioned in zip(parts, hers, strict=True))
    nameless, at = "", 0
    for start, end in names:
        nameless += rendered[at:start] + SOMEONE
        at = end
    return nameless + rendered[at:]


def _only_fit(shape: str, text: str) -> list[tuple[int, int]] | None:
    """Where the groups of a pattern lie in a text, taken as short and as long as they can be; None if that differs."""
    short = re.fullmatch(shape, text, re.DOTALL)
    long = re.fullmatch(shape.replace(_OPEN, ".+"), text, re.DOTALL)
    if short is None or long is None or short.regs[1:] != long.regs[1:]:
        return None
    return list(short.regs[1:])


def named(names: Iterable[str], exactly: Iterable[str] = ()) -> re.Pattern[str]:
    """What names these, or matches nothing. People type names as they like, so capitals only count in `exactly`."""
    loose = [f"(?i:{re.escape(name)})" for name in names]
    either = [*loose, *map(re.escape, exactly)]
    return re.compile("@(?:" + "|".join(either) + r")(?!\w)" if either else r"(?!)")


def _shape(tag: str) -> str:
    """What a tag that is no mention of an erased member may look like when it is rendered."""
    if emoji := _EMOJI.fullmatch(tag):
        return f"(?:{re.escape(tag)}|{re.escape(emoji[1])})"
    begin = {"<@": "@", "<#": "#"}.get(tag[:2], "")
    return f"(?:{re.escape(tag)}|{begin}{_OPEN})"
