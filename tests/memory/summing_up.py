"""What the tests of summing up share: summarizers that do as they are told, and a short-term memory that has one."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from sususbot.archive.archive import Archive
from sususbot.errors import BackendFailed
from sususbot.memory.short_term import Folds, ShortTerm
from sususbot.memory.summarizer.summarizer import Said, Summarizer, TooLate
from sususbot.messages import Author, Message
from sususbot.model.backend import Deadline
from tests.memory.chat import MIA, Chat

PATIENCE = 20.0


class Joiner:
    """A summarizer of its own: all that was said on one line, after a number that goes up."""

    name = "joiner"

    def __init__(self) -> None:
        self.seen: list[list[Said]] = []
        self.closed = 0

    def load(self) -> None:
        """Nothing to load."""

    def summarize(self, said: Sequence[Said], _deadline: Deadline) -> str:
        self.seen.append(list(said))
        return " ".join(one.line for one in said)

    def close(self) -> None:
        self.closed += 1

    @property
    def texts(self) -> list[str]:
        """Every text it was ever shown."""
        return [one.text for said in self.seen for one in said]


class Failing(Joiner):
    """Fails so often, then works."""

    def __init__(self, times: int = 1 << 30, error: Callable[[], Exception] = lambda: BackendFailed("no luck")) -> None:
        super().__init__()
        self.times = times
        self._error = error

    def summarize(self, said: Sequence[Said], deadline: Deadline) -> str:
        text = super().summarize(said, deadline)
        if len(self.seen) <= self.times:
            raise self._error()
        return text


class Held(Joiner):
    """Waits in the middle until it is let go, or its time is over."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()
        self.released = threading.Event()

    def summarize(self, said: Sequence[Said], deadline: Deadline) -> str:
        text = super().summarize(said, deadline)
        self.began.set()
        while not self.released.is_set():
            deadline.wait(0.01)
            if deadline.over():
                raise TooLate("held")
        return text


@contextmanager
def memory(
    archive: Archive, summarizer: Summarizer | None = None, *, window: int = 3, interval: int = 2, kept: int = 3,
    seconds: float = 30.0, note: str | None = None, own_id: int | None = None,
) -> Iterator[ShortTerm]:  # fmt: skip
    folds = Folds("susu", interval=interval, kept=kept, summarizer=summarizer, seconds=seconds, note=note)
    with closing(ShortTerm(archive, window=window, own_id=own_id, folds=folds)) as short_term:
        yield short_term


def say(chat: Chat, short_term: ShortTerm, *texts: str, author: Author = MIA, channel: int = 1) -> list[Message]:
    """Messages as a bot takes them in: each cut and summed up at once."""
    said = []
    for text in texts:
        said.append(chat.say(author, text, channel=channel))
        short_term.changed([said[-1].id])
        assert short_term.settle(PATIENCE)
    return said


def numbered(first: int, last: int) -> list[str]:
    return [f"number {number}" for number in range(first, last + 1)]


def recent(short_term: ShortTerm, before: int | None = None) -> list[str]:
    return [turn.text for turn in short_term.recent(1, before=before)]


def gist(short_term: ShortTerm, before: int | None = None) -> list[str]:
    """The lines of a summary without their times."""
    summary = short_term.summary(1, before=before)
    return [] if summary is None else [line.split(", ", 2)[2] for line in summary.text.split("\n")]
