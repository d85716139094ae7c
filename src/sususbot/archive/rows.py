"""Rows of the archive as what they stand for: messages and the accounts that wrote them.

Twelve columns are a message, in the order of `SELECT`, and the four after them its author.
"""

from typing import Final

import orjson

from sususbot.archive.database import Row
from sususbot.messages import Attachment, Author, Message, Reaction

SELECT: Final = """SELECT m.id, m.channel_id, m.created_at, m.content, m.rendered, m.type, m.edited_at, m.reply_to,
    m.pinned, m.mentions, m.reactions, m.attachments, a.id, a.name, a.display_name, a.is_bot
    FROM shown AS m JOIN authors AS a ON a.id = m.author_id"""


def author_of(row: Row) -> Author:
    return Author(row[0], row[1], row[2], bool(row[3]))


def message_of(row: Row, author: Author) -> Message:
    (id_, channel_id, created_at, content, rendered, type_, edited_at, reply_to, pinned, mentions, reactions,
     attachments) = row  # fmt: skip
    return Message(
        id=id_,
        channel_id=channel_id,
        author=author,
        created_at=created_at,
        content=content,
        rendered=rendered,
        type=type_,
        edited_at=edited_at,
        reply_to=reply_to,
        pinned=bool(pinned),
        mentions=tuple(orjson.loads(mentions)) if mentions else (),
        reactions=tuple(Reaction(*item) for item in orjson.loads(reactions)) if reactions else (),
        attachments=tuple(Attachment(*item) for item in orjson.loads(attachments)) if attachments else (),
    )
