"""The data folder's rooms, and whose words an artifact in them was made of, and when.

An artifact (a corpus, a training run, the reports) is a folder with a manifest whose `authors` names each member by id.
So it can be told whom it must be taken from when they change their mind. A manifest is put in place whole.
"""

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import orjson

from sususbot.errors import ArchiveLocked
from sususbot.in_place import put

CORPORA: Final = "corpora"
RUNS: Final = "runs"
REPORTS: Final = "reports"
# What `analyze` writes there; the manifest beside it is the page's.
ANALYSIS: Final = "analysis.html"
# An evaluation is a folder of its own among the reports: eval-NAME.
EVALUATION: Final = "eval-"
BENCH: Final = "bench"
CHROMA: Final = "chroma"
# In that folder: whoever has it open shares the lock.
CHROMA_LOCK: Final = "open.lock"
DEMO: Final = "demo"
LOGS: Final = "logs"
MODELS: Final = "models"
# Files of a running bot: how often it connected, and that it runs.
SESSIONS: Final = "sessions.json"
BOT_LOCK: Final = "bot.lock"
# What learned who answers whom from the server's own replies.
LINKER: Final = "linker.npz"
# What leads a browser to the page, by the page's port.
DOOR: Final = "open-{}.html"

# Whatever the program writes into a data folder is the archive, or stands here.
ROOMS: Final = (CORPORA, RUNS, REPORTS, CHROMA, BENCH, DEMO, LOGS, MODELS)
FILES: Final = (SESSIONS, BOT_LOCK, LINKER, DOOR)

MANIFEST: Final = "manifest.json"
# With it the deepest file lies less than 150 letters below the data folder: Windows ends paths at 259.
LONGEST_NAME: Final = 64
# What Windows takes for devices (whatever ending follows), drives or streams, or forgets.
_NO_NAME: Final = re.compile(r'[<>:"|?*/\\\x00-\x1f]|[ .]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?$', re.IGNORECASE)
# In a line of a corpus: the messages that a turn was made of.
_MESSAGES: Final = re.compile(rb'"message_ids":\s*\[([^\]]*)\]')


def is_name(name: str) -> bool:
    """Whether an artifact may be called so: a name, no path, that every system can store."""
    return 0 < len(name) <= LONGEST_NAME and not name.startswith(".") and not _NO_NAME.search(name)


def authors_of(folder: Path) -> frozenset[int] | None:
    """Whose words it was made of; None where there is no manifest, or none that says so."""
    try:
        return frozenset(int(id_) for id_ in orjson.loads((folder / MANIFEST).read_bytes())["authors"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def holds_messages(corpus: Path, ids: Collection[int]) -> bool:
    """Whether a corpus, finished or not, holds words of one of these messages. What cannot be read is taken to."""
    wanted = {str(id_).encode() for id_ in ids}
    try:
        for path in corpus.glob("*.jsonl"):
            with path.open("rb") as file:
                for found in (found for line in file for found in _MESSAGES.finditer(line)):
                    if not wanted.isdisjoint(found[1].replace(b" ", b"").split(b",")):
                        return True
    except OSError:
        return True
    return False


def made_at(path: Path) -> int:
    """When the newest of a file, or of all that lies in a folder, was written (ms); 0 where nothing is there."""
    inside = [path] if path.is_file() else files_below(path)
    times = [file.stat().st_mtime_ns for file in inside if file.exists()]
    return max(times, default=0) // 1_000_000


def there(*paths: Path) -> Iterator[Path]:
    """Those of these that exist."""
    yield from (path for path in paths if path.exists() or path.is_symlink())


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, also behind links to other folders, each of these once."""
    found: list[Path] = []
    been = {folder.resolve()}
    for home, rooms, names in os.walk(folder, followlinks=True):
        found += (Path(home, name) for name in names)
        links = [room for room in rooms if Path(home, room).is_symlink()]
        for room in links:
            if (real := Path(home, room).resolve()) in been:
                rooms.remove(room)
            been.add(real)
    return sorted(found)


def delete(path: Path) -> None:
    """A file or folder; of a folder that is a link elsewhere what is in it. Raises ArchiveLocked."""
    try:
        if path.is_dir() and path.is_symlink():
            for inside in sorted(path.iterdir()):
                delete(inside)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ArchiveLocked(
            f"{path} cannot be deleted ({error.strerror}): stop what uses it and run the same command again"
        ) from error


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Put a folder's manifest in place of the one that is there, by one rename."""
    aside = folder / f".{MANIFEST}.new"
    with aside.open("wb") as file:
        file.write(orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS))
        sync(file)
    put(aside, folder / MANIFEST)
    flush_folder(folder)


def sync(file: IO[Any]) -> None:
    """What was written to an open file is on the disk, so that it outlives a power cut."""
    file.flush()
    os.fsync(file.fileno())


def flush(path: Path) -> None:
    """What another library wrote to a file is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Renames in a folder outlive a power cut; Windows has no such call and needs none."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
