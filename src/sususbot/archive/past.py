"""The archive as it was at an earlier moment: a copy in a folder of its own, for measuring what a bot knew then.

Gone from the copy is all that was said at or after that moment, with what hangs on it: vectors, terms, links,
replies that counted for what they answered, summaries, mentions; what the owner pinned as lore and thought of
replies since; and members and channels of whom nothing is left.
**Not undone**, since nothing tells when it came: reactions and Discord's pins on older messages, edits of them, names.
Links between older messages were found by a linker that may have been fitted on later ones, and a message that was
deleted since is not in the copy. Answers about consent stay as they are now, too: who said no since is in the copy as
little as in the archive.
The copy is for reading, and for a while: what left it is not overwritten, and how far a channel was collected or heard
is not in it. Whoever made it deletes its folder.
"""

from contextlib import closing
from pathlib import Path
from typing import Final

from sususbot.archive.archive import FILE_NAME, Archive
from sususbot.archive.database import Database

# In this order, `?` being the moment: `later` are the messages that go, and rows that point at them go first.
_STEPS: Final = (
    "CREATE TEMP TABLE later AS SELECT id, channel_id, author_id FROM messages WHERE created_at >= ?",
    "CREATE UNIQUE INDEX temp.later_by_id ON later (id)",
    "DELETE FROM vectors WHERE message_id IN (SELECT id FROM later)",
    """DELETE FROM pieces WHERE last_id IN (SELECT id FROM later)
        OR id IN (SELECT piece_id FROM summary_messages WHERE message_id IN (SELECT id FROM later))""",
    "DELETE FROM mentions WHERE message_id IN (SELECT id FROM later)",
    # Terms and links go by triggers.
    "DELETE FROM messages WHERE id IN (SELECT id FROM later)",
    "CREATE TEMP TABLE strangers AS SELECT DISTINCT author_id FROM later EXCEPT SELECT author_id FROM messages",
    "DELETE FROM author_names WHERE author_id IN (SELECT author_id FROM strangers)",
    "DELETE FROM authors WHERE id IN (SELECT author_id FROM strangers)",
    """DELETE FROM channels WHERE id IN
        (SELECT DISTINCT channel_id FROM later EXCEPT SELECT channel_id FROM messages)""",
    "DELETE FROM cleared WHERE last_id IN (SELECT id FROM later)",
    "DELETE FROM lore WHERE at >= ?",
    # Which messages it was made of goes with it.
    "DELETE FROM feedback WHERE at >= ?",
    "DELETE FROM checkpoints",
    "DELETE FROM heard",
    "DROP TABLE later",
    "DROP TABLE strangers",
)


def copy_until(archive: Archive, folder: Path, at_ms: int) -> Archive:
    """The archive as it was before `at_ms` (ms), as a copy in `folder`, which holds no archive yet.

    Takes about a second for 100,000 messages. Raises ArchiveFull where the disk is.
    """
    archive.copy_to(folder)
    with closing(Database(folder / FILE_NAME)) as copy:
        # Nobody needs it again after a crash, and it is deleted as a whole.
        for pragma in ("secure_delete=OFF", "synchronous=OFF"):
            copy.execute(f"PRAGMA {pragma}")
        with copy.bulk(), copy.transaction():
            for step in _STEPS:
                copy.execute(step, [at_ms] if "?" in step else [])
    return Archive(folder)
