"""Windows' ways on another system, for processes of tests: `environment` makes Python begin with `sitecustomize` here.

What cannot be had: Windows' own event loop, its console, its paths with backslashes and drives.
"""

import os
import signal
from pathlib import Path
from typing import Final

# What Ctrl-Break is there: a test sends it to a process that began with this.
CTRL_BREAK: Final = getattr(signal, "SIGBREAK", None) or signal.SIGUSR2


def environment(place: Path) -> dict[str, str]:
    """Settings for a process; all with the same `place` see what the others hold open."""
    place.mkdir(parents=True, exist_ok=True)
    kept = os.environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *([kept] if kept else [])]),
        "PYTHONIOENCODING": "cp1252",
        "PYTHONUTF8": "0",
        "PYTHONWARNDEFAULTENCODING": "1",
        "LIKE_WINDOWS": str(place),
    }
