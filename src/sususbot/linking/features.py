"""What speaks for each earlier line being the one that is answered, as one row of numbers each.

The last row stands for "none: this line begins something". All are counts, minutes and flags; `network` scales them.
**Columns are the shipped network's inputs**, by their place: after a change fit it again (`fit`).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from sususbot.linking.channel import (
    ANSWERED,
    ANSWERED_BY,
    ANSWERS,
    AT,
    BEGINS,
    FIRST,
    KIND,
    LONG_AGO,
    NAMED,
    NUMBER,
    POSITION,
    STRENGTH,
    THREAD,
    WEIGHT,
    WHO,
    Channel,
    Heard,
    Numbers,
)
from sususbot.linking.words import Kind

_FAR: Final = 500
_OLD: Final = 600
_NOBODY: Final = -2

Named = tuple[str, Numbers]


def features(channel: Channel, heard: Heard) -> Numbers:
    """One row for each line of the window, oldest first, then the row for none."""
    lines = channel.window()
    count = lines.shape[1]
    found = np.zeros((count + 1, len(NAMES)), np.float32)
    if count:
        seen = _Seen(channel, heard, lines)
        for place, (_, column) in enumerate(seen.columns()):
            found[:count, place] = column
        answered = seen.unanswered_calls()
    else:
        answered = 0
    found[:, len(_PAIR) :] = list(_own(channel, heard, lines, answered).values())
    return found


class _Seen:
    """The window as the writer of a new line sees it."""

    def __init__(self, channel: Channel, heard: Heard, lines: Numbers) -> None:
        self._channel, self._heard, self._lines = channel, heard, lines
        self._who = lines[WHO].astype(np.int64).tolist()
        self._other = heard.addressee if heard.named else _NOBODY
        named = lines[NAMED : NAMED + 3]
        to_me = named == heard.who
        self._mine = lines[WHO] == heard.who
        self._to_me = to_me.any(0)
        self._first_to_me = to_me[0]
        self._about_other = (named == self._other).any(0)
        self._by_other = lines[WHO] == self._other
        self._unnamed = named[0] < 0
        self._since_me = _after(self._mine)

    def unanswered_calls(self) -> int:
        """Lines to the writer since its own last."""
        return int((self._to_me & (self._since_me == 0)).sum())

    def columns(self) -> Iterator[Named]:
        yield from self._places()
        yield from self._people()
        yield from self._ranks()
        yield from self._talk()
        yield from self._links()
        yield from self._threads()
        yield from self._words()
        for name in _KINDS:
            yield f"line_{name}", self._lines[KIND + Kind._fields.index(name)]
        yield "line_first", self._lines[FIRST]

    def _places(self) -> Iterator[Named]:
        lines = self._lines
        yield "distance", self._channel.position - lines[POSITION]
        yield "minutes", np.minimum(self._heard.at - lines[AT], _OLD)
        turns = np.zeros(lines.shape[1], np.float32)
        turns[:-1] = lines[WHO, 1:] != lines[WHO, :-1]
        yield "turns", turns[::-1].cumsum()[::-1]

    def _people(self) -> Iterator[Named]:
        lines, heard = self._lines, self._heard
        yield "mine", self._mine
        yield "by_named", self._by_other * (heard.named[0].strength if heard.named else 0.0)
        also = np.zeros(lines.shape[1], np.float32)
        for one in heard.named[1:4]:
            also = np.maximum(also, (lines[WHO] == one.who) * one.strength)
        yield "by_also_named", also
        yield "to_me", np.where(self._first_to_me, lines[STRENGTH], self._to_me)
        yield "to_named", self._about_other
        yield "to_nobody", self._unnamed
        yield "to_another", ~self._unnamed & ~self._to_me

    def _ranks(self) -> Iterator[Named]:
        members = self._channel.members
        spoken = np.array([members[who].lines for who in self._who], np.float32)
        yield "author_lines_since", spoken - self._lines[NUMBER] - 1
        yield "my_lines_since", self._since_me
        yield "rank_to_me", _rank(self._to_me)
        yield "rank_by_named", _rank(self._by_other)
        yield "rank_by_named_to_me", _rank(self._by_other & self._to_me)
        yield "rank_open", _rank(self._unnamed & ~self._mine)

    def _talk(self) -> Iterator[Named]:
        channel, me = self._channel, self._heard.who
        mine = channel.members[me]
        members = [channel.members[who] for who in self._who]
        for name, positions in (
            ("since_i_spoke_to", [mine.spoke_to.get(who, -LONG_AGO) for who in self._who]),
            ("since_i_turned_to", [mine.turned_to.get(who, -LONG_AGO) for who in self._who]),
            ("since_spoken_to", [member.spoke_to.get(me, -LONG_AGO) for member in members]),
            ("since_turned_to", [member.turned_to.get(me, -LONG_AGO) for member in members]),
        ):
            yield name, np.minimum(channel.position - np.array(positions, np.float32), _FAR)
        yield "author_talks_to_me", np.array([member.addressee == me for member in members], np.float32)
        yield "i_talk_to_author", self._lines[WHO] == mine.addressee

    def _links(self) -> Iterator[Named]:
        lines, me = self._lines, self._heard.who
        yield "answered", lines[ANSWERED]
        yield "answered_by_me", lines[ANSWERED_BY] == me
        yield "answers_me", lines[ANSWERS] == me
        yield "answers_named", lines[ANSWERS] == self._other
        yield "answers_itself", lines[ANSWERS] == lines[WHO]
        yield "begins", lines[BEGINS]

    def _threads(self) -> Iterator[Named]:
        channel, heard, lines = self._channel, self._heard, self._lines
        of = lines[THREAD].astype(np.int64).tolist()
        rarity = {word: channel.rarity.of(word) for word in heard.stems}
        rows: dict[int, tuple[float, ...]] = {}
        for number in set(of):
            thread = channel.threads[number]
            rows[number] = (
                thread.lines,
                channel.position - thread.position,
                heard.who in thread.members,
                self._other in thread.members,
                len(thread.members),
                sum(rarity[word] for word in thread.stems & heard.stems),
            )
        table = np.array([rows[number] for number in of], np.float32).T
        names = ("thread_lines", "thread_age", "thread_mine", "thread_of_named", "thread_members", "thread_words")
        yield from zip(names, table, strict=True)
        yield "thread_latest", table[1] == channel.position - lines[POSITION]
        yield "thread_my_last", lines[THREAD] == channel.members[heard.who].thread
        other = channel.members[self._other].thread if self._other >= 0 else _NOBODY
        yield "thread_named_last", lines[THREAD] == other

    def _words(self) -> Iterator[Named]:
        channel, heard, lines = self._channel, self._heard, self._lines
        count = lines.shape[1]
        shared, rarest = np.zeros(count, np.float32), np.zeros(count, np.float32)
        base, total = channel.position - count, 0.0
        for word in heard.stems:
            weight = channel.rarity.of(word)
            total += weight**2
            for position in channel.having.get(word, ()):
                shared[position - base] += weight**2
                rarest[position - base] = max(rarest[position - base], weight)
        yield "shared_rarest", rarest
        yield "shared_cosine", shared / np.sqrt((total + 1) * (lines[WEIGHT] + 1))
        yield "shared", shared
        yield "shared_relative", shared / (shared.max() or 1.0)


def _own(channel: Channel, heard: Heard, lines: Numbers, calls: int) -> dict[str, float]:
    """What is the same for every row: the line, its writer, and how busy the channel is."""
    me, named = channel.members[heard.who], heard.named
    other = channel.members[named[0].who] if named else None
    here, count = channel.position, lines.shape[1]

    def ago(position: int) -> int:
        return min(here - position, _FAR)

    return {
        "strength": named[0].strength if named else 0.0,
        "names": len(named),
        "since_named": ago(other.position) if other else -1,
        "since_named_spoke_to_me": ago(other.spoke_to.get(heard.who, -LONG_AGO)) if other else -1,
        "since_named_turned_to_me": ago(other.turned_to.get(heard.who, -LONG_AGO)) if other else -1,
        "since_i_spoke_to_named": ago(me.spoke_to.get(named[0].who, -LONG_AGO)) if named else -1,
        "since_i_spoke": ago(me.position),
        "minutes_since_i_spoke": min(heard.at - me.at, _OLD),
        "my_lines": min(me.lines, 20),
        "waiting": min(me.waiting, 20),
        "still_to_named": bool(named) and me.addressee == named[0].who,
        "to_nobody_lately": me.addressee < 0,
        **{f"my_{name}": value for name, value in zip(Kind._fields, heard.kind, strict=True)},
        "speakers": len(set(lines[WHO, -20:].tolist())),
        "minutes_of_thirty": min(heard.at - float(lines[AT, -30]), _OLD) if count >= 30 else _OLD,
        "silence": min(heard.at - float(lines[AT, -1]), _OLD) if count else _OLD,
        "like_a_bot": me.after_commands / (me.lines + 2),
        "calls": calls,
    }


def _after(flags: Numbers) -> Numbers:
    """For each place, how many of the later places are flagged."""
    later: Numbers = flags[::-1].cumsum(dtype=np.float32)[::-1] - flags
    return later


def _rank(flags: Numbers) -> Numbers:
    """0 for the last flagged place, 1 for the one before; -1 where there is no flag."""
    return np.where(flags, _after(flags), -1)


_KINDS: Final = tuple(name for name in Kind._fields if name != "you")


def _names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of all columns, in their order: those of a pair of lines, and those of the new line alone."""
    from sususbot.linking.line import Line

    channel = Channel({})
    channel.add(channel.hear(Line(1, 1, "mia", 0, "tea?")), None)
    heard = channel.hear(Line(2, 2, "tom", 0, "mia: yes"))
    lines = channel.window()
    pair = tuple(name for name, _ in _Seen(channel, heard, lines).columns())
    return pair, tuple(_own(channel, heard, lines, 0))


_PAIR, _ALONE = _names()
NAMES: Final = (*_PAIR, *_ALONE)
