"""A zip file from a stranger: what is in it, and the bytes of each entry as a stream. Nothing is ever written to disk.

The list of contents at the end is read first, and held against what stands before each entry; where the two differ, or
where the list is cut off, the file is gone through from its beginning, entry by entry, so that what is whole is found.
Guards: so many entries, so many bytes, so many times their packed size and no more; no path that leads out.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final, Self

from sususbot.sources.byte_stream import until_damage
from sususbot.sources.source import Fault

_CHUNK: Final = 1 << 18
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZE_FOLLOWS, _UTF8 = 0x1, 0x8, 0x800
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_LISTED: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_END_64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR: Final = struct.Struct("<4sIQI")
_SIGNATURES: Final = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x07\x08")
_MANY_32: Final = 0xFFFFFFFF

MOST_ENTRIES: Final = 200_000
MOST_BYTES: Final = 1 << 35
# Text is rarely packed to less than a twentieth; what stays below some size can hurt nobody.
MOST_TIMES: Final = 250
_HARMLESS: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the zip. `size` packed bytes, None: until the data say so; `checksum` None: not known."""

    name: str
    begin: int
    method: int
    size: int | None
    checksum: int | None
    encrypted: bool

    @property
    def key(self) -> tuple[str, int, int, int | None, bool]:
        """What must agree for two entries to be one: packed data say themselves where they end."""
        return self.name, self.begin, self.method, self.size if self.method == _STORED else None, self.encrypted


class ZipFile:
    """An open zip file. `faults` says what of it could not be used."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.length = path.stat().st_size
        self.faults: list[Fault] = []
        self.unpacked = 0
        self.entries = self._contents()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read(self, entry: Entry) -> "EntryStream":
        return EntryStream(self, entry)

    @property
    def too_much(self) -> str | None:
        """Why no more is unpacked. All entries together: thus it helps nobody to have them share their bytes."""
        if self.unpacked > max(_HARMLESS, MOST_TIMES * self.length):
            return f"the package unpacks to more than {MOST_TIMES} times its size"
        return f"the package unpacks to more than {MOST_BYTES:,} bytes" if self.unpacked > MOST_BYTES else None

    def at(self, begin: int, count: int) -> bytes:
        self.file.seek(begin)
        return self.file.read(count)

    def _contents(self) -> list[Entry]:
        found, whole = self._listed()
        if not whole:
            self.faults.append(Fault(self.length, 1, "the list of contents is cut off or garbled", "entry"))
            found += self._walked()
            self.unpacked = 0
        kept: dict[tuple[str, int, int, int | None, bool], Entry] = {}
        for number, entry in enumerate(found, 1):
            if _leads_out(entry.name):
                self.faults.append(Fault(entry.begin, number, f"its path leads out: {entry.name!r}", "entry"))
            elif len(kept) == MOST_ENTRIES:
                self.faults.append(Fault(entry.begin, number, f"more than {MOST_ENTRIES:,} files", "entry"))
                break
            else:
                kept.setdefault(entry.key, entry)
        return list(kept.values())

    def _listed(self) -> tuple[list[Entry], bool]:
        """The entries of the list at the end, and whether it is whole and fits what it lists."""
        entries: list[Entry] = []
        fits = True
        try:
            count, at = self._end()
            for _ in range(min(count, MOST_ENTRIES + 1)):
                found, at = self._listed_entry(at)
                fits = fits and len(found) == 1
                entries += found
            fits = fits and (count > MOST_ENTRIES or self.at(at, 4) in (b"PK\x05\x06", b"PK\x06\x06"))
        except (struct.error, ValueError, OverflowError):
            fits = False
        return entries, fits

    def _end(self) -> tuple[int, int]:
        """How many entries there are, and where the list begins."""
        tail_at = max(0, self.length - 0xFFFF - _END.size)
        tail = self.at(tail_at, self.length - tail_at)
        place = tail.rfind(b"PK\x05\x06")
        if place < 0:
            raise ValueError("no list")
        _, _, _, _, count, _, at, _ = _END.unpack_from(tail, place)
        if count == 0xFFFF or at == _MANY_32:
            _, _, where, _ = _LOCATOR.unpack(self.at(max(0, tail_at + place - _LOCATOR.size), _LOCATOR.size))
            *_, count, _, at = _END_64.unpack(self.at(where, _END_64.size))
        return count, at

    def _listed_entry(self, at: int) -> tuple[list[Entry], int]:
        """An entry as the list and as the file itself has it, one where they agree; and where the next begins."""
        (signature, _, _, flags, method, _, _, checksum, size, full, name_length, extra_length, comment_length,
         _, _, _, begin) = _LISTED.unpack(self.at(at, _LISTED.size))  # fmt: skip
        if signature != b"PK\x01\x02":
            raise ValueError("no entry")
        raw, extra = self.file.read(name_length), self.file.read(extra_length)
        if _MANY_32 in (size, full, begin):
            size, begin = _wide(extra, full, size, begin)
        local = self._local(begin)
        next_at = at + _LISTED.size + name_length + extra_length + comment_length
        if local is None:
            return [], next_at
        listed = Entry(_name(raw, flags), local.begin, method, size, checksum, bool(flags & _ENCRYPTED))
        alike = listed.key == (local if local.size is not None else replace(local, size=size)).key
        return [listed] if alike else [listed, local], next_at

    def _local(self, at: int) -> Entry | None:
        """The entry that begins here, if one does."""
        header = self.at(at, _LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            return None
        _, _, flags, method, _, _, checksum, size, full, name_length, extra_length = _LOCAL.unpack(header)
        raw, extra = self.file.read(name_length), self.file.read(extra_length)
        known = not flags & _SIZE_FOLLOWS
        if known and _MANY_32 in (size, full):
            size, _ = _wide(extra, full, size, 0)
        return Entry(
            _name(raw, flags),
            at + _LOCAL.size + name_length + extra_length,
            method,
            size if known else None,
            checksum if known else None,
            bool(flags & _ENCRYPTED),
        )

    def _walked(self) -> Iterator[Entry]:
        """The entries as they stand in the file, found without the list."""
        at = self._next(0)
        while at is not None and (entry := self._local(at)):
            yield entry
            end = self._end_of(entry)
            at = self._next(entry.begin if end is None else end)

    def _end_of(self, entry: Entry) -> int | None:
        """Where the data of an entry end; None where that cannot be told."""
        if entry.size is not None:
            end = entry.begin + entry.size
            return end if self.at(end, 4) in _SIGNATURES else None
        if entry.method != _DEFLATED or entry.encrypted:
            return None
        stream = self.read(entry)
        while stream.read():
            pass
        return None if stream.fault else stream.end

    def _next(self, at: int) -> int | None:
        """Where the next entry begins, from here on."""
        while chunk := self.at(at, _CHUNK):
            place = chunk.find(b"PK\x03\x04")
            if place >= 0:
                return at + place
            if len(chunk) < 4:
                return None
            at += len(chunk) - 3
        return None


class EntryStream:
    """The unpacked bytes of an entry a piece at a time; `fault` says why they end too early."""

    def __init__(self, zip_: ZipFile, entry: Entry) -> None:
        self._zip = zip_
        self._entry = entry
        self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        self._input = b""
        self._at = entry.begin
        self._checksum = 0
        self._ended = False
        self.length = 0
        self.fault: str | None = None
        if entry.encrypted:
            self.fault = "is encrypted"
        elif entry.method not in (_STORED, _DEFLATED):
            self.fault = "is packed in a way that is not known here"
        elif entry.method == _STORED and entry.size is None:
            self.fault = "does not say how long it is"

    @property
    def position(self) -> int:
        """How far in the zip file this has come."""
        return self._at

    @property
    def end(self) -> int:
        """Where the packed data end, once they are read."""
        return self._at - len(self._input)

    def read(self) -> bytes:
        """The next piece; empty at the end."""
        self.fault = self.fault or self._zip.too_much
        if self.fault or self._ended:
            return b""
        piece = self._unpacked() if self._entry.method == _DEFLATED else self._packed()
        self.length += len(piece)
        self._zip.unpacked += len(piece)
        self._checksum = zlib.crc32(piece, self._checksum)
        if not piece and self.fault is None:
            self._ended = True
            if self._entry.checksum not in (None, self._checksum):
                self.fault = "is garbled somewhere: its checksum is wrong"
        return piece

    def _packed(self) -> bytes:
        deflated = self._entry.method == _DEFLATED
        end = self._zip.length if deflated else self._entry.begin + (self._entry.size or 0)
        piece = self._zip.at(self._at, min(_CHUNK, max(0, end - self._at)))
        self._at += len(piece)
        if not piece and self._at < end:
            self.fault = "is cut off here"
        return piece

    def _unpacked(self) -> bytes:
        while not self._unpacker.eof:
            if not self._input:
                self._input = self._packed()
                if not self._input:
                    self.fault = "is cut off here"
                    return self._unpacker.flush()
            before = self._unpacker.copy()
            try:
                piece = self._unpacker.decompress(self._input, _CHUNK)
            except zlib.error:
                self.fault = "is damaged here"
                return b"".join(until_damage(before, self._input))
            self._input = self._unpacker.unused_data or self._unpacker.unconsumed_tail
            if piece:
                return piece
        return b""


def _name(raw: bytes, flags: int) -> str:
    return raw.decode("utf-8" if flags & _UTF8 else "cp437", errors="replace").replace("\\", "/")


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or ":" in name


def _wide(extra: bytes, full: int, size: int, begin: int) -> tuple[int, int]:
    """Packed size and beginning of an entry for which 32 bits are not enough. Raises struct.error."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            values = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            wide = [next(values, value) if value == _MANY_32 else value for value in (full, size, begin)]
            return wide[1], wide[2]
        at += 4 + length
    return size, begin
