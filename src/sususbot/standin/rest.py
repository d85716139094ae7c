"""The routes a bot uses, each one function from a call to an answer.

Every function runs without awaiting, so a request takes effect whole or not at all. Tokens, limits, faults and the
socket are `api`'s concern; what goes out over the gateway follows from the change to the world.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sususbot.standin import draft, errors, permissions, render
from sususbot.standin.errors import form_error
from sususbot.standin.objects import Channel, Json, Message
from sususbot.standin.snowflake import checked_id
from sususbot.standin.world import World

_MOST_PER_PAGE = 100
_CUSTOM_EMOJI = re.compile(r"\w{2,32}:\d+")


@dataclass(frozen=True, slots=True)
class SessionStarts:
    """What `/gateway/bot` tells of the IDENTIFY budget."""

    total: int
    remaining: int


@dataclass(frozen=True, slots=True)
class Call:
    """One request, understood."""

    world: World
    params: dict[str, str]
    query: dict[str, str]
    body: Json
    listed: list[Any]
    """The body of a route that takes a list."""
    gateway_url: str
    starts: SessionStarts

    def channel(self) -> Channel:
        """The channel named in the path, which the bot may view."""
        channel = self.world.channel(checked_id("channel_id", self.params["channel_id"]))
        self.need(channel, permissions.VIEW_CHANNEL)
        return channel

    def need(self, channel: Channel, bits: int) -> None:
        if not self.world.can(self.world.bot, channel, permissions.VIEW_CHANNEL):
            raise errors.missing_access()
        if not self.world.can(self.world.bot, channel, bits):
            raise errors.missing_permissions()

    def message(self, channel: Channel) -> Message:
        message = channel.history.get(checked_id("message_id", self.params["message_id"]))
        if message is None:
            raise errors.unknown_message()
        return message

    def shown(self, message: Message) -> Json:
        return render.message_json(self.world, message, intent=self.world.message_content_allowed)


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` None is an empty answer."""

    status: int = 200
    body: Any = None


def own_user(call: Call) -> Answer:
    return Answer(body=render.own_user_json(call.world))


def own_application(call: Call) -> Answer:
    return Answer(body=render.application_json(call.world))


def gateway(call: Call) -> Answer:
    return Answer(body={"url": call.gateway_url})


def gateway_bot(call: Call) -> Answer:
    starts = call.starts
    limit = {"total": starts.total, "remaining": starts.remaining, "reset_after": 86_400_000, "max_concurrency": 1}
    return Answer(body={"url": call.gateway_url, "shards": 1, "session_start_limit": limit})


def _own_guild(call: Call) -> None:
    if checked_id("guild_id", call.params["guild_id"]) != call.world.guild_id:
        raise errors.unknown_guild()


def get_guild(call: Call) -> Answer:
    _own_guild(call)
    return Answer(body=render.guild_json(call.world))


def _viewable(call: Call, *, threads: bool) -> list[Channel]:
    world = call.world
    return [
        channel
        for channel in world.channels.values()
        if channel.is_thread is threads and world.can(world.bot, channel, permissions.VIEW_CHANNEL)
    ]


def get_channels(call: Call) -> Answer:
    _own_guild(call)
    return Answer(body=[render.channel_json(call.world, channel) for channel in _viewable(call, threads=False)])


def get_active_threads(call: Call) -> Answer:
    _own_guild(call)
    threads = [thread for thread in _viewable(call, threads=True) if not thread.archived]
    body = {"threads": [render.channel_json(call.world, t) for t in threads], "members": [], "has_more": False}
    return Answer(body=body)


def get_member(call: Call) -> Answer:
    _own_guild(call)
    user = call.world.users.get(checked_id("user_id", call.params["user_id"]))
    if user is None:
        raise errors.unknown_member()
    return Answer(body=render.guild_member_json(call.world, user))


def search_messages(call: Call) -> Answer:
    """How many messages there are, in one channel or in all that may be read, and the newest of them."""
    _own_guild(call)
    if not call.world.search_ready:
        return Answer(202, errors.index_not_ready())
    channels = _viewable(call, threads=False) + _viewable(call, threads=True)
    if "channel_id" in call.query:
        channels = [call.world.channel(checked_id("channel_id", call.query["channel_id"]))]
    for channel in channels:
        call.need(channel, permissions.READ_MESSAGE_HISTORY)
    newest = sorted((m for channel in channels for m in channel.history.newest(1)), key=lambda m: m.id)[-1:]
    found = [[{**call.shown(message), "hit": True}] for message in newest]
    total = sum(len(channel.history) for channel in channels)
    return Answer(body={"messages": found, "doing_deep_historical_index": False, "total_results": total})


def get_channel(call: Call) -> Answer:
    return Answer(body=render.channel_json(call.world, call.channel()))


def get_messages(call: Call) -> Answer:
    """Without READ_MESSAGE_HISTORY an empty page, not a refusal."""
    channel = call.channel()
    limit = _limit(call.query)
    if not call.world.can(call.world.bot, channel, permissions.READ_MESSAGE_HISTORY):
        return Answer(body=[])
    return Answer(body=[call.shown(message) for message in _page(channel, call.query, limit)])


def _limit(query: dict[str, str]) -> int:
    raw = query.get("limit", "50")
    if not raw.isdecimal() or not 1 <= int(raw) <= _MOST_PER_PAGE:
        raise form_error("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.")
    return int(raw)


def _page(channel: Channel, query: dict[str, str], limit: int) -> list[Message]:
    pages: dict[str, Callable[[int, int], list[Message]]] = {
        "before": channel.history.before,
        "after": channel.history.after,
        "around": channel.history.around,
    }
    asked = [name for name in pages if name in query]
    if len(asked) > 1:
        raise form_error(asked[1], "BASE_TYPE_MUTUALLY_EXCLUSIVE", "Only one of before, after and around is allowed.")
    if not asked:
        return channel.history.newest(limit)
    return pages[asked[0]](checked_id(asked[0], query[asked[0]]), limit)


def get_message(call: Call) -> Answer:
    channel = call.channel()
    call.need(channel, permissions.READ_MESSAGE_HISTORY)
    return Answer(body=call.shown(call.message(channel)))


def create_message(call: Call) -> Answer:
    channel = call.channel()
    return Answer(body=call.shown(draft.create(call.world, channel, call.world.bot, call.body)))


def edit_message(call: Call) -> Answer:
    message = call.message(call.channel())
    draft.edit(call.world, message, call.world.bot, call.body)
    return Answer(body=call.shown(message))


def delete_message(call: Call) -> Answer:
    channel = call.channel()
    message = call.message(channel)
    if message.author.id != call.world.bot.id:
        call.need(channel, permissions.MANAGE_MESSAGES)
    call.world.delete(message)
    return Answer(204)


def type_in_channel(call: Call) -> Answer:
    channel = call.channel()
    draft.check_may_send(call.world, channel, call.world.bot)
    call.world.type_in(channel, call.world.bot)
    return Answer(204)


def add_reaction(call: Call) -> Answer:
    channel = call.channel()
    call.need(channel, permissions.READ_MESSAGE_HISTORY)
    message = call.message(channel)
    emoji = _emoji(call.params["emoji_name"])
    if emoji not in message.reactions:
        call.need(channel, permissions.ADD_REACTIONS)
    call.world.react(message, call.world.bot, emoji)
    return Answer(204)


def remove_reaction(call: Call) -> Answer:
    channel = call.channel()
    call.need(channel, permissions.READ_MESSAGE_HISTORY)
    call.world.unreact(call.message(channel), call.world.bot, _emoji(call.params["emoji_name"]))
    return Answer(204)


def _emoji(raw: str) -> str:
    if raw.isascii() and not _CUSTOM_EMOJI.fullmatch(raw):
        raise errors.unknown_emoji()
    return raw
