"""What stands between llama.cpp and the bot: first token and speed, ours and llama.cpp's own, turn by turn.

Bare is llama.cpp called as directly as Python can: its server in the benchmark's own process, asked by the package's
callback, no socket, no second process. Both have the same GGUF, adapter, settings and prompts, greedy, so they compute
the same tokens. Each prompt is asked four times, ours, bare, bare, ours, and the next one the other way round, since a
processor's speed drifts; the second time of each has its whole prompt cached and counts for the speed alone.
"""

import operator
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from sususbot.model import openmp
from sususbot.model.backend import Deadline, Request, Sampling
from sususbot.model.llamacpp import LlamaCpp

# Of each reply, so that there is a speed to measure.
TOKENS: Final = 48
_SECONDS: Final = 120.0
_SAMPLING: Final = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=TOKENS)
_BATCH: Final = 512


@dataclass(slots=True)
class Side:
    """Seconds until the first token, seconds for each token after it, and what was said, prompt by prompt."""

    first: list[float] = field(default_factory=list)
    each: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def add(self, begun: float, times: Sequence[float], tokens: int, said: str) -> None:
        self.first.append(times[0] - begun)
        self.each.append((times[-1] - times[0]) / max(1, tokens - 1))
        self.said.append(said)

    def join(self) -> None:
        """The last two times of the same prompt as one."""
        *self.first, first, _ = self.first
        *self.each, earlier, later = self.each
        self.first.append(first)
        self.each.append((earlier + later) / 2)
        self.said.pop()


@dataclass(frozen=True, slots=True)
class Compared:
    """`ours` and `bare` of the same prompts."""

    ours: Side
    bare: Side

    @property
    def decode_share(self) -> float:
        """Our tokens a second over bare ones: the median of all prompts, each against itself."""
        return float(np.median(np.divide(self.bare.each, self.ours.each)))

    @property
    def first_ratio(self) -> float:
        """Our time until the first token over the bare one: the median of all prompts, each against itself."""
        return float(np.median(np.divide(self.ours.first, self.bare.first)))

    @property
    def same(self) -> float:
        """The share of prompts that both answered with the same words."""
        return float(np.mean([mine == its for mine, its in zip(self.ours.said, self.bare.said, strict=True)]))


def compare(model: Path, adapter: Path | None, prompts: Sequence[str], context_tokens: int, threads: int) -> Compared:
    """Prompts in the order of a conversation, so that each finds the beginning of the one before in the cache."""
    compared = Compared(Side(), Side())
    bare = _Bare(model, adapter, context_tokens, threads)
    with closing(LlamaCpp(model, adapter_path=adapter, context_tokens=context_tokens, threads=threads)) as engine:
        for number, prompt in enumerate(prompts):
            order = (True, False, False, True)
            for ours in order if number % 2 else map(operator.not_, order):
                if ours:
                    _ask(engine, prompt, compared.ours)
                else:
                    bare.ask(prompt, compared.bare)
            compared.ours.join()
            compared.bare.join()
    return compared


def _ask(engine: LlamaCpp, prompt: str, side: Side) -> None:
    request = Request(prompt, (), stop=(), sampling=replace(_SAMPLING), channel_id=1)
    begun = time.perf_counter()
    times: list[float] = []
    said: list[str] = []
    tokens = 0
    for chunk in engine.generate(request, Deadline(_SECONDS)):
        if chunk.text:
            times.append(time.perf_counter())
            said.append(chunk.text)
        tokens = chunk.usage.completion if chunk.usage is not None else tokens
    side.add(begun, times or [time.perf_counter()], tokens, "".join(said))


class _Bare:
    """llama.cpp within this process."""

    def __init__(self, model: Path, adapter: Path | None, context_tokens: int, threads: int) -> None:
        openmp.ready()
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        if adapter is not None:
            params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        params.n_ctx = context_tokens
        params.n_batch = params.n_ubatch = _BATCH
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.api_keys = ["bench"]
        params.ui = False
        params.verbosity = 0
        self._server = xllamacpp.Server(params)
        self.ask(" ", Side())

    def ask(self, prompt: str, side: Side) -> None:
        times: list[float] = []
        said: list[str] = []
        tokens = 0

        def hear(event: Any) -> None:
            nonlocal tokens
            choice = (event.get("choices") or [{}])[0]
            # Half a character, as ours leaves it out.
            if text := (choice.get("text") or "").replace("\ufffd", ""):
                times.append(time.perf_counter())
                said.append(text)
            tokens = event.get("usage", {}).get("completion_tokens", tokens)

        order = {
            "prompt": prompt,
            "max_tokens": TOKENS,
            "temperature": 0.0,
            "repeat_penalty": 1.0,
            "min_p": 0.0,
            "cache_prompt": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        begun = time.perf_counter()
        self._server.handle_completions(order, hear)
        side.add(begun, times or [time.perf_counter()], tokens or len(times), "".join(said))
