"""The protocol: what every summarizer takes, gives and promises.

Contract, held by one conformance suite for all (`tests/memory/test_summarizers.py`):

- `summarize` gives one to MOST_LINES lines, each visible, of at most LONGEST characters, and none of them empty.
- Somebody who spoke stands in each line by name.
- Texts are read to their end: what is too long for a model is read in pieces, and what is far too long is refused,
  never cut silently.
- The same talk gives the same lines.
- What goes wrong comes out as a `ModelError`, a deadline that is over as `TooLate`; `summarize` works again afterwards.
- It is called from one thread at a time. `close` may be called twice.

A summary holds words of members and has no more right than they: it is shown as quoted data, like a memory.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from sususbot.errors import BackendFailed
from sususbot.model.backend import Deadline

MOST_LINES: Final = 12
LONGEST: Final = 400


class Said(NamedTuple):
    """Something that was said, as a model reads it: rewritten, visible, on one line."""

    speaker: str
    text: str

    @property
    def line(self) -> str:
        return f"{self.speaker}: {self.text}"


class TooLate(BackendFailed):
    """The time for it was over, or it was not wanted any more."""


class Summarizer(Protocol):
    """One way to say in short what was said."""

    @property
    def name(self) -> str:
        """As in the settings and in the trace: `bart`, `chat`, `extractive`."""

    def load(self) -> None:
        """Be ready, which may take long and may fail; `summarize` does it where it was not done."""

    def summarize(self, said: Sequence[Said], deadline: Deadline) -> str:
        """The gist of some talk, which is not empty; see the contract at the top of this file."""

    def close(self) -> None:
        """Free memory."""
