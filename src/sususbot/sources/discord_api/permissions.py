"""What the bot may do in a channel, computed from roles and overwrites, so that no request need be refused to find out.

Discord's own order: roles, then the overwrites for everyone, for the roles, for the member. A refusal still counts
where it comes: rights change while a history is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sususbot.sources.discord_api.api_message import int64

Json = dict[str, Any]

ADD_REACTIONS: Final = 1 << 6
VIEW_CHANNEL: Final = 1 << 10
SEND_MESSAGES: Final = 1 << 11
READ_MESSAGE_HISTORY: Final = 1 << 16
CONNECT: Final = 1 << 20
MANAGE_THREADS: Final = 1 << 34
SEND_MESSAGES_IN_THREADS: Final = 1 << 38
_ADMINISTRATOR: Final = 1 << 3
_EVERYTHING: Final = (1 << 63) - 1
_MEMBER: Final = 1

# What the bot cannot do without, as Discord calls it where roles are edited: the invite link asks for all of it, the
# doctor looks for it in the bot's channel. A thread wants the last instead of the second.
NEEDED: Final = {
    VIEW_CHANNEL: "View Channel",
    SEND_MESSAGES: "Send Messages",
    READ_MESSAGE_HISTORY: "Read Message History",
    ADD_REACTIONS: "Add Reactions",
    SEND_MESSAGES_IN_THREADS: "Send Messages in Threads",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """The bot in a guild: its roles, and what they allow before any channel changes it."""

    guild_id: int
    own_id: int
    roles: frozenset[int]
    base: int

    @classmethod
    def read(cls, guild: Json, member: Json, own_id: int) -> "Standing":
        """Raises one of MALFORMED."""
        guild_id = int64(guild["id"])
        roles = frozenset(int64(id_) for id_ in member["roles"]) | {guild_id}
        base = 0
        for role in guild["roles"]:
            base |= int(role["permissions"]) if int64(role["id"]) in roles else 0
        owner = int64(guild.get("owner_id") or 0) == own_id
        return cls(guild_id, own_id, roles, _EVERYTHING if owner or base & _ADMINISTRATOR else base)

    def permissions(self, channel: Json) -> int:
        """What the bot may do there. Raises one of MALFORMED."""
        if self.base == _EVERYTHING:
            return _EVERYTHING
        overwrites = {int64(item["id"]): item for item in channel.get("permission_overwrites") or ()}
        held = self._changed(self.base, [overwrites[self.guild_id]] if self.guild_id in overwrites else [])
        roles = self.roles - {self.guild_id}
        held = self._changed(held, [item for id_, item in overwrites.items() if id_ in roles])
        own = overwrites.get(self.own_id)
        held = self._changed(held, [own] if own is not None and int(own["type"]) == _MEMBER else [])
        return held if held & VIEW_CHANNEL else 0

    def _changed(self, held: int, overwrites: list[Mapping[str, Any]]) -> int:
        deny = allow = 0
        for item in overwrites:
            deny |= int(item["deny"])
            allow |= int(item["allow"])
        return held & ~deny | allow


def lacking(held: int, *, thread: bool = False) -> list[str]:
    """What the bot still needs where it may do this."""
    spared = SEND_MESSAGES if thread else SEND_MESSAGES_IN_THREADS
    return [right for bit, right in NEEDED.items() if bit != spared and not held & bit]
