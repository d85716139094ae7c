"""The protocol of everything that comes from files, and what it gives: parts in the order of the file.

A source is opened by its `open(path)`, which raises NotAnExport, and read once, from the beginning to the end. What is
whole is given, whatever stands around it; what is not is left in `faults` with its place; what is whole and left out
on purpose is counted in `skipped` by its reason. Memory is bounded, whatever the size of the file.
How to add a format: a module with a class that keeps this protocol, a line in `formats.FORMATS`, a line in the
conformance tests. Not here: which format a file is in (`formats`), writing to the archive (`ingest`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sususbot.archive.consents import Statement
from sususbot.archive.feedback import Rated
from sususbot.messages import Author, Channel, Guild, Message, Origin

# Messages to a transaction: large enough that commits do not count, small enough that a kill costs a second at most.
BATCH = 16_384
# A piece longer than this (Discord allows 4,000 characters and 10 embeds a message) is a file gone wrong.
LONGEST = 1 << 25


@dataclass(frozen=True, slots=True)
class Fault:
    """A place where a file is not whole, and why: its byte (of the unpacked text) and the number of what broke, from 1.

    `unit` is what is counted there; `within` names the file inside the file, where there is one.
    """

    byte: int
    number: int
    reason: str
    unit: str = "message"
    within: str = ""

    def __str__(self) -> str:
        place = f"byte {self.byte:,}, {self.unit} {self.number:,}: {self.reason}"
        return f"{self.within}, {place}" if self.within else place


@dataclass(frozen=True, slots=True)
class GuildSeen:
    """A guild, as it was at some time (ms)."""

    guild: Guild
    origin: Origin
    seen_at: int


@dataclass(frozen=True, slots=True)
class ChannelSeen:
    """A channel and its guild, as they were at some time (ms). Stands before the channel's first message."""

    guild: Guild
    channel: Channel
    origin: Origin
    seen_at: int


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages that were seen so at one time (ms), in one way.

    `state_at` says when their reactions and pins were seen, where that is another time.
    """

    messages: list[Message]
    origin: Origin
    fetched_at: int
    state_at: int | None = None


@dataclass(frozen=True, slots=True)
class NameSpan:
    """A name that an author carried, from the first to the last time (ms) it was seen."""

    display_name: str
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True)
class AuthorSeen:
    """An author with all names ever carried; `named_at` says when the present ones were seen."""

    author: Author
    named_at: int
    names: tuple[NameSpan, ...]


@dataclass(frozen=True, slots=True)
class Deleted:
    """Messages that were deleted, by id, and when (ms)."""

    times: dict[int, int]


@dataclass(frozen=True, slots=True)
class Erased:
    """An author who is to be forgotten, and since when (ms); `may_return`: they said no, and may yet say yes."""

    author_id: int
    at: int
    may_return: bool = False


@dataclass(frozen=True, slots=True)
class Pinned:
    """A message that the owner pinned as lore, and when (ms)."""

    message_id: int
    at: int


@dataclass(frozen=True, slots=True)
class Thumb:
    """What the owner thought of a reply."""

    rated: Rated


@dataclass(frozen=True, slots=True)
class Said:
    """Answers to the question of consent."""

    statements: list[Statement]


Part = GuildSeen | ChannelSeen | Messages | AuthorSeen | Deleted | Erased | Pinned | Said | Thumb


class Source(Protocol):
    """An open export. `faults` and `skipped` are complete once `parts` is exhausted."""

    @property
    def path(self) -> Path: ...

    @property
    def faults(self) -> list[Fault]: ...

    @property
    def skipped(self) -> Counter[str]: ...

    @property
    def position(self) -> int:
        """Bytes of the file on disk read so far."""

    def parts(self) -> Iterator[Part]:
        """Everything that is whole, in the order of the file."""


def batches(messages: Iterable[Message], origin: Origin, fetched_at: int) -> Iterator[Messages]:
    """A stream of messages in parts of a size that suits a transaction."""
    batch: list[Message] = []
    for message in messages:
        batch.append(message)
        if len(batch) == BATCH:
            yield Messages(batch, origin, fetched_at)
            batch = []
    if batch:
        yield Messages(batch, origin, fetched_at)
