"""What was written aside put in its place by one rename: whole or not at all, also while somebody reads what is there.

Windows refuses a rename of, and onto, what any program has open, if only a scanner for viruses or a page that reads a
manifest for a moment. There it is tried again for two seconds; elsewhere nothing is waited for.
"""

import sys
import time
from pathlib import Path
from typing import Final

_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.5, 0.75) if sys.platform == "win32" else ()


def put(aside: Path, place: Path) -> Path:
    """A file or folder; gives where it is now. A folder takes no other's place. Raises OSError."""
    for pause in _PAUSES:
        try:
            return aside.replace(place)
        except PermissionError:
            time.sleep(pause)
    return aside.replace(place)
