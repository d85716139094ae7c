"""What the tests of the backends share: one tiny model, its adapter, and a server that runs it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tiny_gguf
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
