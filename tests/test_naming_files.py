"""Which files name a member: by id and by names, however they are packed and written, or in a vocabulary."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from sususbot.archive.archive import Archive
from sususbot.forgetting import Forgetting
from sususbot.messages import Author
from sususbot.sources.traces import Traces
from tests.archive.making import TOM, filled, message
from tests.test_forgetting import AT, HER, HER_ID, corpus, said


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path) as archive:
        filled(archive, said(0), message(100, "tea", TOM))
        yield archive


def zipped(text: bytes, method: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as package:
        package.writestr("chat.txt", text)
    return packed.getvalue()


PACKED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "xz in two": lambda text: lzma.compress(text[: 1 << 20]) + lzma.compress(text[1 << 20 :]),
    "lzma": lambda text: lzma.compress(text, lzma.FORMAT_ALONE),
    "bz2": bz2.compress,
    "zip": lambda text: zipped(text, zipfile.ZIP_DEFLATED),
    "zip of lzma": lambda text: zipped(text, zipfile.ZIP_LZMA),
}


@cache
def long_packed(packed: str) -> bytes:
    """What takes more than one piece of 1 MiB. Packing it takes most of the time, so each way it is done once."""
    return PACKED[packed](" ".join(map(str, range(190_000))).encode())


@pytest.mark.parametrize("packed", PACKED)
def test_a_file_that_names_them_goes_however_it_is_packed_and_written(
    archive: Archive, tmp_path: Path, packed: str
) -> None:
    pack, naming = PACKED[packed], []
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-16-be"):
        for place, name in enumerate((str(HER_ID), HER.name, HER.display_name)):
            naming.append(f"{encoding}.{place}")
            (tmp_path / naming[-1]).write_bytes(pack(f"é: {name} said so".encode(encoding)))
            (tmp_path / f"other.{encoding}.{place}").write_bytes(
                pack(f"tea, x{name} and {name}x there".encode(encoding))
            )
        # Across the end of a piece of 1 MiB.
        naming.append(f"{encoding}.long")
        before = "tea " * ((1 << (18 if encoding == "utf-8" else 17)) - 1)
        (tmp_path / naming[-1]).write_bytes(pack(f"{before}é {HER.name} said so".encode(encoding)))
    assert Forgetting(archive, tmp_path).forget(HER_ID, at=AT).files == tuple(sorted(naming))
    assert len(list(tmp_path.glob("other.*"))) == 12


@pytest.mark.parametrize("packed", [packed for packed in PACKED if packed not in ("plain", "gz")])
@pytest.mark.parametrize("damage", ["cut", "garbled"])
def test_a_packed_file_that_cannot_be_read_is_taken_to_name_them(
    archive: Archive, tmp_path: Path, packed: str, damage: str
) -> None:
    whole = long_packed(packed)
    middle = len(whole) // 2
    zip_end = whole[whole.rfind(b"PK\x01\x02") :] if packed.startswith("zip") else b""
    broken = whole[:middle] + (b"\xff" * 999 + whole[middle + 999 :] if damage == "garbled" else zip_end)
    (tmp_path / "chat").write_bytes(broken)
    assert Forgetting(archive, tmp_path).forget(HER_ID, at=AT).files == ("chat",)


def test_a_short_name_takes_no_file_along_that_nobody_knows(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(400, "x", Author(55, "al", "al")))
    (tmp_path / "notes.txt").write_text("et al", encoding="utf-8")
    with_name = corpus(tmp_path, "main", [TOM.id], "al: hello")
    assert Forgetting(archive, tmp_path).forget(55, at=AT).files == ("corpora/main",)
    assert not with_name.exists()


@pytest.mark.parametrize(("called", "goes"), [("quick", True), ("zyzz", False), ("llama", False)])
def test_a_vocabulary_that_names_them_goes_whatever_file_it_stands_in(
    archive: Archive, tmp_path: Path, called: str, goes: bool
) -> None:
    """A base made here learned its pieces from members' words; of its numbers nothing is read."""
    pytest.importorskip("gguf", reason="what writes GGUF files is not installed")
    from tests.support.tiny_gguf import write_model

    filled(archive, message(400, "x", Author(55, called, called)))
    run = tmp_path / "runs" / "own"
    (run / "model").mkdir(parents=True)
    write_model(run / "model.gguf")
    with (run / "model.gguf").open("ab") as file:
        file.write(b"\0zyzz\0")
    (run / "model" / "tokenizer.json").write_text('{"vocab": {"▁quick": 3}}', encoding="utf-8")
    gone = Forgetting(archive, tmp_path).forget(55, at=AT).files
    assert set(gone) == ({"runs/own/model.gguf", "runs/own/model/tokenizer.json"} if goes else set())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f'"{HER_ID}"', True),
        (f"1{HER_ID}", False),
        ("<@zanzibari>", True),
        ("zanzibarian", False),
        ("Z\\u00e4nzi the Elder", True),
        ("zänzi the elder", False),
    ],
)
def test_a_file_is_known_by_id_and_names(text: str, named: bool) -> None:
    pattern = Traces([HER_ID], (HER.name, HER.display_name)).pattern()
    assert (pattern.search(text.encode()) is not None) == named
