"""What is made slowly and may die: kept, and made anew in the background when it is lost.

Made anew at once; when that fails, or the new one dies young, after a pause that doubles each time. Whoever needs it
meanwhile waits while it is being made, and is told at once when it rests for longer than they can wait.
Whatever goes wrong in making counts as a failure, also what nobody expected: where memory is short, even starting a
process or a thread fails. So the thread that makes it anew is there from the beginning.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from sususbot.errors import BackendFailed, ModelError, ModelLoadFailed
from sususbot.model.backend import Deadline

_log = logging.getLogger(__name__)

# How soon a cancellation from another thread is seen.
_GLANCE_SECONDS: Final = 0.05
# What lives so long did not die of how it was made.
_GROWN_SECONDS: Final = 60.0
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0


class Mortal(Protocol):
    """`ended` says how it ended; None while it lives."""

    @property
    def ended(self) -> str | None: ...

    def stop(self) -> None:
        """End it; may be called twice."""


T = TypeVar("T", bound=Mortal)


class Kept(Generic[T]):
    """`what` names it in sentences; `make` blocks until it is ready or raises.

    The first is made by the constructor. It raises ModelError, whatever `make` raises.
    """

    def __init__(self, what: str, make: Callable[[], T]) -> None:
        self._what = what
        self._make = make
        self._changed = threading.Condition()
        # One is made at a time.
        self._making = threading.Lock()
        self._closed = False
        # Whether it is to be made anew.
        self._missing = False
        self._failures = 0
        self._why = ""
        self._resting = False
        self._rested_at = 0.0
        self._thing: T | None = None
        first = self._made(make)
        self._thing = first
        self._since = time.monotonic()
        self._maker = threading.Thread(target=self._revive, name="revive", daemon=True)
        self._maker.start()
        if first.ended is not None:
            self.lost(first)

    @property
    def state(self) -> str:
        """As in `Facts`."""
        with self._changed:
            if self._closed:
                return "down: closed"
            if self._thing is not None:
                return "running"
            return f"down: {self._why}" if self._resting else "loading"

    @property
    def now(self) -> T | None:
        """It, if it lives."""
        return self._thing

    def get(self, deadline: Deadline) -> T | None:
        """It, or None when the deadline was over before it was there. Raises BackendFailed where waiting is no use."""
        with self._changed:
            while True:
                if self._closed:
                    raise BackendFailed(f"{self._what} was closed and answers no more: start the program again.")
                if deadline.over() is not None or self._thing is not None:
                    return self._thing
                if self._resting and self._rested_at > time.monotonic() + deadline.remaining:
                    raise BackendFailed(f"{self._what} stopped working and is tried again soon: {self._why}")
                self._changed.wait(min(_GLANCE_SECONDS, deadline.remaining))

    def lost(self, thing: T) -> None:
        """That it died. Returns at once; of one that was replaced already nothing more needs to be known."""
        with self._changed:
            if self._closed or thing is not self._thing:
                return
            self._thing = None
            if time.monotonic() - self._since > _GROWN_SECONDS:
                self._failures = 0
            self._failed(thing.ended or "it ended")
            self._miss()

    def exchange(self, make: Callable[[], T], *, beside: bool, retire: Callable[[T], None]) -> None:
        """Put one made by `make` in its place. Raises ModelError, whatever `make` raises, and keeps the old one then.

        `beside`: the old one serves until the new one does; else it is retired first, and made anew if need be.
        """
        with self._making:
            old = self._leave() if not beside else None
            try:
                if old is not None:
                    retire(old)
                new = self._made(make)
            except BaseException:
                with self._changed:
                    if self._thing is None and not self._closed:
                        self._failures = 0
                        self._miss()
                raise
            with self._changed:
                closed = self._closed
                if not closed:
                    old = self._thing
                    self._failures = 0
                    self._put(new)
        if closed:
            new.stop()
            raise BackendFailed(f"{self._what} was closed and answers no more: start the program again.")
        if old is not None and beside:
            retire(old)
        if new.ended is not None:
            self.lost(new)

    def close(self) -> None:
        """End it; may be called twice."""
        with self._changed:
            self._closed = True
            thing, self._thing = self._thing, None
            self._changed.notify_all()
        if thing is not None:
            thing.stop()
        self._maker.join()

    def _leave(self) -> T | None:
        with self._changed:
            thing, self._thing = self._thing, None
        return thing

    def _miss(self) -> None:
        self._missing = True
        self._changed.notify_all()

    def _put(self, thing: T) -> None:
        self._thing, self._missing = thing, False
        self._since = time.monotonic()
        self._changed.notify_all()

    def _made(self, make: Callable[[], T]) -> T:
        try:
            return make()
        except ModelError:
            raise
        except Exception as error:
            _log.exception("%s cannot be started", self._what)
            reason = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
            raise ModelLoadFailed(f"{self._what} cannot be started ({reason}): the log says more.") from error

    def _failed(self, why: str) -> None:
        if self._closed:
            return
        self._failures += 1
        self._why = why
        _log.warning("%s stopped working (%s): it is started again", self._what, why.removesuffix("."))

    def _revive(self) -> None:
        while self._wanted():
            with self._making:
                with self._changed:
                    if not self._missing:
                        # Another was put in its place meanwhile.
                        continue
                try:
                    thing = self._made(self._make)
                except ModelError as error:
                    with self._changed:
                        self._failed(str(error))
                    continue
                if self._taken(thing):
                    continue
            thing.stop()

    def _wanted(self) -> bool:
        """Wait until one is to be made; False once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._missing)
            # At once after the first death.
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (self._failures - 2)) if self._failures > 1 else 0.0
            self._resting = pause > 0
            self._rested_at = time.monotonic() + pause
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or not self._missing, pause)
            self._resting = False
            return not self._closed

    def _taken(self, thing: T) -> bool:
        with self._changed:
            if self._closed:
                return False
            if thing.ended is not None:
                self._failed(thing.ended)
                return False
            self._put(thing)
        _log.info("%s works again", self._what)
        return True
