"""What the header of a GGUF file tells of a model's size: read without loading it, and without the package `gguf`."""

import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_NUMBERS: Final = dict(enumerate("BbHhIif?", 0)) | {10: "Q", 11: "q", 12: "d"}
_STRING: Final = 8
_ARRAY: Final = 9
_BLOCK: Final = re.compile(r"blk\.(\d+)\.")
_READS_A_LAYER: Final = tuple(f"attn_{name}.weight.lora_a" for name in "qkv")
# Not more than any model has; a header with more is broken.
_MOST: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Bytes of the tensors of each layer, and of what stands behind the last; `key` and `value` are numbers a token."""

    layers: tuple[int, ...]
    output: int
    key: int
    value: int
    width: int
    heads: int
    vocabulary: int

    @property
    def bytes(self) -> int:
        return sum(self.layers) + self.output


def model_size(path: Path) -> ModelSize | None:
    """None where the file is no whole GGUF model of a kind that is counted here."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _size(_Header(data))
    except (OSError, ValueError, LookupError, TypeError, struct.error, UnicodeDecodeError):
        return None


def adapter_layers(path: Path) -> tuple[int, int] | None:
    """For how many layers of what width a LoRA is made; None where the file is no whole GGUF adapter of attention."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = _Header(data)
    except (OSError, ValueError, LookupError, TypeError, struct.error, UnicodeDecodeError):
        return None
    blocks = [int(block[1]) for name in header.widths if (block := _BLOCK.match(name))]
    # Of what a layer reads, in the order of the file's dimensions.
    widths = [width for name, width in header.widths.items() if name.endswith(_READS_A_LAYER)]
    return (max(blocks) + 1, widths[0]) if blocks and widths and header.facts.get("general.type") == "adapter" else None


def _size(header: "_Header") -> ModelSize:
    facts = header.facts
    kind = facts["general.architecture"]

    def fact(name: str, default: int | None = None) -> int:
        value = facts[f"{kind}.{name}"] if default is None else facts.get(f"{kind}.{name}", default)
        # Some models have another number in each layer.
        return int(max(value) if isinstance(value, list) else value)

    width, heads = fact("embedding_length"), fact("attention.head_count")
    shared = fact("attention.head_count_kv", heads)
    layers = [0] * fact("block_count")
    output = embedding = 0
    for name, size in header.tensors.items():
        if block := _BLOCK.match(name):
            layers[int(block[1])] += size
        elif name.startswith("token_embd."):
            embedding += size
        else:
            output += size
    # Where words are read and written by the same matrix, llama.cpp loads it twice.
    tied = "output.weight" not in header.tensors
    return ModelSize(
        tuple(layers),
        output + tied * embedding,
        fact("attention.key_length", width // heads) * shared,
        fact("attention.value_length", width // heads) * shared,
        width,
        heads,
        len(facts["tokenizer.ggml.tokens"]),
    )


def pieces(path: Path) -> list[bytes] | None:
    """The vocabulary, and whatever else is a list of texts; None where the file is no whole GGUF."""
    found: list[bytes] = []
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _Header(data, found)
    except (ValueError, LookupError, TypeError, struct.error):
        return None
    return found


class _Header:
    """Facts and the bytes of each tensor. Of long lists only the length is kept, and their texts in `pieces`."""

    def __init__(self, data: mmap.mmap, pieces: list[bytes] | None = None) -> None:
        self._data = data
        self._pieces = pieces
        self._at = 0
        if self._take(4) != _MAGIC or self._number("I") not in _VERSIONS:
            raise ValueError("no GGUF")
        tensors, facts = self._count(), self._count()
        self.facts: dict[str, Any] = {self._text(): self._value(self._number("I")) for _ in range(facts)}
        self.widths: dict[str, int] = {}
        offsets: dict[str, int] = {}
        for _ in range(tensors):
            name = self._text()
            dimensions = self._number("I")
            self.widths[name] = self._number("Q") if dimensions else 0
            self._take(8 * max(0, dimensions - 1) + 4)
            offsets[name] = self._number("Q")
        self.tensors = self._sizes(offsets)

    def _sizes(self, offsets: dict[str, int]) -> dict[str, int]:
        """From one tensor's place to the next: what kinds of numbers there are need not be known."""
        step = int(self.facts.get("general.alignment", 32))
        begin = -(-self._at // step) * step
        places = sorted(offsets.values())
        ends = dict(zip(places, [*places[1:], len(self._data) - begin], strict=True))
        return {name: ends[place] - place for name, place in offsets.items()}

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            return self._number(_NUMBERS[kind])
        kind, length = self._number("I"), self._count()
        if kind == _STRING:
            for _ in range(length):
                piece = self._take(self._number("Q"))
                if self._pieces is not None:
                    self._pieces.append(piece)
            return range(length)
        code = _NUMBERS[kind]
        return list(struct.unpack(f"<{length}{code}", self._take(length * struct.calcsize(f"<{code}"))))

    def _number(self, code: str) -> Any:
        (number,) = struct.unpack(f"<{code}", self._take(struct.calcsize(f"<{code}")))
        return number

    def _count(self) -> int:
        count: int = self._number("Q")
        if count > _MOST:
            raise ValueError("too many")
        return count

    def _text(self) -> str:
        return self._take(self._number("Q")).decode()

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise ValueError("cut short")
        self._at += size
        return taken
