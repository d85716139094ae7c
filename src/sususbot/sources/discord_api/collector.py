"""The history of channels into the archive: many channels at once, under one pace, resumable at any moment.

What is wrong with one channel is told and costs only that channel; what is wrong with everything (token, intent,
network, a ban) ends the run with a sentence. What was written stays, and the next run goes on from there.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.upsert import Added
from sususbot.errors import ChannelUnknown, DiscordError
from sususbot.messages import DISCORD_EPOCH_MS, THREAD_TYPES, Channel
from sususbot.sources.discord_api.api_message import MessageReader
from sususbot.sources.discord_api.channels import (
    Place,
    Survey,
    add_active_threads,
    guild_of,
    survey,
)
from sususbot.sources.discord_api.client import Client, Refused
from sususbot.sources.discord_api.history import History
from sususbot.sources.discord_api.limits import LAST
from sususbot.sources.discord_api.pages import OLDEST, Pages
from sususbot.sources.discord_api.preflight import UNKNOWN_CHANNEL, Unreadable, buried, check_intent, own_id
from sususbot.sources.discord_api.progress import Progress, Tracks
from sususbot.sources.discord_api.together import together
from sususbot.sources.discord_api.writer import Writer

# Channels that are read at once: more than the pace over all can serve, since small ones wait for answers.
_AT_ONCE: Final = 64
_SEARCH: Final = "/guilds/{guild_id}/messages/search"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to collect. `since` is in ms; `everything` reads all channels of `guild_id`, or of the named ones' guild."""

    channels: tuple[int, ...] = ()
    everything: bool = False
    guild_id: int | None = None
    since: int | None = None
    max_messages: int | None = None
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run did. `refused` says in a sentence why a channel could not be read."""

    added: Added
    deleted: int
    messages: int
    requests: int
    channels: int
    threads: int
    malformed: int
    stopped_early: bool
    refused: dict[int, str] = field(default_factory=dict)


async def collect(
    archive: Archive,
    client: Client,
    wanted: Wanted,
    *,
    tell: Callable[[Progress], None] = lambda _progress: None,
) -> Collected:
    """Collect what is missing. Raises DiscordError and ArchiveError; then, too, what was written stays."""
    try:
        async with client:
            own = await own_id(client)
            await check_intent(client)
            found = await _survey(client, own, wanted)
            with Writer(archive, MessageReader(found.roles, found.names), wanted.max_messages) as writer:
                tracks = Tracks(client.per_second, lambda: (writer.added.new, client.requests), tell)
                return await _Run(client, Pages(client, own), writer, wanted, found, tracks).run()
    except Refused as refused:
        raise DiscordError(
            f"Discord refuses a request that every bot may make ({refused}): wait a while, then run the same command "
            "again, it goes on where it stopped"
        ) from refused


async def _survey(client: Client, own: int, wanted: Wanted) -> Survey:
    whole = None
    if wanted.everything:
        whole = wanted.guild_id
        for channel_id in wanted.channels:
            whole = whole or await guild_of(client, channel_id)
        if whole is None:
            raise ChannelUnknown("--all needs to know the server: set GUILD_ID, or name a channel of it in CHANNELS")
    return await survey(client, own, () if wanted.everything else wanted.channels, whole_guild=whole)


class _Run:
    def __init__(
        self,
        client: Client,
        pages: Pages,
        writer: Writer,
        wanted: Wanted,
        found: Survey,
        tracks: Tracks,
    ) -> None:
        self._client = client
        self._pages = pages
        self._writer = writer
        self._wanted = wanted
        self._found = found
        self._tracks = tracks
        self._refused = dict(found.refused)
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._floor = OLDEST if wanted.since is None else _first_id(wanted.since)
        self._bound = _first_id(now_ms())

    async def run(self) -> Collected:
        places = list(self._found.places.values())
        counting = asyncio.create_task(self._count(places))
        try:
            if self._wanted.verify:
                await self._bury_gone()
            while places and not self._writer.enough:
                await together(self._read(place) for place in _largest_first(places))
                places = await add_active_threads(self._client, self._found)
        finally:
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
        return self._collected()

    async def _read(self, place: Place) -> None:
        """One channel, whatever becomes of it."""
        async with self._at_once:
            if self._writer.enough:
                return
            track = self._tracks.track(place.id)
            history = History(place, self._pages, self._writer, self._tracks, floor=self._floor, bound=self._bound)
            try:
                stretch = await self._writer.begin(place)
                if place.total is not None:
                    track.counted_before = True
                    await self._expect(place, place.total)
                if place.spoken:
                    await (history.verify(stretch) if self._wanted.verify else history.collect(stretch))
            except Unreadable as reason:
                self._refused[place.id] = str(reason)
            track.finish()

    async def _count(self, places: Iterable[Place]) -> None:
        """Ask how many messages the channels hold, one after another, while they are read already."""
        for place in places:
            self._tracks.track(place.id)
        for place in places:
            if place.spoken and place.total is None:
                total = await self._total(place)
                if total is not None:
                    await self._expect(place, total)

    async def _total(self, place: Place) -> int | None:
        """None where Discord's search index is not ready, or not for us."""
        query = {"channel_id": str(place.id), "limit": "1"}
        try:
            answer = await self._client.get(_SEARCH, query, rank=LAST, guild_id=place.guild.id)
        except (Refused, DiscordError):
            return None
        total = answer.json.get("total_results") if answer.status == 200 else None
        return total if isinstance(total, int) else None

    async def _expect(self, place: Place, total: int) -> None:
        known = 0 if self._wanted.verify else await self._writer.known(place)
        if self._wanted.since is None:
            self._tracks.track(place.id).expected = max(0, total - known)

    async def _bury_gone(self) -> None:
        """Take the messages of channels and threads for deleted that were deleted themselves."""
        for channel in await self._missing():
            try:
                await self._client.get("/channels/{channel_id}", channel_id=channel.id)
            except Refused as refused:
                if refused.code == UNKNOWN_CHANNEL:
                    await self._writer.delete_channel(channel.id)
                    if channel.id in self._wanted.channels:
                        self._refused[channel.id] = buried(channel.name)

    async def _missing(self) -> list[Channel]:
        """Of what this run is about, what the archive has and Discord did not list.

        Of a channel that is only imported nobody knows whether this bot could ever see it, so its absence proves
        nothing; of a thread its parent tells.
        """
        places = self._found.places
        parents = {place.id for place in places.values() if place.parent}
        guilds = {place.guild.id for place in places.values()} if self._wanted.everything else set()
        threads = [one for one in await self._writer.channels() if one.parent_id in parents and _is_thread(one)]
        seen = [
            one
            for one in await self._writer.seen_channels()
            if one.guild_id in guilds
            or not {one.id, one.parent_id if _is_thread(one) else None}.isdisjoint(self._wanted.channels)
        ]
        return list({one.id: one for one in (*threads, *seen) if one.id not in places}.values())

    def _collected(self) -> Collected:
        threads = sum(_is_thread(place.channel) for place in self._found.places.values())
        return Collected(
            added=self._writer.added,
            deleted=self._writer.deleted,
            messages=self._tracks.messages,
            requests=self._client.requests,
            channels=len(self._found.places) - threads,
            threads=threads,
            malformed=self._writer.malformed,
            stopped_early=self._writer.enough,
            refused=self._refused,
        )


def _is_thread(channel: Channel) -> bool:
    return channel.type in THREAD_TYPES


def _largest_first(places: Iterable[Place]) -> list[Place]:
    """The longest histories decide when a run ends; of a channel without a count much is expected."""
    return sorted(places, key=lambda place: (place.total is not None, -(place.total or 0)))


def _first_id(ms: int) -> int:
    """The first id of a moment."""
    return (ms - DISCORD_EPOCH_MS) << 22
