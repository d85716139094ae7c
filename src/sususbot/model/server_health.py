"""How a model server fares, asked in the background: who wants to know is told at once what was known last.

Nobody is kept waiting, since those who ask are the event loop and what watches the bot.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from sususbot.model.backend import Facts

# So old an answer is good enough.
_FRESH_SECONDS: Final = 10.0


class ServerHealth:
    """`look` asks the server: it blocks, and raises nothing. It is called in a thread that lives for one call.

    The first look begins at once. `known` is set when it is over.
    """

    def __init__(self, look: Callable[[], Facts]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._facts: Facts = {"state": "loading"}
        self._at = time.monotonic()
        self._closed = False
        self.known = threading.Event()
        self.unreachable = False
        self._asked = self._ask()

    def facts(self) -> Facts:
        """What is known; asks anew where that is old. `state` is "loading" until there is a first answer."""
        with self._lock:
            if self._closed:
                return {"state": "down: closed"}
            if not self._asked.is_alive() and time.monotonic() - self._at > _FRESH_SECONDS:
                self._asked = self._ask()
            return dict(self._facts)

    def answered(self) -> None:
        """That a reply came: nobody needs to ask how it fares."""
        with self._lock:
            self.unreachable = False
            self._facts = {**self._facts, "state": "running"}

    def gone(self, why: str) -> None:
        """That it cannot be reached."""
        with self._lock:
            self.unreachable = True
            self._facts = {"state": f"down: {why}"}

    def close(self) -> None:
        """Ask no more."""
        with self._lock:
            self._closed = True
        self._asked.join()

    def _ask(self) -> threading.Thread:
        thread = threading.Thread(target=self._note, name="server-health", daemon=True)
        thread.start()
        return thread

    def _note(self) -> None:
        facts = self._look()
        with self._lock:
            self._facts = facts
            self._at = time.monotonic()
            if facts["state"] == "running":
                self.unreachable = False
        self.known.set()
