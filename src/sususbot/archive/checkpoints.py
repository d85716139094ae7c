"""How far each channel's history was collected: one unbroken stretch of it, from an oldest to a newest id.

**Invariant.** Every message of the stretch that Discord showed is in the archive. A page that touches the stretch and
the longer stretch that follows are one transaction (`Archive.add` with `also`), so a kill between them is impossible.
"""

from dataclasses import dataclass

from sususbot.archive.database import Database
from sususbot.errors import ArchiveLocked


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was seen of a channel: all from `low` to `high`, both taken in. `complete`: nothing is older."""

    low: int
    high: int
    complete: bool = False


class Checkpoints:
    """The table of stretches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, channel_id: int) -> Stretch | None:
        """None where nothing was collected yet."""
        rows = self._database.rows("SELECT low, high, complete FROM checkpoints WHERE channel_id = ?", [channel_id])
        return Stretch(rows[0][0], rows[0][1], bool(rows[0][2])) if rows else None

    def move(self, channel_id: int, before: Stretch | None, after: Stretch) -> None:
        """From the stretch that the caller knew to the next. Raises ArchiveLocked when another collector moved it."""
        if self.of(channel_id) != before:
            raise ArchiveLocked("another backfill is collecting the same channel: let one of them finish, then go on")
        self._database.execute(
            """INSERT INTO checkpoints (channel_id, low, high, complete) VALUES (?, ?, ?, ?)
            ON CONFLICT (channel_id) DO UPDATE SET low = excluded.low, high = excluded.high,
                complete = excluded.complete""",
            [channel_id, after.low, after.high, after.complete],
        )
