"""Any model server with the OpenAI API's `completions`, by URL: llama.cpp, vLLM, LM Studio, text-generation-webui, …

Text completion, not chat: the prompt is ours to the last character. Stop strings go to the server and are looked for
here too, since some servers take only four and some none. Knobs beyond the OpenAI API are sent under the names of both
vLLM and llama.cpp; a server that refuses them once is asked without them from then on.

Who refuses for a moment (busy, loading, not there) is asked again before the first token, never after it, for half of
the time that a reply has at most: the other half is for who answers instead. Where nobody listens it is ten seconds at
most, whatever the time; a server that was not there the last time is asked once. How it fares is asked in the
background (`ServerHealth`).
Tokens are counted by the server where it has `/tokenize` (llama.cpp, vLLM), else estimated (`estimate`).
What a server says of an error is told in our own words (`openai_refusals`). Its own are logged at DEBUG.
"""

import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, islice
from typing import Any, Final, Literal

import httpx

from sususbot.errors import BackendFailed, BackendUnreachable, SettingsError
from sususbot.log_content import content
from sususbot.model.backend import DRY_BREAKERS, DRY_TOKENS, Chunk, Deadline, Facts, Finish, Request, Usage
from sususbot.model.estimate import estimate_tokens
from sususbot.model.openai_refusals import WRONG_KEY, refusal
from sususbot.model.openai_scoring import EchoScorer
from sususbot.model.scoring import Scored
from sususbot.model.server_health import ServerHealth
from sususbot.model.stopping import Stopping
from sususbot.model.wire import Event, Patience, Refused, Wire
from sususbot.proxy import shown

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
_LOADING: Final = 503
_MODELS: Final = "/v1/models"
_LORAS: Final = "/lora-adapters"
# Too many questions, or a server (or what stands before it) that is just starting.
_FOR_A_MOMENT: Final = (429, 502, 503, 504)
_UNREACHABLE: Final = (httpx.ConnectError, httpx.ConnectTimeout)
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 2.0
# Of a reply's time, what may go into asking again; and for how long (s) an address is asked at which nobody listens.
_SHARE: Final = 0.5
_NOBODY_SECONDS: Final = 10.0
# The deadline of a reply is what bounds the first token; this is for what has all the time in the world.
_PATIENCE: Final = Patience(first=60.0, between=10.0)
# What is asked; plain: by the OpenAI API's own names alone.
_Body = Callable[[bool], Event]
# Beside replies: a count, a look at how it fares, and a dropped call that is not gone yet.
_MORE_CONNECTIONS: Final = 3


class OpenAI:
    """`base_url` with or without its `/v1`; `model` None leaves the choice to the server.

    `adapter` is the name of a LoRA that it has: for vLLM one of its models, for llama.cpp the file it was started with.
    """

    name: Final = "openai"

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        model: str | None = None,
        adapter: str | None = None,
        context_tokens: int | None = None,
        parallel: int = 1,
        patience: Patience = _PATIENCE,
    ) -> None:
        root = base_url.rstrip("/").removesuffix("/v1")
        self._host = _host(root)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else None
        self._wire = Wire(root, headers, connections=parallel + _MORE_CONNECTIONS)
        self._model = model
        self._adapter = adapter
        self._patience = patience
        self.parallel = parallel
        # What names model and adapter in a request; known once the server was asked.
        self._chosen: Event | None = None if adapter else _named(model)
        self._not_before = 0.0
        self.context_tokens = context_tokens
        self._plain = False
        self._near: bool | None = None
        self._tokenizer: Literal["server", "away", "none"] = "server"
        self._count = lru_cache(_COUNTS_KEPT)(self._ask_count)
        self._health = ServerHealth(self._look)
        self._scorer = EchoScorer(self._host, self._echo)

    def facts(self) -> Facts:
        """As it was known last: it is asked in the background, every ten seconds at most."""
        facts: Facts = {"server": self._host, **self._health.facts()}
        if self._model is not None:
            facts["model"] = self._model
        if self._adapter is not None:
            facts["adapter"] = self._adapter
        return facts

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
            with self._translated(), self._noticed():
                for event in self._events(lambda plain: self._body(request, plain), deadline):
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

    def score(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        """As `Scoring.score`, but that what does not fit into the context is refused."""
        with self._translated(), self._noticed():
            return self._scorer.scored(prompt, texts, deadline)

    def _echo(self, body: Event, deadline: Deadline) -> list[Event]:
        return list(self._events(lambda _: body, deadline))

    def close(self) -> None:
        self._wire.close()
        self._health.close()

    def _events(self, body: _Body, deadline: Deadline) -> Iterator[Event]:
        begun = time.monotonic()
        pauses = self._pauses(begun + deadline.remaining * _SHARE)
        if (left := self._not_before - time.monotonic()) > 0:
            if (pause := next(pauses, None)) is None:
                raise BackendFailed(
                    f"{self._host} wants to be left alone for {left:.0f} s: raise its limit, or ask less."
                )
            deadline.wait(pause)
        while deadline.over() is None:
            try:
                events = self._begun(body, deadline)
            except (Refused, *_UNREACHABLE) as error:
                if not self._for_a_moment(error, begun):
                    raise
                if deadline.over() is not None:
                    return
                if (pause := next(pauses, None)) is None:
                    raise
                _log.info("%s does not answer now: it is asked again", self._host)
                deadline.wait(pause)
            except httpx.ReadTimeout:
                if deadline.over() is None:
                    raise
            else:
                self._health.answered()
                yield from events
                return

    def _begun(self, body: _Body, deadline: Deadline) -> Iterator[Event]:
        """A reply whose first event is there, or whose time is over. What is raised was raised before the first."""
        if self._chosen is None:
            self._chosen = self._find_adapter(deadline)
        for plain in (True,) if self._plain else (False, True):
            events = self._wire.events(_COMPLETIONS, body(plain) | self._chosen, deadline, self._patience)
            try:
                first = list(islice(events, 1))
            except Refused as refused:
                if plain or refused.status not in _UNKNOWN_FIELD:
                    raise
            else:
                self._plain = plain
                return chain(first, events)
        raise AssertionError("unreachable")

    def _for_a_moment(self, error: Exception, begun: float) -> bool:
        """Whether asking again may help."""
        if not isinstance(error, Refused):
            return not self._health.unreachable and time.monotonic() - begun < _NOBODY_SECONDS
        if error.retry_after is not None:
            self._not_before = time.monotonic() + error.retry_after
        return error.status in _FOR_A_MOMENT

    def _pauses(self, until: float) -> Iterator[float]:
        """How long to wait before each time that it is asked again; it ends where the time for that does."""
        usual = _FIRST_PAUSE
        while True:
            now = time.monotonic()
            pause = max(usual, self._not_before - now)
            if now + pause > until:
                return
            yield pause
            usual = min(_LONGEST_PAUSE, 2 * usual)

    def _find_adapter(self, deadline: Deadline) -> Event:
        """How the adapter is asked for. Raises BackendFailed where the server has none of that name."""
        models = [str(model.get("id")) for model in self._listed(_MODELS, deadline)]
        if self._adapter in models:
            return _named(self._adapter)
        loras = self._listed(_LORAS, deadline)
        files = [re.split(r"[/\\]", str(lora.get("path")))[-1] for lora in loras]
        for lora, file in zip(loras, files, strict=True):
            if self._adapter in (file, file.removesuffix(".gguf")):
                return {**_named(self._model), "lora": [{"id": lora.get("id"), "scale": 1.0}]}
        has = ", ".join([*models, *files]) or "none"
        raise BackendFailed(
            f"{self._host} has no adapter {self._adapter!r} (it has {has}): correct OPENAI_ADAPTER, or start the "
            "server with it."
        )

    def _listed(self, path: str, deadline: Deadline) -> list[dict[str, Any]]:
        """What a server lists; nothing where it has no such list."""
        try:
            answer = self._wire.call(path, None, min(_COUNT_SECONDS, deadline.remaining))
        except Refused as refused:
            if refused.status in _FOR_A_MOMENT or refused.status in WRONG_KEY:
                raise
            return []
        entries = answer.get("data")
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []

    def _look(self) -> Facts:
        """How the server fares. Blocks; raises nothing."""
        try:
            with self._translated():
                models = self._listed(_MODELS, Deadline(_COUNT_SECONDS))
        except BackendFailed as error:
            loading = isinstance(error.__cause__, Refused) and error.__cause__.status == _LOADING
            return {"state": "loading" if loading else f"down: {error}"}
        except BackendUnreachable as error:
            return {"state": f"down: {error}"}
        facts: Facts = {"state": "running"}
        if models:
            facts["model"] = str(models[0].get("id"))
            if isinstance(longest := models[0].get("max_model_len"), int):
                facts["context_tokens"] = longest
        return facts

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
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if not plain:
            body |= {
                "top_k": sampling.top_k,
                "min_p": sampling.min_p,
                "repetition_penalty": sampling.repetition_penalty,
                "repeat_penalty": sampling.repetition_penalty,
                "dry_multiplier": sampling.dry_multiplier,
                "dry_base": sampling.dry_base,
                "dry_allowed_length": sampling.dry_allowed_length,
                "dry_penalty_last_n": DRY_TOKENS,
                "dry_sequence_breakers": DRY_BREAKERS,
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
    def _noticed(self) -> Iterator[None]:
        try:
            yield
        except _UNREACHABLE:
            self._health.gone(f"nobody answers at {self._host}")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Refused as refused:
            _log.debug("%s says: %s", self._host, content(refused.said))
            left_alone = self._not_before - time.monotonic()
            raise refusal(refused, self._host, self._model, left_alone) from refused
        except _UNREACHABLE as error:
            raise BackendUnreachable(
                f"No model server answers at {self._host}: start it, or correct OPENAI_BASE_URL."
            ) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            # Bytes that came instead of HTTP stand behind: after a wrong length, those of a reply.
            # What could not be sent is repeated, also the key.
            said = "" if isinstance(error, httpx.LocalProtocolError) else str(error)
            reason = said.partition(": bytearray(")[0] or type(error).__name__
            raise BackendFailed(f"{self._host} broke off its reply ({reason}): look at the server's log.") from error


def _host(root: str) -> str:
    try:
        url = httpx.URL(root)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(
            f"OPENAI_BASE_URL is {shown(root)!r}, no address of a server: write it as http://127.0.0.1:8080/v1"
        )
    return f"{url.host}:{url.port}" if url.port else url.host


def _named(model: str | None) -> Event:
    return {} if model is None else {"model": model}


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
