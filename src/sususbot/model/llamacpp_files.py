"""A model's file and an adapter's, and what is wrong with them: in better words than the engine, which has one sentence
for everything.
"""

from pathlib import Path
from typing import Final

from sususbot.errors import ModelLoadFailed, ModelNotFound

_MAGIC: Final = b"GGUF"


def check_file(path: Path | None, what: str, setting: str) -> None:
    """Raises ModelNotFound and ModelLoadFailed; `setting` is where the path comes from. None is fine."""
    if path is None:
        return
    if not path.exists():
        raise ModelNotFound(f"There is no {what} at {path}: download it, or correct {setting}.")
    if path.is_dir():
        raise ModelLoadFailed(f"{path} is a folder: set {setting} to the .gguf file itself.")
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise ModelLoadFailed(
            f"The {what} {path} cannot be read ({error.strerror}): correct its permissions."
        ) from error
    if start != _MAGIC:
        found = "it is empty" if not start else f"it begins with {start!r}"
        raise ModelLoadFailed(f"{path} is no GGUF file ({found}): download the {what} again, or correct {setting}.")


def refusal(model: Path, adapter: Path | None, how: str) -> str:
    """What it means that the engine does not load them; `how` it ended."""
    if adapter is None:
        return (
            f"llama.cpp refuses the model {model}: it is cut short, or of a kind that this version does not know "
            f"({how}). Compare its size with the download page."
        )
    return (
        f"llama.cpp refuses the model {model} with the adapter {adapter}: the adapter was made for another model, or "
        f"one of the two is cut short ({how}). Try without ADAPTER_PATH to see which."
    )
