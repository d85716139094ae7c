"""How a reply looks on Discord: names, channels and emoji of the server as Discord shows them, a few short lines as
messages of their own, parts below the length limit, cut where a reader would, code fences whole.

A name becomes the mention that members see; it pings nobody, since nothing the bot sends may (`sending`).
Discord allows 2,000 characters a message; whether it counts code points or UTF-16 units is not documented, so units
are counted, the larger of the two, and some room is kept.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import discord

from sususbot.messages import Turn

LIMIT: Final = 1900
# Where to cut, the best first: between paragraphs, lines, sentences, words.
_CUTS: Final = (re.compile(r"\n\n+"), re.compile(r"\n"), re.compile(r"(?<=[.!?…])\s"), re.compile(r"\s"))
# Three backticks open and close in turn, wherever they stand; the rest of the line may name a language.
_FENCE: Final = re.compile(r"```(?:([\w+.#-]{1,16})(?=\n|$))?")
_CLOSE: Final = "\n```"

# People write a few short lines as messages of their own, one after the other.
_MESSAGES: Final = 3
_SHORT: Final = 160
# Lines of a list or a poem belong together.
_LISTED: Final = re.compile(r"\s*(?:[-*•>]|\d+[.)]|#{1,3})\s")
# Code stands as it is; the rest is looked at for names.
_CODE: Final = re.compile(r"```.*?(?:```|$)|`[^`\n]+`", re.DOTALL)
# What Discord has made something of already: `<:tea:7>`, and addresses.
_MADE: Final = r"<a?:\w+:\d+>|https?://\S+"
_EMOJI: Final = r"(?<!\w):(?P<emoji>\w{2,32}):(?!\w)"


@dataclass(frozen=True, slots=True)
class Places:
    """What can be named on a server: names in lower case to ids, emoji as they are written to what Discord shows."""

    members: Mapping[str, int] = field(default_factory=dict)
    channels: Mapping[str, int] = field(default_factory=dict)
    emoji: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, guild: discord.Guild, turns: Iterable[Turn]) -> Self:
        """Members who spoke in `turns`, and the channels and emoji of a server. Who shares a name has none."""
        everyone = guild.default_role
        seen = [one for one in guild.channels if one.permissions_for(everyone).read_messages]
        people = {turn.author_id: turn.speaker for turn in turns if turn.author_id is not None and not turn.own}
        return cls(
            _unique((name, id_) for id_, name in people.items()),
            _unique((channel.name, channel.id) for channel in seen),
            {emoji.name: str(emoji) for emoji in guild.emojis if emoji.is_usable()},
        )


def parts(text: str, places: Places) -> list[str]:
    """A reply as the messages that are sent: at most three for its lines, more only where one would be too long."""
    return [part for message in _messages(restored(text, places)) for part in split(message)]


def restored(text: str, places: Places) -> str:
    """Names as Discord writes them: `@mia`, `#general` and `:tea:` become what members see in their own messages."""
    find = _finder(places)
    pieces: list[str] = []
    end = 0
    for code in _CODE.finditer(text):
        pieces += [find(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, find(text[end:])])


def _finder(places: Places) -> Callable[[str], str]:
    members, channels = _any_of("@", "member", places.members), _any_of("#", "channel", places.channels)
    pattern = re.compile("|".join(filter(None, [_MADE, _EMOJI, members, channels])), re.IGNORECASE)

    def found(match: re.Match[str]) -> str:
        groups = match.groupdict()
        if name := groups.get("emoji"):
            return places.emoji.get(name, match[0])
        # Patterns take a few letters for one that no folding makes one: `ı` for `i`.
        if (name := groups.get("member")) and (id_ := places.members.get(name.casefold())):
            return f"<@{id_}>"
        if (name := groups.get("channel")) and (id_ := places.channels.get(name.casefold())):
            return f"<#{id_}>"
        return match[0]

    return lambda text: pattern.sub(found, text)


def _any_of(sign: str, group: str, names: Mapping[str, int]) -> str:
    """A pattern for the sign with any of the names, the longest first; "" where there are none."""
    longest_first = sorted((name for name in names if name), key=len, reverse=True)
    alternatives = "|".join(map(re.escape, longest_first))
    return rf"(?<![\w<]){sign}(?P<{group}>{alternatives})(?!\w)" if alternatives else ""


def _unique(named: Iterable[tuple[str, int]]) -> dict[str, int]:
    ids: dict[str, set[int]] = {}
    for name, id_ in named:
        ids.setdefault(name.casefold(), set()).add(id_)
    return {name: next(iter(found)) for name, found in ids.items() if len(found) == 1}


def _messages(text: str) -> list[str]:
    """A few short lines are messages of their own; what is more than three stands in the last."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    together = "```" in text or any(len(line) > _SHORT or _LISTED.match(line) for line in lines)
    if len(lines) < 2 or together:
        return [text]
    return [*lines[: _MESSAGES - 1], "\n".join(lines[_MESSAGES - 1 :])] if len(lines) > _MESSAGES else lines


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
