"""The data folder's rooms, and whose words an artifact in them was made of.

An artifact (a corpus, a training run, the reports) is a folder with a manifest whose `authors` names each member by id.
So it can be told whom it must be taken from when they change their mind.
"""

from pathlib import Path
from typing import Final

import orjson

CORPORA: Final = "corpora"
RUNS: Final = "runs"
REPORTS: Final = "reports"
BENCH: Final = "bench"
CHROMA: Final = "chroma"
DEMO: Final = "demo"
LOGS: Final = "logs"
MODELS: Final = "models"

MANIFEST: Final = "manifest.json"


def authors_of(folder: Path) -> frozenset[int] | None:
    """Whose words it was made of; None where there is no manifest, or none that says so."""
    try:
        return frozenset(int(id_) for id_ in orjson.loads((folder / MANIFEST).read_bytes())["authors"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
