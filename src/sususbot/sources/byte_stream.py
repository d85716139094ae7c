"""A file's bytes a piece at a time, unpacked when it is gzip (known by its first bytes, not by its name).

A damaged or cut gzip gives all that can still be unpacked; `fault` then says what is wrong with the rest.
"""

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

_CHUNK: Final = 1 << 20
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31  # zlib: the largest window, with a gzip header


class ByteStream:
    """An open file. `position` counts bytes read from disk, `length` bytes handed out."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._packed = self._file.read(2) == _GZIP_MAGIC
        self._file.seek(0)
        self._unpacker = zlib.decompressobj(_GZIP_WINDOW)
        self._input = b""
        self.position = 0
        self.length = 0
        self.fault: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self) -> bytes:
        """The next piece (1 MiB at most); empty at the end."""
        piece = self._unpacked() if self._packed else self._raw()
        self.length += len(piece)
        return piece

    def _raw(self) -> bytes:
        piece = self._file.read(_CHUNK)
        self.position += len(piece)
        return piece

    def _unpacked(self) -> bytes:
        while self.fault is None:
            if not self._input:
                self._input = self._raw()
                if not self._input:
                    if self._unpacker.eof:
                        break
                    self.fault = "the gzip file is cut off here"
                    return self._unpacker.flush()
            if self._unpacker.eof:
                # Several gzip files written one after another are one gzip file.
                self._unpacker = zlib.decompressobj(_GZIP_WINDOW)
            before = self._unpacker.copy()
            try:
                piece = self._unpacker.decompress(self._input, _CHUNK)
            except zlib.error:
                self.fault = "the gzip file is damaged here"
                return b"".join(until_damage(before, self._input))
            self._input = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
            if piece:
                return piece
        return b""


def until_damage(unpacker: "zlib._Decompress", packed: bytes) -> Iterator[bytes]:
    """All that can be unpacked; given the whole at once, zlib keeps it to itself when it meets the damage."""
    with contextlib.suppress(zlib.error):
        for byte in range(len(packed)):
            yield unpacker.decompress(packed[byte : byte + 1])
