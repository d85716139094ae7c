"""How the world looks on the wire: complete objects that discord.py reads and the published API description accepts.

Ids are strings. A message is shown with its content or without, as the intent of the reader demands.
"""

from typing import Any

from sususbot.standin import permissions
from sususbot.standin.objects import Channel, ChannelType, Json, Message, MessageType, Role, User
from sususbot.standin.snowflake import created_at, iso
from sususbot.standin.world import World

GATEWAY_MESSAGE_CONTENT = 1 << 18
HIDDEN_CHANNEL = 1 << 17


def user_json(user: User) -> Json:
    rendered: Json = {
        "id": str(user.id),
        "username": user.name,
        "discriminator": "0",
        "global_name": user.display,
        "avatar": None,
        "public_flags": 0,
        "flags": 0,
        "primary_guild": None,
    }
    if user.bot:
        rendered["bot"] = True
    return rendered


def own_user_json(world: World) -> Json:
    return {**user_json(world.bot), "mfa_enabled": True, "locale": "en-US", "verified": True, "email": None}


def application_json(world: World) -> Json:
    flags = GATEWAY_MESSAGE_CONTENT if world.message_content_allowed else 0
    return {
        "id": str(world.application_id),
        "name": world.bot.name,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user_json(world.bot),
        "bot_public": False,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": flags,
        "flags_new": str(flags),
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user_json(world.owner),
        "approximate_guild_count": 1,
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": [],
    }


def role_json(role: Role) -> Json:
    return {
        "id": str(role.id),
        "name": role.name,
        "permissions": str(role.permissions),
        "position": role.position,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": False,
        "mentionable": role.mentionable,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }


def member_json(world: World, user: User) -> Json:
    """Without the user, as messages carry it."""
    return {
        "roles": [str(role_id) for role_id in user.roles],
        "nick": user.nick,
        "avatar": None,
        "joined_at": iso(created_at(world.guild_id)),
        "premium_since": None,
        "communication_disabled_until": None,
        "deaf": False,
        "mute": False,
        "pending": False,
        "flags": 0,
    }


def guild_member_json(world: World, user: User) -> Json:
    """With the user, as it stands by itself."""
    return member_json(world, user) | {"user": user_json(user), "banner": None}


def channel_json(world: World, channel: Channel) -> Json:
    last = channel.history.last_id
    rendered: Json = {
        "id": str(channel.id),
        "type": int(channel.type),
        "name": channel.name,
        "guild_id": str(world.guild_id),
        "parent_id": None if channel.parent_id is None else str(channel.parent_id),
        "last_message_id": None if last is None else str(last),
        "flags": 0,
        "rate_limit_per_user": 0,
    }
    return rendered | (_thread_part(channel) if channel.is_thread else _channel_part(channel))


def _channel_part(channel: Channel) -> Json:
    rendered: Json = {
        "position": channel.position,
        "topic": channel.topic,
        "nsfw": False,
        "permission_overwrites": [
            {"id": str(o.target_id), "type": int(o.member), "allow": str(o.allow), "deny": str(o.deny)}
            for o in channel.overwrites
        ],
    }
    if channel.type in (ChannelType.VOICE, ChannelType.STAGE):
        rendered |= {"bitrate": 64000, "user_limit": 0, "rtc_region": None}
    if channel.type == ChannelType.FORUM:
        rendered |= {"available_tags": [], "default_reaction_emoji": None, "default_sort_order": None}
    return rendered


def _thread_part(channel: Channel) -> Json:
    born = iso(created_at(channel.id))
    metadata: Json = {
        "archived": channel.archived,
        "archive_timestamp": born if channel.archived_at is None else iso(channel.archived_at),
        "auto_archive_duration": 1440,
        "locked": channel.locked,
        "create_timestamp": born,
    }
    if channel.type == ChannelType.PRIVATE_THREAD:
        metadata["invitable"] = False
    return {
        "owner_id": str(channel.owner_id),
        "thread_metadata": metadata,
        "message_count": len(channel.history),
        "member_count": 1,
        "total_message_sent": len(channel.history),
    }


def hidden_channel_json(world: World, channel: Channel) -> Json:
    """What the gateway shows of a channel that the bot may not view."""
    shown = channel_json(world, channel)
    return shown | {"name": "___hidden___", "topic": None, "last_message_id": None, "flags": HIDDEN_CHANNEL}


def guild_json(world: World) -> Json:
    """As over HTTP: no channels, no members."""
    empty: dict[str, Any] = dict.fromkeys(
        (
            *("icon", "description", "home_header", "splash", "discovery_splash", "banner", "application_id"),
            *("afk_channel_id", "system_channel_id", "widget_channel_id", "max_presences", "vanity_url_code"),
            *("rules_channel_id", "safety_alerts_channel_id", "public_updates_channel_id", "incidents_data"),
        )
    )
    return empty | {
        "id": str(world.guild_id),
        "name": world.guild_name,
        "features": [],
        "owner_id": str(world.owner.id),
        "region": "deprecated",
        "afk_timeout": 300,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "verification_level": 0,
        "roles": [role_json(role) for role in world.roles.values()],
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_members": 500_000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": "en-US",
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "emojis": [guild_emoji_json(name, id_) for name, id_ in world.emoji.items()],
        "stickers": [],
    }


def guild_emoji_json(name: str, id_: int) -> Json:
    """A custom emoji of the guild that everybody may use."""
    flags = {"roles": [], "require_colons": True, "managed": False, "animated": False, "available": True}
    return {"id": str(id_), "name": name, **flags}


def guild_create_json(world: World) -> Json:
    """As over the gateway: with channels, active threads and, of the members, the bot alone."""
    channels, threads = [], []
    for channel in world.channels.values():
        visible = world.can(world.bot, channel, permissions.VIEW_CHANNEL)
        if not channel.is_thread:
            channels.append(channel_json(world, channel) if visible else hidden_channel_json(world, channel))
        elif visible and not channel.archived:
            threads.append(channel_json(world, channel))
    return guild_json(world) | {
        "joined_at": iso(created_at(world.guild_id)),
        "large": False,
        "unavailable": False,
        "member_count": len(world.users),
        "voice_states": [],
        "members": [guild_member_json(world, world.bot)],
        "channels": channels,
        "threads": threads,
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def reads_content(world: World, message: Message, *, intent: bool) -> bool:
    """Without the intent a bot still reads its own messages and those that mention it."""
    return intent or message.author.id == world.bot.id or world.bot.id in message.pings.users


def message_json(world: World, message: Message, *, intent: bool) -> Json:
    """As over HTTP, for the bot; `intent` is whether it holds MESSAGE_CONTENT."""
    rendered = _plain_message(world, message, intent=intent)
    if message.type in (MessageType.REPLY, MessageType.THREAD_STARTER) and message.reference is not None:
        rendered["referenced_message"] = None
        channel = world.channels.get(message.reference.channel_id)
        target = None if channel is None else channel.history.get(message.reference.message_id)
        if target is not None:
            rendered["referenced_message"] = _plain_message(world, target, intent=intent)
    return rendered


def _plain_message(world: World, message: Message, *, intent: bool) -> Json:
    readable = reads_content(world, message, intent=intent)
    rendered: Json = {
        "id": str(message.id),
        "channel_id": str(message.channel_id),
        "author": user_json(message.author),
        "content": message.content if readable else "",
        "timestamp": iso(created_at(message.id)),
        "edited_timestamp": None if message.edited is None else iso(message.edited),
        "tts": False,
        "mention_everyone": message.pings.everyone,
        "mentions": [user_json(world.users[id_]) for id_ in message.pings.users],
        "mention_roles": [str(id_) for id_ in message.pings.roles],
        "attachments": message.attachments if readable else [],
        "embeds": message.embeds if readable else [],
        "components": message.components if readable else [],
        "pinned": False,
        "type": int(message.type),
        "flags": message.flags,
    }
    if message.nonce is not None:
        rendered["nonce"] = message.nonce
    if message.webhook_id is not None:
        rendered["webhook_id"] = str(message.webhook_id)
    if message.reference is not None:
        rendered["message_reference"] = {
            "type": message.reference.type,
            "message_id": str(message.reference.message_id),
            "channel_id": str(message.reference.channel_id),
            "guild_id": str(world.guild_id),
        }
    if message.reactions:
        rendered["reactions"] = [_reaction(world, emoji, people) for emoji, people in message.reactions.items()]
    if message.extra:
        rendered |= message.extra if readable else {k: v for k, v in message.extra.items() if k not in _CONTENT_FIELDS}
    return rendered


_CONTENT_FIELDS = frozenset({"content", "embeds", "attachments", "components", "poll"})


def _reaction(world: World, emoji: str, people: list[int]) -> Json:
    return {
        "emoji": emoji_json(emoji),
        "count": len(people),
        "count_details": {"burst": 0, "normal": len(people)},
        "burst_colors": [],
        "me_burst": False,
        "me": world.bot.id in people,
    }


def emoji_json(emoji: str) -> Json:
    """`name:id` is a custom emoji, anything else a character."""
    name, _, id_ = emoji.partition(":")
    return {"id": id_ or None, "name": name}


def gateway_message_json(world: World, message: Message, *, intent: bool) -> Json:
    """The same with what only the gateway says: the guild, the member behind the author, members behind mentions."""
    rendered = message_json(world, message, intent=intent)
    rendered["guild_id"] = str(world.guild_id)
    rendered["channel_type"] = int(world.channel(message.channel_id).type)
    if message.webhook_id is None:
        rendered["member"] = member_json(world, message.author)
    for mention in rendered["mentions"]:
        mention["member"] = member_json(world, world.users[int(mention["id"])])
    return rendered
