"""How likely a text is, by the logits of a model of transformers as it reads: natural logarithms, in 32 bits."""

import math
from typing import Any

import torch

from sususbot.errors import BackendFailed
from sususbot.model.joint import Joint
from sususbot.model.scoring import Scored


def joint(tokenizer: Any, prompt: str, text: str, **how: Any) -> Joint:
    """Prompt and text as the tokenizer cuts them together; a token that reaches into the text counts to the text."""
    cut = tokenizer(prompt + text, add_special_tokens=False, return_offsets_mapping=True, **how)
    mark = tokenizer.bos_token_id
    before = () if mark is None else (mark,)
    ends = [end for _, end in cut["offset_mapping"]]
    # Without a prompt all is text, also the space that some tokenizers put before the first word.
    start = next((place for place, end in enumerate(ends) if end > len(prompt) or not prompt), len(ends))
    return Joint((*before, *cut["input_ids"]), len(before) + start)


class Likelihood:
    """Of one text's tokens: told of the logits step by step, in any order and of any step twice."""

    def __init__(self, measured: Joint) -> None:
        self._joint = measured
        self._logprobs: dict[int, float] = {}

    def hear(self, place: int, logits: torch.Tensor) -> None:
        """`logits` as they are after the token at `place`, and after each one that follows it."""
        ids = self._joint.ids
        first = max(self._joint.start, place + 1)
        last = min(len(ids), place + 1 + len(logits))
        if first >= last:
            return
        rows = torch.log_softmax(logits[first - place - 1 : last - place - 1].float(), dim=-1)
        chosen = torch.tensor(ids[first:last], device=rows.device)
        logprobs = rows.gather(1, chosen[:, None])[:, 0].tolist()
        self._logprobs |= dict(zip(range(first, last), logprobs, strict=True))

    def scored(self) -> Scored:
        """Raises BackendFailed where logits were no numbers."""
        logprob = math.fsum(self._logprobs.values())
        if math.isnan(logprob):
            raise BackendFailed(
                "The model computes what is no number: fetch its files again, or try another BASE_MODEL."
            )
        return Scored(logprob, len(self._joint.ids) - self._joint.start)
