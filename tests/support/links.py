"""The links of an archive as rows, read behind its back; who may not be remembered, and notes, have none."""

from sususbot.archive.archive import Archive
from sususbot.messages import NOTE_TYPE


def chains(archive: Archive) -> list[tuple[int, int, int | None]]:
    """(message, channel, what it answers), in each channel's order."""
    return archive._database.rows(
        """SELECT remembered.id, channel_id, answers FROM remembered LEFT JOIN links ON message_id = remembered.id
        WHERE remembered.type <> ? ORDER BY channel_id, remembered.id""",
        [NOTE_TYPE],
    )
