"""How likely a text is, by a server of the OpenAI API that repeats a prompt with the probability of each of its tokens.

vLLM and SGLang do (`echo` with `logprobs`), llama.cpp does not. Whether a server does is tried once, with a sentence of
our own. Each text costs reading prompt and text anew.
Where the text begins is seen from how the prompt alone is cut: what is cut otherwise because of the text counts to it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from sususbot.errors import CannotScore
from sususbot.model.backend import Deadline
from sususbot.model.scoring import Scored, check_time
from sususbot.model.wire import Event, Refused

# What servers say who do not know the fields, or not together.
_UNKNOWN: Final = (400, 422, 501)
_SENTENCE: Final = "The kettle is on."

# Each token with its logarithm; of the first there is none.
_Told = list[tuple[str, float | None]]


class EchoScorer:
    """`ask` sends a body to the server and gives its answer, nothing when the time was over."""

    def __init__(self, host: str, ask: Callable[[Event, Deadline], list[Event]]) -> None:
        self._host = host
        self._ask = ask
        self._can: bool | None = None

    def scored(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        """As `Scoring.score`; what goes wrong on the wire comes out as it is."""
        if self._can is None:
            self._can = self._tried(deadline)
        if not self._can:
            raise CannotScore(
                f"{self._host} does not tell how likely a text is: serve the model by vLLM or SGLang, or measure with "
                "BACKEND=llamacpp."
            )
        if not prompt:
            raise CannotScore(f"{self._host} scores nothing without a prompt: give it one.")
        before = self._told(prompt, deadline) if any(texts) else []
        return [self._score(before, prompt + text, deadline) if text else Scored(0.0, 0) for text in texts]

    def _score(self, before: _Told, whole: str, deadline: Deadline) -> Scored:
        told = self._told(whole, deadline)
        tokens = zip(before, told, strict=False)
        start = next((place for place, (one, other) in enumerate(tokens) if one[0] != other[0]), len(before))
        logprobs = [logprob for _, logprob in told[start:] if logprob is not None]
        return Scored(math.fsum(logprobs), len(logprobs))

    def _tried(self, deadline: Deadline) -> bool:
        try:
            self._told(_SENTENCE, deadline)
        except Refused as refused:
            if refused.status not in _UNKNOWN:
                raise
            return False
        except _Untold:
            return False
        return True

    def _told(self, text: str, deadline: Deadline) -> _Told:
        """Every server says a token at least; it is told after those of the text."""
        check_time(deadline)
        body: Event = {"prompt": text, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0.0}
        answers = self._ask(body, deadline)
        check_time(deadline)
        told = _read(answers[0], text) if answers else None
        if told is None:
            raise _Untold(f"{self._host} does not tell how likely every token of a text is: look at the server's log.")
        return told


class _Untold(CannotScore):
    """An answer without what was asked for."""


def _read(answer: Event, text: str) -> _Told | None:
    """None where it does not repeat the text, or tells not of each of its tokens."""
    try:
        choice: dict[str, Any] = answer["choices"][0]
        told = list(zip(choice["logprobs"]["tokens"], choice["logprobs"]["token_logprobs"], strict=True))
        size = int(answer["usage"]["prompt_tokens"])
        repeated = choice["text"].startswith(text)
    except (LookupError, TypeError, ValueError, AttributeError):
        return None
    told = told[:size]
    if not repeated or len(told) < size or not all(isinstance(logprob, float | int) for _, logprob in told[1:]):
        return None
    return told
