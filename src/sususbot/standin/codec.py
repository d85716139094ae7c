"""How gateway frames travel: plain text, or one zlib or zstd stream per connection, as the client asked.

zstd needs Python's own module (3.14) or the `zstandard` package. Without them, or for an unknown wish, frames go out as
plain text, which every client reads.
"""

import importlib
import zlib
from typing import Any, Protocol


class Codec(Protocol):
    binary: bool

    def encode(self, frame: bytes) -> bytes: ...


class Plain:
    binary = False

    def encode(self, frame: bytes) -> bytes:
        return frame


class ZlibStream:
    binary = True

    def __init__(self) -> None:
        # Speed over size: nothing leaves this machine.
        self._stream = zlib.compressobj(level=1)

    def encode(self, frame: bytes) -> bytes:
        return self._stream.compress(frame) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class ZstdStream:
    binary = True

    def __init__(self, stream: Any, flush_block: Any) -> None:
        self._stream = stream
        self._flush_block = flush_block

    def encode(self, frame: bytes) -> bytes:
        encoded: bytes = self._stream.compress(frame) + self._stream.flush(self._flush_block)
        return encoded


def codec(wish: str | None) -> Codec:
    """`wish` is the `compress` of the connection's query."""
    if wish == "zlib-stream":
        return ZlibStream()
    if wish == "zstd-stream":
        return _zstd() or Plain()
    return Plain()


def _zstd() -> Codec | None:
    for name in ("compression.zstd", "zstandard"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if name == "zstandard":
            return ZstdStream(module.ZstdCompressor().compressobj(), module.COMPRESSOBJ_FLUSH_BLOCK)
        return ZstdStream(module.ZstdCompressor(), module.ZstdCompressor.FLUSH_BLOCK)
    return None
