"""llama.cpp computes in OpenMP's threads, whose library a small Linux does not have: torch's copy of it is taken then.

Found and loaded by its file, so torch itself is not imported, and nothing is installed.
"""

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

LIBRARY: Final = "libgomp.so.1"


def ready(library: str = LIBRARY) -> Path | None:
    """For the import of `xllamacpp`. Which copy was taken; None where the system has its own, or nobody has one."""
    if sys.platform != "linux" or _loads(library):
        return None
    torch = find_spec("torch")
    for place in (torch.submodule_search_locations or []) if torch is not None else []:
        copy = Path(place, "lib", library)
        if copy.exists() and _loads(str(copy)):
            return copy
    return None


def _loads(library: str) -> bool:
    """Whether it is there; it stays in the process, and what needs it by name finds it."""
    try:
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True
