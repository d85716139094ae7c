"""Which channels are read: those that were named, or all of a guild; their threads and a forum's posts come along.

Only what the owner named is ever asked for. What cannot be found or read is a sentence in `refused`, costs nothing but
itself, and where roles tell it is not even asked for: refusals are counted against the bot. Threads are listed before
any history is read, so that each mention of one has its name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sususbot.errors import GuildUnknown
from sususbot.messages import CHANNEL_TYPES, SPOKEN, THREADS, Channel, Guild
from sususbot.sources.discord_api.api_message import MALFORMED, int64, storable
from sususbot.sources.discord_api.client import Client, Refused
from sususbot.sources.discord_api.permissions import (
    CONNECT,
    MANAGE_THREADS,
    READ_MESSAGE_HISTORY,
    VIEW_CHANNEL,
    Standing,
)
from sususbot.sources.discord_api.preflight import UNKNOWN_CHANNEL, no_history, unreadable
from sususbot.sources.discord_api.together import together

Json = dict[str, Any]

_VOICE: Final = frozenset({2, 13})
_FORUMS: Final = frozenset({15, 16})
_TEXT: Final = 0
_PARENTS: Final = frozenset({_TEXT, 5}) | _FORUMS
# A channel that the bot may not view, shown without its name.
_HIDDEN: Final = 1 << 17
_PAGE: Final = 100

_PUBLIC: Final = "/channels/{channel_id}/threads/archived/public"
_PRIVATE: Final = "/channels/{channel_id}/threads/archived/private"
_MEMBER: Final = "/guilds/{guild_id}/members/{user_id}"
_JOINED: Final = "/channels/{channel_id}/users/@me/threads/archived/private"


@dataclass(frozen=True, slots=True)
class Place:
    """A channel or thread whose history is to be read. `total` is about how many messages Discord says it has."""

    guild: Guild
    channel: Channel
    spoken: bool
    """Messages stand in it: not so in a forum, which holds threads alone."""
    kind: int
    """Discord's number of its type."""
    permissions: int | None
    """What the bot may do there, as far as that is known."""
    last_message_id: int | None
    total: int | None = None

    @property
    def parent(self) -> bool:
        """It may have threads."""
        return self.kind in _PARENTS

    @property
    def id(self) -> int:
        return self.channel.id

    @property
    def name(self) -> str:
        return self.channel.name


@dataclass(slots=True)
class Survey:
    """What there is to read. `roles` and `names` (of channels) are for mentions."""

    places: dict[int, Place] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    roles: dict[int, str] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)


async def survey(client: Client, own_id: int, named: Sequence[int], *, whole_guild: int | None) -> Survey:
    """Find the named channels, or with `whole_guild` every readable one of that guild; then all their threads.

    Raises GuildUnknown.
    """
    finder = _Finder(client, own_id)
    if whole_guild is not None:
        await finder.add_guild(whole_guild)
        finder.add_all(whole_guild)
    for channel_id in dict.fromkeys(named):
        await finder.add(channel_id)
    await add_threads(client, finder.found)
    return finder.found


async def guild_of(client: Client, channel_id: int) -> int | None:
    """The guild a channel belongs to; None where the channel cannot be seen."""
    try:
        answer = await client.get("/channels/{channel_id}", channel_id=channel_id)
    except Refused:
        return None
    guild_id = answer.json.get("guild_id")
    return None if guild_id is None else int64(guild_id)


async def add_threads(client: Client, found: Survey) -> list[Place]:
    """Add the threads that are not known yet, active and archived, of all places; gives the new ones."""
    parents = {place.id: place for place in found.places.values() if place.parent}
    guilds = {place.guild.id: place.guild for place in parents.values()}
    # Active ones first and again at the end: what is archived or woken meanwhile stands in one of the lists.
    items = [await _active(client, guild_id) for guild_id in guilds]
    items += await together(_archived(client, parent) for parent in parents.values())
    return _add_found(found, parents, (item for some in items for item in some))


async def add_active_threads(client: Client, found: Survey) -> list[Place]:
    """Add threads that were begun or woken meanwhile; gives the new ones."""
    parents = {place.id: place for place in found.places.values() if place.parent}
    guilds = {place.guild.id for place in parents.values()}
    items = [item for guild_id in guilds for item in await _active(client, guild_id)]
    return _add_found(found, parents, items)


def _add_found(found: Survey, parents: Mapping[int, Place], items: Iterable[Json]) -> list[Place]:
    new: list[Place] = []
    for item in items:
        try:
            parent_id = int64(item["parent_id"] or 0)
            if parent_id in parents and int64(item["id"]) not in found.places:
                new.append(_place(parents[parent_id].guild, item, parents[parent_id].permissions))
                found.places[new[-1].id] = new[-1]
                found.names[new[-1].id] = new[-1].name
        except MALFORMED:
            continue
    return new


async def _active(client: Client, guild_id: int) -> list[Json]:
    answer = await client.get("/guilds/{guild_id}/threads/active", guild_id=guild_id)
    return _items(answer.json.get("threads"))


async def _archived(client: Client, parent: Place) -> list[Json]:
    try:
        found = await _listed(client, _PUBLIC, parent)
    except Refused:
        # Nothing can be read here at all; reading the channel itself says so.
        return []
    if parent.kind != _TEXT:
        return found
    if parent.permissions is None or parent.permissions & MANAGE_THREADS:
        try:
            return found + await _listed(client, _PRIVATE, parent)
        except Refused:
            pass
    # Without Manage Threads: only those private threads that the bot was invited to.
    try:
        return found + await _listed(client, _JOINED, parent)
    except Refused:
        return found


async def _listed(client: Client, route: str, parent: Place) -> list[Json]:
    """All pages of a list of archived threads."""
    found: dict[str, Json] = {}
    query = {"limit": str(_PAGE)}
    while True:
        answer = await client.get(route, query, channel_id=parent.id)
        threads = _items(answer.json.get("threads"))
        fresh = {str(item["id"]): item for item in threads if str(item["id"]) not in found}
        found |= fresh
        if not answer.json.get("has_more") or not threads:
            return list(found.values())
        query["before"] = _next(route, threads[-1], again=bool(fresh))


def _next(route: str, last: Json, *, again: bool) -> str:
    """Where the next page begins. Joined threads are ordered by id, the others by the moment they were archived.

    Several may have been archived in one moment, on both sides of a page's end: with `again` it is asked for once more.
    """
    if route == _JOINED:
        return str(last["id"])
    moment = datetime.fromisoformat(last["thread_metadata"]["archive_timestamp"])
    return (moment + timedelta(microseconds=1) if again else moment).isoformat()


def _items(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


class _Finder:
    """Looks channels up, each guild once."""

    def __init__(self, client: Client, own_id: int) -> None:
        self.found = Survey()
        self._client = client
        self._own_id = own_id
        self._standings: dict[int, Standing | None] = {}
        self._guilds: dict[int, Guild] = {}
        self._listed: dict[int, tuple[Guild, Json]] = {}

    async def add_guild(self, guild_id: int) -> None:
        """Its name, roles and channels."""
        try:
            guild = (await self._client.get("/guilds/{guild_id}", guild_id=guild_id)).json
            channels = (await self._client.get("/guilds/{guild_id}/channels", guild_id=guild_id)).json
        except Refused as refused:
            raise GuildUnknown(
                f"the server {guild_id} does not exist or the bot is not on it: check GUILD_ID, and invite the bot "
                "(sususbot init  prints the link)"
            ) from refused
        self._guilds[guild_id] = Guild(guild_id, storable(str(guild["name"])))
        self._standings[guild_id] = await self._standing(guild_id, guild)
        self.found.roles |= {int64(role["id"]): storable(str(role["name"])) for role in _items(guild.get("roles"))}
        for item in _items(channels):
            self._listed[int64(item["id"])] = (self._guilds[guild_id], item)
            self.found.names[int64(item["id"])] = storable(str(item.get("name")))

    async def _standing(self, guild_id: int, guild: Json) -> Standing | None:
        """None where it cannot be found out: then answers tell what may be read."""
        try:
            member = (await self._client.get(_MEMBER, guild_id=guild_id, user_id=self._own_id)).json
            return Standing.read(guild, member, self._own_id)
        except (Refused, *MALFORMED):
            return None

    def add_all(self, guild_id: int) -> None:
        """Every channel that can be seen and holds messages or threads."""
        for guild, item in self._listed.values():
            shown = not int(item.get("flags") or 0) & _HIDDEN
            if guild.id == guild_id and shown and int(item["type"]) in SPOKEN | _FORUMS:
                self._take(guild, item)

    async def add(self, channel_id: int) -> None:
        """One channel or thread by its id; what is wrong with it is noted."""
        if channel_id in self._listed:
            self._take(*self._listed[channel_id])
            return
        try:
            item = (await self._client.get("/channels/{channel_id}", channel_id=channel_id)).json
        except Refused as refused:
            self.found.refused[channel_id] = _not_there(channel_id, refused)
            return
        guild_id = item.get("guild_id")
        if guild_id is None:
            self.found.refused[channel_id] = f"{channel_id} is no channel of a server: check CHANNELS and CHANNEL_ID"
            return
        if int64(guild_id) not in self._guilds:
            await self.add_guild(int64(guild_id))
        self._take(self._guilds[int64(guild_id)], item)

    def _take(self, guild: Guild, item: Json) -> None:
        place = _place(guild, item, self._permissions(guild, item))
        reason = _closed(place)
        if reason is not None:
            self.found.refused[place.id] = reason
            return
        self.found.places[place.id] = place
        self.found.names[place.id] = place.name

    def _permissions(self, guild: Guild, item: Json) -> int | None:
        """Of a thread, those of its channel."""
        if int(item["type"]) in THREADS:
            _, item = self._listed.get(int64(item.get("parent_id") or 0), (guild, {}))
        standing = self._standings[guild.id]
        return None if standing is None or not item else standing.permissions(item)


def _closed(place: Place) -> str | None:
    """Why a channel need not be asked for its history."""
    if not (place.spoken or place.parent):
        return f"#{place.name} holds no messages: name the channels in it instead"
    if place.permissions is None:
        return None
    if not place.permissions & VIEW_CHANNEL:
        return unreadable(place.name)
    if place.kind in _VOICE and not place.permissions & CONNECT:
        return unreadable(place.name, right="Connect")
    if not place.permissions & READ_MESSAGE_HISTORY:
        return no_history(place.name)
    return None


def _not_there(channel_id: int, refused: Refused) -> str:
    if refused.code == UNKNOWN_CHANNEL or refused.status == 404:
        return f"there is no channel {channel_id}: check CHANNELS and CHANNEL_ID"
    return unreadable(str(channel_id))


def _place(guild: Guild, item: Json, permissions: int | None) -> Place:
    kind, parent_id, last = int(item["type"]), item.get("parent_id"), item.get("last_message_id")
    topic = item.get("topic")
    channel = Channel(
        id=int64(item["id"]),
        guild_id=guild.id,
        name=storable(str(item.get("name"))),
        type=CHANNEL_TYPES.get(kind, str(kind)),
        parent_id=None if parent_id is None else int64(parent_id),
        topic=None if topic is None else storable(str(topic)),
    )
    count = item.get("message_count")
    return Place(
        guild,
        channel,
        spoken=kind in SPOKEN,
        kind=kind,
        permissions=permissions,
        last_message_id=None if last is None or kind in _FORUMS else int64(last),
        total=count if kind in THREADS and isinstance(count, int) else None,
    )
