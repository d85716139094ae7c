"""How likely a text is, by llama.cpp's own server, which tells it only of tokens that it says.

So it is made to say the text: a grammar of token literals leaves it one choice at each step, and the probability that
it tells of each token is the model's own, before grammar and samplers. That takes as long as saying the text would.
Of tokens that are a part of a character (an emoji may take four) grammar and server tell nothing: each of these is
looked up among the likeliest that the server names at that place, while it says something else.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from sususbot.errors import BackendFailed
from sususbot.model.backend import Deadline
from sususbot.model.joint import Joint, fitting
from sususbot.model.llamacpp_engine import Engine
from sususbot.model.loopback import Event
from sususbot.model.scoring import Scored, check_time

# How many of the likeliest tokens are asked for: mostly enough, and always. A name takes 0.1 KB.
_LIKELIEST: Final = (256, 1 << 30)
# Below that a share is 0 in 32 bits, and its logarithm no number that JSON has.
_LEAST: Final = -104.0
# One whole character that any vocabulary has.
_SOMETHING: Final = 'root ::= "a"'
# Of what the grammar leaves, which is one token, the likeliest; and nothing that a sampler would do besides.
_FORCED: Final[Event] = {"samplers": ["top_k"], "top_k": 1, "temperature": 0.0, "post_sampling_probs": False}


class LlamaCppScorer:
    """Scores in one slot of an engine."""

    def __init__(self, engine: Engine, slot: int, deadline: Deadline) -> None:
        self._wire = engine.wire
        self._slot = slot
        # The server computes a place beyond the last token.
        self._context_tokens = engine.context_tokens - 1
        # None where nothing begins a prompt.
        self._begin = engine.separator
        self._deadline = deadline
        # Ids that are a part of a character.
        self._parts: set[int] = set()

    def scored(self, prompt: str, texts: Sequence[str]) -> list[Scored]:
        """As `Scoring.score`; what goes wrong on the wire comes out as it is."""
        if not texts:
            return []
        # Halves of surrogate pairs are no text to a tokenizer.
        prompt, *texts = (text.encode(errors="replace").decode() for text in (prompt, *texts))
        joints = [self._cut(prompt, text) for text in ("", *texts)]
        own, *joints = fitting(joints, self._context_tokens, marks=int(self._begin is not None))
        # Read anew: what is cached of a talk was computed in other batches. From here on all texts find the same.
        self._ask(own.ids, cache_prompt=False, n_predict=0)
        return [Scored(math.fsum(self._logprobs(joint)), len(joint.ids) - joint.start) for joint in joints]

    def _cut(self, prompt: str, text: str) -> Joint:
        """A token that reaches into the text counts to the text."""
        body = {"content": prompt + text, "add_special": True, "parse_special": False, "with_pieces": True}
        answer = self._wire.call("/tokenize", body, self._deadline)
        check_time(self._deadline)
        assert answer is not None
        tokens = answer["tokens"]
        ids = tuple(token["id"] for token in tokens)
        self._parts |= {token["id"] for token in tokens if _is_part(token["piece"])}
        first = int(ids[:1] == (self._begin,))
        start = len(ids) if prompt or not text else first
        # Backwards: a tokenizer may put a space before the first word.
        left = len(text.encode()) if prompt else 0
        while left > 0 and start > first:
            start -= 1
            left -= _size(tokens[start]["piece"])
        return Joint(ids, start)

    def _logprobs(self, joint: Joint) -> Iterator[float]:
        """In one request for each run of whole characters, and one for each part of a character."""
        check_time(self._deadline)
        place = joint.start
        for part, run in groupby(joint.ids[joint.start :], lambda token: token in self._parts):
            tokens = list(run)
            if part:
                yield from (self._looked_up(joint.ids[: place + at], token) for at, token in enumerate(tokens))
            else:
                yield from self._said(joint.ids[:place], tokens)
            place += len(tokens)

    def _said(self, before: tuple[int, ...], tokens: Sequence[int]) -> Iterator[float]:
        grammar = "root ::= " + " ".join(f"<[{token}]>" for token in tokens)
        told = self._ask(before, grammar=grammar, n_predict=len(tokens), n_probs=1)
        if [one["id"] for one in told] != list(tokens):
            raise BackendFailed(
                "llama.cpp did not say the text that it was to score: run  pip install --upgrade xllamacpp"
            )
        yield from (max(_LEAST, one["logprob"]) for one in told)

    def _looked_up(self, before: tuple[int, ...], token: int) -> float:
        for count in _LIKELIEST:
            (told,) = self._ask(before, grammar=_SOMETHING, n_predict=1, n_probs=count)
            found: list[float] = [one["logprob"] for one in told["top_logprobs"] if one["id"] == token]
            if found:
                return max(_LEAST, *found)
        return _LEAST

    def _ask(self, prompt: tuple[int, ...], **more: object) -> list[Event]:
        """What is told of each token that was said. Raises BackendFailed when the time is over before."""
        body = {"prompt": list(prompt), "id_slot": self._slot, "cache_prompt": True, **_FORCED, **more}
        answer = self._wire.call("/completion", body, self._deadline)
        check_time(self._deadline)
        assert answer is not None
        told: list[Event] = answer.get("completion_probabilities", [])
        return told


def _is_part(piece: str | list[int]) -> bool:
    """Of a character; a NUL is none to a grammar either. Pieces that are no text come as bytes."""
    return not isinstance(piece, str) or piece.startswith("\0")


def _size(piece: str | list[int]) -> int:
    return len(piece.encode()) if isinstance(piece, str) else len(piece)
