"""Weights on disk: which file of a folder holds which tensor, and files that are there when they are whole.

One tensor is in memory at a time, so that a base of any size can be read on any machine.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import torch
from safetensors import SafetensorError, safe_open

from sususbot.artifacts import flush, flush_folder
from sususbot.errors import BaseUnfit, ExportFailed
from sususbot.in_place import put

INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"
# As safetensors calls them: what a model is that nobody quantised.
FLOATS: Final = frozenset({"F32", "F16", "BF16"})


class Exported(NamedTuple):
    """What was written: a file or a folder."""

    path: Path
    kind: str
    tensors: int
    bytes: int


class Stored(NamedTuple):
    """A tensor on disk."""

    file: Path
    shape: tuple[int, ...]
    dtype: str


def stored(folder: Path) -> dict[str, Stored]:
    """Every tensor of a model's folder. Raises BaseUnfit."""
    found: dict[str, Stored] = {}
    for name in _files(folder):
        with opened(folder / name) as file:
            for key in file.keys():  # noqa: SIM118  (it is no mapping)
                tensor = file.get_slice(key)
                found[key] = Stored(folder / name, tuple(tensor.get_shape()), tensor.get_dtype())
    return found


def read(name: str, tensor: Stored) -> torch.Tensor:
    """One tensor, as it is stored."""
    with opened(tensor.file) as file:
        value: torch.Tensor = file.get_tensor(name)
    return value


def opened(path: Path) -> AbstractContextManager[Any]:
    """A safetensors file. Raises BaseUnfit where it is none, or not whole."""
    try:
        file: AbstractContextManager[Any] = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise BaseUnfit(f"{path} is missing or cut short: fetch the base again") from error
    return file


def _files(folder: Path) -> list[str]:
    """The names of the files that hold weights, in their order."""
    if (folder / INDEX).is_file():
        try:
            placed: Mapping[str, str] = orjson.loads((folder / INDEX).read_bytes())["weight_map"]
            return sorted(set(placed.values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BaseUnfit(f"{folder / INDEX} is broken: fetch the base again") from error
    if (folder / SINGLE).is_file():
        return [SINGLE]
    raise BaseUnfit(f"{folder} holds no weights as safetensors: fetch the base in that format")


@contextmanager
def whole(out: Path, size: int) -> Iterator[Path]:
    """Where to write a file or folder of about `size` bytes that then takes its place at once.

    Raises ExportFailed; what was there before stays until then.
    """
    aside = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove(aside)
        if (free := shutil.disk_usage(out.parent).free) < size:
            raise ExportFailed(
                f"{out} needs {size / 1e6:,.0f} MB, its disk has {free / 1e6:,.0f}: make room, or choose another place"
            )
        yield aside
        for path in sorted(aside.rglob("*")) if aside.is_dir() else [aside]:
            flush(path)
        if aside.is_dir():
            flush_folder(aside)
        put(aside, out)
        flush_folder(out.parent)
    except OSError as error:
        # numpy says only how much of a tensor it could write.
        reason = error.strerror or f"the disk took only a part: {error}"
        raise ExportFailed(f"{out} cannot be written ({reason}): make room, or choose another place") from error
    finally:
        with suppress(OSError):
            _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
