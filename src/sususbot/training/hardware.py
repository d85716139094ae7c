"""The machine a training runs on: which cards there are, whether one will do, and how it fares meanwhile.

torch says what it can use, NVIDIA's management library (NVML) what is in the machine even where torch cannot use it.
Everything judged here is judged by functions over values, so that each machine can be described without having it.
NVML may be absent or refuse: then its figures are None, and nothing else is lost.
"""

import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil  # type: ignore[import-untyped]
import torch

from sususbot.errors import NoGpu, TooLittleDisk, TooLittleMemory
from sususbot.model.cards import CUDA_DRIVERS

try:
    import pynvml
except ImportError:
    pynvml = None

GB: Final = 1e9
_WHEELS: Final = {12: "cu126", 13: "cu130"}
_ON_WHEELS: Final = "https://download.pytorch.org/whl/"
_TURING: Final = 75
# Of a card's memory, what is left when it is full.
_FULL: Final = 0.02
_SLOW: Final = 1 / 3
_ENOUGH_SPEEDS: Final = 5
_OUT_OF_MEMORY: Final = re.compile(
    r"CUDA.*out of memory|out of memory.*CUDA|ALLOC_FAILED|DefaultCPUAllocator: (can't allocate|not enough) memory",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Card:
    """A card that torch can use. `arches` are those that this torch has code for, such as sm_75."""

    index: int
    name: str
    capability: tuple[int, int]
    total_bytes: int
    free_bytes: int
    arches: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether this torch has code for it: of its own family and not newer, or older code to compile anew."""
        major, minor = self.capability
        for arch in self.arches:
            kind, _, number = arch.partition("_")
            version = int(re.sub(r"\D", "", number) or 0)
            if kind == "sm" and version // 10 == major and version % 10 <= minor:
                return True
            if kind == "compute" and version <= major * 10 + minor:
                return True
        return not self.arches


@dataclass(frozen=True, slots=True)
class Cards:
    """What there is. `cuda` is the version torch was built for, None for a build that only knows processors.

    `names` are the cards in the machine as the driver tells, whether torch can use them or not; `complaint` is what
    torch said when asked; `hidden` whether CUDA_VISIBLE_DEVICES keeps every card from it.
    """

    usable: tuple[Card, ...]
    torch: str
    cuda: str | None
    driver: str | None = None
    names: tuple[str, ...] = ()
    hidden: bool = False
    complaint: str = ""


def find_cards(only: int | None = None) -> Cards:
    """The cards of this machine. Asking also prepares each card for use, which takes some of its memory.

    With `only`, no other than that one is prepared: each of many processes has its own; the rest count as empty.
    """
    driver, names = _driver()
    usable: list[Card] = []
    # What torch complains about is told in our own words.
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            usable = [_card(index, asked=only in (None, index)) for index in range(torch.cuda.device_count())]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return Cards(
        usable=tuple(usable),
        torch=torch.__version__,
        cuda=torch.version.cuda,
        driver=driver,
        names=names,
        hidden=visible is not None and visible.strip() in ("", "-1"),
        complaint=str(told[-1].message).splitlines()[0] if told else "",
    )


def check_card(
    cards: Cards, needed_bytes: int, flops: float, processor_rate: Callable[[], float], index: int = 0
) -> Card:
    """The card to train on. Raises NoGpu and TooLittleMemory.

    `flops` are what the whole training would ask of a processor that does `processor_rate()` of them a second.
    """
    if index >= len(cards.usable):
        raise NoGpu(f"{_why_none(cards)}; or say  --cpu  ({on_processor(flops, processor_rate())})")
    card = cards.usable[index]
    if not card.known:
        major, minor = card.capability
        # Wheels for CUDA 12 are the last that know cards before Turing.
        step = _install(13 if major * 10 + minor >= _TURING else 12)
        raise NoGpu(
            f"torch {cards.torch} has no code for the {card.name} (compute capability {major}.{minor}): run  {step} ; "
            f"or say  --cpu  ({on_processor(flops, processor_rate())})"
        )
    if needed_bytes > card.free_bytes:
        raise TooLittleMemory(_too_little(card, needed_bytes))
    return card


def check_memory(free_bytes: int, needed_bytes: int) -> None:
    """Raises TooLittleMemory where a training on the processor does not fit into the machine's memory."""
    if needed_bytes > free_bytes:
        raise TooLittleMemory(
            f"training needs about {needed_bytes / GB:.1f} GB of memory and {free_bytes / GB:.1f} GB are free: close "
            "other programs, lower PACK_TOKENS, set LOAD_IN_4BIT=true, or choose a smaller BASE_MODEL"
        )


def check_disk(folder: Path, needed_bytes: int) -> None:
    """Raises TooLittleDisk where the disk of a folder, which need not be there yet, has less room."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed_bytes:
        raise TooLittleDisk(
            f"checkpoints and adapter need {_size(needed_bytes)} in {folder} and its disk has {_size(free)}: make "
            "room, or choose another place with  --data"
        )


def driver_fits(driver: str, cuda: str) -> bool:
    """Whether a driver such as 580.65.06 runs what was built for a CUDA such as 13.0."""
    branch, family = _leading(driver), _leading(cuda)
    return branch >= CUDA_DRIVERS.get(family, max(CUDA_DRIVERS.values()) if family > max(CUDA_DRIVERS) else 0)


def on_processor(flops: float, rate: float) -> str:
    """How long a training would take at so many operations a second, in words."""
    hours = flops / rate / 3600
    if hours < 0.05:
        told = "a few minutes"
    elif hours < 1.5:
        told = f"{round(hours * 60)} minutes"
    elif hours < 48:
        told = f"{round(hours)} hours"
    else:
        told = f"{round(hours / 24):,} days"
    return f"on the processor it takes at least {told}"


def matmul_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.1) -> float:
    """Floating point operations a second in products of large square matrices, the median of as many as fit."""
    size = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device, dtype=torch.float32).to(dtype) for _ in range(2))

    def once() -> float:
        begun = now(device)
        torch.matmul(left, right)
        return now(device) - begun

    once()
    taken: list[float] = []
    while not taken or sum(taken) < seconds:
        taken.append(once())
    return 2 * size**3 / median(taken)


def now(device: torch.device) -> float:
    """Seconds, once the device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def free_memory() -> int:
    """Bytes that programs can still get of the machine's memory."""
    return int(psutil.virtual_memory().available)


def cap_memory(device: torch.device, limit_bytes: int) -> None:
    """Let torch take no more of a card than this: beyond it is an error, where Windows would only slow down."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit_bytes / total), device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the card or of the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None


@dataclass(frozen=True, slots=True)
class Sample:
    """A card at one moment: memory of this process and of all, in bytes, temperature and power. None: not told."""

    own_bytes: int | None = None
    used_bytes: int | None = None
    total_bytes: int | None = None
    celsius: float | None = None
    watts: float | None = None

    @property
    def free_bytes(self) -> int | None:
        if self.total_bytes is None or self.used_bytes is None:
            return None
        return self.total_bytes - self.used_bytes

    def figures(self) -> Mapping[str, float | None]:
        """As metrics name them."""
        return {
            "vram_mb": _mb(self.own_bytes),
            "vram_used_mb": _mb(self.used_bytes),
            "vram_total_mb": _mb(self.total_bytes),
            "celsius": self.celsius,
            "watts": self.watts,
        }


class Watch:
    """Looks at a card whenever asked. Of a processor, and where NVML is missing, there is nothing to see."""

    def __init__(self, device: torch.device) -> None:
        self._device = device if device.type == "cuda" else None
        self._handle: Any = None
        if self._device is not None and pynvml is not None:
            with suppress(pynvml.NVMLError):
                pynvml.nvmlInit()
                self._handle = _handle(self._device)

    def sample(self) -> Sample:
        if self._device is None:
            return Sample()
        free, total = torch.cuda.mem_get_info(self._device)
        return Sample(
            # Windows does not tell NVML what a process has; torch knows all of it but what CUDA keeps for itself.
            own_bytes=torch.cuda.memory_reserved(self._device),
            used_bytes=total - free,
            total_bytes=total,
            celsius=self._ask("nvmlDeviceGetTemperature", 0),
            watts=None if (milliwatts := self._ask("nvmlDeviceGetPowerUsage")) is None else milliwatts / 1000,
        )

    def close(self) -> None:
        if self._handle is not None:
            self._handle = None
            with suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()

    def _ask(self, question: str, *arguments: int) -> float | None:
        if self._handle is None:
            return None
        try:
            return float(getattr(pynvml, question)(self._handle, *arguments))
        except pynvml.NVMLError:
            return None


def spilled(sample: Sample, cap_bytes: int, tokens_per_s: float, earlier: Sequence[float]) -> str | None:
    """One sentence where a card's memory has spilled into the machine's, which Windows does without an error.

    Seen by its effect: the card is full (or this process beyond its cap), and training fell to a third of its median.
    """
    if len(earlier) < _ENOUGH_SPEEDS or tokens_per_s > _SLOW * (usual := median(earlier)):
        return None
    beyond = sample.own_bytes is not None and sample.own_bytes > cap_bytes
    full = (
        sample.free_bytes is not None
        and sample.total_bytes is not None
        and sample.free_bytes < _FULL * sample.total_bytes
    )
    if not (beyond or full):
        return None
    return (
        f"the card's memory is full and training fell from {usual:,.0f} to {tokens_per_s:,.0f} tokens/s: Windows moves "
        "a full card's memory to the machine's own; close other programs, or stop (Ctrl-C) and go on with  --resume  "
        "and a lower PACK_TOKENS"
    )


def _card(index: int, *, asked: bool) -> Card:
    properties = torch.cuda.get_device_properties(index)
    total = properties.total_memory
    free = torch.cuda.mem_get_info(index)[0] if asked else total
    name = properties.name.removeprefix("NVIDIA ")
    arches = tuple(torch.cuda.get_arch_list())
    return Card(index, name, (properties.major, properties.minor), total, free, arches)


def _driver() -> tuple[str | None, tuple[str, ...]]:
    """The driver's version and the names of its cards."""
    if pynvml is None:
        return None, ()
    try:
        pynvml.nvmlInit()
        try:
            handles = [pynvml.nvmlDeviceGetHandleByIndex(place) for place in range(pynvml.nvmlDeviceGetCount())]
            names = tuple(str(pynvml.nvmlDeviceGetName(handle)).removeprefix("NVIDIA ") for handle in handles)
            return str(pynvml.nvmlSystemGetDriverVersion()), names
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None, ()


def _handle(device: torch.device) -> Any:
    """The card in NVML, which numbers cards its own way."""
    properties = torch.cuda.get_device_properties(device)
    with suppress(pynvml.NVMLError):
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{properties.uuid}")
    return pynvml.nvmlDeviceGetHandleByIndex(device.index or 0)


def _why_none(cards: Cards) -> str:
    """Why torch has no card (of that number), with the step that gives it one."""
    which = f"the {cards.names[0]}" if cards.names else "a card"
    newest = 13 if cards.driver is None or driver_fits(cards.driver, "13") else 12
    if cards.usable:
        return f"there are more processes than cards ({len(cards.usable)}): start one for each card"
    if cards.cuda is None:
        if cards.names:
            return f"torch {cards.torch} is built for processors only and leaves {which} alone: run  {_install(newest)}"
        return (
            f"no NVIDIA card was found, and torch {cards.torch} is built for processors only: install NVIDIA's driver "
            f"and run  {_install(newest)}  where there is a card"
        )
    if cards.hidden:
        return "CUDA_VISIBLE_DEVICES hides every card: unset it"
    if cards.driver is not None and not driver_fits(cards.driver, cards.cuda):
        oldest = CUDA_DRIVERS[min(_leading(cards.cuda), max(CUDA_DRIVERS))]
        return (
            f"the driver {cards.driver} of {which} is too old for torch {cards.torch} (CUDA {cards.cuda}): install "
            f"NVIDIA's driver {oldest} or newer"
        )
    if cards.names:
        reason = f" ({cards.complaint})" if cards.complaint else ""
        return f"torch {cards.torch} cannot use {which}{reason}: restart the machine or install NVIDIA's driver anew"
    return "no NVIDIA card was found: train on a machine with one (and NVIDIA's driver)"


def _install(family: int) -> str:
    return f"pip install --force-reinstall torch --index-url {_ON_WHEELS}{_WHEELS[family]}"


def _too_little(card: Card, needed: int) -> str:
    begun = f"training needs about {needed / GB:.1f} GB of memory on the {card.name}"
    if needed > card.total_bytes:
        return (
            f"{begun}, which has {card.total_bytes / GB:.1f} GB: set VRAM_PRESET=8 or a lower PACK_TOKENS, or choose a "
            "smaller BASE_MODEL"
        )
    return (
        f"{begun} and {card.free_bytes / GB:.1f} of its {card.total_bytes / GB:.1f} GB are free: close what else uses "
        "the card (games, browsers, other models), or set VRAM_PRESET=8 or a lower PACK_TOKENS"
    )


def _leading(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found.group()) if found else 0


def _size(count: int) -> str:
    return f"{count / GB:,.1f} GB" if count >= GB else f"{count / 1e6:,.0f} MB"


def _mb(count: int | None) -> float | None:
    return None if count is None else round(count / 1e6, 1)
