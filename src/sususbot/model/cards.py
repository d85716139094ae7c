"""Which graphics cards the machine has, without torch: NVIDIA's own tool is asked, then llama.cpp, then the system.

A card that neither of the first two tells of can be used by nothing that is installed; it is told of all the same, so
that nobody has to guess why theirs lies idle.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sususbot.model import openmp

_ASK: Final = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
_SECONDS: Final = 10
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
# Where Linux lists what draws, and Windows the drivers of what does.
_DRAWING: Final = Path("/sys/class/drm")
_WINDOWS: Final = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
# The oldest driver for each CUDA, by NVIDIA's "CUDA Compatibility", minor version compatibility, table 1.
CUDA_DRIVERS: Final = {11: 450, 12: 525, 13: 580}
_MAKERS: Final = {"0x10de": "NVIDIA", "0x1002": "AMD"}
# Chips that share the machine's memory say less, or nothing.
_A_CARD: Final = 2 * _GIB


@dataclass(frozen=True, slots=True)
class Card:
    """A graphics card with memory of its own, in bytes. `usable`: by the llama.cpp that is installed."""

    name: str
    total_bytes: int
    usable: bool = True
    driver: str | None = None
    """NVIDIA's, such as 580.65.06; None for other makers' cards."""

    @property
    def gigabytes(self) -> float:
        """As cards are sold: 11 for one of 11,264 MiB."""
        return self.total_bytes / _GIB


@dataclass(frozen=True, slots=True)
class IdleCard:
    """A card that the system knows of and nothing else here does."""

    maker: str
    name: str
    total_bytes: int | None = None


def find_cards() -> list[Card]:
    """The cards, the largest first. Also those that the installed llama.cpp has no code for: that can be installed."""
    usable = _of_llamacpp()
    return sorted(_nvidia(usable=bool(usable)) or usable, key=lambda card: -card.total_bytes)


def idle_cards() -> list[IdleCard]:
    """What the system has drivers for; of interest where `find_cards` finds none."""
    return list(_of_windows() if sys.platform == "win32" else idle_on_linux(_DRAWING))


def idle_on_linux(drawing: Path) -> Iterator[IdleCard]:
    """Cards of makers whose cards a model could run on, as the kernel lists them in a folder."""
    for device in sorted(path for path in drawing.glob("card*/device") if path.parent.name[4:].isdecimal()):
        maker = _MAKERS.get(_line(device / "vendor"))
        memory = _line(device / "mem_info_vram_total")
        if maker == "NVIDIA":
            yield IdleCard(maker, "NVIDIA card")
        elif maker is not None and memory.isdecimal() and int(memory) >= _A_CARD:
            yield IdleCard(maker, f"{maker} card", int(memory))


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _nvidia(*, usable: bool) -> list[Card]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        done = subprocess.run(
            [tool, *_ASK], capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        # A driver that is broken or being replaced.
        return []
    cards = []
    for line in done.stdout.splitlines():
        name, mebibytes, driver = _columns(line)
        # Cards that share the machine's memory say [N/A].
        if mebibytes.isdecimal():
            cards.append(Card(name.removeprefix("NVIDIA "), int(mebibytes) * _MIB, usable, driver))
    return cards


def _columns(line: str) -> tuple[str, str, str | None]:
    """Name, memory and the driver where it is told."""
    before, _, last = line.rpartition(",")
    if last.strip().isdecimal():
        return before.strip(), last.strip(), None
    name, _, mebibytes = before.rpartition(",")
    return name.strip(), mebibytes.strip(), last.strip() or None


def fault_of_llamacpp() -> str | None:
    """Why llama.cpp cannot be loaded here, where it cannot: a system library is missing, or the wheel is another's."""
    openmp.ready()
    try:
        import xllamacpp  # noqa: F401
    except ImportError as error:
        return str(error)
    return None


def _of_llamacpp() -> list[Card]:
    openmp.ready()
    try:
        import xllamacpp
    except ImportError:
        return []
    gpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_GPU
    devices = xllamacpp.get_device_info()
    return [Card(one["description"], int(one["memory_total"])) for one in devices if one["type"] == gpu]


def _of_windows() -> Iterator[IdleCard]:
    """From the registry, where each driver writes what it drives: the tool that told it is gone from new systems."""
    if sys.platform != "win32":
        return
    import winreg

    for number in range(16):
        with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, rf"{_WINDOWS}\{number:04}") as key:
            name = str(winreg.QueryValueEx(key, "DriverDesc")[0])
            memory = int(winreg.QueryValueEx(key, "HardwareInformation.qwMemorySize")[0])
            maker = next((maker for maker in _MAKERS.values() if maker.casefold() in name.casefold()), None)
            if maker is not None and memory >= _A_CARD:
                yield IdleCard(maker, name.removeprefix(f"{maker} "), memory)
