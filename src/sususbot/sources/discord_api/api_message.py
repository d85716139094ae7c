"""One message as Discord's API shows it, to a `Message`.

What a webhook posts was written by no member. The words of a forward are another's: Discord does not say whose, so they
are left out, never given to who forwarded them. Types that no one knows yet keep their number, and are no one's words.
Field meanings: Discord's documents, "Message Object".
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from sususbot.messages import REPLY_TYPE, Attachment, Author, Message, Reaction, iso_ms

Json = dict[str, Any]

# What reading a malformed object can raise.
MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError, OverflowError)

_FORWARD: Final = 1
_MENTION: Final = re.compile(r"<(@!?|@&|#)(\d+)>")
_CUSTOM_EMOJI: Final = re.compile(r"<a?(:\w+:)\d+>")
_TIME: Final = re.compile(r"<t:-?\d+(?::\w)?>")
_COMMAND: Final = re.compile(r"<(/[^<>:]+):\d+>")
_WORDS: Final = ("content", "embeds", "attachments", "components", "poll", "sticker_items", "message_snapshots")


class MessageReader:
    """Reads messages of one guild. `roles` and `channels` are names by id, `channels` may grow meanwhile."""

    def __init__(self, roles: Mapping[int, str], channels: Mapping[int, str]) -> None:
        self._roles = roles
        self._channels = channels
        self._authors: dict[Author, Author] = {}

    def message(self, item: Json) -> Message:
        """Raises one of MALFORMED when the object is no message."""
        content = storable(item["content"])
        type_ = int(item["type"])
        edited = item.get("edited_timestamp")
        mentions = [(int64(user["id"]), _display_name(user)) for user in item.get("mentions") or ()]
        return Message(
            id=int64(item["id"]),
            channel_id=int64(item["channel_id"]),
            author=self._author(item),
            created_at=iso_ms(item["timestamp"]),
            content=content,
            rendered=self._rendered(content, dict(mentions)),
            type=type_,
            edited_at=iso_ms(edited) if edited else None,
            reply_to=_reply_to(item) if type_ == REPLY_TYPE else None,
            pinned=bool(item.get("pinned")),
            mentions=tuple(id_ for id_, _ in mentions),
            reactions=tuple(map(_reaction, item.get("reactions") or ())),
            attachments=tuple(map(_attachment, item.get("attachments") or ())),
        )

    def _author(self, item: Json) -> Author:
        user = item["author"]
        by_machine = bool(user.get("bot")) or bool(user.get("system")) or item.get("webhook_id") is not None
        author = Author(int64(user["id"]), storable(user["username"]), _display_name(user), by_machine)
        return self._authors.setdefault(author, author)

    def _rendered(self, content: str, users: Mapping[int, str]) -> str:
        """The text as members read it: names for ids."""
        if "<" not in content:
            return content
        names = {"@": users, "@!": users, "@&": self._roles, "#": self._channels}

        def name(found: re.Match[str]) -> str:
            known = names[found[1]].get(int(found[2]))
            return found[0] if known is None else f"{found[1][0]}{known}"

        text = _CUSTOM_EMOJI.sub(r"\1", _MENTION.sub(name, content))
        return _COMMAND.sub(r"\1", _TIME.sub("(a time)", text))


def hides_words(item: Json, own_id: int) -> bool | None:
    """Whether a message looks as all do without the message content intent; None where it tells nothing.

    Without the intent a bot still reads its own messages and those that mention it.
    """
    author, mentions = item.get("author"), item.get("mentions")
    own = str(own_id)
    if item.get("type") not in (0, REPLY_TYPE) or not isinstance(author, dict) or author.get("id") == own:
        return None
    if any(isinstance(user, dict) and user.get("id") == own for user in mentions or ()):
        return None
    return not any(item.get(field) for field in _WORDS)


def int64(value: object) -> int:
    number = int(value)  # type: ignore[call-overload]  # what is no number raises, as the caller expects
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{number} is no id")
    return int(number)


def storable(text: str) -> str:
    """JSON can hold half a surrogate pair; a file cannot."""
    return text.encode(errors="replace").decode()


def _display_name(user: Json) -> str:
    return storable(str(user.get("global_name") or user["username"]))


def _reply_to(item: Json) -> int | None:
    reference = item.get("message_reference") or {}
    target = reference.get("message_id")
    return int64(target) if target and reference.get("type", 0) != _FORWARD else None


def _reaction(item: Json) -> Reaction:
    emoji = item["emoji"]
    # Custom emoji have an id; standard ones are their own character. The name of a deleted one is null.
    name = storable(str(emoji.get("name") or "?"))
    return Reaction(f":{name}:" if emoji.get("id") else name, int64(item["count"]))


def _attachment(item: Json) -> Attachment:
    return Attachment(int64(item["id"]), storable(str(item["filename"])), int64(item["size"]), str(item["url"]))
