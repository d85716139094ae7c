"""Chat whose links people have marked: Ubuntu IRC (Kummerfeld and others, ACL 2019), as JSON lines of `{log, messages,
links}`. Only links from line 1000 on are marked; a line that begins something is linked to itself."""

import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from sususbot.errors import NotAnExport
from sususbot.linking.line import Line

MINUTE: Final = 60_000
_HALF_A_DAY: Final = 720
_CALM_SHARE: Final = 0.25
_LEAST_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Log:
    """A line's id is its place. `links` are (earlier, later)."""

    name: str
    lines: tuple[Line, ...]
    links: frozenset[tuple[int, int]]

    def answers(self) -> dict[int, set[int]]:
        """Marked line -> what it answers; itself where it begins something."""
        found: dict[int, set[int]] = defaultdict(set)
        for earlier, later in self.links:
            found[later].add(earlier)
        return dict(sorted(found.items()))


def read_logs(path: Path) -> Iterator[Log]:
    """Raises NotAnExport."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for row in file:
                yield _log(orjson.loads(row))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise NotAnExport(
            f"{path} holds no annotated logs ({error}): give the JSON lines of {{log, messages, links}}"
        ) from error


def _log(row: dict[str, Any]) -> Log:
    messages = row["messages"]
    ids: dict[str, int] = {}
    for message in messages:
        if message["author"]:
            ids.setdefault(message["author"].lower(), len(ids))
    times = _times(message["time"] for message in messages)
    lines = tuple(
        Line(place, ids[message["author"].lower()], message["author"], at, message["text"])
        if message["author"]
        else Line(place, -1, "", at, message["text"], system=True)
        for place, (message, at) in enumerate(zip(messages, times, strict=True))
    )
    return Log(row["log"], lines, frozenset((min(pair), max(pair)) for pair in row["links"]))


def _times(times: Iterable[str | None]) -> Iterator[int]:
    """`23:59`, `00:01` to ms that only grow; system lines have none of their own."""
    last = day = 0
    for time in times:
        if time is not None:
            minutes = int(time[:2]) * 60 + int(time[3:])
            day += minutes < last - _HALF_A_DAY
            last = minutes
        yield (day * 2 * _HALF_A_DAY + last) * MINUTE


def calm(log: Log, seed: int) -> Log:
    """The marked conversations of a log as a few friends would have them: one after the other, rarely two at once.

    A busy channel teaches nothing about quiet ones. The speakers of each conversation become members of one small
    circle; most names that say whom a line is for are left out, as friends do.
    """
    chance = np.random.default_rng(seed)
    circle = int(chance.integers(2, 7))
    timed: list[tuple[int, int, Line]] = []
    begin = end = 0
    for number, places in enumerate(_conversations(log)):
        lines = [log.lines[place] for place in places]
        length = lines[-1].at - lines[0].at
        if number and chance.random() < _CALM_SHARE:
            begin += int(chance.random() * (end - begin))
        else:
            begin = end + int(np.exp(chance.uniform(np.log(2), np.log(720)))) * MINUTE
        end = max(end, begin + length)
        who = _circle(lines, circle, 1000 * (number + 1), chance)
        for line in lines:
            at = begin + line.at - lines[0].at
            text = (
                _unaddressed(line.text, {one.name.casefold() for one in lines}) if chance.random() < 0.7 else line.text
            )
            timed.append((at, line.id, replace(line, author_id=who[line.author_id], at=at, text=text)))
    timed.sort(key=lambda one: one[:2])
    place_of = {id_: place for place, (_, id_, _) in enumerate(timed)}
    links = {(place_of[one], place_of[other]) for one, other in log.links if one in place_of and other in place_of}
    linked = {later for _, later in links}
    links |= {(place, place) for place in place_of.values() if place not in linked}
    placed = tuple(replace(line, id=place) for place, (_, _, line) in enumerate(timed))
    return Log(f"{log.name}, calm", placed, frozenset((min(pair), max(pair)) for pair in links))


def _conversations(log: Log) -> list[list[int]]:
    """Places that hang together by marked links, of those with enough lines to be a talk."""
    marked = set(log.answers())
    parent = {place: place for pair in log.links for place in pair if place in marked}

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    for one, other in log.links:
        if one in parent and other in parent:
            low, high = sorted((root(one), root(other)))
            parent[high] = low
    found: dict[int, list[int]] = defaultdict(list)
    for place in sorted(parent):
        if not log.lines[place].system:
            found[root(place)].append(place)
    return [places for places in found.values() if len(places) >= _LEAST_LINES]


def _circle(lines: Sequence[Line], size: int, strangers: int, chance: np.random.Generator) -> dict[int, int]:
    """The speakers of one conversation as members of the circle, the talkative first; strangers where it is full."""
    speakers = [who for who, _ in Counter(line.author_id for line in lines).most_common()]
    seats = [*chance.permutation(size).tolist(), *range(strangers, strangers + len(speakers))]
    return dict(zip(speakers, seats, strict=False))


def _unaddressed(text: str, names: set[str]) -> str:
    first, _, rest = text.partition(" ")
    return rest if rest and first.casefold().rstrip(",:;") in names else text
