"""llama.cpp asked what a server does not tell a bot: the probability of every token, and how it cuts a text."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from numpy.typing import NDArray

from sususbot.model.backend import Sampling
from sususbot.model.llamacpp_requests import knobs
from tests.support.llama_server import KEY, llama_server

CONTEXT: Final = 512


class Engine:
    """A model that is loaded, with an adapter or without."""

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {KEY}"},
            trust_env=False,
            timeout=60,
            # Plain http: certificates would be read for nothing.
            verify=False,
        )
        self._plain = self.tokens("a", begin=False)[-1]

    def tokens(self, text: str, *, begin: bool = True) -> list[int]:
        """As the bot's backend has a prompt cut."""
        body = {"content": text, "add_special": begin, "parse_special": False}
        tokens: list[int] = self._call("/tokenize", body)["tokens"]
        return tokens

    def text(self, tokens: Sequence[int]) -> str:
        return str(self._call("/detokenize", {"tokens": list(tokens)})["content"])

    def says(self, prompt: Sequence[int], count: int) -> list[int]:
        """The likeliest tokens that follow, fewer where one of them ends the reply."""
        body = {"prompt": list(prompt), "n_predict": count, "temperature": 0.0, "return_tokens": True}
        tokens: list[int] = self._call("/completion", body)["tokens"]
        return tokens

    def chances(self, prompt: Sequence[int], vocabulary: int) -> NDArray[np.float64]:
        """The log probability of every token to follow, before anything is sampled."""
        # A step whose token is half a character is not told of, so that it is made to be another.
        body = {"prompt": list(prompt), "n_predict": 1, "n_probs": vocabulary, "logit_bias": [[self._plain, 1e9]]}
        (step,) = self._call("/completion", body)["completion_probabilities"]
        logs = np.full(vocabulary, np.nan)
        for token in step["top_logprobs"]:
            logs[token["id"]] = token["logprob"]
        return logs

    def shares(self, prompt: Sequence[int], sampling: Sampling, vocabulary: int) -> dict[int, float]:
        """The probability of every token that may follow, once all knobs had their say."""
        body = {
            "prompt": list(prompt),
            "n_predict": 1,
            "n_probs": vocabulary,
            "post_sampling_probs": True,
            "cache_prompt": False,
            **knobs(sampling),
        }
        # A token that is half a character is not told of, so that another is drawn.
        for seed in range(60):
            steps = self._call("/completion", {**body, "seed": seed}).get("completion_probabilities")
            if steps:
                return {token["id"]: token["prob"] for token in steps[0]["top_probs"]}
        raise AssertionError("only halves of characters were drawn")

    def _call(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._client.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def close(self) -> None:
        self._client.close()


@contextmanager
def engine(model: Path, adapter: Path | None = None) -> Iterator[Engine]:
    with llama_server(model, CONTEXT, adapter) as address, closing(Engine(address)) as asked:
        yield asked
