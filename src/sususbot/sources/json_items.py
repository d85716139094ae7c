"""The objects of one long JSON list as a stream, whatever its size; what is broken, and where.

A quote inside a JSON string is always escaped, so what every object of the list begins with cannot occur inside a
text: the stream is cut there and each piece is parsed on its own. A piece that does not parse costs only itself; all
others are whole, and its place in the file is known to the byte.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, Protocol

import orjson

from sususbot.sources.source import LONGEST, Fault

_BETWEEN: Final = re.compile(r"[\s,]*", re.ASCII)
_DECODER: Final = json.JSONDecoder()
# Enough of what was read to find a beginning again that the end of a chunk cut in two.
_OVERLAP: Final = 256
_GARBLED: Final = "cut off or garbled"


class Stream(Protocol):
    """Bytes a piece at a time, empty at the end; `length` counts them, and `fault` says why they end too early."""

    @property
    def length(self) -> int: ...

    @property
    def fault(self) -> str | None: ...

    def read(self) -> bytes: ...


class Shape(NamedTuple):
    """How a list stands in its file.

    `before` ends where its first object may begin; None: with the file's first bracket, or without it.
    `start` is what each object begins with. `ending` is given the text from the closing bracket on and the number of
    objects, and says what is wrong with it.
    """

    before: re.Pattern[bytes] | None
    start: re.Pattern[bytes]
    ending: Callable[[str, int], str | None]


class JsonItems:
    """The objects of a list. `faults` is complete once they are exhausted; `number` counts objects, whole or not."""

    def __init__(self, stream: Stream, shape: Shape, within: str = "") -> None:
        self._stream = stream
        self._shape = shape
        self._within = within
        self.number = 0
        self.faults: list[Fault] = []

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """(byte, parsed object) of every object that is whole."""
        for start, piece, last in self._pieces():
            if not last:
                try:
                    item = orjson.loads(piece.rstrip(b" \t\r\n,"))
                except orjson.JSONDecodeError:
                    pass
                else:
                    self.number += 1
                    yield start, item
                    continue
            yield from self._salvage(start, piece, last=last)
        if self._stream.fault:
            self.fault(self._stream.length, self._stream.fault)

    def fault(self, byte: int, reason: str) -> None:
        self.faults.append(Fault(byte, max(1, self.number), reason, within=self._within))

    def _pieces(self) -> Iterator[tuple[int, bytes, bool]]:
        """What stands between the beginnings of objects: byte, text, and whether the list's end is in it."""
        before, start = self._shape.before, self._shape.start
        buffer, base, begun = b"", 0, before is None
        opening = before is None
        while chunk := self._stream.read():
            searched = max(0, len(buffer) - _OVERLAP)
            buffer += chunk
            if not begun and before is not None and (found := before.search(buffer)):
                buffer, base, searched, begun = buffer[found.end() :], found.end(), 0, True
            if not begun:
                continue
            if opening:
                opening, bracket = False, len(buffer) - len(_without_bracket(buffer))
                buffer, base = buffer[bracket:], bracket
            starts = [0, *(match.start() for match in start.finditer(buffer, searched) if match.start())]
            for here, there in itertools.pairwise(starts):
                if buffer[here:there].strip():
                    yield base + here, buffer[here:there], False
            buffer, base = buffer[starts[-1] :], base + starts[-1]
            if len(buffer) > LONGEST:
                yield base, buffer, False
                buffer, base = b"", base + len(buffer)
        yield base, buffer, True

    def _salvage(self, start: int, piece: bytes, *, last: bool) -> Iterator[tuple[int, Any]]:
        """The whole objects of a piece that is more, or less, than one object."""
        text = piece.decode(errors="surrogateescape")
        at = _BETWEEN.match(text).end()  # type: ignore[union-attr]  # matches always
        byte = start + at
        while at < len(text) and not (last and text[at] == "]"):
            self.number += 1
            try:
                item, end = _DECODER.raw_decode(text, at)
                size = len(text[at:end].encode())
                item = storable(item)
            except (ValueError, RecursionError):
                self.fault(byte, _GARBLED)
                return
            yield byte, item
            at = _BETWEEN.match(text, end).end()  # type: ignore[union-attr]
            byte += size + at - end
        if last and (reason := self._shape.ending(text[at:], self.number)):
            self.fault(byte, reason)


def storable(item: Any) -> Any:
    """Escaped halves of surrogate pairs are valid JSON, but no text that can be stored. Raises ValueError."""
    return orjson.loads(json.dumps(item, ensure_ascii=False).encode(errors="replace"))


def _without_bracket(text: bytes) -> bytes:
    rest = text.removeprefix(b"\xef\xbb\xbf").lstrip()
    return rest[1:] if rest.startswith(b"[") else text
