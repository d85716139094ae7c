"""A large indexed archive made of a small one, for measuring search: no text of it is encoded.

Each copy lies later in time, under other ids, by the same members. Its text is half of one message and half of another
of the same channel, with some words changed into words of their own (`scale`), so that the vocabulary grows as it does
in real chat; its vector lies between the vectors of the two. Vectors that are drawn at random would be no measure: they
have no neighbours.
"""

import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from sususbot.archive.archive import Archive
from sususbot.archive.vectors import Ids, Matrix, Pending
from sususbot.benchmarks.scale import other_words, spliced
from sususbot.messages import Message

_BATCH: Final = 8192
_WEEK_MS: Final = 7 * 86_400_000


class _Room(NamedTuple):
    """What a channel says that has vectors, in order, and the rows of these."""

    messages: Sequence[Message]
    matrix: Matrix


class _Copy(NamedTuple):
    """A new message, and the places of the two that it is made of."""

    message: Message
    place: int
    other: int


def multiplied(source: Path, target: Path, count: int, progress: Callable[[int, int], None]) -> None:
    """Write to `target` an archive of `count` messages: those of `source`, and copies. `progress`: (done, all)."""
    unfinished = target.with_name(f"{target.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(source, unfinished)
    with Archive(unfinished) as archive, archive.bulk():
        rooms = _rooms(archive)
        copies = [_copies(room.messages) for room in rooms]
        new = archive.add_source("export", "multiplied")
        # Again where a copy of one channel got the id of another's.
        while (missing := count - (held := archive.counts().messages)) > 0:
            for room, others, share in zip(rooms, copies, _shares(rooms, missing), strict=True):
                some = itertools.islice(others, share)
                while batch := list(itertools.islice(some, _BATCH)):
                    _add(archive, room.matrix, batch, new)
                    held += len(batch)
                    progress(held, count)
    unfinished.rename(target)


def _rooms(archive: Archive) -> list[_Room]:
    ids, channels, matrices = zip(*archive.vectors.load(), strict=True)
    matrix = np.concatenate(matrices)
    by_channel = np.concatenate(channels)
    all_ids: Ids = np.concatenate(ids)
    rooms = []
    for channel in np.unique(by_channel):
        rows = np.flatnonzero(by_channel == channel)
        known = set(all_ids[rows].tolist())
        messages = [message for message in archive.history(channel_id=int(channel)) if message.id in known]
        rooms.append(_Room(messages, matrix[rows]))
    return rooms


def _shares(rooms: Sequence[_Room], count: int) -> list[int]:
    """How many of `count` each room gets, by its size."""
    ends = np.cumsum([len(room.messages) for room in rooms])
    shares: list[int] = np.diff(np.round(count * ends / ends[-1]).astype(int), prepend=0).tolist()
    return shares


def _copies(messages: Sequence[Message]) -> Iterator[_Copy]:
    """Again and again others like these."""
    first, last = messages[0].created_at, messages[-1].created_at
    span = (last - first) // _WEEK_MS * _WEEK_MS + _WEEK_MS
    for copy in itertools.count(1):
        for place, message in enumerate(messages):
            other = (place * 31 + copy * 7919) % len(messages)
            yield _Copy(_later(message, messages[other], copy, copy * span), place, other)


def _later(message: Message, other: Message, copy: int, shift: int) -> Message:
    text = other_words(spliced(message.rendered, other.rendered), copy)
    return replace(
        message,
        id=message.id + (shift << 22),
        created_at=message.created_at + shift,
        content=text,
        rendered=text,
        edited_at=None,
        reply_to=None if message.reply_to is None else message.reply_to + (shift << 22),
    )


def _add(archive: Archive, matrix: Matrix, batch: Sequence[_Copy], source: int) -> None:
    messages = [copy.message for copy in batch]
    archive.add(messages, source=source, fetched_at=messages[-1].created_at)
    between = matrix[[copy.place for copy in batch]] + matrix[[copy.other for copy in batch]]
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    archive.vectors.put([Pending(one.id, one.author.display_name, one.rendered) for one in messages], between)
