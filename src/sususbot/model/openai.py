"""Any model server with the OpenAI API's `completions`, by URL: llama.cpp, vLLM, LM Studio, text-generation-webui, …

Text completion, not chat: the prompt is ours to the last character. Stop strings go to the server and are looked for
here too, since some servers take only four and some none. Knobs beyond the OpenAI API are sent under the names of both
vLLM and llama.cpp; a server that refuses them once is asked without them from then on.

Tokens are counted by the server where it has `/tokenize` (llama.cpp, vLLM), else estimated (`estimate`).
"""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Final, Literal

import httpx

from sususbot.errors import BackendFailed, BackendUnreachable, ModelError, SettingsError
from sususbot.model.backend import Chunk, Deadline, Facts, Finish, Request, Usage
from sususbot.model.estimate import estimate_tokens
from sususbot.model.stopping import Stopping
from sususbot.model.wire import Event, Refused, Wire

_log = logging.getLogger(__name__)

_COMPLETIONS: Final = "/v1/completions"
_COUNT_SECONDS: Final = 5.0
_COUNTS_KEPT: Final = 1024
# Whether a server is near is seen from the fastest of so many calls.
_PROBES: Final = 3
_FAR_SECONDS: Final = 0.03
# The OpenAI API itself takes no more stop strings.
_STOPS: Final = 4
_UNKNOWN_FIELD: Final = (400, 422)
_WRONG_KEY: Final = (401, 403)
_LOADING: Final = 503


class OpenAI:
    """`base_url` with or without its `/v1`; `model` None leaves the choice to the server."""

    name: Final = "openai"
    parallel: Final = 1

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        model: str | None = None,
        context_tokens: int | None = None,
    ) -> None:
        root = base_url.rstrip("/").removesuffix("/v1")
        self._host = _host(root)
        self._wire = Wire(root, {"Authorization": f"Bearer {api_key}"} if api_key else None)
        self._model = model
        self.context_tokens = context_tokens
        self._plain = False
        self._near: bool | None = None
        self._tokenizer: Literal["server", "away", "none"] = "server"
        self._count = lru_cache(_COUNTS_KEPT)(self._ask_count)

    def facts(self) -> Facts:
        return {}

    def count_tokens(self, text: str) -> int:
        if self._tokenizer == "server":
            try:
                return self._count(text)
            except (Refused, LookupError, TypeError, httpx.TransportError) as error:
                away = isinstance(error, httpx.TransportError) or getattr(error, "status", 0) == _LOADING
                self._tokenizer = "away" if away else "none"
        return estimate_tokens(text)

    def count_ahead(self, texts: Sequence[str]) -> None:
        """Servers have no common way to count several texts at once; from one that is far away, counts are estimated.

        A context is made of some fifty lines: at 60 ms each, counting alone would take 3 s of a reply's time.
        """
        if self._near is not None or self._tokenizer != "server":
            return
        fastest = math.inf
        for text in texts[:_PROBES]:
            begun = time.monotonic()
            self.count_tokens(text)
            fastest = min(fastest, time.monotonic() - begun)
        self._near = fastest < _FAR_SECONDS
        if not self._near and self._tokenizer == "server":
            _log.info("%s is far away: tokens are estimated", self._host)
            self._tokenizer = "none"

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        finish: Finish | None = deadline.over()
        stopping = Stopping(request.stop)
        usage = Usage()
        if finish is None:
            with self._translated():
                for event in self._events(request, deadline):
                    text, said = _choice(event)
                    usage = _usage(event) or Usage(usage.prompt, usage.completion + bool(text), usage.cached)
                    if shown := stopping.feed(text):
                        yield Chunk(shown)
                    finish = "stop" if stopping.found else finish or said
                    if stopping.found:
                        break
        if finish is None:
            finish = deadline.over()
        if finish is None:
            raise BackendFailed(f"{self._host} ended its reply halfway: look at the server's log.")
        if self._tokenizer == "away":
            self._tokenizer = "server"
        yield Chunk(stopping.rest() if finish in ("stop", "length") else "", finish, usage)

    def close(self) -> None:
        self._wire.close()

    def _events(self, request: Request, deadline: Deadline) -> Iterator[Event]:
        begun = False
        try:
            for event in self._wire.events(_COMPLETIONS, self._body(request, self._plain), deadline):
                begun = True
                yield event
            return
        except Refused as refused:
            if begun or self._plain or refused.status not in _UNKNOWN_FIELD:
                raise
        for event in self._wire.events(_COMPLETIONS, self._body(request, True), deadline):
            self._plain = True
            yield event

    def _body(self, request: Request, plain: bool) -> Event:
        sampling = request.sampling
        stops = [stop for stop in request.stop if stop]
        body: Event = {
            "prompt": request.prompt,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stop": stops[:_STOPS] if plain else stops,
            "stream": True,
        }
        if self._model is not None:
            body["model"] = self._model
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if not plain:
            body |= {
                "top_k": sampling.top_k,
                "min_p": 0.0,
                "repetition_penalty": sampling.repetition_penalty,
                "repeat_penalty": sampling.repetition_penalty,
                "stream_options": {"include_usage": True},
            }
        return body

    def _ask_count(self, text: str) -> int:
        # llama.cpp reads content and add_special, vLLM prompt and add_special_tokens.
        body: Event = {"content": text, "prompt": text, "add_special": False, "add_special_tokens": False}
        if self._model is not None:
            body["model"] = self._model
        return len(self._wire.call("/tokenize", body | {"parse_special": False}, _COUNT_SECONDS)["tokens"])

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Refused as refused:
            raise self._refusal(refused) from refused
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise BackendUnreachable(
                f"No model server answers at {self._host}: start it, or correct OPENAI_BASE_URL."
            ) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            reason = str(error) or type(error).__name__
            raise BackendFailed(f"{self._host} broke off its reply ({reason}): look at the server's log.") from error

    def _refusal(self, refused: Refused) -> ModelError:
        said = f"{refused.status}: {refused}"
        if refused.status in _WRONG_KEY:
            return BackendFailed(f"{self._host} refuses the key ({said}): correct OPENAI_API_KEY.")
        if refused.status == httpx.codes.NOT_FOUND:
            model = f"the model {self._model!r}" if self._model else "text completions"
            return BackendFailed(
                f"{self._host} does not have {model} ({said}): correct OPENAI_MODEL or OPENAI_BASE_URL."
            )
        if refused.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return BackendFailed(f"{self._host} failed ({said}): look at the server's log.")
        if refused.status >= httpx.codes.BAD_REQUEST:
            return BackendFailed(f"{self._host} refuses the request ({said}).")
        return BackendFailed(f"{self._host} does not answer as a model server ({refused}): correct OPENAI_BASE_URL.")


def _host(root: str) -> str:
    try:
        url = httpx.URL(root)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(
            f"OPENAI_BASE_URL is {root!r}, no address of a server: write it as http://127.0.0.1:8080/v1"
        )
    return f"{url.host}:{url.port}" if url.port else url.host


def _choice(event: Event) -> tuple[str, Finish | None]:
    """The text of an event and, when it is the last with text, why it is."""
    choices = event.get("choices") or [{}]
    reason = choices[0].get("finish_reason")
    finish: Finish | None = None if reason is None else "length" if reason == "length" else "stop"
    # A character cut in half by the end of the reply arrives as U+FFFD.
    return (choices[0].get("text") or "").replace("\ufffd", ""), finish


def _usage(event: Event) -> Usage | None:
    usage = event.get("usage")
    if not usage:
        return None
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0), cached)
