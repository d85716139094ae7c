"""What a program leaves for its next start, by name: short texts beside the words, in the same file.

No words of members: nothing here is looked at when somebody is forgotten.
"""

from typing import Final

from sususbot.archive.database import Database

# The archive's own facts (consent, linker, …) have names without a dot.
_ROOM: Final = "bot."


class Facts:
    """The notes that a running bot makes of itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> str | None:
        rows = self._database.rows("SELECT value FROM facts WHERE name = ?", [_ROOM + name])
        return rows[0][0] if rows else None

    def put(self, name: str, value: str | None) -> None:
        """Write it down; None takes it away."""
        if value is None:
            self._database.execute("DELETE FROM facts WHERE name = ?", [_ROOM + name])
        else:
            self._database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", [_ROOM + name, value])
