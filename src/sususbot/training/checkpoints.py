"""A training at rest: what it needs to go on as if nothing had happened.

    checkpoints/step-000120/weights.safetensors   the weights that learn
                            state.pt              optimiser, scaler, numbers of the loop

**Invariant.** A folder without a dot at its beginning is whole: it is written aside, flushed to disk, then renamed.
What random numbers a step draws follows from its number (`train_lora`), so no generator's state is kept.
"""

import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file

from sususbot.artifacts import flush, flush_folder
from sususbot.errors import RunMissing, TooLittleDisk
from sususbot.in_place import put
from sususbot.training.disk import writing

FOLDER: Final = "checkpoints"
WEIGHTS: Final = "weights.safetensors"
STATE: Final = "state.pt"
# Older ones go; the best one, and the last that is known to be good, stay besides.
_KEPT: Final = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One that was found whole."""

    folder: Path

    @property
    def step(self) -> int:
        return int(self.folder.name.removeprefix("step-"))

    def weights(self) -> dict[str, torch.Tensor]:
        """Name -> tensor, on the CPU."""
        try:
            return dict(load_file(self.folder / WEIGHTS))
        except Exception as error:
            raise _broken(self.folder, error) from error

    def state(self) -> dict[str, Any]:
        """What `save` was given."""
        try:
            # Only tensors and plain values: a file from elsewhere can run nothing.
            state: dict[str, Any] = torch.load(self.folder / STATE, map_location="cpu", weights_only=True)
        except Exception as error:
            raise _broken(self.folder, error) from error
        return state


def save(
    run: Path, step: int, weights: Mapping[str, torch.Tensor], state: Mapping[str, Any], keep: Collection[int]
) -> None:
    """Keep this, then let go of what is older, but for the steps `keep`. Raises TooLittleDisk; what was there stays."""
    final = _folder(run, step)
    folder = final.parent
    aside = folder / f".{final.name}.new"
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    try:
        with writing(f"the checkpoint of step {step}", folder):
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            save_file(tensors, aside / WEIGHTS)
            torch.save(dict(state), aside / STATE)
            for name in (WEIGHTS, STATE):
                flush(aside / name)
            if final.exists():
                _remove(final)
            put(aside, final)
            flush_folder(folder)
    except TooLittleDisk:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _let_go(folder, step, keep)


def latest(run: Path) -> Checkpoint | None:
    """The newest one, None where there is none."""
    return max(_all(run / FOLDER), key=lambda one: one.step, default=None)


def kept(run: Path, step: int) -> bool:
    """Whether that of a step is there."""
    return _folder(run, step).is_dir()


def at(run: Path, step: int) -> Checkpoint:
    """That of one step. Raises RunMissing."""
    if not kept(run, step):
        raise RunMissing(f"the checkpoint of step {step} is gone from {run / FOLDER}: train anew")
    return Checkpoint(_folder(run, step))


def _folder(run: Path, step: int) -> Path:
    return run / FOLDER / f"step-{step:06d}"


def take_back(run: Path, step: int, keep: Collection[int]) -> None:
    """Remove those of later steps, but for the steps `keep`."""
    for one in list(_all(run / FOLDER)):
        if one.step > step and one.step not in keep:
            _remove(one.folder)


def _all(folder: Path) -> Iterator[Checkpoint]:
    return (Checkpoint(path) for path in folder.glob("step-*") if (path / STATE).is_file())


def _let_go(folder: Path, step: int, keep: Collection[int]) -> None:
    # Those of later steps are of a run that was taken back to an earlier one.
    known = sorted((one for one in _all(folder)), key=lambda one: one.step)
    kept = {one.step for one in [one for one in known if one.step <= step][-_KEPT:]} | set(keep)
    for one in known:
        if one.step not in kept:
            _remove(one.folder)
    for left in folder.glob(".step-*"):
        shutil.rmtree(left, ignore_errors=True)


def _remove(checkpoint: Path) -> None:
    # Renamed first, so that half of one is never taken for one; what a kill left of such is in the way of the rename.
    old = checkpoint.with_name(f".{checkpoint.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(put(checkpoint, old), ignore_errors=True)


def _broken(folder: Path, error: Exception) -> RunMissing:
    return RunMissing(
        f"the checkpoint {folder} is damaged ({type(error).__name__}): remove it, and  --resume  goes on from the one "
        "before"
    )
