"""What cleaning does to a text: each function takes it and gives it back, the same object where nothing applies.

What is taken out leaves a mark, `[link]`, `[code]` or `[quote]`: the reader of a conversation sees that something stood
there, and a line with a mark is read by the model, never learned, so that it invents neither links nor marks.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from sususbot.wording import privacy

LINK: Final = "[link]"
CODE: Final = "[code]"
QUOTE: Final = "[quote]"
# A text longer than this is split, at the best place before it.
LONGEST: Final = 1000

_MARKS: Final = "|".join(["link", "code", "quote", *sorted(privacy.KINDS)])
_MARK: Final = re.compile(rf"\[(?:{_MARKS})\]")
_SHOWN_MARK: Final = re.compile(r"\[(?:link|code|quote)\]")
_WORDLESS: Final = re.compile(r"[\W_]*")

_ZALGO: Final = re.compile(r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3,}")
_FENCE: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_QUOTED: Final = re.compile(r"^(?:>>> [\s\S]*|(?:>(?: [^\n]*|(?=\n|\Z))(?:\n|\Z))+)", re.MULTILINE)
_MENTION: Final = re.compile(r"<@!?(\d+)>|<(@&|#)(\d+)>|</([^:<>]{1,100}):\d+>|<(t):-?\d+(?::\w)?>|<(id):\w+>")
_CUSTOM_EMOJI: Final = re.compile(r"<a?(:\w+:)\d+>")
_PICTURE: Final = re.compile(r"!\[[^\[\]\n]*\]\([^()\s]+\)")
_MASKED_LINK: Final = re.compile(
    r"\[([^\[\]\n]+)\]\(<?https?://[^\s()]+(?:\([^\s()]*\)[^\s()]*)*>?(?: \"[^\"\n]*\")?\)"
)
_LINK: Final = re.compile(
    r"<?(?:https?://|www\.)(?:[^\s<>`()]|\([^\s<>`()]*\))+(?<![.,!?;:'\"\]}])>?"
    r"|\b(?:discord\.gg|discord(?:app)?\.com/invite)/[\w-]+",
    re.IGNORECASE,
)
_EMOJI: Final = (
    r"(?::\w{2,32}:|[\U0001f1e6-\U0001f1ff]{2}|[\u203c\u2049\u2600-\u27bf\u2b00-\u2bff\U0001f300-\U0001faff]\ufe0f?"
    r"(?:[\U0001f3fb-\U0001f3ff]|\u200d[\u2600-\u27bf\U0001f300-\U0001faff]\ufe0f?)*)"
)
_SAME_EMOJI: Final = re.compile(rf"({_EMOJI})(\s*)(?:\1\s*){{3,}}")
_ONLY_EMOJI: Final = re.compile(rf"(?:{_EMOJI}\s*){{7,}}")
_STRETCHED: Final = re.compile(r"([^\W\d]|[!?.~_*=+#-])\1{6,}")
_ONE_EMOJI: Final = re.compile(_EMOJI)
# Letters of a line that may stand within indented code, such as a closing brace.
_LITTLE: Final = 3
_INLINE_CODE: Final = 40
# From the best place to split a text to the worst.
_SPLITS: Final = ("\n\n", "\n", ". ", "! ", "? ", "; ", ", ", " ")


def without_zalgo(text: str) -> str:
    """Letters without the towers of marks on them; the one or two marks that languages use stay."""
    return text if text.isascii() else _ZALGO.sub("", text)


def without_code(text: str) -> str:
    """Blocks of code, fenced or indented, and not what is a word or two in a sentence."""
    if "```" in text:
        text = _FENCE.sub(_code, text)
    return _without_indented(text) if "\n    " in text or "\n\t" in text else text


def _without_indented(text: str) -> str:
    """Two indented lines or more, with what little may stand between them, are code without a fence."""
    kept: list[str] = []
    block: list[str] = []
    for line in [*text.split("\n"), "a line that ends a block"]:
        if _is_indented(line) or (block and len(line.strip()) <= _LITTLE):
            block.append(line)
            continue
        ending = len(block) - next((place for place, one in enumerate(reversed(block)) if _is_indented(one)), 0)
        kept += [CODE] if sum(map(_is_indented, block)) > 1 else block[:ending]
        kept += [*block[ending:], line]
        block = []
    return "\n".join(kept[:-1])


def _is_indented(line: str) -> bool:
    return line.startswith(("    ", "\t")) and bool(line.strip())


def _code(found: re.Match[str]) -> str:
    inside = found[0].strip("`")
    return f"`{inside}`" if 0 < len(inside.strip()) <= _INLINE_CODE and "\n" not in inside.strip() else CODE


def without_quotes(text: str) -> str:
    """Quoted lines are another's words, perhaps of somebody who is not to be learned from."""
    if ">" not in text:
        return text
    return _QUOTED.sub(lambda found: QUOTE + ("\n" if found[0].endswith("\n") else ""), text)


def with_names(text: str, name_of: Callable[[int], str]) -> str:
    """`@mia` for `<@123>`."""
    return _MENTION.sub(lambda found: _named(found, name_of), text) if "<" in text else text


def _named(found: re.Match[str], name_of: Callable[[int], str]) -> str:
    if found[1]:
        return f"@{name_of(int(found[1]))}"
    if found[2]:
        return "@a role" if found[2] == "@&" else "#a channel"
    if found[4]:
        return f"/{found[4]}"
    return "(a time)" if found[5] else "#a channel"


def renamed(text: str, name: str, new: str) -> str:
    """Mentions of one name as another."""
    if not name or f"@{name}" not in text:
        return text
    return mentioning([name]).sub(lambda _: f"@{new}", text)


def mentioning(names: Iterable[str]) -> re.Pattern[str]:
    """What mentions one of these, the longest first; `@mia` is not in `@mia_k`."""
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(rf"@(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")


def with_emoji_names(text: str) -> str:
    return _CUSTOM_EMOJI.sub(r"\1", text) if "<" in text else text


def without_links(text: str) -> str:
    """A link with words of its own leaves them, any other its mark."""
    if "://" not in text and "www." not in text and "discord" not in text:
        return text
    return _LINK.sub(LINK, _MASKED_LINK.sub(r"\1", _PICTURE.sub(LINK, text)))


def without_emote_spam(text: str) -> str:
    """The same emoji thrice at most, seven emoji without a word at most, no endless letters."""
    text = _STRETCHED.sub(lambda found: found[1] * 6, text)
    if text.isascii() and ":" not in text:
        return text
    text = _SAME_EMOJI.sub(lambda found: (found[1] + found[2]) * 2 + found[1] + _tail(found[0]), text)
    if _ONLY_EMOJI.fullmatch(text):
        seventh = list(_ONE_EMOJI.finditer(text))[6]
        return text[: seventh.end()]
    return text


def _tail(text: str) -> str:
    return text[len(text.rstrip()) :]


def has_mark(text: str) -> bool:
    return "[" in text and _MARK.search(text) is not None


def says_nothing(text: str) -> bool:
    """Whether all that is left are marks of links, code and quotes: what had to be seen is gone."""
    return (
        "[" in text
        and _SHOWN_MARK.search(text) is not None
        and _WORDLESS.fullmatch(_SHOWN_MARK.sub("", text)) is not None
    )


def split(text: str, longest: int = LONGEST) -> tuple[str, ...]:
    """Parts of at most this many characters, together the text but for the white space between them."""
    parts = []
    while len(text) > longest:
        at = _best_split(text[:longest]) or longest
        parts.append(text[:at].rstrip())
        text = text[at:].lstrip()
    return (*parts, text) if text or not parts else tuple(parts)


def _best_split(text: str) -> int:
    """Not in the first third, so that parts are of a size."""
    return next((at + len(end) for end in _SPLITS if (at := text.rfind(end, len(text) // 3)) >= 0), 0)
