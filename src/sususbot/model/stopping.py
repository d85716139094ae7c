"""Cuts a stream of text before the stop string that is complete first, even when it comes in pieces.

What could be the beginning of a stop string is held back until the next piece decides. Used by the backends whose
engine does not look for stop strings, or cannot be trusted to.
"""

from collections.abc import Iterable


class Stopping:
    """One reply's worth of looking for stop strings."""

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """What of the text so far may be shown now."""
        if self.found:
            return ""
        text = self._held + text
        self._held = ""
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.found = True
            _, begin = min(found)
            return text[:begin]
        keep = self._undecided(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """What was held back, now that nothing more will come."""
        held, self._held = self._held, ""
        return held

    def _undecided(self, text: str) -> int:
        """The length of the longest end of `text` with which a stop string begins."""
        longest = max(map(len, self._stops), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
