"""Where words still stand that were deleted or edited on Discord: corpora, reports, and archives that benchmarks made.

Not here: which messages these are (`archive/withdrawn`), and that the files go (`forgetting`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from sususbot.archive.archive import FILE_NAME, Archive, now_ms
from sususbot.artifacts import ANALYSIS, EVALUATION, MANIFEST, authors_of, holds_messages, made_at, there
from sususbot.errors import ArchiveError, ArchiveFull, ArchiveLocked
from sususbot.file_lock import held
from sususbot.messages import DISCORD_EPOCH_MS

# By how much this machine's clock, which dates files, may be behind Discord's, which dates messages. A corpus that is
# looked at in vain is not lost, so it is in any case of doubt.
_CLOCKS_MS: Final = 600_000
_DOUBT_MS: Final = 86_400_000


def made_of(withdrawn: Mapping[int, int | None], corpora: Iterable[Path], reports: Path) -> Iterator[Path]:
    """What may hold words of these messages (id -> author).

    A corpus says which messages are in it, a report only whose; figures are nobody's, and stay. What is older than a
    message does not hold it, nor are others' files among the reports the program's to take.
    """

    def before(moment: int) -> dict[int, int | None]:
        return {id_: author for id_, author in withdrawn.items() if (id_ >> 22) + DISCORD_EPOCH_MS <= moment}

    for folder in corpora:
        if (ids := before(made_at(folder) + _DOUBT_MS)) and holds_messages(folder, ids):
            yield folder
    for path, shown in _written(reports):
        if (ids := before(made_at(path) + _CLOCKS_MS)) and (shown is None or not shown.isdisjoint(ids.values())):
            yield path


def delete_in_benchmarks(ids: Collection[int], bench: Path) -> None:
    """Messages go from archives that were made of exports, which stay. Raises ArchiveLocked and ArchiveFull.

    A command at work takes its own away itself.
    """
    for path in sorted(bench.glob(f"*/{FILE_NAME}")):
        if not held(path.parent.with_name(f"{path.parent.name}.lock")):
            _delete(ids, path.parent)


def _written(reports: Path) -> Iterator[tuple[Path, frozenset[int] | None]]:
    """What the program writes there, and whose words it shows; None where that is not said."""
    page = authors_of(reports)
    yield from ((path, page) for path in there(reports / MANIFEST, *sorted(reports.glob(f"{ANALYSIS}*"))))
    evaluations = [*reports.glob(f"{EVALUATION}*"), *reports.glob(f".{EVALUATION}*")]
    yield from ((path, authors_of(path)) for path in sorted(evaluations) if path.is_dir())


def _delete(ids: Collection[int], place: Path) -> None:
    try:
        with Archive(place) as archive:
            archive.delete([*archive.known(ids)], at=now_ms())
    except (ArchiveFull, ArchiveLocked):
        raise
    except ArchiveError:
        # Broken, or of a newer program: a benchmark that reads it leaves out what is deleted.
        return
