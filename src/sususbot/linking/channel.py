"""What linking remembers of one channel: its last lines as rows of numbers, its members, and who talks with whom.

Lines and members have small numbers of their own here: a line's position, a member's `who`.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from sususbot.linking.line import Line
from sususbot.linking.naming import _FIRST, PINGED, Named, Names
from sususbot.linking.words import Kind, Rarity, kind_of, split, stems

Numbers = npt.NDArray[np.float32]

# How many earlier lines may be answered.
WINDOW: Final = 100
LONG_AGO: Final = 100_000
_ROOM: Final = 4096
_MINUTE: Final = 60_000
_BOT_LINES: Final = 3

# What is kept of each line; NAMED counts for three.
POSITION, AT, WHO, NAMED, STRENGTH, WEIGHT, FIRST, ANSWERS, BEGINS, THREAD, ANSWERED, ANSWERED_BY, NUMBER, KIND = (
    *range(4),
    *range(6, 16),
)
_COLUMNS: Final = KIND + len(Kind._fields)


class Heard(NamedTuple):
    """A line, understood as far as one line can be. `at` is in minutes; `named` begins with the surest."""

    at: int
    who: int
    named: tuple[Named, ...]
    stems: frozenset[str]
    kind: Kind

    @property
    def addressee(self) -> int:
        return self.named[0].who if self.named else -1


@dataclass(slots=True)
class Member:
    """`spoke_to`: member -> position of the last line to it by name; `turned_to`: by name or by answering."""

    lines: int = 0
    position: int = -LONG_AGO
    at: int = -LONG_AGO
    addressee: int = -1
    thread: int = -1
    waiting: int = 0
    after_commands: int = 0
    spoke_to: dict[int, int] = field(default_factory=dict)
    turned_to: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Thread:
    """What hangs together by the links found so far."""

    lines: int = 0
    position: int = 0
    members: set[int] = field(default_factory=set)
    stems: set[str] = field(default_factory=set)


class Channel:
    """Told every line in order: `hear`, then `add` with what it answers."""

    def __init__(self, common: Mapping[str, float]) -> None:
        self.position = 0
        self.members: list[Member] = []
        self.threads: dict[int, Thread] = {}
        self.rarity = Rarity(common)
        # Word -> positions of the lines of the window that have it.
        self.having: dict[str, deque[int]] = {}
        self._who: dict[int, int] = {}
        self._names = Names()
        self._rows = np.zeros((_COLUMNS, _ROOM), np.float32)
        self._end = 0
        self._began: int | None = None
        self._stems: deque[frozenset[str]] = deque()
        self._next_thread = 0

    def window(self) -> Numbers:
        """A view of the last lines, one in a column."""
        return self._rows[:, max(0, self._end - WINDOW) : self._end]

    def hear(self, line: Line) -> Heard:
        if self._began is None:
            self._began = line.at // _MINUTE
        who = self._member(line.author_id)
        self._names.spoke(who, line.name)
        low = line.text.casefold()
        typed = low.split()
        named = self._named(line, who, typed)
        places = {place for one in named for place in one.places}
        words = split(word for place, word in enumerate(typed) if place not in places)
        commands = low.startswith("!") or (bool(named) and len(typed) > 1 and typed[1].startswith("!"))
        kind = kind_of(low, words, commands=commands)
        others = tuple(one for one in named if one.who != who)
        return Heard(line.at // _MINUTE - self._began, who, others, stems(words), kind)

    def add(self, heard: Heard, answers: int | None) -> None:
        """Remember a line; `answers` is the position of the line it answers, if it does and that is known."""
        if self._end == _ROOM:
            self._rows[:, :WINDOW] = self._rows[:, _ROOM - WINDOW :].copy()
            self._end = WINDOW
        column = self._end - self.position + answers if answers is not None else -1
        if column < max(0, self._end - WINDOW):
            column = -1
        to, thread = self._follow(heard, column)
        self._write(heard, to, thread)
        self._speak(heard, to, thread)
        self._remember_words(heard.stems)
        self._end += 1
        self.position += 1

    def _member(self, author_id: int) -> int:
        who = self._who.setdefault(author_id, len(self.members))
        if who == len(self.members):
            self.members.append(Member())
        return who

    def _named(self, line: Line, who: int, typed: Sequence[str]) -> list[Named]:
        """Named members, the surest first, each once; a ping counts as a name, whether or not its name was found."""
        found: dict[int, Named] = {}
        for one in self._names.find(typed, self.rarity.is_word):
            found.setdefault(one.who, one)
        for author_id in line.mentions:
            other = self._member(author_id)
            if other != who:
                first = not found or (other in found and 0 in found[other].places)
                places = found[other].places if other in found else range(0)
                found[other] = Named(other, PINGED if first else _FIRST, places)
        return sorted(found.values(), key=lambda one: -one.strength)

    def _follow(self, heard: Heard, column: int) -> tuple[int, int]:
        """Whom the line answers (or -1), and its thread."""
        if column < 0:
            thread, self._next_thread = self._next_thread, self._next_thread + 1
            self._forget_threads()
            self.threads[thread] = Thread()
            to = -1
        else:
            to, thread = int(self._rows[WHO, column]), int(self._rows[THREAD, column])
            if to != heard.who:
                self._rows[ANSWERED, column] += 1
                self._rows[ANSWERED_BY, column] = heard.who
        one = self.threads[thread]
        one.lines += 1
        one.position = self.position
        one.members.add(heard.who)
        one.stems |= heard.stems
        return to, thread

    def _write(self, heard: Heard, to: int, thread: int) -> None:
        row = self._rows[:, self._end]
        member = self.members[heard.who]
        row[POSITION], row[AT], row[WHO] = self.position, heard.at, heard.who
        row[NAMED : NAMED + 3] = -1
        for place, one in enumerate(heard.named[:3]):
            row[NAMED + place] = one.who
        row[STRENGTH] = heard.named[0].strength if heard.named else 0
        row[WEIGHT] = sum(self.rarity.of(word) ** 2 for word in heard.stems)
        row[FIRST], row[NUMBER] = member.lines == 0, member.lines
        row[ANSWERS], row[BEGINS], row[THREAD] = to, to < 0, thread
        row[ANSWERED], row[ANSWERED_BY] = 0, -1
        row[KIND:] = heard.kind

    def _speak(self, heard: Heard, to: int, thread: int) -> None:
        member = self.members[heard.who]
        last = self._rows[KIND + Kind._fields.index("commands"), max(0, self._end - _BOT_LINES) : self._end]
        member.after_commands += bool(last.any())
        member.lines += 1
        member.position, member.at, member.thread, member.waiting = self.position, heard.at, thread, 0
        if to >= 0 and to != heard.who:
            member.turned_to[to] = self.position
            member.addressee = to
        if heard.named:
            member.addressee = heard.addressee
        for one in heard.named:
            if one.strength >= 1:
                member.spoke_to[one.who] = member.turned_to[one.who] = self.position
                self.members[one.who].waiting += 1

    def _remember_words(self, words: frozenset[str]) -> None:
        self.rarity.add(words)
        for word in words:
            self.having.setdefault(word, deque()).append(self.position)
        self._stems.append(words)
        if len(self._stems) > WINDOW:
            for word in self._stems.popleft():
                positions = self.having[word]
                positions.popleft()
                if not positions:
                    del self.having[word]

    def _forget_threads(self) -> None:
        """No line of the window belongs to a thread whose last line has left it."""
        if len(self.threads) <= 3 * WINDOW:
            return
        oldest = self.position - WINDOW
        self.threads = {number: one for number, one in self.threads.items() if one.position >= oldest}
