"""Chroma, beyond what every index promises: it gets no text, is a copy that mends itself, and tells its faults."""

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from sususbot.archive.archive import Archive
from sususbot.errors import SettingsError, VectorStoreError
from sususbot.memory.indexing import index
from sususbot.memory.long_term import LongTerm
from sususbot.memory.vector_index import VectorIndex, make_index
from tests.memory.chat import MIA, TOM, Chat, WordEmbedder, clusters
from tests.memory.chroma_server import chroma_server, free_port

pytest.importorskip("chromadb")

MATRIX = clusters(20, 8)


SAID = b"what somebody said "


def leave_in_memory() -> None:
    """Fill memory with words and give it back, in pieces of many sizes."""
    sizes = (100, 400, 1000, 4000, 8000, 20_000, 60_000, 120_000)
    pieces = [(SAID * (size // len(SAID) + 1))[:size] for size in sizes for _ in range(max(20, 400_000 // size))]
    pieces.clear()


def in_threads(work: Callable[[], None]) -> None:
    """In this thread and in some others, whose memory Chroma's own threads take over once they have ended."""
    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work()


def places_of(words: bytes, folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and words.strip() in path.read_bytes()]


def opened(folder: Path, *, dimensions: int = 8, url: str | None = None) -> VectorIndex:
    return make_index("chroma", dimensions=dimensions, folder=str(folder), url=url)


def test_its_files_hold_no_words_and_no_names(archive: Archive, chat: Chat, tmp_path: Path) -> None:
    chat.say(MIA, "the zanzibar plan is a secret")
    embedder = WordEmbedder()
    index(archive, embedder)
    memory = LongTerm(archive, embedder, opened(tmp_path / "chroma", dimensions=64))
    assert memory.search("zanzibar", limit=1).hits
    memory.close()
    files = [path for path in (tmp_path / "chroma").rglob("*") if path.is_file()]
    assert files
    written = b"".join(path.read_bytes() for path in files).lower()
    assert not [word for word in (b"zanzibar", b"secret", b"mia", b"channel-1") if word in written]


def test_its_files_hold_nothing_that_the_process_remembered_by_chance(tmp_path: Path) -> None:
    # Whether Chroma is given such memory is up to the system: seldom in none of six folders.
    for folder in (tmp_path / name for name in "abcdef"):
        in_threads(leave_in_memory)
        index = opened(folder)
        in_threads(leave_in_memory)
        index.add([1], [1], MATRIX[:1])
        assert places_of(SAID, folder) == []
        in_threads(leave_in_memory)
        # Its graph is written after a thousand vectors.
        index.add(range(2, 1202), [1] * 1200, clusters(1200, 8))
        index.remove(range(2, 100))
        assert places_of(SAID, folder) == []
        index.close()


def test_what_an_earlier_version_left_in_its_files_goes_with_the_next_start(tmp_path: Path) -> None:
    pieces = [(np.arange(1200), np.ones(1200, np.int64), clusters(1200, 8))]
    first = opened(tmp_path)
    first.synchronise(pieces)
    first.close()
    (data,), (lengths,) = tmp_path.glob("*/data_level0.bin"), tmp_path.glob("*/length.bin")
    vectors = data.read_bytes()
    data.write_bytes(vectors + SAID)
    lengths.write_bytes((SAID * 1200)[: lengths.stat().st_size])
    again = opened(tmp_path)
    again.synchronise(pieces)
    assert places_of(SAID, tmp_path) == []
    assert data.read_bytes() == vectors + bytes(len(SAID))
    assert not any(lengths.read_bytes())
    again.close()


def test_files_whose_layout_is_not_known_are_told_and_left_alone(tmp_path: Path) -> None:
    index = opened(tmp_path)
    index.add([1], [1], MATRIX[:1])
    (header,) = tmp_path.glob("*/header.bin")
    (data,) = tmp_path.glob("*/data_level0.bin")
    data.write_bytes(SAID)
    header.write_bytes(b"\2" + header.read_bytes()[1:])
    with pytest.raises(VectorStoreError, match=r"Chroma cannot use .*: set VECTOR_DB=exact \(ValueError\)"):
        index.add([2], [1], MATRIX[1:2])
    assert data.read_bytes() == SAID
    index.close()


def test_a_header_that_was_never_written_is_made_anew(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.add([1], [1], MATRIX[:1])
    first.close()
    (header,) = tmp_path.glob("*/header.bin")
    header.write_bytes(b"")
    again = opened(tmp_path)
    again.synchronise([(np.array([1, 2]), np.ones(2, np.int64), MATRIX[:2])])
    assert [id_ for id_, _ in again.search(MATRIX[1], limit=1)] == [2]
    assert header.read_bytes()
    again.close()


def test_a_folder_is_opened_again_with_what_it_holds(tmp_path: Path) -> None:
    pieces = [(np.arange(20), np.arange(20) % 3, MATRIX)]
    first = opened(tmp_path)
    first.synchronise(pieces)
    first.close()
    again = opened(tmp_path)
    again.synchronise(pieces)
    assert [id_ for id_, _ in again.search(MATRIX[4], limit=1, audience=frozenset({1}))] == [4]
    again.close()


def test_a_folder_of_another_encoder_is_begun_anew(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.add([1], [1], MATRIX[:1])
    first.remove([1])
    first.close()
    wider = opened(tmp_path, dimensions=9)
    wider.synchronise([(np.arange(5), np.arange(5), clusters(5, 9))])
    assert len(wider.search(clusters(1, 9)[0], limit=9)) == 5
    wider.close()


def test_a_server_that_is_not_there_is_told_with_the_way_out() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(VectorStoreError, match=rf"the Chroma server at {url} does not answer: start it, or set"):
        opened(Path(), url=url)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost", "http://host:port"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(SettingsError, match=f"CHROMA_URL={url} is no address: write it as  http://host:8000"):
        opened(Path(), url=url)


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(VectorStoreError, match=r"Chroma cannot use .*/file: set VECTOR_DB=exact"):
        opened(tmp_path / "file")


def test_while_its_server_is_away_words_go_on_alone_and_afterwards_nothing_is_missing(
    archive: Archive, chat: Chat, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port, embedder = free_port(), WordEmbedder()
    kettle = chat.say(MIA, "the kettle leaks again")
    gone = chat.say(TOM, "the toaster burns")
    index(archive, embedder)
    with chroma_server(tmp_path / "server", port) as url:
        memory = LongTerm(archive, embedder, opened(tmp_path, dimensions=64, url=url))
        assert memory.search("kettle", limit=1).hits[0].parts["meaning"] > 0

    with caplog.at_level(logging.WARNING):
        found = memory.search("kettle", limit=5).hits
    assert [(found[0].message.id, "meaning" in found[0].parts)] == [(kettle.id, False)]
    assert "searched by words alone: the Chroma server at" in caplog.text
    chat.delete(gone)
    with pytest.raises(VectorStoreError, match="does not answer"):
        memory.drop_stale([gone.id])
    new = chat.say(TOM, "a spoon fell down")
    with pytest.raises(VectorStoreError, match="does not answer"):
        memory.learn()

    with chroma_server(tmp_path / "server", port):
        while memory.learn():
            pass
        hits = memory.search("spoon fell", limit=5).hits
        assert hits[0].message.id == new.id
        assert hits[0].parts["meaning"] > 0
        assert archive.vectors.count_pending() == 0
        assert gone.id not in {hit.message.id for hit in memory.search("toaster burns", limit=5).hits}
        memory.close()
