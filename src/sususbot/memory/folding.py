"""Summaries made in the background: one thread, the channel that spoke last first, its newest piece first.

A piece is made once, within a time limit. What fails is tried again later, a few times; after several failures in a row
everything rests for a while, so that a model that is too slow for this machine does not take its cores for nothing.
Nobody waits for this thread: readers take what is there.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.errors import ModelError, SususError
from sususbot.memory.pieces import Piece
from sususbot.memory.summarizer.summarizer import Said, Summarizer, TooLate
from sususbot.model.backend import Deadline

_TRIES: Final = 3
_AGAIN_SECONDS: Final = 60.0
_FAILURES_IN_A_ROW: Final = 3
_REST_SECONDS: Final = 600.0
_FAILURES_KEPT: Final = 256
_CLOSING_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Failure:
    """How often a piece failed, why the last time, and when to try again (seconds of the clock)."""

    times: int
    reason: str
    again_at: float


class Folding:
    """Makes the summaries of one archive."""

    def __init__(
        self,
        archive: Archive,
        summarizer: Summarizer,
        *,
        pieces: Callable[[int], Sequence[Piece]],
        said: Callable[[Piece], list[Said]],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`pieces` are those of a channel, `said` reads one; `seconds` is what one may take."""
        self._archive = archive
        self._summarizer = summarizer
        self._pieces = pieces
        self._said = said
        self._seconds = seconds
        self._clock = clock
        self._waiting: OrderedDict[int, None] = OrderedDict()
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._deadline: Deadline | None = None
        self._busy = self._closed = False
        self._failures: OrderedDict[int, _Failure] = OrderedDict()
        self._in_a_row = 0
        self._rests_until = 0.0
        self._last_reason = ""

    def wake(self, *channel_ids: int) -> None:
        """Something changed there, in the last of them last. Never blocks."""
        with self._news:
            if self._closed:
                return
            for channel_id in channel_ids:
                self._waiting[channel_id] = None
                self._waiting.move_to_end(channel_id)
            self._news.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="summaries", daemon=True)
                self._thread.start()

    def reason(self, piece: Piece) -> str:
        """Why there is no summary of a piece (yet)."""
        failure = self._failures.get(_key(piece))
        if failure is not None:
            return f"{self._summarizer.name}: {failure.reason}"
        if self._rests():
            return f"{self._summarizer.name} rests after failing {_FAILURES_IN_A_ROW} times: {self._last_reason}"
        return f"{self._summarizer.name} has not come to it yet"

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is left to do; gives whether that is so."""
        with self._news:
            return self._news.wait_for(lambda: self._closed or not (self._waiting or self._busy), seconds)

    def close(self) -> None:
        """End what runs, drop what waits. A summarizer that does not come back is left behind."""
        with self._news:
            self._closed = True
            self._waiting.clear()
            if self._deadline is not None:
                self._deadline.cancel()
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join(_CLOSING_SECONDS)
            if self._thread.is_alive():
                logger.warning("%s does not end and is left behind", self._summarizer.name)
                return
        self._summarizer.close()

    def _run(self) -> None:
        while (channel_id := self._next()) is not None:
            try:
                self._fold(channel_id)
            except SususError as error:
                # An archive that is locked, say; the channel's next message tries again.
                logger.warning("no summary for now: %s", error)
            except Exception:
                # A bug must not end all summaries for the rest of the run.
                logger.exception("no summary for now")

    def _next(self) -> int | None:
        with self._news:
            self._busy = False
            self._news.notify_all()
            self._news.wait_for(lambda: self._closed or self._waiting)
            if self._closed:
                return None
            self._busy = True
            return self._waiting.popitem()[0]

    def _fold(self, channel_id: int) -> None:
        """Make one piece; where there are more, the channel waits behind those that spoke meanwhile."""
        lacking = self._lacking(channel_id)
        if not lacking:
            return
        self._make(*lacking[-1])
        with self._news:
            if not self._closed:
                self._waiting.setdefault(channel_id)
                self._waiting.move_to_end(channel_id, last=False)

    def _lacking(self, channel_id: int) -> list[tuple[Piece, list[Said]]]:
        if self._rests():
            return []
        open_ = [piece for piece in self._pieces(channel_id) if piece.made is None and self._may_try(piece)]
        return [(piece, said) for piece in open_ if (said := self._said(piece))]

    def _make(self, piece: Piece, said: list[Said]) -> None:
        deadline: Deadline | None = None
        try:
            self._summarizer.load()
            with self._news:
                deadline = self._deadline = Deadline(self._seconds)
                if self._closed:
                    return
            text = self._summarizer.summarize(said, deadline)
        except TooLate as error:
            if deadline is not None and deadline.over() == "deadline":
                self._failed(piece, f"it took longer than {self._seconds:g} s")
            else:
                # It made way for a reply, or for the end.
                self._set_aside(piece, str(error))
        except ModelError as error:
            self._failed(piece, str(error))
        except Exception as error:
            logger.exception("%s broke", self._summarizer.name)
            self._failed(piece, f"it broke ({type(error).__name__})")
        else:
            self._in_a_row = 0
            if not self._archive.summaries.put(piece.id, text, self._summarizer.name, piece.words):
                self._set_aside(piece, "the talk changed meanwhile")

    def _failed(self, piece: Piece, reason: str) -> None:
        if self._closed:
            return
        logger.warning("%s made no summary: %s", self._summarizer.name, reason)
        self._set_aside(piece, reason)
        self._last_reason = reason
        self._in_a_row += 1
        if self._in_a_row >= _FAILURES_IN_A_ROW:
            self._in_a_row, self._rests_until = 0, self._clock() + _REST_SECONDS

    def _set_aside(self, piece: Piece, reason: str) -> None:
        known = self._failures.pop(_key(piece), None)
        times = 1 if known is None else known.times + 1
        self._failures[_key(piece)] = _Failure(times, reason, self._clock() + _AGAIN_SECONDS * times)
        if len(self._failures) > _FAILURES_KEPT:
            self._failures.popitem(last=False)

    def _may_try(self, piece: Piece) -> bool:
        failure = self._failures.get(_key(piece))
        return failure is None or (failure.times < _TRIES and self._clock() >= failure.again_at)

    def _rests(self) -> bool:
        return self._clock() < self._rests_until


def _key(piece: Piece) -> int:
    """A piece as it is now: with other words it is tried afresh."""
    return hash((piece.id, piece.words))
