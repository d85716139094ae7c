"""The linker that a server uses: the shipped one, or one that learned on from the server's own replies.

A reply of Discord says for certain what a message answers, so the older ones teach and the newest examine: the shipped
linker goes only when the new one finds more of them, by more than chance. What did not reply keeps the shipped
linker's answer, so that nothing else is unlearned. It learns from those alone who may be learned from. The file holds
numbers, and the ids of who taught it: no word or name of a member.
"""

import hashlib
import math
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np

from sususbot.archive.archive import Archive
from sususbot.artifacts import LINKER
from sususbot.errors import TooFewReplies
from sususbot.in_place import put
from sususbot.linking.fit import Known, examples_of, fit_network
from sususbot.linking.line import Line
from sususbot.linking.linker import Linker
from sususbot.linking.network import SHIPPED, Network, shipped
from sususbot.memory.linking_pass import line_of

LEAST_REPLIES: Final = 500
_TEACHERS: Final = "teachers"
_EXAMINED: Final = 0.2
# Standard deviations of a coin that wins and losses must be apart by: one in twenty by chance.
_SURE: Final = 1.645


@dataclass(frozen=True, slots=True)
class Fitted:
    """How the fit ended: shares of the examined replies that each linker finds, and whether the new one is used."""

    replies: int
    examined: int
    shipped: float
    own: float
    used: bool


def network_of(data: Path) -> tuple[Network, str]:
    """The linker in use in a data folder, and a name that tells it from others. Raises LinkerUnfit."""
    path = data / LINKER
    here = path.is_file()
    network = Network.load(path) if here else shipped()
    return network, hashlib.sha256((path if here else SHIPPED).read_bytes()).hexdigest()[:16]


def teachers(data: Path) -> frozenset[int] | None:
    """Whose lines a data folder's own linker learned from; None where it does not say, or is broken.

    Nobody's where there is none, and where the disk, or who holds the file, does not let it be read for now.
    """
    try:
        with (data / LINKER).open("rb") as whole, np.load(whole) as file:
            return frozenset(file[_TEACHERS].tolist())
    except OSError:
        return frozenset()
    except (ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None


def fit_links(archive: Archive, data: Path, say: Callable[[str], None] = print) -> Fitted:
    """Learn from the archive's replies; the new linker is used if it proves better. Raises TooFewReplies."""
    learned = archive.consents.may_learn(archive.authors())
    channels = [list(lines) for _, lines in groupby(_lines(archive, learned), key=lambda one: one[0])]
    talks = [_Talk([line for _, line in lines]) for lines in channels]
    replies = sorted(id_ for talk in talks for id_ in talk.answers)
    if len(replies) < LEAST_REPLIES:
        raise TooFewReplies(
            f"the archive has {len(replies)} replies to learn from, and {LEAST_REPLIES} are needed: "
            "go on with the shipped linker, or import more history"
        )
    border = replies[-int(len(replies) * _EXAMINED)]
    own = _learn(talks, border, say)
    before, after = ([right for talk in talks for right in talk.examine(one, border)] for one in (shipped(), own))
    used = _better(before, after)
    if used:
        _keep(own, data / LINKER, {line.author_id for talk in talks for line in talk.lines})
    share = [sum(rights) / len(rights) for rights in (before, after)]
    return Fitted(len(replies), len(before), share[0], share[1], used)


class _Talk:
    """The lines of a channel, and what its replies answer: hidden from the lines, with the ping that comes with it."""

    def __init__(self, lines: Sequence[Line]) -> None:
        author_of = {line.id: line.author_id for line in lines}
        self.answers = {
            line.id: line.reply_to for line in lines if line.reply_to is not None and line.reply_to in author_of
        }
        self.lines = [
            replace(
                line,
                reply_to=None,
                mentions=tuple(who for who in line.mentions if who != author_of[self.answers[line.id]]),
            )
            if line.id in self.answers
            else line
            for line in lines
        ]

    def lessons(self, border: int) -> Known:
        """Replies before the border with what they answer, and as many other lines as the shipped linker has them."""
        linker = Linker()
        lines = [line for line in self.lines if line.id < border]
        links = {line.id: linker.link(line).target for line in lines}
        taught = {id_: {to} for id_, to in self.answers.items() if id_ < border}
        others = [line.id for line in lines if line.id not in taught]
        every = max(1, len(others) // max(1, len(taught)))
        kept = {id_: {id_ if (to := links[id_]) is None else to} for id_ in others[::every]}
        return Known(lines, dict(sorted((taught | kept).items())))

    def examine(self, network: Network, border: int) -> Iterator[bool]:
        """Of each reply from the border on, whether the network finds what it answers."""
        if not any(id_ >= border for id_ in self.answers):
            return
        linker = Linker(network)
        for line in self.lines:
            target = linker.link(line).target
            if line.id >= border and line.id in self.answers:
                yield target == self.answers[line.id]


def _lines(archive: Archive, authors: Collection[int]) -> Iterator[tuple[int, Line]]:
    return ((said.channel_id, line_of(said)) for said in archive.links.replies() if said.author_id in authors)


def _learn(talks: Sequence[_Talk], border: int, say: Callable[[str], None]) -> Network:
    start = shipped()
    examples = [
        example
        for place, talk in enumerate(talks)
        for example in examples_of(talk.lessons(border), start.common, start, place)
    ]
    return fit_network(examples, start.common, say=say, start=start)


def _better(before: Sequence[bool], after: Sequence[bool]) -> bool:
    won = sum(new and not old for old, new in zip(before, after, strict=True))
    lost = sum(old and not new for old, new in zip(before, after, strict=True))
    return won - lost > _SURE * math.sqrt(won + lost)


def _keep(network: Network, path: Path, taught_by: Collection[int]) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part")
    network.save(part, **{_TEACHERS: np.array(sorted(taught_by), np.int64)})
    put(part, path)
