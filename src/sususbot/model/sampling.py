"""The next token, drawn from a model's logits: every knob of `Sampling` with llama.cpp's meaning and in its order.

Repetition, DRY, top-k, top-p, min-p, temperature: what may be chosen is decided before the temperature is applied.
The numbers drawn for a seed are our own.
"""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sususbot.errors import BackendFailed
from sususbot.model.backend import DRY_TOKENS, Sampling

Scores = NDArray[np.float64]

# As llama.cpp has it, unless told otherwise.
_PENALISED: Final = 64
# Beyond this a penalty is no finite number any more.
_STEEPEST: Final = 80.0


class Sampler:
    """One reply's draws. `breakers` are the tokens that contain one of DRY_BREAKERS."""

    def __init__(self, sampling: Sampling, breakers: Collection[int] = ()) -> None:
        self._sampling = sampling
        self._breakers = breakers
        seed = sampling.seed
        self._random = np.random.default_rng(None if seed is None else seed % (1 << 64))

    def choose(self, logits: NDArray[np.float32], said: Sequence[int]) -> int:
        """The token to follow `said`, prompt and reply so far. Raises BackendFailed where logits are no numbers."""
        tokens, shares = self.candidates(logits, said)
        reached = shares.cumsum()
        place = int(np.searchsorted(reached, self._random.random() * reached[-1], side="right"))
        return int(tokens[min(place, len(tokens) - 1)])

    def candidates(self, logits: NDArray[np.float32], said: Sequence[int]) -> tuple[NDArray[np.intp], Scores]:
        """The tokens that may follow, likeliest first, and the share of each."""
        sampling = self._sampling
        scores = logits.astype(np.float64)
        if not np.isfinite(scores.max()):
            raise BackendFailed(
                "The model computes what is no number: fetch its files again, or try another BASE_MODEL."
            )
        self._punish_repeats(scores, said)
        self._punish_runs(scores, said)
        if sampling.temperature <= 0:
            return _likeliest(scores, 1), np.ones(1)
        tokens = _likeliest(scores, sampling.top_k)
        scores = scores[tokens]
        if sampling.top_p < 1:
            scores = scores[: int(np.searchsorted(_shares(scores).cumsum(), sampling.top_p)) + 1]
        if sampling.min_p > 0:
            scores = scores[scores >= scores[0] + np.log(sampling.min_p)]
        return tokens[: len(scores)], _shares(scores / sampling.temperature)

    def _punish_repeats(self, scores: Scores, said: Sequence[int]) -> None:
        penalty = self._sampling.repetition_penalty
        if penalty != 1 and said:
            again = np.unique(said[-_PENALISED:])
            of = scores[again]
            scores[again] = np.where(of > 0, of / penalty, of * penalty)

    def _punish_runs(self, scores: Scores, said: Sequence[int]) -> None:
        sampling = self._sampling
        if sampling.dry_multiplier <= 0:
            return
        for token, length in runs(said[-DRY_TOKENS:], sampling.dry_allowed_length, self._breakers).items():
            steepness = (length - sampling.dry_allowed_length) * np.log(max(sampling.dry_base, 1.0))
            scores[token] -= sampling.dry_multiplier * np.exp(min(steepness, _STEEPEST))


def runs(said: Sequence[int], least: int, breakers: Collection[int]) -> dict[int, int]:
    """Tokens that would go on with a run that stood there before, each with the longest such run's length so far."""
    longest = next((back for back, token in enumerate(reversed(said)) if token in breakers), len(said))
    found: dict[int, int] = {}
    if longest < max(1, least):
        return found
    end = len(said) - 1
    for place in (place for place in range(end) if said[place] == said[end]):
        length = 1
        while length < min(longest, place + 1) and said[place - length] == said[end - length]:
            length += 1
        token = said[place + 1]
        if length >= least and token not in breakers:
            found[token] = max(length, found.get(token, 0))
    return found


def _likeliest(scores: Scores, count: int) -> NDArray[np.intp]:
    """Places of the highest scores, all where `count` is 0, the highest first."""
    if 0 < count < len(scores):
        kept = np.argpartition(scores, -count)[-count:]
        return kept[np.argsort(-scores[kept], kind="stable")]
    return np.argsort(-scores, kind="stable")


def _shares(scores: Scores) -> Scores:
    """Of scores in falling order."""
    powers: Scores = np.exp(scores - scores[0])
    powers /= powers.sum()
    return powers
