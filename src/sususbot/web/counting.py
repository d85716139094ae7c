"""What `sususbot analyze` says, counted when a page asks for it, and kept until the archive or the rules change.

Counting takes seconds to minutes and is done once for all pages that wait for it; how far it is can be asked meanwhile.
All of it is asked on the event loop, where waiting costs nothing; one thread counts.
"""

import asyncio
from collections.abc import Callable, Hashable
from pathlib import Path
from time import monotonic

from nicegui import run

from sususbot.analysis.analysis import Analysis
from sususbot.archive.archive import Archive
from sususbot.web.desk import Desk

Analyze = Callable[[Callable[[int, int], None]], Analysis]


class Unwanted(Exception):
    """Nobody waits for it any more."""


class Counting:
    """The newest analysis of one archive."""

    def __init__(self) -> None:
        self._of: Hashable = None
        self._analysis: Analysis | None = None
        self._answers: Hashable = None
        self._going: asyncio.Task[Analysis] | None = None
        self._going_of: Hashable = None
        self.done = 0.0
        """How far the counting that goes on is, from 0 to 1."""
        self.seconds = 0.0
        """How long the last one took."""
        self.drops = 0
        """How often what was counted was thrown away before its time."""
        self.wanted: Callable[[], bool] = lambda: True
        """Asked now and then while it counts, in its thread; a no ends it."""

    def kept(self, stamp: Hashable) -> Analysis | None:
        """The analysis of an archive that looked like this, if that is the one that is kept."""
        return self._analysis if self._of == stamp else None

    def drop(self) -> None:
        """Keep nothing of what was counted so far: words in it are of somebody who was forgotten since."""
        self._analysis = self._of = self._going_of = None
        self.drops += 1

    def heard(self, answers: Hashable) -> int:
        """Take in who agreed to what by now: where that is another, what was counted is dropped. Gives `drops`."""
        if self._answers not in (None, answers):
            self.drop()
        self._answers = answers
        return self.drops

    async def of(self, stamp: Hashable, analyze: Analyze) -> Analysis:
        """The analysis of an archive that looks like this. Raises what `analyze` does."""
        while (kept := self.kept(stamp)) is None:
            if self._going is None:
                self._going, self._going_of = asyncio.create_task(self._count(stamp, analyze)), stamp
                # Who waited for it may be gone when it fails.
                self._going.add_done_callback(lambda task: task.cancelled() or task.exception())
            if self._going_of == stamp:
                # It goes on for the others when one of them leaves.
                return await asyncio.shield(self._going)
            await asyncio.wait([self._going])
        return kept

    async def _count(self, stamp: Hashable, analyze: Analyze) -> Analysis:
        self.done, began = 0.0, monotonic()
        try:
            analysis = await run.io_bound(analyze, self._told)
        except Unwanted:
            analysis = None
        finally:
            self._going = None
        if analysis is None:
            # The server ends.
            raise asyncio.CancelledError
        self.seconds = monotonic() - began
        if self._going_of == stamp:
            self._analysis, self._of = analysis, stamp
        return analysis

    def _told(self, done: int, all_: int) -> None:
        if not self.wanted():
            raise Unwanted
        self.done = done / all_ if all_ else 0.0


_COUNTING: dict[Path, Counting] = {}


def counting_of(desk: Desk) -> Counting:
    """One for all tabs of a page."""
    return _COUNTING.setdefault(desk.data.resolve(), Counting())


def stamp_of(archive: Archive, env: Path) -> Hashable:
    """What tells whether an analysis still holds: what the archive holds, who agreed, how it is to be cleaned."""
    try:
        written = env.stat().st_mtime_ns
    except OSError:
        written = 0
    return archive.browsing.stamp(), written
