"""What the bot may send: a request body checked by Discord's rules, in Discord's order, and turned into a message.

Length, emptiness, permissions, references, nonces, allowed mentions. Raises `ApiError`, and then has changed nothing.
"""

from dataclasses import dataclass
from typing import Any

from sususbot.standin import errors, permissions
from sususbot.standin.errors import form_error
from sususbot.standin.objects import Channel, ChannelType, Json, Message, MessageType, User
from sususbot.standin.pings import Allowed, parse_allowed
from sususbot.standin.snowflake import checked_id
from sususbot.standin.world import World

MOST_CHARACTERS = 2000
_MOST_NONCE_CHARACTERS = 25
_MOST_EMBEDS = 10
_FILLERS = ("embeds", "attachments", "sticker_ids", "components", "poll")
_WRITABLE = frozenset(
    {ChannelType.TEXT, ChannelType.VOICE, ChannelType.NEWS, ChannelType.PUBLIC_THREAD, ChannelType.PRIVATE_THREAD}
)


@dataclass(frozen=True, slots=True)
class Draft:
    content: str
    allowed: Allowed
    reply_to: Message | None
    nonce: str | None
    body: Json


def create(world: World, channel: Channel, author: User, body: Json) -> Message:
    """The new message, or the one that the same nonce already made."""
    check_may_send(world, channel, author)
    draft = checked(world, channel, author, body)
    if draft.nonce is not None and body.get("enforce_nonce"):
        earlier = world.sent_with(author, draft.nonce)
        if earlier is not None:
            return earlier
    message = world.post(
        channel,
        author,
        draft.content,
        allowed=draft.allowed,
        reply_to=draft.reply_to,
        nonce=draft.nonce,
        embeds=body.get("embeds") or (),
        attachments=body.get("attachments") or (),
        allowed_mentions=body.get("allowed_mentions"),
    )
    if draft.nonce is not None:
        world.remember_nonce(author, draft.nonce, message)
    return message


def edit(world: World, message: Message, author: User, body: Json) -> None:
    if message.author.id != author.id:
        raise errors.not_the_author()
    content = content_of(body) if "content" in body else message.content
    if not content and not message.embeds and not message.attachments and not body.get("embeds"):
        raise errors.empty_message()
    if "embeds" in body:
        message.embeds = list(body["embeds"] or ())
    world.edit(message, content, allowed=parse_allowed(body.get("allowed_mentions")))


def check_may_send(world: World, channel: Channel, author: User) -> None:
    if not world.can(author, channel, permissions.VIEW_CHANNEL):
        raise errors.missing_access()
    if channel.type not in _WRITABLE:
        raise errors.wrong_channel_type()
    needed = permissions.SEND_MESSAGES_IN_THREADS if channel.is_thread else permissions.SEND_MESSAGES
    if not world.can(author, channel, needed):
        raise errors.missing_permissions()
    if channel.archived and channel.locked:
        raise errors.archived_thread()


def checked(world: World, channel: Channel, author: User, body: Json) -> Draft:
    """A body understood, whatever its author may do in the channel."""
    content = content_of(body)
    if len(body.get("embeds") or ()) > _MOST_EMBEDS:
        raise form_error("embeds", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    nonce = _nonce(body)
    allowed = parse_allowed(body.get("allowed_mentions"))
    reply_to = _reply_target(world, channel, author, body.get("message_reference"))
    if not content.strip() and not any(body.get(filler) for filler in _FILLERS):
        raise errors.empty_message()
    return Draft(content, allowed, reply_to, nonce, body)


def content_of(body: Json) -> str:
    """The text of a body, which may be empty."""
    content = body.get("content") or ""
    if not isinstance(content, str):
        raise form_error("content", "BASE_TYPE_BAD_TYPE", "Could not interpret as string.")
    if len(content) > MOST_CHARACTERS:
        raise form_error("content", "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_CHARACTERS} or fewer in length.")
    return content


def _nonce(body: Json) -> str | None:
    nonce = body.get("nonce")
    if nonce is None:
        return None
    if len(str(nonce)) > _MOST_NONCE_CHARACTERS:
        raise form_error("nonce", "NONCE_TYPE_TOO_LONG", "Nonce must be 25 or fewer in length.")
    return str(nonce)


def _reply_target(world: World, channel: Channel, author: User, reference: Any) -> Message | None:
    """A missing target is an error by default, and no reply at all when the sender said it does not matter."""
    if reference is None:
        return None
    if not world.can(author, channel, permissions.READ_MESSAGE_HISTORY):
        raise errors.reply_needs_history()
    if not isinstance(reference, dict) or "message_id" not in reference:
        raise form_error("message_reference.message_id", "BASE_TYPE_REQUIRED", "This field is required")
    target = channel.history.get(checked_id("message_reference.message_id", reference["message_id"]))
    if target is None:
        if reference.get("fail_if_not_exists", True):
            raise form_error("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
        return None
    if target.type not in (MessageType.DEFAULT, MessageType.REPLY):
        raise form_error(
            "message_reference", "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE", "Cannot reply to a system message"
        )
    return target
