"""An archive as lines of JSON, one object each; `json_lines` reads them back into the same archive.

All that cannot be had again is in them: also how and when each message was seen, who agreed to what, who is to stay
forgotten, what the owner pinned, and what they thought of replies. Vectors are not: they are made again.
Same archive, same bytes. Ids are strings, as Discord writes them, for not every reader of JSON can hold them as
numbers; times are ms since 1970 UTC; what is empty is left out.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from sususbot.archive.archive import Archive
from sususbot.archive.dump import MessageRow
from sususbot.archive.upsert import Look
from sususbot.sources.json_lines import FORMAT, VERSION

Json = dict[str, Any]


def dump_lines(archive: Archive) -> Iterator[bytes]:
    """Every line, with its line break; all of one moment. What refers to something stands below it."""
    with archive.dump.snapshot():
        for item in _items(archive):
            yield orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE)


def _items(archive: Archive) -> Iterator[Json]:
    yield {"kind": "header", "format": FORMAT, "version": VERSION}
    yield from _names(archive)
    for said in archive.consents.statements():
        answers = {"learn": said.learn, "remember": said.remember, "quote": said.quote}
        yield _filled("consent", author_id=str(said.author_id), by=said.by, way=said.way, at=said.at, **answers)
    for row in archive.dump.messages():
        yield _message(row) if row.deleted_at is None else _tombstone(row)
    for id_, at in archive.dump.deleted_unseen():
        yield {"kind": "deleted", "id": str(id_), "deleted_at": at}
    erased = archive.erasure.erased()
    forgotten = archive.erasure.forgotten(erased)
    for author_id, at in sorted(erased.items()):
        back = None if author_id in forgotten else True
        yield _filled("erased", author_id=str(author_id), erased_at=at, may_return=back)
    for id_, at in sorted(archive.lore.pinned().items()):
        yield {"kind": "lore", "id": str(id_), "at": at}
    for rated in archive.feedback.all():
        yield _filled(
            "feedback", at=rated.at, rating=rated.rating, asked=rated.asked or None, said=rated.said or None,
            engine=rated.engine, adapter=rated.adapter or None, sampling=dict(rated.sampling),
            of=list(map(str, rated.of)) or None,
        )  # fmt: skip


def _names(archive: Archive) -> Iterator[Json]:
    """Guilds, channels and authors."""
    for guild, origin, seen_at in archive.dump.guilds():
        yield {"kind": "guild", "id": str(guild.id), "name": guild.name, "origin": origin, "seen_at": seen_at}
    for channel, origin, seen_at in archive.dump.channels():
        yield _filled(
            "channel", id=str(channel.id), guild_id=str(channel.guild_id), name=channel.name, type=channel.type,
            parent_id=_id(channel.parent_id), topic=channel.topic, origin=origin, seen_at=seen_at,
        )  # fmt: skip
    names = archive.dump.names()
    for author, named_at in archive.dump.authors():
        yield _filled(
            "author", id=str(author.id), name=author.name, display_name=author.display_name,
            is_bot=author.is_bot or None, named_at=named_at, names=names.get(author.id),
        )  # fmt: skip


def _message(row: MessageRow) -> Json:
    usual = Look.of(row.origin, row.words_at, None).state_at
    return _filled(
        "message", id=str(row.id), channel_id=str(row.channel_id), author_id=str(row.author_id),
        created_at=row.created_at, type=row.type or None, edited_at=row.edited_at, content=row.content,
        rendered=None if row.rendered == row.content else row.rendered, reply_to=_id(row.reply_to),
        pinned=bool(row.pinned) or None, mentions=row.mentions and list(map(str, orjson.loads(row.mentions))),
        reactions=row.reactions and orjson.loads(row.reactions),
        attachments=row.attachments and [[str(id_), *rest] for id_, *rest in orjson.loads(row.attachments)],
        origin=row.origin, fetched_at=row.words_at,
        state_at=None if row.fetched_at == usual else row.fetched_at,
    )  # fmt: skip


def _tombstone(row: MessageRow) -> Json:
    """All that is left of a deleted message is that it was there."""
    return {
        "kind": "tombstone", "id": str(row.id), "channel_id": str(row.channel_id), "author_id": str(row.author_id),
        "created_at": row.created_at, "deleted_at": row.deleted_at, "origin": row.origin, "fetched_at": row.words_at,
    }  # fmt: skip


def _filled(kind: str, **values: object) -> Json:
    return {"kind": kind, **{key: value for key, value in values.items() if value is not None}}


def _id(value: int | None) -> str | None:
    return None if value is None else str(value)
