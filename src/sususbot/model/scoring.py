"""How likely a model finds a text: what backends with access to their model's probabilities can tell besides replying.

Held by one conformance suite for all that can (`tests/model/test_scoring.py`):

- `logprob` is log P(text | prompt), natural, summed over the tokens of the text as the model cuts prompt and text
  together; a token that spans the border counts to the text. Nothing is drawn: no temperature, no penalty, no filter.
- The same call gives the same numbers; texts do not influence each other; nothing that was kept for a channel's talk
  changes a number.
- It looks at the deadline between two texts at least, and raises BackendFailed when its time is over.
- A prompt and text that do not fit into the context lose the beginning of the prompt, on all texts alike. (A server
  by URL, whose tokens nobody here knows, refuses them.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sususbot.errors import BackendFailed
from sususbot.model.backend import Deadline


@dataclass(frozen=True, slots=True)
class Scored:
    """log P(text | prompt) in nats, and of how many tokens."""

    logprob: float
    tokens: int


@runtime_checkable
class Scoring(Protocol):
    """A backend that can tell."""

    def score(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        """How likely each of these texts goes on from the prompt, in their order.

        Raises CannotScore where this server or engine does not tell; other ModelErrors as `generate` does.
        """


def check_time(deadline: Deadline) -> None:
    """Raises BackendFailed where the time to score is over."""
    if deadline.over() is not None:
        raise BackendFailed(
            "The model did not read the texts in the time that there was: lower CONTEXT_TOKENS, or use a faster model."
        )
