"""Cleaning Chroma's own files: what its library lets through from the memory of the bot's process goes out again.

Chroma's graph (hnswlib) reserves rows for vectors to come and writes them as the memory happened to be, and for each
vector a length that nothing but the cosine space ever sets. That memory held other things before: a prompt, somebody's
words. Chroma writes before a call to it returns, so whoever changes an index calls `wipe` afterwards.
Layout: `persistHeader` and `initPersistentIndex` of hnswlib/hnswalg.h in chroma-core/hnswlib, persistence version 1.
"""

import struct
from pathlib import Path
from typing import Final

# Version, offset of level 0, rows reserved, rows used, bytes of a row.
_HEADER: Final = struct.Struct("=iQQQQ")
_VERSION: Final = 1
_PIECE: Final = 1 << 20


def wipe(folder: Path) -> None:
    """Zero what stands in an index's files without meaning anything. Raises OSError; ValueError for another layout.

    Nobody else may be changing the index meanwhile. Its space is not the cosine (lengths are not used).
    """
    for header in folder.glob("*/header.bin"):
        written = header.read_bytes()
        if len(written) < _HEADER.size:
            # The program ended while Chroma made this file: it makes it anew.
            continue
        version, _, _, rows, row_bytes = _HEADER.unpack_from(written)
        if version != _VERSION:
            raise ValueError(f"{header} has the layout {version}, not {_VERSION}")
        _zero(header.with_name("data_level0.bin"), rows * row_bytes)
        _zero(header.with_name("length.bin"), 0)


def _zero(path: Path, start: int) -> None:
    """Make all bytes from `start` on zero; what is zero already is not written."""
    with path.open("r+b") as file:
        file.seek(start)
        while piece := file.read(_PIECE):
            if piece != bytes(len(piece)):
                file.seek(-len(piece), 1)
                file.write(bytes(len(piece)))
                file.flush()
