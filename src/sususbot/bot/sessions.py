"""The budget of sessions with Discord, on disk: each IDENTIFY of a day, and how many lives failed in a row.

Discord resets a token that identified itself 1,000 times within a day, so a bot that is restarted in a loop must be as
patient as one that fails within one process. A file of its own, for the archive may be the very thing that fails.
Pure but for the file; clock and chance are handed in. Blocks, so never on the event loop.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import orjson

from sususbot.artifacts import SESSIONS
from sususbot.bot.pace import Pace
from sususbot.errors import SessionsSpent

_DAY: Final = 86_400.0
logger = logging.getLogger(__name__)


@dataclass
class _Record:
    """Times in seconds since 1970."""

    identifies: list[float] = field(default_factory=list)
    failures: int = 0
    """Lives that failed in a row."""
    failed_at: float = 0.0
    open: bool = False
    """A life identified itself and has neither ended nor listened for long; found at a start, it was killed."""


class Sessions:
    """The record of one data folder."""

    def __init__(
        self,
        folder: Path,
        pace: Pace,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._path = folder / SESSIONS
        self._pace = pace
        self._clock = clock
        self._chance = chance
        self._record = self._read()
        if self._record.open:
            self._fail(self._record.identifies[-1] if self._record.identifies else self._clock())

    @property
    def spent(self) -> int:
        """IDENTIFYs of the last 24 hours."""
        return len(self._today())

    @property
    def failures(self) -> int:
        """Lives that failed in a row."""
        return self._record.failures

    def identify(self) -> None:
        """One more, on record before it is sent. Raises SessionsSpent where there is none left."""
        if self.spent >= self._pace.identifies_a_day:
            raise spent(f"{self.spent} times within a day", self._today()[0] + _DAY)
        self._record.identifies = [*self._today(), self._clock()]
        self._record.open = True
        self._write()

    def lived(self) -> None:
        """The life that runs is a good one."""
        self._record.failures = 0
        self._record.open = False
        self._write()

    def failed(self) -> None:
        """A life ended that was to go on, or cannot until somebody does something."""
        self._fail(self._clock())
        self._write()

    def ended(self) -> None:
        """The bot was stopped: the next start need not wait."""
        self._record.failures = 0
        self._record.open = False
        self._write()

    def pause(self) -> float:
        """Seconds from now until the next life may begin."""
        if not self._record.failures:
            return 0.0
        pause = self._pace.first_pause * 2.0 ** min(self._record.failures - 1, 30)
        pause = min(pause, self._pace.longest_pause) * (1 + self._chance() / 4)
        until = self._record.failed_at + pause
        today = self._today()
        left = self._pace.identifies_a_day - len(today)
        if left < self._pace.spared and today:
            until = max(until, self._clock() + (today[0] + _DAY - self._clock()) / (left + 1))
        return max(0.0, until - self._clock())

    def _fail(self, at: float) -> None:
        self._record.failures += 1
        self._record.failed_at = at
        self._record.open = False

    def _today(self) -> list[float]:
        # A clock that was set back must not hide what was spent.
        now = self._clock()
        return [min(at, now) for at in self._record.identifies if at > now - _DAY]

    def _read(self) -> _Record:
        try:
            return _Record(**orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError) as error:
            logger.warning("%s cannot be read and is begun anew: %s", self._path, error)
        return _Record()

    def _write(self) -> None:
        aside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(orjson.dumps(asdict(self._record)))
            aside.replace(self._path)
        except OSError as error:
            # A full disk: memory counts on, and Discord's own count is asked before each IDENTIFY.
            logger.warning("%s cannot be written: %s", self._path, error)


def spent(how_often: str, again: float) -> SessionsSpent:
    """`again` is when (seconds since 1970) the next one is free."""
    at = time.strftime("%H:%M on %d %B", time.localtime(again))
    return SessionsSpent(
        f"the bot connected to Discord {how_often}, and Discord resets the token of a bot that goes on so: "
        f"see in the log why its connections end, and start it again after {at}"
    )
