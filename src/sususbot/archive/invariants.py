"""What holds in every archive, each as a question to its file: whole references, and no words left of who is gone."""

from typing import Final

from sususbot.archive.database import Database
from sususbot.archive.nameless import NOBODY

_COUNTED: Final = {
    "tombstones still hold words": """SELECT count(*) FROM messages WHERE deleted_at IS NOT NULL
        AND (content <> '' OR rendered <> '')""",
    "vectors belong to deleted messages": """SELECT count(*) FROM vectors JOIN messages ON id = message_id
        WHERE deleted_at IS NOT NULL""",
    "summaries are made of deleted messages": """SELECT count(*) FROM summary_messages JOIN messages ON id = message_id
        WHERE deleted_at IS NOT NULL""",
    "messages of erased members still hold words": """SELECT count(*) FROM messages JOIN erased USING (author_id)
        WHERE finished_at IS NOT NULL AND (content <> '' OR rendered <> '')""",
    "erased members still have names": f"""SELECT count(*) FROM authors JOIN erased ON author_id = id
        WHERE NOT may_return AND finished_at IS NOT NULL AND (name <> '' OR display_name <> '{NOBODY}')""",
}


def faults(database: Database) -> list[str]:
    """A sentence for each that does not hold."""
    found = [f"SQLite: {row[0]}" for row in database.rows("PRAGMA integrity_check") if row[0] != "ok"]
    found += [f"broken reference: {row}" for row in database.rows("PRAGMA foreign_key_check")]
    found += [f"{count} {what}" for what, sql in _COUNTED.items() if (count := int(database.rows(sql)[0][0]))]
    return found
