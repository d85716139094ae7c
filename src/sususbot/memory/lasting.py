"""Memories that stay: those found when the window took its last step stand above the talk until it takes the next.

What stands last in a prompt is read anew by the engine with every message, and memories are the most of it. So most of
them stand above the talk, where they stay the same from message to message; below it, next to the message, only what
is new. They are found anew with each step of the window, since then everything is.
Kept in memory alone: after a start they are found again. What may not be remembered any more, or was edited, is looked
up each time.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from sususbot.archive.archive import Archive
from sususbot.memory.surroundings import Hit
from sususbot.messages import Audience, Message, Turn

_WINDOWS_KEPT: Final = 64


class Standing(NamedTuple):
    """Memories as they stand: the hits, and the messages quoted of them in their order."""

    hits: tuple[Hit, ...]
    quoted: tuple[Message, ...]


class Lasting:
    """What stands above the talk of each window. A window is known by its first message."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._windows: OrderedDict[tuple[int, Audience], Standing] = OrderedDict()

    def begins(self, recent: Sequence[Turn]) -> int | None:
        """Which window it is; None where there is none that could be known again."""
        return recent[0].message_id if recent else None

    def keep(self, window: int, audience: Audience, standing: Standing) -> None:
        self._windows[window, audience] = standing
        while len(self._windows) > _WINDOWS_KEPT:
            self._windows.popitem(last=False)

    def of(self, window: int, audience: Audience) -> Standing | None:
        """What still may stand there; None where nothing was kept for this window and these readers."""
        kept = self._windows.get((window, audience))
        if kept is None:
            return None
        self._windows.move_to_end((window, audience))
        ids = [one.id for one in kept.quoted]
        allowed = self._archive.remembered(ids)
        now = {id_: one for id_, one in self._archive.messages(ids).items() if id_ in allowed}
        quoted = tuple(now[one.id] for one in kept.quoted if one.id in now)
        hits = tuple(
            replace(hit, message=now[hit.message.id], around=tuple(now[one.id] for one in hit.around if one.id in now))
            for hit in kept.hits
            if hit.message.id in now
        )
        return Standing(hits, quoted)
