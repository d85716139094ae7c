"""The rows of a CSV file as a stream: cut where rows begin, each parsed on its own, so that a broken one costs itself.

A row begins on a new line with what its first fields look like. Where every value is quoted that cannot occur inside a
text, for a quote there is doubled. Where values are quoted only when they must be, a text of several lines may hold
what looks like a row: a piece that ends within quotes is therefore tried together with those after it.
"""

import csv
import itertools
import re
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from sususbot.sources.json_items import Stream
from sususbot.sources.source import LONGEST, Fault

# No row of a message is longer than this; further pieces are not taken for a part of it.
_LONGEST_ROW: Final = 1 << 16
_OVERLAP: Final = 256
_BOM: Final = b"\xef\xbb\xbf"


class Piece(NamedTuple):
    """Some text and where it begins; `last`: the file ends with it."""

    byte: int
    text: bytes
    last: bool


class CsvRows:
    """The rows of a file below its header. `faults` is complete once they are exhausted; `number` counts rows."""

    def __init__(self, stream: Stream, start: re.Pattern[bytes], columns: int, within: str = "") -> None:
        self._stream = stream
        self._start = start
        self._columns = columns
        self._within = within
        self._waiting: deque[Piece] = deque()
        self.number = 0
        self.faults: list[Fault] = []

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """(byte, fields) of every row that is whole."""
        pieces = self._pieces()
        while piece := self._next(pieces):
            fields = self._fields(piece.text, last=piece.last)
            if fields is None and piece.text.count(b'"') % 2:
                fields = self._joined(piece.text, pieces)
            if fields is None:
                yield from self._salvage(piece)
            else:
                self.number += 1
                yield piece.byte, fields
        if self._stream.fault:
            self.fault(self._stream.length, self._stream.fault)

    def fault(self, byte: int, reason: str) -> None:
        self.faults.append(Fault(byte, max(1, self.number), reason, "row", self._within))

    def _pieces(self) -> Iterator[Piece]:
        """What stands between the beginnings of rows, from the second line on."""
        buffer, base, headed = b"", 0, False
        while chunk := self._stream.read():
            searched = max(0, len(buffer) - _OVERLAP)
            buffer += chunk
            if not headed and (end := buffer.find(b"\n") + 1):
                buffer, base, searched, headed = buffer[end:], end, 0, True
            if not headed:
                continue
            starts = [0, *(match.start() for match in self._start.finditer(buffer, searched) if match.start())]
            for here, there in itertools.pairwise(starts):
                yield Piece(base + here, buffer[here:there], last=False)
            buffer, base = buffer[starts[-1] :], base + starts[-1]
            if len(buffer) > LONGEST:
                yield Piece(base, buffer, last=False)
                buffer, base = b"", base + len(buffer)
        if headed and buffer.strip():
            yield Piece(base, buffer, last=True)

    def _next(self, pieces: Iterator[Piece]) -> Piece | None:
        return self._waiting.popleft() if self._waiting else next(pieces, None)

    def _joined(self, text: bytes, pieces: Iterator[Piece]) -> list[str] | None:
        """The row that begins with this text and ends with a later piece, if there is one."""
        later: list[Piece] = []
        while len(text) < _LONGEST_ROW and (piece := self._next(pieces)):
            later.append(piece)
            text += piece.text
            # A piece with an even number of quotes cannot end the text that is open.
            if piece.text.count(b'"') % 2:
                if fields := self._fields(text, last=piece.last):
                    return fields
                break
        self._waiting.extendleft(reversed(later))
        return None

    def _salvage(self, piece: Piece) -> Iterator[tuple[int, list[str]]]:
        """The whole rows of a piece that is more, or less, than one row."""
        byte, text = piece.byte, b""
        for line in piece.text.splitlines(keepends=True):
            text += line
            if not text.count(b'"') % 2 and (fields := self._fields(text, last=piece.last)):
                self.number += 1
                yield byte, fields
                byte, text = byte + len(text), b""
        if text.strip():
            self.number += 1
            self.fault(byte, "cut off or garbled")

    def _fields(self, text: bytes, *, last: bool) -> list[str] | None:
        """The fields of a piece that is one whole row. The last row of a file may lack its line break.

        Unless it ends with a quote, nobody could then tell that it is whole.
        """
        if not text.endswith((b"\n", b"\r", b'"') if last else b"\n"):
            return None
        try:
            lines = text.decode().strip("\r\n").replace("\r\n", "\n").split("\n")
            rows = list(csv.reader((f"{line}\n" for line in lines), strict=True))
        except (ValueError, csv.Error):
            return None
        return rows[0] if len(rows) == 1 and len(rows[0]) == self._columns else None


def header_of(head: bytes) -> list[str]:
    """The column names in the first line of a file; [] where there are none."""
    line = head.removeprefix(_BOM).split(b"\n", 1)[0].strip()
    try:
        return next(csv.reader([line.decode()], strict=True), [])
    except (ValueError, csv.Error):
        return []
