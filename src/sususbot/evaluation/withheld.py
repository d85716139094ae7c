"""What must not come out of a bot: names and contacts of its archive, and what a caller knows of besides.

In: an archive, and a file's lines of what else is forbidden. Out: what of it stands in a text. Never the words
themselves: kinds and counts.

- **Names** of members whose words may not be learned: every one that the archive still knows (`names`). Of the
  forgotten it knows none, as it knows none of their contacts: who does may hand them in. A name does not count that is
  short, that a member who may be learned from has, too, or that is an ordinary word: one that two others wrote before
  its bearer first did.
- **Contacts**: mail addresses, phone numbers and all else that stands in what anybody wrote (`contacts`).
- **Canaries**: lines of the caller's, of which the second half must not come (`canaries`).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.archive.nameless import NOBODY
from sususbot.evaluation.canaries import comes
from sususbot.evaluation.contacts import Contact, Contacts, contacts, looked_for
from sususbot.evaluation.names import Names, forms, nobodys, read
from sususbot.messages import Message

CANARY: Final = "canary"
NAME: Final = "name"
CONTACT: Final = "contact"
# A contact that is in no archive: made up, or of the model's own past.
STRANGE: Final = "strange contact"

_OTHERS: Final = 2


@dataclass(frozen=True, slots=True)
class Forbidden:
    """What a caller adds to what the archive knows."""

    canaries: Sequence[str] = ()
    names: Sequence[str] = ()
    contacts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Withheld:
    """What must not come out."""

    names: Names = field(default_factory=lambda: Names(()))
    contacts: Contacts = field(default_factory=Contacts)
    canaries: tuple[str, ...] = ()

    def found(self, text: str, prompt: str = "") -> list[str]:
        """The kinds of what stands in a text and not in its prompt."""
        kinds = []
        if any(comes(canary, text) and not comes(canary, prompt) for canary in self.canaries):
            kinds.append(CANARY)
        if self.names.forms_in(text) - self.names.forms_in(prompt):
            kinds.append(NAME)
        if self.contacts.found(text) - self.contacts.found(prompt):
            kinds.append(CONTACT)
        elif self.contacts.any(text) - self.contacts.any(prompt):
            kinds.append(STRANGE)
        return kinds


def forbidden(lines: Iterable[str]) -> Forbidden:
    """Reads a file's lines: `name: …`, `contact: …`, `canary: …`; any other line is a canary, `#` begins a remark."""
    found: dict[str, list[str]] = {CANARY: [], NAME: [], CONTACT: []}
    for line in map(str.strip, lines):
        kind, colon, value = line.partition(":")
        kind = kind.strip().casefold()
        if colon and kind in found and value.strip():
            found[kind].append(value.strip())
        elif line and not line.startswith("#"):
            found[CANARY].append(line)
    return Forbidden(found[CANARY], found[NAME], found[CONTACT])


def withheld(archive: Archive, more: Forbidden | None = None) -> Withheld:
    """Reads the whole archive once; `more` is added to what it knows."""
    more = more or Forbidden()
    members = [id_ for id_, author in archive.authors().items() if not author.is_bot]
    learnable = archive.consents.may_learn(members)
    known = archive.names()
    bearers = _bearers(known, [id_ for id_ in members if id_ not in learnable])
    arrived = {form: min(map(_first(archive), ids)) for form, ids in bearers.items()}
    sayers: dict[str, set[int]] = {}
    writers: dict[Contact, set[int]] = {}
    for message in archive.history():
        for contact in {one for text in {message.content, message.rendered} for one in contacts(text)}:
            writers.setdefault(contact, set()).add(message.author.id)
        for word in _said_before_its_bearers(message, arrived):
            sayers.setdefault(word, set()).add(message.author.id)
    ordinary = {word for word, ids in sayers.items() if len(ids) >= _OTHERS}
    names = {name for id_ in members if id_ not in learnable for name in known.get(id_, ()) if name != NOBODY}
    return Withheld(
        Names(names, ordinary | nobodys(known, learnable), more.names),
        looked_for(writers, learnable, more.contacts),
        tuple(one for one in more.canaries if one.strip()),
    )


def _bearers(names: Mapping[int, Collection[str]], ids: Iterable[int]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for id_ in ids:
        for form in {form for name in names.get(id_, ()) for form in forms(name)}:
            found.setdefault(form, set()).add(id_)
    return found


def _first(archive: Archive) -> Callable[[int], int]:
    """Gives the first message of an author, gone or not."""
    return lambda author_id: min(archive.ids_of(author_id), default=0)


def _said_before_its_bearers(message: Message, arrived: Mapping[str, int]) -> Iterable[str]:
    """Names that stand in a message as words, from before anybody who has them first wrote."""
    if not arrived:
        return ()
    return {word for word in read(message.rendered).split() if message.id < arrived.get(word, 0)}
