"""Decides whether a message is for the bot, and who will read the answer. Pure: looks, does nothing.

**Invariant.** `audience` errs on the side of fewer channels: what it names may be quoted to everybody who reads there.
"""

import discord

_WRITTEN = (discord.MessageType.default, discord.MessageType.reply)


def by_a_person(message: discord.Message) -> bool:
    """Written by a member: no bot, no webhook, no system line."""
    return not message.author.bot and message.webhook_id is None and message.type in _WRITTEN


def addressed(message: discord.Message, own_id: int) -> bool:
    """Whether a person @mentions the bot itself (or answers it with the ping on). `@everyone` is not the bot."""
    return by_a_person(message) and any(user.id == own_id for user in message.mentions)


def to_somebody(message: discord.Message) -> bool:
    """Whether it is said to somebody: an answer to a message, or with somebody mentioned."""
    return message.reference is not None or bool(message.mentions)


def audience(channel: discord.TextChannel | discord.Thread) -> frozenset[int]:
    """The channels that everyone who reads this one may read too: this one, and what the whole server may see.

    A server's members, and with them the readers, change at any time, so that nothing less is safe.
    """
    guild = channel.guild
    everyone = guild.default_role
    public = {other.id for other in guild.channels if other.permissions_for(everyone).read_messages}
    threads = {thread.id for thread in guild.threads if thread.parent_id in public and not thread.is_private()}
    return frozenset(public | threads | {channel.id})
