"""What `sususbot analyze` says, counted when a page asks for it, and kept until the archive or the rules change.

Counting takes seconds to minutes and is done once for all pages that wait for it; how far it is can be asked meanwhile.
"""

import threading
from collections.abc import Callable, Hashable
from pathlib import Path

from sususbot.analysis.analysis import Analysis
from sususbot.archive.archive import Archive
from sususbot.web.desk import Desk

Analyze = Callable[[Callable[[int, int], None]], Analysis]


class Unwanted(Exception):
    """Nobody waits for it any more."""


class Counting:
    """The newest analysis of one archive. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: Hashable = None
        self._analysis: Analysis | None = None
        self.done = 0.0
        """How far the counting that goes on is, from 0 to 1."""
        self.wanted: Callable[[], bool] = lambda: True
        """Asked now and then while it counts; a no ends it with Unwanted."""

    def kept(self, stamp: Hashable) -> Analysis | None:
        """The analysis of an archive that looked like this, if that is the one that is kept."""
        return self._analysis if self._of == stamp else None

    def of(self, stamp: Hashable, analyze: Analyze) -> Analysis:
        """The analysis of an archive that looks like this; blocks while it is counted. Raises what `analyze` does."""
        with self._lock:
            kept = self.kept(stamp)
            if kept is None:
                self.done = 0.0
                kept = analyze(self._told)
                self._analysis, self._of = kept, stamp
            return kept

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
