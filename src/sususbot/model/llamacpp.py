"""llama.cpp inside this process, by the package `xllamacpp`: a GGUF model and, where there is one, a LoRA adapter.

The package runs llama.cpp's own server on a loopback port, closed by a key that lives as long as the process. Replies
come over that port and not by the package's callback: the callback costs less (0.7 ms until the first token and 0.27 ms
for each with a tiny model, against 10 and 0.34), but it cannot stop a prompt that is still being read. With a prompt
that takes 19 s, the engine was free 1 s after its connection was closed, but not before the callback's first token.

A prompt goes in as token ids, so that nothing a member writes (`</s>`) becomes a control token.
Loading holds the interpreter's lock for as long as it takes: load before other threads have deadlines to meet.
Not promised: bit-equal replies for the same seed on a GPU, where a prompt of which a part is cached is computed in
other batches than the whole of it; and, of a reply cut by its length, an end that could have begun a stop string.
"""

import logging
import os
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from sususbot.errors import BackendFailed, ModelLoadFailed, ModelNotFound
from sususbot.model.backend import Chunk, Deadline, Facts, Finish, Request, Usage
from sususbot.model.wire import Event, Refused, Wire

_log = logging.getLogger(__name__)

_MAGIC: Final = b"GGUF"
# The engine looks between two batches whether anybody still listens.
_BATCH_TOKENS: Final = 512
# Main memory for the prompts of channels that are not in a slot just now; llama.cpp's own choice is 8192.
_CACHE_MIB: Final = 2048
# llama.cpp's levels: 0 is silence, 3 its usual flow of facts about the model.
_SILENT: Final = 0
_TALKATIVE: Final = 3
# Enough for the connections of `wire` and for dropped ones that the server has not noticed yet.
_HTTP_THREADS: Final = 12
_CALL_SECONDS: Final = 60.0
_COUNTS_KEPT: Final = 1024
_FINISHES: Final[dict[str, Finish]] = {"eos": "stop", "word": "stop", "limit": "length"}


class LlamaCpp:
    """`gpu_layers` None lets the engine fill the GPU; `threads` None takes half of the cores."""

    name: Final = "llamacpp"
    parallel: Final = 1

    def __init__(
        self,
        model_path: Path,
        *,
        adapter_path: Path | None = None,
        context_tokens: int = 4096,
        gpu_layers: int | None = None,
        threads: int | None = None,
        slots: int = 1,
    ) -> None:
        _check_file(model_path, "model", "MODEL_PATH")
        if adapter_path is not None:
            _check_file(adapter_path, "adapter", "ADAPTER_PATH")
        key = secrets.token_urlsafe(32)
        self._server = _start(model_path, adapter_path, context_tokens, gpu_layers, threads, slots, key)
        headers = {"Authorization": f"Bearer {key}"}
        self.address: str = self._server.listening_address
        self._wire = Wire(self.address, headers, trust_env=False)
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._separator: int | None = None
        try:
            self.context_tokens = self._first_words()
        except BackendFailed as error:
            self.close()
            raise ModelLoadFailed(f"llama.cpp loads {model_path} but cannot run it. {error}") from error

    def facts(self) -> Facts:
        return {}

    def count_tokens(self, text: str) -> int:
        count = self._counts.get(text)
        if count is None:
            count = self._counts[text] = len(self._tokens(text, begin=False))
        return count

    def count_ahead(self, texts: Sequence[str]) -> None:
        """One call for all: a call costs 1.7 ms, and a context is made of dozens of lines."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._counts]
        if self._separator is None or not fresh:
            return
        mixed = [item for text in fresh for item in (text, self._separator)]
        count = 0
        left = iter(fresh)
        for token in self._tokens(mixed, begin=False):
            if token == self._separator:
                self._counts[next(left)] = count
            count = 0 if token == self._separator else count + 1
        while len(self._counts) > _COUNTS_KEPT:
            self._counts.popitem(last=False)

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        finish: Finish | None = deadline.over()
        usage = Usage()
        if finish is None:
            with _translated():
                body = _body(request, self._tokens(request.prompt, begin=True))
                for event in self._wire.events("/completion", body, deadline):
                    usage = _usage(event)
                    # A character cut in half by the end of the reply arrives as U+FFFD.
                    if text := event.get("content", "").replace("\ufffd", ""):
                        yield Chunk(text)
                    if event.get("stop"):
                        finish = _FINISHES.get(event.get("stop_type", ""), "stop")
        finish = finish or deadline.over()
        if finish is None:
            raise BackendFailed("llama.cpp ended its reply halfway: restart the program if it happens again.")
        yield Chunk("", finish, usage)

    def close(self) -> None:
        self._wire.close()
        self._counts.clear()
        # The last reference: the engine's destructor waits for its threads.
        self._server = None

    def _tokens(self, text: str | list[str | int], *, begin: bool) -> list[int]:
        """Token ids; of a list, those of its texts, with its ids between them."""
        body = {"content": text, "add_special": begin, "parse_special": False}
        with _translated():
            tokens: list[int] = self._wire.call("/tokenize", body, _CALL_SECONDS)["tokens"]
        return tokens

    def _first_words(self) -> int:
        """Run the model once, and tell the size of a slot's context.

        The engine must have begun its loop before it may be closed, or its destructor waits for ever.
        """
        with _translated():
            self._wire.call("/completion", {"prompt": " ", "n_predict": 1}, _CALL_SECONDS)
            facts = self._wire.call("/props", None, _CALL_SECONDS)
            # What begins a prompt is a control token: no text becomes it, so that it can stand between texts.
            self._separator = next(iter(self._tokens("", begin=True)), None)
        return int(facts["default_generation_settings"]["n_ctx"])


def _check_file(path: Path, what: str, setting: str) -> None:
    """Say what is wrong in better words than the engine, which has one sentence for everything."""
    if not path.exists():
        raise ModelNotFound(f"There is no {what} at {path}: download it, or correct {setting}.")
    if path.is_dir():
        raise ModelLoadFailed(f"{path} is a folder: set {setting} to the .gguf file itself.")
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise ModelLoadFailed(
            f"The {what} {path} cannot be read ({error.strerror}): correct its permissions."
        ) from error
    if start != _MAGIC:
        found = "it is empty" if not start else f"it begins with {start!r}"
        raise ModelLoadFailed(f"{path} is no GGUF file ({found}): download the {what} again, or correct {setting}.")


def _start(
    model_path: Path,
    adapter_path: Path | None,
    context_tokens: int,
    gpu_layers: int | None,
    threads: int | None,
    slots: int,
    key: str,
) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        advice = "run  pip install --force-reinstall xllamacpp"
        raise ModelLoadFailed(f"llama.cpp cannot be started ({error}): {advice}") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(model_path)
    if adapter_path is not None:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter_path), 1.0)]
    params.n_ctx = context_tokens * slots
    params.n_parallel = slots
    params.n_batch = _BATCH_TOKENS
    params.cache_ram_mib = _CACHE_MIB
    if gpu_layers is not None:
        params.n_gpu_layers = gpu_layers
    # The engine's threads spin until the last one arrives. With one on every core, any other program makes it wait:
    # 5 s instead of 0.02 s for a tiny reply on two busy cores, 0.04 s with a single thread.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads or max(1, (os.cpu_count() or 2) // 2)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.ui = False
    params.endpoint_slots = False
    params.n_threads_http = _HTTP_THREADS
    params.verbosity = _TALKATIVE if _log.isEnabledFor(logging.DEBUG) else _SILENT
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ModelLoadFailed(_refusal(model_path, adapter_path)) from error


def _refusal(model_path: Path, adapter_path: Path | None) -> str:
    if adapter_path is None:
        return (
            f"llama.cpp refuses the model {model_path}: it is cut short, needs more memory than there is, or is of a "
            "kind that this version does not know. Compare its size with the download page."
        )
    return (
        f"llama.cpp refuses the model {model_path} with the adapter {adapter_path}: the adapter was made for another "
        "model, or one of the two is cut short. Try without ADAPTER_PATH to see which."
    )


def _body(request: Request, prompt: list[int]) -> Event:
    sampling = request.sampling
    return {
        "prompt": prompt,
        "n_predict": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        # Not one of our knobs, but on at 0.05 unless told otherwise.
        "min_p": 0.0,
        "repeat_penalty": sampling.repetition_penalty,
        "seed": -1 if sampling.seed is None else sampling.seed,
        "stop": [stop for stop in request.stop if stop],
        "cache_prompt": True,
        "stream": True,
    }


def _usage(event: Event) -> Usage:
    cached = event.get("timings", {}).get("cache_n", 0)
    return Usage(event.get("tokens_evaluated", 0), event.get("tokens_predicted", 0), cached)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        if refused.error.get("type") == "exceed_context_size_error":
            asked, room = refused.error.get("n_prompt_tokens"), refused.error.get("n_ctx")
            raise BackendFailed(
                f"The prompt has {asked} tokens and the model's context only {room}: raise CONTEXT_TOKENS."
            ) from refused
        raise BackendFailed(f"llama.cpp refused the request: {refused}") from refused
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise BackendFailed(f"llama.cpp stopped answering ({reason}): restart the program.") from error
