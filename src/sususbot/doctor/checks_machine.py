"""Checks of the machine: Python, packages, the data folder and its disk, who may read the settings, memory, cards."""

import codecs
import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

from sususbot.doctor.findings import Finding, ok, skipped, told_by, warning, wrong
from sususbot.errors import NoGpu, installing
from sususbot.model.cards import CUDA_DRIVERS, Card

_PYTHON: Final = (3, 11)
_GB: Final = 1e9
# Wheels for older ones are made no more.
_OLDEST_CUDA: Final = 12
# How the folders are called that a service copies to other machines, and file systems of other machines.
_KEPT_IN_STEP: Final = ("OneDrive", "Dropbox", "Google Drive", "iCloud", "Nextcloud")
_FAR: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "sshfs", "afpfs", "webdav", "davfs", "share"})
# Where NVIDIA's driver is on Linux, whether or not its tool is.
_DRIVER: Final = Path("/proc/driver/nvidia")
# An archive of a large server with its corpus and a training's checkpoints.
_ROOMY: Final = 5 * _GB
# Below that SQLite's write-ahead log may find no room.
_ENOUGH: Final = 0.5 * _GB


def python(found: tuple[int, ...]) -> Finding:
    told = ".".join(map(str, found[:3]))
    if found[:2] < _PYTHON:
        return wrong("python", f"this is Python {told}, and sususbot needs 3.11", "install a newer Python")
    return ok("python", f"Python {told}")


def data_folder(folder: Path) -> Finding:
    """Writable, and readable by its owner alone. A file is made in it for a moment."""
    name = "data folder"
    if not folder.exists():
        return skipped(name, f"{folder} is not there yet", "sususbot init, or the first import, makes it")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        step = "make room" if error.errno == errno.ENOSPC else "change its permissions"
        return wrong(name, f"{folder} cannot be written ({error.strerror})", f"{step}, or choose another --data")
    if readers := _others(folder):
        return warning(
            name, f"{folder} holds what members wrote, and {readers} of this machine may read it", f"chmod 700 {folder}"
        )
    return ok(name, f"{folder} can be written")


def place(folder: Path, mounts: Sequence[tuple[str, str]]) -> Finding:
    """Whether SQLite and locks can be relied on there; `mounts` are (where, kind of file system)."""
    name, there = "data place", folder.absolute().resolve()
    step = "keep the data folder on a disk of this machine, and name it with --data"
    for part in there.parts:
        if keeper := next((one for one in _KEPT_IN_STEP if part.casefold().startswith(one.casefold())), None):
            told = f"{folder} is kept in step by {keeper}, which holds files while the bot writes them"
            return warning(name, told, step)
    around = [(Path(where), kind) for where, kind in mounts if there.is_relative_to(where)]
    kind = max(around, key=lambda one: len(one[0].parts), default=(there, ""))[1]
    if kind.casefold().split(".")[-1] in _FAR or str(there).startswith("\\\\"):
        return warning(name, f"{folder} is on another machine's disk ({kind or 'a share'}), where locks may fail", step)
    return ok(name, f"{folder} is on a disk of this machine")


def mounts() -> list[tuple[str, str]]:
    """Where disks are, and of which kind: also those of other machines."""
    try:
        parts = psutil.disk_partitions(all=True)
    except OSError:
        return []
    return [(part.mountpoint, "share" if "remote" in part.opts.split(",") else part.fstype) for part in parts]


def disk(folder: Path, *, roomy: float = _ROOMY, enough: float = _ENOUGH) -> Finding:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    told = f"{free / _GB:,.1f} GB are free where {folder} is"
    if free < enough:
        return wrong("disk", told, "make room, or move the data folder and name it with --data")
    if free < roomy:
        return warning("disk", f"{told}: too little for models and trainings", "make room before you train")
    return ok("disk", told)


def settings_mode(env: Path) -> Finding:
    """The settings file holds the token. Windows keeps a user's folders to the user."""
    name = "settings file"
    if not env.is_file():
        return skipped(name, f"there is no {env}", "sususbot init writes one")
    if readers := _others(env):
        return warning(name, f"{env} holds the token, and {readers} of this machine may read it", f"chmod 600 {env}")
    if os.name != "posix":
        return ok(name, f"{env} is there; Windows keeps it to you while it lies in your own folder")
    return ok(name, f"{env} is readable by its owner alone")


def console(encoding: str) -> Finding:
    """By what the console's system says it is written in."""
    try:
        known = codecs.lookup(encoding).name
    except LookupError:
        known = encoding
    if known == "utf-8":
        return ok("console", "the console is written in UTF-8")
    return warning(
        "console",
        f"the console is set to {encoding}: names and emoji may be shown as other signs",
        "chcp 65001" if sys.platform == "win32" else "set PYTHONUTF8=1, or a UTF-8 locale such as C.UTF-8",
    )


def memory(free: int, needed: int, what: str) -> Finding:
    """Of the machine, in bytes."""
    told = f"{free / _GB:,.1f} GB of memory are free, and {what} takes about {needed / _GB:,.1f} GB of it"
    if needed > free:
        return warning("memory", told, "close other programs, or choose a smaller model (sususbot models)")
    return ok("memory", told)


def free_memory() -> int:
    """Bytes that programs can still get of the machine's memory."""
    return int(psutil.virtual_memory().available)


def total_memory() -> int:
    """Bytes of memory that the machine has."""
    return int(psutil.virtual_memory().total)


def cards(found: Sequence[Card]) -> Finding:
    """What llama.cpp can use."""
    if not found:
        return skipped("card", "no graphics card was found: a model answers slowly, and cannot be trained here")
    names = ", ".join(f"{card.name} ({card.gigabytes:.0f} GB)" for card in found)
    if not all(card.usable for card in found):
        return warning(
            "card",
            f"{names} is there, but the llama.cpp that is installed is built for the processor alone",
            "install the wheel of xllamacpp for your card (docs/serving.md)",
        )
    return ok("card", names)


def engine(fault: str | None, *, needed: bool) -> Finding:
    """Whether llama.cpp can be loaded; `fault` is why not, `needed` where the settings choose it."""
    name = "llama.cpp"
    if fault is None:
        return ok(name, "llama.cpp can be loaded")
    step = "install what it misses (Debian: apt install libgomp1), then  pip install --force-reinstall xllamacpp"
    return (wrong if needed else warning)(name, f"llama.cpp cannot be loaded ({fault})", step)


def driver(found: Sequence[Card]) -> Finding:
    """Which builds for CUDA NVIDIA's driver runs: the wheels of torch and llama.cpp are for 12 or 13."""
    name, told = "driver", next((card.driver for card in found if card.driver), None)
    if told is None:
        return skipped(name, "no driver of NVIDIA's was found")
    branch = int(told.partition(".")[0]) if told.partition(".")[0].isdecimal() else 0
    running = [family for family, oldest in CUDA_DRIVERS.items() if branch >= oldest]
    if max(running, default=0) < _OLDEST_CUDA:
        oldest = CUDA_DRIVERS[_OLDEST_CUDA]
        step = f"install NVIDIA's driver {oldest} or newer ({CUDA_DRIVERS[max(CUDA_DRIVERS)]} for all of them)"
        return warning(name, f"NVIDIA's driver {told} runs no build that is made today (CUDA {_OLDEST_CUDA})", step)
    return ok(name, f"NVIDIA's driver {told} runs what is built for CUDA {max(running)}")


def torch(found: Sequence[Card]) -> Finding:
    """Whether torch and the driver fit. Loads torch, which takes seconds, and prepares the card: where there is one."""
    if find_spec("torch") is None:
        return skipped("torch", "torch is not installed: nothing is trained here", installing("train"))
    if not found and not _DRIVER.exists():
        return skipped("torch", f"torch {_version('torch')}, and no NVIDIA card for it")
    try:
        from sususbot.training.hardware import check_card, find_cards
    except ImportError:
        return skipped("torch", "torch is there, what trains is not", installing("train"))
    there = find_cards()
    if not there.usable and not there.names:
        return skipped("torch", f"torch {there.torch}, and no NVIDIA card for it")
    try:
        card = check_card(there, 0, 0.0, lambda: 1.0)
    except NoGpu as error:
        # What remains is how long a processor would take, which nobody asked.
        return told_by("torch", NoGpu(str(error).split("; or say")[0]))
    return ok("torch", f"torch {there.torch} uses the {card.name}, driver {there.driver or 'unknown'}")


@dataclass(frozen=True, slots=True)
class Need:
    """What wants packages of an extra; without them it does not work, or with `else_` it goes another way."""

    what: str
    extra: str
    modules: Sequence[str]
    else_: str = ""


def packages(needs: Sequence[Need]) -> list[Finding]:
    """What the settings need, and whether it is installed. Nothing is loaded."""
    missing = []
    for need in needs:
        if any(find_spec(module) is None for module in need.modules):
            told = f"{need.what} needs packages that are not installed"
            kind = warning if need.else_ else wrong
            step = installing(need.extra)
            missing.append(kind("packages", f"{told}: {need.else_}" if need.else_ else told, step))
    return missing or [ok("packages", f"what the settings need is installed (sususbot {_version('sususbot')})")]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "from its source"


def _others(path: Path) -> str:
    """Who besides the owner may read it; empty where nobody may, and where there are no modes."""
    if os.name != "posix":
        return ""
    mode = path.stat().st_mode
    if mode & stat.S_IROTH:
        return "every user"
    return "the owner's group" if mode & stat.S_IRGRP else ""
