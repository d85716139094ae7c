"""Any model server with the OpenAI API's `completions`, by URL: llama.cpp, vLLM, LM Studio, text-generation-webui, …

Text completion, not chat: the prompt is ours to the last character. Stop strings go to the server and are looked for
here too, since some servers take only four and some none. Knobs beyond the OpenAI API are sent under the names of both
vLLM and llama.cpp; a server that refuses them once is asked without them from then on.

Tokens are counted by the server where it has `/tokenize` (llama.cpp, vLLM), else estimated, rather too high than too
low: three ASCII letters or spaces make a token, every other ASCII character is one, and so is each character of two
bytes in UTF-8; characters of three bytes are two tokens, of four bytes four.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

import httpx

from sususbot.errors import BackendFailed, BackendUnreachable, SettingsError
from sususbot.model.backend import Chunk, Deadline, Finish, Request, Usage
from sususbot.model.stopping import Stopping
from sususbot.model.wire import Event, Refused, Wire

_COUNT_SECONDS: Final = 5.0
_COUNTS_KEPT: Final = 1024
_UNKNOWN_FIELD: Final = (400, 422)
_LOADING: Final = 503


class OpenAI:
    """`base_url` with or without its `/v1`; `model` None leaves the choice to the server."""

    name: Final = "openai"

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
        self._counts = threading.Event()
        self._counts.set()
        self._count = lru_cache(_COUNTS_KEPT)(self._ask_count)

    def count_tokens(self, text: str) -> int:
        if self._counts.is_set():
            try:
                return self._count(text)
            except (Refused, LookupError, TypeError, httpx.TransportError) as error:
                # A server that is only away or loading is asked again after its next reply.
                self._ask_again = isinstance(error, httpx.TransportError) or getattr(error, "status", 0) == _LOADING
                self._counts.clear()
        return estimated_tokens(text)
