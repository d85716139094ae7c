"""A disk that is full while a training writes to it, in one sentence, whichever library found out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from safetensors import SafetensorError

from sususbot.errors import TooLittleDisk

# What torch's writer says instead of what the system told it.
_TORCH_WRITES: Final = re.compile(r"inline_container|PytorchStreamWriter|iostream")


@contextmanager
def writing(what: str, folder: Path) -> Iterator[None]:
    """Raises TooLittleDisk where something cannot be written."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if type(error) is RuntimeError and not _TORCH_WRITES.search(str(error)):
            raise
        why = error.strerror if isinstance(error, OSError) and error.strerror else "disk full or failing"
        raise TooLittleDisk(
            f"{what} cannot be written to {folder} ({why}): free some space there, then go on with  --resume; what "
            "was saved before is whole"
        ) from error
