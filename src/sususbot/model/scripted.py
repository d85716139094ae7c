"""A backend that says what it was told to say: for tests, demonstrations and a bot on trial without a model.

It obeys the whole contract of `backend`, and streams word by word: a token here is a word with the space before it.
Lines are given in turn and begin again at the end, so the turn, too, decides what a request is answered with; a
function of the request has no such memory. It can be slow and can fail on purpose. It does not read the prompt.
How likely it finds a text is told by a function, too.
"""

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from sususbot.errors import BackendFailed, CannotScore
from sususbot.model.backend import Chunk, Deadline, Facts, Finish, Request, Usage
from sususbot.model.scoring import Scored, check_time
from sususbot.model.stopping import Stopping

_TOKEN: Final = re.compile(r"\s*\S+|\s+")
_REMEMBERED: Final = 100


class Scripted:
    """`fail_at` holds the numbers, from 1, of the requests that shall fail; `logprob` gives log P(text | prompt)."""

    name: Final = "scripted"
    parallel: Final = 1

    def __init__(
        self,
        lines: Sequence[str] | Callable[[Request], str],
        *,
        seconds_per_token: float = 0.0,
        fail_at: Collection[int] = (),
        context_tokens: int | None = None,
        logprob: Callable[[str, str], float] | None = None,
    ) -> None:
        if not callable(lines) and not lines:
            raise ValueError("a script needs at least one line")
        self.context_tokens = context_tokens
        self.requests: deque[Request] = deque(maxlen=_REMEMBERED)
        self._lines = lines
        self._seconds_per_token = seconds_per_token
        self._fail_at = frozenset(fail_at)
        self._logprob = logprob
        self._asked = 0
        self._closed = False

    def facts(self) -> Facts:
        return {}

    def count_tokens(self, text: str) -> int:
        return len(_TOKEN.findall(text))

    def count_ahead(self, texts: Sequence[str]) -> None:
        """Nothing to do: counting costs nothing here."""

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        line = self._next_line(request)
        stopping = Stopping(request.stop)
        finish: Finish = "stop"
        said = 0
        for token in _TOKEN.findall(line):
            if said == request.sampling.max_new_tokens:
                finish = "length"
                break
            deadline.wait(self._seconds_per_token)
            if over := deadline.over():
                finish = over
                break
            said += 1
            if text := stopping.feed(token):
                yield Chunk(text)
            if stopping.found:
                break
        else:
            finish = deadline.over() or "stop"
        usage = Usage(prompt=self.count_tokens(request.prompt), completion=said)
        yield Chunk(stopping.rest() if finish in ("stop", "length") else "", finish, usage)

    def score(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        """As `Scoring.score`; `logprob` is called with prompt and text."""
        if self._closed:
            raise BackendFailed("The script was closed and answers no more: start the bot again.")
        if self._logprob is None:
            raise CannotScore("This script does not say how likely a text is: give it a function that does.")
        check_time(deadline)
        return [
            Scored(self._logprob(prompt, text), self.count_tokens(text)) if text else Scored(0.0, 0) for text in texts
        ]

    def close(self) -> None:
        self._closed = True

    def _next_line(self, request: Request) -> str:
        if self._closed:
            raise BackendFailed("The script was closed and answers no more: start the bot again.")
        self._asked += 1
        self.requests.append(request)
        if self._asked in self._fail_at:
            raise BackendFailed(f"The script says that request {self._asked} fails.")
        return self._lines(request) if callable(self._lines) else self._lines[(self._asked - 1) % len(self._lines)]
