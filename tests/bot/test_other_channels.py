"""What happens in channels that the bot does not talk in: what the archive has of them follows Discord."""

from pathlib import Path
from typing import get_args

import discord
import pytest
from discord.channel import _channel_factory

from sususbot.archive.archive import Archive
from sususbot.bot.question import Heard
from sususbot.messages import CHANNEL_TYPES, SPOKEN, Author, Guild
from sususbot.messages import Channel as Known
from sususbot.messages import Message as Kept
from sususbot.standin.objects import ChannelType
from sususbot.standin.server import StandIn
from tests.bot.running import bot, echo, until
from tests.bot.seeded import seed
from tests.bot.test_bot import listening
from tests.standin.conftest import Place


async def test_a_channel_that_is_deleted_takes_its_words_and_its_name_along(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    world = server.world
    side = world.add_channel("zanzibar plans", topic="where to go")
    thread = world.add_thread(side, "quillonda trip")
    lone = world.add_thread(place.general, "printer talk")
    with Archive(tmp_path) as archive:
        (in_side,) = seed(tmp_path, server, side, place.bob, "we go in may")
        (in_thread,) = seed(tmp_path, server, thread, place.bob, "by boat")
        (in_lone,) = seed(tmp_path, server, lone, place.bob, "it is broken")
        (in_general,) = seed(tmp_path, server, place.general, place.bob, "good morning")
        guild = Guild(world.guild_id, "x")
        for one, parent in ((thread, side), (lone, place.general)):
            known = Known(one.id, guild.id, one.name, "GuildPublicThread", parent.id)
            archive.add_channel(guild, known, origin="export", seen_at=2)
    async with bot(server, place.general, tmp_path, [echo()]) as running:
        await listening(server)
        world.remove_channel(side)
        await until(lambda: not running.archive.messages([in_side, in_thread]))
        assert set(running.archive.messages([in_lone, in_general])) == {in_lone, in_general}
        world.remove_channel(lone)
        await until(lambda: not running.archive.messages([in_lone]))
        names = {channel.id: (channel.name, channel.topic) for channel in running.archive.channels()}
        assert {names[id_] for id_ in (side.id, thread.id, lone.id)} == {("someone", None)}
        assert names[place.general.id][0] == "general"
        # An older export does not bring it back.
        seed(tmp_path, server, side, place.bob, "late")
        assert all("zanzibar" not in channel.name for channel in running.archive.channels())
        assert running.archive.check() == []


async def test_a_private_thread_that_the_bot_is_taken_out_of_is_not_deleted(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    left = server.world.add_thread(place.general, "plans", private=True)
    gone = server.world.add_thread(place.general, "secrets", private=True)
    with Archive(tmp_path):
        (in_left,) = seed(tmp_path, server, left, place.bob, "we go in may")
        (in_gone,) = seed(tmp_path, server, gone, place.bob, "by boat")
    async with bot(server, place.general, tmp_path, [echo()]) as running:
        await listening(server)
        server.world.take_out(left)
        server.world.remove_channel(gone)
        await until(lambda: not running.archive.messages([in_gone]))
        assert set(running.archive.messages([in_left])) == {in_left}


@pytest.mark.parametrize("kind", [ChannelType.VOICE, ChannelType.NEWS, ChannelType.STAGE])
async def test_what_is_edited_in_any_channel_that_is_read_is_kept_as_it_is_now(
    server: StandIn, place: Place, tmp_path: Path, kind: ChannelType
) -> None:
    stage = server.world.add_channel("stage", type=kind)
    said = server.world.post(stage, place.bob, "the kettel sings")
    with Archive(tmp_path) as archive:
        guild = Guild(server.world.guild_id, "x")
        archive.add_channel(guild, Known(stage.id, guild.id, "stage"), origin="export", seen_at=1)
        kept = Kept(said.id, stage.id, Author(place.bob.id, "bob", "bob"), 0, said.content, said.content)
        archive.add([kept], source=archive.add_source("export", "x"), fetched_at=0)
    async with bot(server, place.general, tmp_path, [echo()]) as running:
        await listening(server)
        server.edit(said, "the kettle sings")
        await until(lambda: running.archive.messages([said.id])[said.id].content == "the kettle sings")
        types = {channel.id: channel.type for channel in running.archive.channels()}
        assert types[stage.id] == CHANNEL_TYPES[kind]


def test_what_is_heard_is_what_is_read() -> None:
    """One list of channel types for the running bot and for `backfill`."""
    classes = {kind: _channel_factory(kind)[0] or discord.Thread for kind in SPOKEN}
    assert set(classes.values()) == set(get_args(Heard))
