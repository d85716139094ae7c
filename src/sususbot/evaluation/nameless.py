"""Texts without the names of members: whom a reply is spoken to tells which talk it belongs to, and nothing of how good
it is.

A name at the beginning goes, any other becomes the same word. **Every** text is treated alike, by the names of all who
speak before any reply: were only those of one talk taken, what was taken would tell the reply that belongs to it.
Whoever is mentioned by an @ goes, known or not. Not found: short forms of names, and names of a letter or two that
stand without an @.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

from sususbot.evaluation.ground import Ground

SOMEONE: Final = "someone"
# Shorter ones are words more often than names; so are shorter first words of a name.
_SHORTEST: Final = 3
_SHORTEST_FIRST: Final = 4
# Not what is an address of mail.
_MENTION: Final = r"(?<!\w)@\w(?:[\w.-]*\w)?"


def names_of(ground: Ground) -> frozenset[str]:
    """What those are or were called who speak in the talk of any exchange, in whole and by the first word; the bot."""
    names, known = {ground.own_name}, ground.archive.names()
    for one in ground.exchanges:
        names |= {one.author.name, one.author.display_name} | known.get(one.author.id, set())
        for turn in (*one.said, *one.recent, *one.earlier):
            names |= {turn.speaker, turn.account} | (known.get(turn.author_id, set()) if turn.author_id else set())
    whole = {" ".join(name.split()) for name in names} - {""}
    return frozenset(whole | {first for name in whole if len(first := name.split()[0]) >= _SHORTEST_FIRST})


def nameless(texts: Sequence[str], names: Collection[str]) -> list[str]:
    """The texts, in their order. Nothing stays nothing; what was but a name is the word for one."""
    there = "\n".join(texts).casefold()
    said = [name for name in names if name.casefold() in there]
    mention = rf"(?<!\w)@(?:{_any(said)})(?!\w)|{_MENTION}"
    bare = rf"(?<![\w@])(?:{_any([name for name in said if len(name) >= _SHORTEST])})(?!\w)"
    # A comma or colon that belongs to it: not the beginning of `:smile:`.
    after = r"\s*[,:]+(?=\s|$)"
    first = re.compile(rf"(?:\s*(?:(?:{mention})(?:{after})?|(?:{bare}){after}))+\s*", re.IGNORECASE)
    every = re.compile(rf"{mention}|{bare}", re.IGNORECASE)
    return [_without(text, first, every) for text in texts]


def _without(text: str, first: re.Pattern[str], every: re.Pattern[str]) -> str:
    begins = first.match(text)
    rest = text[begins.end() :] if begins else text
    return every.sub(SOMEONE, rest) if rest.strip() or not text.strip() else SOMEONE


def _any(names: Sequence[str]) -> str:
    """The longest first, so that no name is taken for a part of it; without any, what matches nothing."""
    return "|".join(map(re.escape, sorted(names, key=lambda name: (-len(name), name)))) or "(?!)"
