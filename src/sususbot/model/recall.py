"""No model at all: of everything that was ever said, the line that answers best. Also the fallback of every model.

It never says the asker's own words back, nor anything that stands in the recent turns, nor the same line twice in a
row in a channel. Where lines come from, and how well each answers, is the business of a `LineSource`.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sususbot.errors import BackendFailed, NothingToSay, SususError
from sususbot.messages import Audience, Turn
from sususbot.model.backend import Chunk, Deadline, Facts, Request, Source, Usage
from sususbot.model.estimate import estimate_tokens
from sususbot.wording.echo import plain

# Channels whose last line is remembered.
_CHANNELS: Final = 1024


@dataclass(frozen=True, slots=True)
class Line:
    """Something a member once said, on one line, and how well it answers (`source.score`, higher is better)."""

    text: str
    author_id: int
    source: Source


class LineSource(Protocol):
    """Where lines come from."""

    def lines(self, turns: Sequence[Turn], audience: Audience) -> Sequence[Line]:
        """Lines that would answer the last turn, best first, only from channels of the audience."""


class Recall:
    """The backend `recall`."""

    name = "recall"
    context_tokens = None
    parallel = 1

    def __init__(self, source: LineSource) -> None:
        self._source = source
        self._last: OrderedDict[int | None, str | None] = OrderedDict()
        self._lock = threading.Lock()
        self._open = True

    def facts(self) -> Facts:
        return {}

    def count_tokens(self, text: str) -> int:
        return estimate_tokens(text)

    def count_ahead(self, texts: Sequence[str]) -> None:
        """Nothing to do: counting costs nothing here."""

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        if not self._open:
            raise BackendFailed("recall was closed: start the bot again")
        if over := deadline.over():
            yield Chunk("", over, Usage())
            return
        # Two replies at once must not choose the same line.
        with self._lock:
            text, source = self._choose(request)
            before = self._remember(request.channel_id, text)
        words = _words(text)
        limit = request.sampling.max_new_tokens
        for word in words[:limit]:
            if over := deadline.over():
                # Nobody read it: it was not said.
                self._last[request.channel_id] = before
                yield Chunk("", over, Usage())
                return
            yield Chunk(word)
        yield Chunk("", "length" if len(words) > limit else "stop", Usage(completion=min(len(words), limit)), source)

    def close(self) -> None:
        self._open = False

    def _choose(self, request: Request) -> tuple[str, Source]:
        asker = request.turns[-1].author_id if request.turns else None
        said = {plain(_before_stop(turn.text, request.stop)) for turn in request.turns}
        if (last := self._last.get(request.channel_id)) is not None:
            said.add(last)
        try:
            lines = self._source.lines(request.turns, request.audience)
        except SususError as error:
            raise BackendFailed(str(error)) from error
        for line in lines:
            text = _before_stop(line.text, request.stop)
            if line.text.strip() and plain(text) not in said and (asker is None or line.author_id != asker):
                return text, line.source
        raise NothingToSay("nothing in the archive answers this: import more history, or set up a model")

    def _remember(self, channel_id: int | None, text: str) -> str | None:
        """Note the last line of a channel; gives the one before."""
        before = self._last.get(channel_id)
        self._last[channel_id] = plain(text)
        self._last.move_to_end(channel_id)
        if len(self._last) > _CHANNELS:
            self._last.popitem(last=False)
        return before


def _before_stop(text: str, stops: Sequence[str]) -> str:
    text = text.strip()
    for stop in filter(None, stops):
        text = text.split(stop, 1)[0]
    return text


def _words(text: str) -> list[str]:
    """Words with the space before them, so that joined they are the text."""
    words = text.split(" ")
    return [word if place == 0 else f" {word}" for place, word in enumerate(words)]
