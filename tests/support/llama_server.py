"""llama.cpp's own HTTP server on a free loopback port, for tests of what speaks to such a server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from sususbot.model import openmp

KEY = "the key of the tests"


@contextmanager
def llama_server(model: Path, context_tokens: int, adapter: Path | None = None) -> Iterator[str]:
    """The server's URL; it wants KEY."""
    openmp.ready()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    if adapter is not None:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    params.n_ctx = context_tokens
    # Two threads that meet after every tensor are a hundred times slower when something else wants a core.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [KEY]
    params.ui = False
    params.verbosity = 0
    server = xllamacpp.Server(params)
    try:
        # Its loop must have begun before it may end.
        answer = httpx.post(
            f"{server.listening_address}/completion",
            json={"prompt": "hello", "n_predict": 1},
            headers={"Authorization": f"Bearer {KEY}"},
            trust_env=False,
            timeout=120,
            # Plain http: certificates would be read for nothing.
            verify=False,
        )
        answer.raise_for_status()
        yield server.listening_address
    finally:
        del server
