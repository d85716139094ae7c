"""Which graphics cards the machine has, without torch: NVIDIA's own tool is asked, then llama.cpp."""

import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

import xllamacpp

_ASK: Final = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
_SECONDS: Final = 10
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Card:
    """A graphics card with memory of its own, in bytes. `usable`: by the llama.cpp that is installed."""

    name: str
    total_bytes: int
    usable: bool = True

    @property
    def gigabytes(self) -> float:
        """As cards are sold: 11 for one of 11,264 MiB."""
        return self.total_bytes / _GIB


def find_cards() -> list[Card]:
    """The cards, the largest first. Also those that the installed llama.cpp has no code for: that can be installed."""
    usable = _of_llamacpp()
    return sorted(_nvidia(usable=bool(usable)) or usable, key=lambda card: -card.total_bytes)


def _nvidia(*, usable: bool) -> list[Card]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        done = subprocess.run([tool, *_ASK], capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        # A driver that is broken or being replaced.
        return []
    cards = []
    for line in done.stdout.splitlines():
        name, _, mebibytes = line.rpartition(",")
        # Cards that share the machine's memory say [N/A].
        if mebibytes.strip().isdecimal():
            cards.append(Card(name.strip().removeprefix("NVIDIA "), int(mebibytes) * _MIB, usable))
    return cards


def _of_llamacpp() -> list[Card]:
    gpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_GPU
    devices = xllamacpp.get_device_info()
    return [Card(one["description"], int(one["memory_total"])) for one in devices if one["type"] == gpu]
