"""What an archive's file says of itself, read without changing it: opening it as ours would make and migrate it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sususbot.archive.database import APPLICATION_ID, SENTENCES, migrations
from sususbot.errors import ArchiveDamaged, ArchiveError


@dataclass(frozen=True, slots=True)
class Look:
    """`schema` is the number of its last migration, `newest` that of this program's."""

    schema: int
    newest: int


def look(path: Path) -> Look:
    """Raises ArchiveDamaged where it is no archive of ours, ArchiveError where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            owner, schema = (
                int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version")
            )
    except sqlite3.Error as error:
        code: str = getattr(error, "sqlite_errorname", "")
        for beginning, (kind, sentence) in SENTENCES.items():
            if code.startswith(beginning):
                raise kind(sentence.format(path=path)) from error
        raise ArchiveError(f"{path} cannot be read ({error}): check its permissions") from error
    if owner != APPLICATION_ID:
        raise ArchiveDamaged(f"{path} is a database of another program: choose another folder with --data")
    return Look(schema, migrations()[-1].number)
