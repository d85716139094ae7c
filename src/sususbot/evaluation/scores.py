"""How likely a system's model finds texts, as several measures ask it: whole, in nats, or in bits a byte.

Raises CannotScore where the backend has no such knowledge, or its server does not tell; what a measure does then is
its own business.
"""

import math
from collections.abc import Sequence
from typing import Final

from sususbot.errors import CannotScore
from sususbot.model.backend import Backend, Deadline
from sususbot.model.scoring import Scored, Scoring

# Only a guard against an engine that hangs: a large model on a processor reads a long prompt in a minute.
_SECONDS: Final = 120.0
_SECONDS_A_TEXT: Final = 60.0


def likelihoods(backend: Backend, prompt: str, texts: Sequence[str]) -> list[Scored]:
    """How likely each of these texts goes on from the prompt. Raises CannotScore, and the backend's ModelErrors."""
    if not isinstance(backend, Scoring):
        raise CannotScore(f"{backend.name} does not tell how likely a text is")
    deadline = Deadline(_SECONDS + _SECONDS_A_TEXT * len(texts))
    return backend.score(_whole(prompt), [_whole(text) for text in texts], deadline)


def bits(scored: Scored) -> float:
    """What a text costs: the bits that name it to somebody who has the same model."""
    return -scored.logprob / math.log(2)


def size(text: str) -> int:
    """A text's bytes in UTF-8, what bits are counted over: the same for every model, whatever its tokens."""
    return len(text.encode(errors="replace"))


def _whole(text: str) -> str:
    """Halves of surrogate pairs are no text to a tokenizer; training reads them so, too."""
    return text if text.isascii() else text.encode(errors="replace").decode()
