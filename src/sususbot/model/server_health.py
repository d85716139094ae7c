"""How a model server fares, asked in the background: who wants to know is told at once what was known last."""

import threading
import time
from collections.abc import Callable
from typing import Final

from sususbot.model.backend import Facts

# So old an answer is good enough.
_FRESH_SECONDS: Final = 10.0
# How long the first one is waited for.
_FIRST_SECONDS: Final = 0.3


class ServerHealth:
    """`look` asks the server: it blocks, and raises nothing. It is called in a thread that lives for one call."""

    def __init__(self, look: Callable[[], Facts]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._facts: Facts = {"state": "loading"}
        self._asked: threading.Thread | None = None
        self._at = float("-inf")
        self._closed = False
        self.unreachable = False

    def facts(self) -> Facts:
        """What is known; asks anew where that is old. `state` is "loading" until there is a first answer."""
        with self._lock:
            first = self._at == float("-inf")
            asking = self._asked is not None and self._asked.is_alive()
            if not asking and not self._closed and time.monotonic() - self._at > _FRESH_SECONDS:
                self._asked = threading.Thread(target=self._ask, name="server-health", daemon=True)
                self._asked.start()
            thread = self._asked
        if first and thread is not None:
            thread.join(_FIRST_SECONDS)
        with self._lock:
            return {"state": "down: closed"} if self._closed else dict(self._facts)

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
            thread = self._asked
        if thread is not None:
            thread.join()

    def _ask(self) -> None:
        facts = self._look()
        with self._lock:
            self._facts = facts
            self._at = time.monotonic()
            if facts["state"] == "running":
                self.unreachable = False
