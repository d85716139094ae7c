"""One training on disk: its manifest, what it publishes, and that nobody else trains into it.

runs/NAME/manifest.json        written before the first step: whose words, which base, which corpus, how
          metrics.jsonl        every step
          learning_curve.png
          checkpoints/         what --resume goes on from
          adapter/             the best adapter so far, as PEFT writes it; of a base made here: model/
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from peft import PeftModel

from sususbot import __version__
from sususbot.artifacts import MANIFEST, flush, flush_folder, write_manifest
from sususbot.errors import RunExists, RunMissing
from sususbot.file_lock import Held, hold
from sususbot.in_place import put
from sususbot.training import checkpoints

FORMAT: Final = 1
ADAPTER: Final = "adapter"
MODEL: Final = "model"
LORA: Final = "lora"
BASE: Final = "base"


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a run says of itself. Raises RunMissing."""
    try:
        manifest: dict[str, Any] = orjson.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise RunMissing(f"there is no training in {folder}: begin one with  sususbot train") from error
    except (OSError, ValueError) as error:
        raise RunMissing(
            f"the manifest of {folder} cannot be read ({error}): remove the folder and train anew"
        ) from error
    if manifest.get("format") != FORMAT:
        raise RunMissing(f"{folder} was written by another version of sususbot: remove it and train anew")
    return manifest


def begin(folder: Path, facts: Mapping[str, Any]) -> None:
    """Put down what a run is, before there is anything of it. Raises RunExists where there is."""
    if checkpoints.latest(folder) is not None:
        raise RunExists(
            f"there is a run {folder.name} already: go on with  --resume, or give the new one another name with --name"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, {"format": FORMAT, "made_by": f"sususbot {__version__}", "begun": _now(), **facts})


def note(folder: Path, **facts: Any) -> None:
    """Add to what a run says of itself."""
    write_manifest(folder, {**read_manifest(folder), **facts, "changed": _now()})


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While one trains, nobody else does. Raises RunExists."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+b") as lock:
        try:
            hold(lock)
        except Held as error:
            raise RunExists(f"another program is training into {folder.name} right now: wait for its end") from error
        yield


def publish_adapter(model: PeftModel, base_name: str, run: Path) -> None:
    """The adapter as it is now, in place of the one before."""
    aside = _aside(run / ADAPTER)
    # Else PEFT fills in a model card, which nobody reads, and that takes longer than all the rest.
    setattr(model, "create_or_update_model_card", lambda _folder: None)  # noqa: B010
    for config in model.peft_config.values():
        config.base_model_name_or_path = base_name
        if isinstance(targets := getattr(config, "target_modules", None), set):
            # A set comes in another order each time; the same training gives the same files.
            setattr(config, "target_modules", sorted(targets))  # noqa: B010
    # Not "auto": that asks the hub.
    model.save_pretrained(str(aside), save_embedding_layers=False)
    _put(aside, run / ADAPTER)


def publish_model(model: Any, start: Path, run: Path) -> None:
    """A base made here: its weights as they are now, the rest of the folder it began as."""
    aside = _aside(run / MODEL)
    for path in start.iterdir():
        shutil.copyfile(path, aside / path.name)
    model.save_pretrained(aside)
    _put(aside, run / MODEL)


def _aside(folder: Path) -> Path:
    aside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return aside


def _put(aside: Path, folder: Path) -> None:
    """Folders cannot be exchanged in one go: for a moment there is none, and the next publishing makes it again."""
    for path in aside.iterdir():
        flush(path)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        put(folder, old)
    put(aside, folder)
    flush_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
