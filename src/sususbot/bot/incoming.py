"""Discord's objects to our values, as other sources give them: a message heard and a message exported are one row.

Versions of a message are compared by their words (`archive/upsert`), so what `rendered` makes of a text is what the
sources make of it: a change here is a change there, too.
"""

import re
from typing import Final

import discord

from sususbot.messages import CHANNEL_TYPES, Attachment, Author, Channel, Guild, Message, Reaction

_CUSTOM_EMOJI: Final = re.compile(r"<a?(:\w+:)\d+>")
_TIME: Final = re.compile(r"<t:\d+(?::\w)?>")


def message_from(message: discord.Message) -> Message:
    """A message as the archive keeps it."""
    reference = message.reference
    return Message(
        id=message.id,
        channel_id=message.channel.id,
        author=_author(message),
        created_at=_ms(message.created_at.timestamp()),
        content=storable(message.content),
        rendered=storable(rendered(message)),
        type=message.type.value,
        edited_at=_ms(message.edited_at.timestamp()) if message.edited_at else None,
        reply_to=reference.message_id if reference and message.type is discord.MessageType.reply else None,
        pinned=message.pinned,
        mentions=tuple(user.id for user in message.mentions),
        reactions=tuple(Reaction(_reacted(reaction.emoji), reaction.count) for reaction in message.reactions),
        attachments=tuple(Attachment(file.id, file.filename, file.size, file.url) for file in message.attachments),
    )


def _author(message: discord.Message) -> Author:
    # What a webhook posts was written by no member.
    by_machine = message.author.bot or message.webhook_id is not None
    return Author(message.author.id, message.author.name, storable(message.author.display_name), by_machine)


def _reacted(emoji: discord.PartialEmoji | discord.Emoji | str) -> str:
    """As every other source names it: custom emoji by `:name:`."""
    if isinstance(emoji, str):
        return emoji
    return f":{emoji.name}:" if emoji.id else emoji.name


def storable(text: str) -> str:
    """JSON can hold half a surrogate pair; a file cannot."""
    return text.encode(errors="replace").decode()


def channel_from(
    channel: discord.TextChannel | discord.Thread | discord.VoiceChannel | discord.StageChannel,
) -> tuple[Guild, Channel]:
    """Where it was said."""
    parent = channel.parent_id if isinstance(channel, discord.Thread) else channel.category_id
    kind = CHANNEL_TYPES[channel.type.value]
    topic = channel.topic if isinstance(channel, discord.TextChannel | discord.StageChannel) else None
    guild = channel.guild
    return Guild(guild.id, guild.name), Channel(channel.id, guild.id, channel.name, kind, parent, topic)


def rendered(message: discord.Message) -> str:
    """The text as members read it: names for ids."""
    text = message.content
    if "<" not in text:
        return text
    names = {f"<@{user.id}>": f"@{user.display_name}" for user in message.mentions}
    names |= {f"<@!{user.id}>": f"@{user.display_name}" for user in message.mentions}
    names |= {f"<@&{role.id}>": f"@{role.name}" for role in message.role_mentions}
    names |= {f"<#{channel.id}>": f"#{channel.name}" for channel in message.channel_mentions}
    for raw, name in names.items():
        text = text.replace(raw, name)
    return without_marks(text)


def without_marks(text: str) -> str:
    """Emoji and times as words."""
    return _TIME.sub("(a time)", _CUSTOM_EMOJI.sub(r"\1", text))


def question(message: discord.Message, own_id: int) -> str:
    """What is asked: the text without the bot's own mention at its beginning or end."""
    own = rf"<@!?{own_id}>"
    text = rendered(message)
    own_names = [re.escape(f"@{user.display_name}") for user in message.mentions if user.id == own_id]
    for name in (own, *own_names):
        text = re.sub(rf"^\s*{name}[\s,:]*|[\s,]*{name}\s*$", "", text)
    return text.strip()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
