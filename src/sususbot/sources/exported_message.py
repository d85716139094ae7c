"""One message as DiscordChatExporter writes it, to a `Message`.

The exporter writes names where Discord has ids (`@mia` for `<@123>`, `:tea:` for `<:tea:456>`) unless it was told not
to; the raw text is made again from the list of mentions, where the names are unambiguous.
Key meanings: Tyrrrz/DiscordChatExporter, `JsonMessageWriter`; type numbers: Discord docs, "Message Types".
"""

import re
from typing import Any, Final

from sususbot.messages import (
    DEFAULT_TYPE,
    REPLY_TYPE,
    Attachment,
    Author,
    Message,
    Reaction,
    iso_ms,
)
from sususbot.sources.derived_id import DerivedIds
from sususbot.sources.raw_text import without_emoji_ids

Json = dict[str, Any]

# What reading a malformed object can raise; ids beyond 64 bits and times beyond the calendar included.
MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError, OverflowError)

_TYPES: Final = {
    "Default": DEFAULT_TYPE,
    "RecipientAdd": 1,
    "RecipientRemove": 2,
    "Call": 3,
    "ChannelNameChange": 4,
    "ChannelIconChange": 5,
    "ChannelPinnedMessage": 6,
    "GuildMemberJoin": 7,
    "ThreadCreated": 18,
    "Reply": REPLY_TYPE,
}
# A type that no one knows is kept as system text, never as something a member wrote.
_UNKNOWN_TYPE: Final = 255
_WHOLE: Final = re.compile(r"-?\d+", re.ASCII)
_RAW_MENTION: Final = re.compile(r"<@!?(\d+)>")


class MessageReader:
    """Reads the messages of one channel; remembers authors, so that each is built once."""

    def __init__(self, channel_id: int) -> None:
        self._channel_id = channel_id
        self._authors: dict[tuple[str, str, str | None], Author] = {}
        self._derived = DerivedIds(channel_id)

    def message(self, item: Json) -> Message:
        """Raises one of MALFORMED when the object is not a message."""
        created_at = iso_ms(item["timestamp"])
        edited_at = item.get("timestampEdited")
        author = self._author(item["author"])
        text = item["content"]
        if not isinstance(text, str):
            raise TypeError("content is not text")
        content, rendered = _both_ways(text, item.get("mentions") or [])
        type_ = _type(item["type"])
        reference = item.get("reference") if type_ == REPLY_TYPE else None
        return Message(
            id=int64(item["id"]) or self._derived.next(created_at, author.id, text),
            channel_id=self._channel_id,
            author=author,
            created_at=created_at,
            content=content,
            rendered=rendered,
            type=type_,
            edited_at=iso_ms(edited_at) if edited_at else None,
            reply_to=int64(reference["messageId"]) if reference and reference.get("messageId") else None,
            pinned=bool(item.get("isPinned")),
            mentions=tuple(int64(user["id"]) for user in item.get("mentions") or ()),
            reactions=tuple(map(_reaction, item.get("reactions") or ())),
            attachments=tuple(map(_attachment, item.get("attachments") or ())),
        )

    def _author(self, item: Json) -> Author:
        key = (item["id"], item["name"], item.get("nickname"))
        author = self._authors.get(key)
        if author is None:
            name = str(item["name"])
            author = Author(int64(item["id"]), name, str(item.get("nickname") or name), bool(item.get("isBot")))
            self._authors[key] = author
        return author


def int64(value: object) -> int:
    """A whole number that SQLite can hold. A float is none: as an id it was rounded. Raises one of MALFORMED."""
    if isinstance(value, float):
        raise TypeError(f"{value} was rounded")
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        # `int` would pass over spaces and line breaks: two rows that damage made one.
        raise ValueError(f"{value!r} is no number")
    number = int(value)  # type: ignore[call-overload]  # what is no number raises, as the caller expects
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{number} is no id")
    return int(number)


def _type(name: object) -> int:
    """The exporter writes types it has no name for as numbers in strings."""
    known = _TYPES.get(str(name))
    if known is None:
        known = int(str(name)) if str(name).isdecimal() else _UNKNOWN_TYPE
    return min(known, _UNKNOWN_TYPE)


def _both_ways(text: str, mentions: list[Json]) -> tuple[str, str]:
    """The text with ids and the text with names, whichever of them the exporter wrote."""
    content = rendered = text
    if mentions:
        names = {str(user["id"]): str(user.get("nickname") or user["name"]) for user in mentions}
        content = _with_ids(text, names)
        rendered = _RAW_MENTION.sub(lambda found: f"@{names[found[1]]}" if found[1] in names else found[0], text)
    return content, without_emoji_ids(rendered)


def _with_ids(text: str, names: dict[str, str]) -> str:
    """`<@123>` for `@mia`, in one pass: what was put in is not read again, and a raw mention stays as it is."""
    # The longest first: "@mia" must not eat the beginning of "@mia_k", not even where two are called mia_k.
    longest_first = sorted(filter(None, names.values()), key=len, reverse=True)
    ids = {name: id_ for id_, name in names.items() if longest_first.count(name) == 1}
    content, at = "", 0
    while (sign := text.find("@", at)) >= 0:
        name = next((name for name in longest_first if text.startswith(name, sign + 1)), "")
        content += text[at:sign]
        at = sign + 1 + len(name)
        content += f"<@{ids[name]}>" if name in ids and not content.endswith("<") else text[sign:at]
    return content + text[at:]


def _reaction(item: Json) -> Reaction:
    emoji = item["emoji"]
    # Custom emoji have an id; standard ones are their own character.
    name = f":{emoji['name']}:" if emoji.get("id") else str(emoji["name"])
    return Reaction(name, int64(item["count"]))


def _attachment(item: Json) -> Attachment:
    return Attachment(int64(item["id"]), str(item["fileName"]), int64(item["fileSizeBytes"]), str(item["url"]))
