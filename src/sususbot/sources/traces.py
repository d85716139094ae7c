"""Whether a file names a member, whatever it is packed in (gzip, xz, bzip2, zip) and written in (UTF-8, UTF-16).

Known by its first bytes, not by its name, and read a piece at a time. What cannot be read is taken to name them.
Not looked into: a packed file in a packed file, and what the standard library cannot unpack (7z, rar, zstd).
"""

import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import orjson

from sususbot.sources.byte_stream import ByteStream

_CHUNK: Final = 1 << 20
# Longer than a name in any writing.
_OVERLAP: Final = 1024
_BZIP2: Final = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
# An encoding, and a letter or digit of a name that goes on: in UTF-16 it has a zero beside it.
_FORMS: Final = (("utf-8", rb"\w"), ("utf-16-le", rb"\w\x00"), ("utf-16-be", rb"\x00\w"))
# The older of xz's two formats has no mark of its own: how it packs, and how much of it it looks back on.
_XZ: Final = re.compile(rb"\xfd7zXZ\0|\]\0\0(?!\0\0)")


def _lzma_errors() -> tuple[type[Exception], ...]:
    try:
        from lzma import LZMAError
    except ImportError:
        # A Python may be built without it.
        return ()
    return (LZMAError,)


_UNREADABLE: Final[tuple[type[Exception], ...]] = (
    OSError,
    EOFError,
    ImportError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    *_lzma_errors(),
)


@dataclass(frozen=True, slots=True)
class Traces:
    """What tells that a file is about somebody: ids, and the names they were seen with."""

    ids: Collection[int]
    names: tuple[str, ...] = ()

    def pattern(self, *, shortest: int = 1) -> re.Pattern[bytes]:
        """Bytes of a file that name them; names below a length may mean something else there."""
        names = [name for name in self.names if len(name) >= shortest]
        # Files of JSON may have names as \u escapes.
        written = {form for name in names for form in (name, orjson.dumps(name).decode()[1:-1], _escaped(name))}
        texts = [*map(str, sorted(self.ids)), *sorted(written, key=lambda text: (-len(text), text))]
        return re.compile(b"|".join(_whole(text, *form) for form in _FORMS for text in texts))


def holds(path: Path, pattern: re.Pattern[bytes]) -> bool:
    """Whether a file names somebody, packed or plain."""
    try:
        return any(pattern.search(piece) for piece in _pieces(path))
    except _UNREADABLE:
        return True


def _whole(text: str, encoding: str, letter: bytes) -> bytes:
    """A pattern of a text that is no part of a longer word.

    It looks back only after its first byte, so that `re` need not begin at bytes that no text begins with.
    """
    written = text.encode(encoding)
    first, rest = re.escape(written[:1]), re.escape(written[1:])
    return b"%b(?<!%b%b)%b(?!%b)" % (first, letter, first, rest, letter)


def _pieces(path: Path) -> Iterator[bytes]:
    """What a file says, in overlapping pieces."""
    with path.open("rb") as file:
        head = file.read(16)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as unpacked:
                    yield from _read(unpacked)
    elif _XZ.match(head):
        import lzma

        with lzma.open(path) as unpacked:
            yield from _read(unpacked)
    elif _BZIP2.match(head):
        import bz2

        with bz2.open(path) as unpacked:
            yield from _read(unpacked)
    else:
        with ByteStream(path) as stream:
            yield from _overlapping(iter(stream.read, b""))


def _read(file: IO[bytes]) -> Iterator[bytes]:
    return _overlapping(iter(lambda: file.read(_CHUNK), b""))


def _overlapping(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Each with the end of the one before, so that no name falls between two."""
    end = b""
    for piece in pieces:
        yield end + piece
        end = piece[-_OVERLAP:]


def _escaped(text: str) -> str:
    r"""As JSON writers that keep to ASCII have it: an é is `\u00e9`."""
    units = text.encode("utf-16-be", "surrogatepass")
    codes = [units[at] << 8 | units[at + 1] for at in range(0, len(units), 2)]
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)
