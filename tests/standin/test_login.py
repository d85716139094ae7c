"""The real discord.py logs in, sees the guild, talks, and is turned away where Discord would turn it away."""

import discord
import pytest

from sususbot.standin.api import Validator
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.standin.clients import INTENTS, Recorder, running
from tests.standin.conftest import Place
from tests.standin.patch import pointed_at


async def test_sees_the_guild_and_its_channels(server: StandIn, place: Place) -> None:
    thread = place.world.add_thread(place.general, "side")
    client = Recorder()
    async with running(server, client):
        (guild,) = client.guilds
        assert guild.name == place.world.guild_name
        assert {channel.name for channel in guild.text_channels} == {"general", "___hidden___"}
        assert [t.id for t in guild.threads] == [thread.id]
        assert guild.me.id == place.world.bot.id
        assert client.application is not None
        assert client.application.flags.gateway_message_content


async def test_receives_replies_edits_and_deletes(server: StandIn, place: Place) -> None:
    client = Recorder()
    async with running(server, client):
        said = server.say(place.general, place.ada, f"{place.world.bot.mention} hello")
        heard = await client.wait_until(lambda: client.seen and client.seen[0])
        assert isinstance(heard, discord.Message)
        assert heard.content == said.content
        assert heard.author.display_name == "Ada"
        assert client.user in heard.mentions

        reply = await heard.reply("good day", allowed_mentions=discord.AllowedMentions(replied_user=True, users=False))
        (stored,) = server.sent(place.general)
        assert stored.reference is not None
        assert stored.reference.message_id == said.id
        assert stored.pinged_users == (place.ada.id,)

        await reply.edit(content="good evening")
        assert stored.content == "good evening"
        assert stored.edited is not None
        await reply.delete()
        assert server.sent(place.general) == []
        await client.wait_until(lambda: "raw_message_delete" in client.events)


async def test_hears_edits_deletes_and_reactions_of_others(server: StandIn, place: Place) -> None:
    client = Recorder()
    async with running(server, client):
        messages = [server.say(place.general, place.ada, f"line {n}") for n in range(4)]
        server.edit(messages[0], "line zero")
        server.react(messages[0], place.bob, "👍")
        server.delete(messages[1])
        server.delete_bulk(messages[2:])
        await client.wait_until(lambda: "raw_bulk_message_delete" in client.events)
        assert "message_edit" in client.events
        assert "reaction_add" in client.events
        assert "message_delete" in client.events


async def test_reads_the_history_of_a_channel(server: StandIn, place: Place) -> None:
    for number in range(250):
        server.say(place.general, place.ada, str(number))
    client = Recorder()
    async with running(server, client):
        channel = client.text_channel(place.general.id)
        found = [int(message.content) async for message in channel.history(limit=None, oldest_first=True)]
    assert found == list(range(250))


async def test_a_wrong_token_fails_at_login(server: StandIn) -> None:
    client = Recorder()
    with pointed_at(server):
        async with client:
            with pytest.raises(discord.LoginFailure):
                await client.start("not.the.token")
    assert server.ledger.connects == 0


async def test_a_token_revoked_after_login_is_closed_with_4004(server: StandIn, place: Place) -> None:
    client = Recorder()
    with pointed_at(server):
        async with client:
            await client.login(place.world.token)
            place.world.revoke_token()
            with pytest.raises(discord.ConnectionClosed) as caught:
                await client.connect()
    assert caught.value.code == 4004


async def test_the_content_intent_must_be_switched_on(server: StandIn, place: Place) -> None:
    place.world.message_content_allowed = False
    client = Recorder()
    with pointed_at(server):
        async with client:
            with pytest.raises(discord.PrivilegedIntentsRequired):
                await client.start(place.world.token)


async def test_without_the_content_intent_only_mentions_are_readable(server: StandIn, place: Place) -> None:
    place.world.message_content_allowed = False
    intents = discord.Intents(guilds=True, guild_messages=True)
    client = Recorder(intents)
    async with running(server, client):
        server.say(place.general, place.ada, "between us")
        server.say(place.general, place.ada, f"{place.world.bot.mention} for you")
        await client.wait_until(lambda: len(client.seen) == 2)
        assert client.contents == ["", f"{place.world.bot.mention} for you"]


async def test_without_the_message_intent_there_are_no_messages(server: StandIn, place: Place) -> None:
    client = Recorder(discord.Intents(guilds=True))
    async with running(server, client):
        server.say(place.general, place.ada, "unheard")
        place.world.add_channel("later")
        await client.wait_until(lambda: "guild_channel_create" in client.events)
        assert client.seen == []


async def test_a_private_channel_stays_silent(server: StandIn, place: Place) -> None:
    client = Recorder()
    async with running(server, client):
        server.say(place.secret, place.ada, "hush")
        server.say(place.general, place.ada, "hello")
        await client.wait_until(lambda: client.seen)
        assert client.contents == ["hello"]


async def test_two_stand_ins_share_nothing(place: Place, validator: Validator | None) -> None:
    first = StandIn(place.world, rate=RateLimits.fast(), validator=validator)
    async with first, StandIn(place.world, rate=RateLimits.fast()) as second:
        async with running(second, Recorder(INTENTS)):
            assert second.connected == 1
        assert first.ledger.count() == 0
