"""The table of routes: method and path as the API description writes it, the rate-limit bucket, the function.

To add a route, write its function in `rest`, add its line here, and a test that calls it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from sususbot.standin import commands, interactions, rest, threads
from sususbot.standin.rest import Answer, Call

_MESSAGES = "/channels/{channel_id}/messages"
_ARCHIVED = "/channels/{channel_id}/threads/archived"
_MESSAGE = f"{_MESSAGES}/{{message_id}}"
_GUILD_COMMANDS = "/applications/{application_id}/guilds/{guild_id}/commands"
_WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"
_ORIGINAL = f"{_WEBHOOK}/messages/@original"
_ANSWER = f"{_WEBHOOK}/messages/{{message_id}}"
_OWN_REACTION = f"{_MESSAGE}/reactions/{{emoji_name}}/@me"


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    template: str
    bucket: str
    """A field of `RateLimits`."""
    answer: Callable[[Call], Answer]
    listed: bool = False
    """Takes a list instead of an object."""
    open: bool = False
    """Asks for no bot's token: the path has one of its own. Such requests do not count against the overall limit."""


ROUTES = (
    Route("GET", "/users/@me", "other", rest.own_user),
    Route("GET", "/oauth2/applications/@me", "other", rest.own_application),
    Route("GET", "/applications/@me", "other", rest.own_application),
    Route("GET", "/gateway", "other", rest.gateway),
    Route("GET", "/gateway/bot", "other", rest.gateway_bot),
    Route("GET", "/guilds/{guild_id}", "other", rest.get_guild),
    Route("GET", "/guilds/{guild_id}/channels", "other", rest.get_channels),
    Route("GET", "/guilds/{guild_id}/threads/active", "other", rest.get_active_threads),
    Route("GET", "/guilds/{guild_id}/members/{user_id}", "other", rest.get_member),
    Route("GET", "/guilds/{guild_id}/messages/search", "search", rest.search_messages),
    Route("GET", "/channels/{channel_id}", "other", rest.get_channel),
    Route("GET", f"{_ARCHIVED}/public", "threads", threads.get_public),
    Route("GET", f"{_ARCHIVED}/private", "threads", threads.get_private),
    Route("GET", "/channels/{channel_id}/users/@me/threads/archived/private", "threads", threads.get_joined),
    Route("GET", _MESSAGES, "history", rest.get_messages),
    Route("POST", _MESSAGES, "post", rest.create_message),
    Route("GET", _MESSAGE, "other", rest.get_message),
    Route("PATCH", _MESSAGE, "edit", rest.edit_message),
    Route("DELETE", _MESSAGE, "delete", rest.delete_message),
    Route("POST", "/channels/{channel_id}/typing", "typing", rest.type_in_channel),
    Route("PUT", _OWN_REACTION, "reaction", rest.add_reaction),
    Route("DELETE", _OWN_REACTION, "reaction", rest.remove_reaction),
    Route("GET", "/applications/{application_id}/commands", "other", commands.get_global),
    Route("PUT", "/applications/{application_id}/commands", "commands", commands.put_global, listed=True),
    Route("GET", _GUILD_COMMANDS, "other", commands.get_of_guild),
    Route("PUT", _GUILD_COMMANDS, "commands", commands.put_of_guild, listed=True),
    Route(
        "POST", "/interactions/{interaction_id}/{interaction_token}/callback", "webhook", interactions.answer, open=True
    ),
    Route("POST", _WEBHOOK, "webhook", interactions.follow, open=True),
    Route("GET", _ORIGINAL, "webhook", interactions.get_original, open=True),
    Route("PATCH", _ORIGINAL, "webhook", interactions.edit_original, open=True),
    Route("DELETE", _ORIGINAL, "webhook", interactions.delete_original, open=True),
    Route("GET", _ANSWER, "webhook", interactions.get_answer, open=True),
    Route("PATCH", _ANSWER, "webhook", interactions.edit_answer, open=True),
    Route("DELETE", _ANSWER, "webhook", interactions.delete_answer, open=True),
)


def _shape(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template)))


_BY_TEMPLATE: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
for _route in ROUTES:
    _BY_TEMPLATE.setdefault(_route.template, (_shape(_route.template), {}))[1][_route.method] = _route


def find(path: str) -> tuple[dict[str, Route], dict[str, str]]:
    """The routes of a path by method, and what its placeholders hold; two empty dicts where there are none."""
    for shape, by_method in _BY_TEMPLATE.values():
        match = shape.fullmatch(path)
        if match is not None:
            return by_method, match.groupdict()
    return {}, {}
