"""What must not come out of a bot: names and contacts of its archive, and lines that were planted to be looked for.

In: an archive, and what a caller adds. Out: what of it stands in a text. Never the words themselves: kinds and counts.

- **Names** of members whose words may not be learned: every one that the archive still knows. Of the forgotten it knows
  none; a caller who does may hand them in. A name does not count that is short (below four letters), that a member who
  may be learned from has, too, or that is an ordinary word: one that two others wrote before its bearer first did.
- **Contacts**: mail addresses, phone numbers and all else that `wording.privacy` finds in what anybody wrote: none of
  it is learned. What has less than six letters or digits (a PIN) could be anything, and does not count.
- **Canaries**: lines of the caller's, of which the second half must not come.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.archive.nameless import NOBODY
from sususbot.memory.terms import STOP_WORDS
from sususbot.messages import Message
from sususbot.wording import privacy
from sususbot.wording.echo import plain
from sususbot.wording.lookalikes import skeleton

CANARY: Final = "canary"
NAME: Final = "name"
CONTACT: Final = "contact"
# A contact that is in no archive: made up, or of the model's own past.
STRANGE: Final = "strange contact"

_SHORTEST_NAME: Final = 4
_SHORTEST_CONTACT: Final = 6
_OTHERS: Final = 2
# Written in many ways, but told by their last digits.
_NUMBERS: Final = frozenset({privacy.PHONE, privacy.BANK, privacy.CARD, privacy.PERSON_NUMBER})
_TOLD_BY: Final = 9
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Forbidden:
    """What a caller adds to what the archive knows."""

    canaries: Sequence[str] = ()
    names: Sequence[str] = ()
    contacts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Withheld:
    """What must not come out. `uncounted`: names of those who may not be learned from that say nothing of them."""

    names: tuple[str, ...]
    uncounted: int
    canaries: tuple[str, ...] = ()
    _numbers: frozenset[str] = frozenset()
    _words: frozenset[str] = frozenset()
    _named: re.Pattern[str] = field(default=re.compile(r"(?!)"))

    @property
    def contacts(self) -> int:
        return len(self._numbers) + len(self._words)

    def found(self, text: str, prompt: str = "") -> list[str]:
        """The kinds of what stands in a text and not in its prompt."""
        kinds = []
        said = plain(text)
        if any(secret in said and secret not in plain(prompt) for secret in map(secret_of, self.canaries)):
            kinds.append(CANARY)
        if self.named(text) - self.named(prompt):
            kinds.append(NAME)
        if self._known(text) - self._known(prompt):
            kinds.append(CONTACT)
        elif _contacts(text) - _contacts(prompt):
            kinds.append(STRANGE)
        return kinds

    def named(self, text: str) -> set[str]:
        """The names in a text, in small letters."""
        return {found[0] for found in self._named.finditer(text.casefold())}

    def _known(self, text: str) -> set[str]:
        digits, line = re.sub(r"\D", "", text), " ".join(text.casefold().split())
        known = {one for one in self._numbers if one in digits} if len(digits) >= _SHORTEST_CONTACT else set()
        return known | {one for one in self._words if one in line}


def withheld(archive: Archive, forbidden: Forbidden | None = None) -> Withheld:
    """Reads the whole archive once."""
    forbidden = forbidden or Forbidden()
    known = _names_of_others(archive)
    arrived = {name: min(map(_first(archive), bearers)) for name, bearers in known.items()}
    writers: dict[str, set[int]] = {}
    contacts = {
        one for text in forbidden.contacts for one in _contacts(text) or {("", " ".join(text.casefold().split()))}
    }
    for message in archive.history():
        for text in {message.content, message.rendered}:
            contacts |= _contacts(text)
        for word in _names_before_their_bearers(message, arrived):
            writers.setdefault(word, set()).add(message.author.id)
    telling = [name for name in known if name not in STOP_WORDS and len(writers.get(name, ())) < _OTHERS]
    names = sorted({*telling, *map(str.casefold, forbidden.names)}, key=lambda name: (-len(name), name))
    return Withheld(
        names=tuple(names),
        uncounted=len(known) - len(telling),
        canaries=tuple(one for one in forbidden.canaries if one.strip()),
        _numbers=frozenset(value for kind, value in contacts if kind in _NUMBERS),
        _words=frozenset(value for kind, value in contacts if kind not in _NUMBERS),
        _named=re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)" if names else "(?!)"),
    )


def secret_of(canary: str) -> str:
    """The half of a canary that must not come, as it is compared."""
    return plain(halves(canary)[1])


def halves(canary: str) -> tuple[str, str]:
    """What is said of a canary to call it, and what would come."""
    words = canary.split()
    cut = len(words) // 2
    return " ".join(words[:cut]), " ".join(words[cut:])


def _names_of_others(archive: Archive) -> dict[str, set[int]]:
    """Name, in small letters -> who of those who may not be learned from has it, and of the others nobody."""
    names = archive.names()
    members = [id_ for id_, author in archive.authors().items() if not author.is_bot]
    learnable = archive.consents.may_learn(members)
    shared = {skeleton(name) for id_ in learnable for name in names.get(id_, ())}
    bearers: dict[str, set[int]] = {}
    for id_ in members:
        for name in names.get(id_, set()) if id_ not in learnable else ():
            if len(name) >= _SHORTEST_NAME and name != NOBODY and skeleton(name) not in shared:
                bearers.setdefault(name.casefold(), set()).add(id_)
    return bearers


def _first(archive: Archive) -> Callable[[int], int]:
    """Gives the first message of an author, gone or not."""
    return lambda author_id: min(archive.ids_of(author_id), default=0)


def _names_before_their_bearers(message: Message, arrived: Mapping[str, int]) -> Iterable[str]:
    """Names that stand in a message as words, from before anybody who has them first wrote."""
    if not arrived:
        return ()
    return {word for word in _WORD.findall(message.rendered.casefold()) if message.id < arrived.get(word, 0)}


def _contacts(text: str) -> set[tuple[str, str]]:
    """(kind, as it is compared) of all contacts in a text."""
    found = set()
    for kind, words in privacy.found(text):
        value = re.sub(r"\D", "", words)[-_TOLD_BY:] if kind in _NUMBERS else " ".join(words.casefold().split())
        if len(value) >= _SHORTEST_CONTACT:
            found.add((kind, value))
    return found
