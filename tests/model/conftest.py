"""What the tests of the backends share: one tiny model, its adapter, and what runs it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.model.llamacpp import LlamaCpp
from sususbot.model.transformers import Transformers
from tests.support import tiny_gguf, tiny_hf
from tests.support.llama_server import llama_server


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write_adapter(tmp_path_factory.mktemp("adapter") / "adapter.gguf")


@pytest.fixture(scope="session")
def server_url(tiny_model: Path) -> Iterator[str]:
    with llama_server(tiny_model, tiny_gguf.CONTEXT) as url:
        yield url


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as a folder for transformers."""
    return tiny_hf.write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def tiny_peft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter for it, as peft saves it."""
    return tiny_hf.write_adapter(tmp_path_factory.mktemp("peft"))


class OneLlamaCpp:
    """One engine for many tests; another one once a test closed it."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._backend: LlamaCpp | None = None

    def get(self) -> LlamaCpp:
        if self._backend is None or self._backend.facts()["state"] == "down: closed":
            self._backend = LlamaCpp(self._model, context_tokens=tiny_gguf.CONTEXT, threads=1)
        return self._backend

    def close(self) -> None:
        if self._backend is not None:
            self._backend.close()


@pytest.fixture(scope="session")
def one_llamacpp(tiny_model: Path) -> Iterator[OneLlamaCpp]:
    one = OneLlamaCpp(tiny_model)
    yield one
    one.close()


class OneTransformers:
    """One process for many tests, since importing torch takes it seconds; another one once a test closed it.

    Each test gets it without an adapter, whatever the one before did.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._backend: Transformers | None = None

    def get(self) -> Transformers:
        if self._backend is None or self._backend.facts()["state"] == "down: closed":
            self._backend = Transformers(str(self._base), context_tokens=tiny_gguf.CONTEXT, threads=1)
        elif self._backend.facts().get("adapter", "none") != "none":
            self._backend.use_adapter(None)
        return self._backend

    def close(self) -> None:
        if self._backend is not None:
            self._backend.close()


@pytest.fixture(scope="session")
def one_transformers(tiny_base: Path) -> Iterator[OneTransformers]:
    one = OneTransformers(tiny_base)
    yield one
    one.close()
