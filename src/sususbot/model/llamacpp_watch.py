"""Whether llama.cpp's engine still reacts once something took too long: one that hangs is ended, and another starts."""

import logging
import threading

from sususbot.model.llamacpp_engine import Engine

_log = logging.getLogger(__name__)


class Watch:
    """Gives an engine `seconds` to react; ends none once `closing` is set."""

    def __init__(self, seconds: float, closing: threading.Event) -> None:
        self._seconds = seconds
        self._closing = closing
        self._suspected = threading.Event()

    @property
    def suspects(self) -> bool:
        """Whether one is being looked at just now."""
        return self._suspected.is_set()

    def suspect(self, engine: Engine) -> None:
        """See whether it still reacts; end it if not. Returns at once."""
        if self._suspected.is_set():
            return
        self._suspected.set()
        threading.Thread(target=self._look_after, args=(engine,), name="llamacpp-look", daemon=True).start()

    def _look_after(self, engine: Engine) -> None:
        try:
            # Answered by the loop that computes, between two batches.
            if engine.reacts(self._seconds) or self._closing.is_set():
                return
            _log.warning("llama.cpp did not react for %g s: it is ended and started again", self._seconds)
            engine.kill()
        finally:
            self._suspected.clear()
