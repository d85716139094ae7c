"""`--verify`: edits, reactions and deletions since; nothing is taken for deleted that only could not be seen."""

from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.checkpoints import Stretch
from sususbot.messages import NOTE_TYPE, Author, Channel, Guild, Message
from sususbot.sources.discord_api.collector import Wanted
from sususbot.standin import permissions
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.sources.discord_api.town import BEGUN, empty_town, gather, history, town

PAGES = "/channels/{channel_id}/messages"


async def test_edits_reactions_and_deletions(tmp_path: Path) -> None:
    made = town(pages=5)
    wanted = Wanted(made.ids(), verify=True)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids()))
            said = list(made.square.history)
            # The newest, the oldest, single ones and more than a page of them.
            for message in [said[-1], said[0], said[9], *said[120:260]]:
                server.delete(message)
            server.edit(said[3], "mended words")
            server.edit(said[300], "mended too")
            server.react(said[4], made.ada, "🎉")
            made.world.unreact(said[7], made.bob, "👍")
            made.world.post(made.market, made.bob, "new", at=BEGUN + 9_000_000)
            collected = await gather(server, archive, wanted)
            assert collected.deleted == 143
            assert collected.added.new == 1
            assert collected.added.changed == 4
            assert list(archive.history()) == history(made.world, made.ids())
            assert archive.check() == []
            again = await gather(server, archive, wanted)
            assert (again.added.new, again.added.changed, again.deleted) == (0, 0, 0)


async def test_notes_are_not_looked_for_on_discord(tmp_path: Path) -> None:
    made = town(pages=2)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids()))
            middle = list(made.market.history)[50].id + 1
            text, author = "the market closes at four", Author(made.ada.id, "ada", "Ada")
            note = Message(middle, made.market.id, author, 0, text, text, NOTE_TYPE, pinned=True)
            archive.add([note], source=archive.add_source("gateway", "bot"), fetched_at=now_ms())
            collected = await gather(server, archive, Wanted(made.ids(), verify=True))
            assert collected.deleted == 0
            for message in list(made.market.history):
                server.delete(message)
            await gather(server, archive, Wanted(made.ids(), verify=True))
            assert list(archive.history(channel_id=made.market.id)) == [note]


async def test_a_channel_that_was_emptied(tmp_path: Path) -> None:
    made = town(pages=2)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids()))
            for message in list(made.market.history):
                server.delete(message)
            await gather(server, archive, Wanted(made.ids(), verify=True))
            assert list(archive.history()) == history(made.world, made.ids())


async def test_a_thread_that_was_deleted(tmp_path: Path) -> None:
    made = town(pages=1)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids()))
            old = next(channel for channel in made.world.channels.values() if channel.name == "old 1")
            made.world.remove_channel(old)
            collected = await gather(server, archive, Wanted(made.ids(), verify=True))
            assert collected.deleted == 5
            assert list(archive.history()) == history(made.world, made.ids())


@pytest.mark.parametrize("everything", [False, True])
async def test_a_channel_that_was_deleted_with_its_threads(tmp_path: Path, everything: bool) -> None:
    made = town(pages=1)
    wanted = Wanted(() if everything else made.ids(), everything, made.world.guild_id if everything else None)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, wanted)
            names = {channel.name for channel in archive.channels()}
            assert {"market", "old 1"} <= names
            for channel in list(made.world.channels.values()):
                if made.market.id in (channel.id, channel.parent_id):
                    made.world.remove_channel(channel)
            kept = await gather(server, archive, wanted)
            assert kept.deleted == 0
            collected = await gather(server, archive, replace(wanted, verify=True))
            assert list(archive.history()) == history(made.world, made.ids())
            assert collected.deleted > 63
            assert not {"market", "old 1"} & {channel.name for channel in archive.channels()}
            if not everything:
                assert "its words are taken away" in collected.refused[made.market.id]
            assert archive.check() == []


async def test_what_cannot_be_seen_or_never_was_is_not_taken_for_deleted(tmp_path: Path) -> None:
    """Missing access, and a channel of an import that this bot was never in."""
    made = town(pages=1)
    guild = Guild(made.world.guild_id, "town")
    elsewhere = Channel(77 << 22, guild.id, "elsewhere")
    said = Message(78 << 22, elsewhere.id, Author(made.ada.id, "ada", "Ada"), 0, "hello", "hello")
    wanted = Wanted((*made.ids(), elsewhere.id))
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            archive.add_channel(guild, elsewhere, origin="export", seen_at=1)
            archive.add([said], source=archive.add_source("export", "x"), fetched_at=0)
            await gather(server, archive, wanted)
            whole = [message.id for message in archive.history()]
            made.market.overwrites.append(made.world.overwrite(deny=permissions.VIEW_CHANNEL))
            for named in (wanted, Wanted((), everything=True, guild_id=guild.id)):
                collected = await gather(server, archive, replace(named, verify=True))
                assert collected.deleted == 0
                assert [message.id for message in archive.history()] == whole
            assert "elsewhere" in {channel.name for channel in archive.channels()}


async def test_nothing_is_deleted_where_the_history_may_not_be_read_any_more(tmp_path: Path) -> None:
    """Discord answers with empty pages then, which look as if all had been deleted."""
    made = town(pages=5)
    everyone = made.world.roles[made.world.guild_id].permissions
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted((made.square.id,)))
            whole = list(archive.history())

            def take_away(_progress: object) -> None:
                if server.ledger.count(route=PAGES) - before >= 3:
                    made.world.allow_everyone(everyone & ~permissions.READ_MESSAGE_HISTORY)

            before = server.ledger.count(route=PAGES)
            collected = await gather(server, archive, Wanted((made.square.id,), verify=True), tell=take_away)
            assert collected.deleted == 0
            assert "Read Message History" in collected.refused[made.square.id]
            assert list(archive.history()) == whole


async def test_what_a_bot_adds_meanwhile_is_not_taken_for_deleted(tmp_path: Path) -> None:
    made = empty_town()
    made.say(made.square, 250)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted((made.square.id,)))
            gateway = archive.add_source("gateway", "bot")

            def arrive(_progress: object) -> None:
                message = made.world.post(made.square, made.bob, "just now", at=BEGUN + 9_000_000)
                late = Message(message.id, made.square.id, Author(made.bob.id, "bob", "bob"), 1, "just now", "just now")
                archive.add([late], source=gateway, fetched_at=now_ms())

            collected = await gather(server, archive, Wanted((made.square.id,), verify=True), tell=arrive)
            assert collected.deleted == 0
            assert len(list(archive.history())) == len(made.square.history)


async def test_a_verify_that_is_cut_short_leaves_the_stretch_without_a_gap(tmp_path: Path) -> None:
    """More came than it read: what lies between is still known to be missing."""
    made = empty_town()
    made.say(made.square, 300)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted((made.square.id,)))
            before = archive.checkpoints.of(made.square.id)
            assert before is not None
            made.say(made.square, 500, begun=BEGUN + 9_000_000)
            await gather(server, archive, Wanted((made.square.id,), verify=True, max_messages=150))
            assert archive.checkpoints.of(made.square.id) == before
            assert archive.counts().messages == 450
            await gather(server, archive, Wanted((made.square.id,)))
            assert list(archive.history()) == history(made.world, made.ids())


async def test_verify_of_what_was_never_read_reads_it(tmp_path: Path) -> None:
    made = town(pages=3)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids(), verify=True))
            assert list(archive.history()) == history(made.world, made.ids())
            said = list(made.square.history)
            assert archive.checkpoints.of(made.square.id) == Stretch(said[0].id, said[-1].id, complete=True)
