"""The real discord.py through every way a connection ends: resume with replay, new sessions, final refusals."""

import asyncio

import discord
import pytest

from sususbot.standin.faults import GatewayFault
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.standin.clients import Recorder, running
from tests.standin.conftest import Place


async def resumed(server: StandIn, client: Recorder, place: Place) -> None:
    """The session came back, with what was said before, in between and after."""
    await client.wait_until(lambda: "resumed" in client.events)
    server.say(place.general, place.ada, "after")
    await client.wait_until(lambda: "after" in client.contents)
    assert client.contents == ["before", "between", "after"]
    assert server.gateway.identifies == 1
    assert server.gateway.resumes == 1


async def speak(server: StandIn, client: Recorder, place: Place) -> None:
    server.say(place.general, place.ada, "before")
    await client.wait_until(lambda: client.seen)


async def test_a_dropped_connection_is_resumed_with_replay(server: StandIn, place: Place) -> None:
    client = Recorder()
    async with running(server, client):
        await speak(server, client, place)
        server.drop_connections()
        server.say(place.general, place.ada, "between")
        await resumed(server, client, place)


async def test_op_7_is_resumed_with_replay(server: StandIn, place: Place) -> None:
    client = Recorder()
    async with running(server, client):
        await speak(server, client, place)
        server.reconnect()
        server.say(place.general, place.ada, "between")
        await resumed(server, client, place)


async def test_op_9_resumable_is_resumed(server: StandIn, place: Place) -> None:
    client = Recorder()
    async with running(server, client):
        await speak(server, client, place)
        server.invalidate(resumable=True)
        server.say(place.general, place.ada, "between")
        await resumed(server, client, place)


@pytest.mark.parametrize("code", [1000, 4000, 4008])
async def test_most_close_codes_are_resumed(server: StandIn, place: Place, code: int) -> None:
    client = Recorder()
    async with running(server, client):
        await speak(server, client, place)
        server.close_sessions(code)
        server.say(place.general, place.ada, "between")
        await resumed(server, client, place)


async def test_op_9_not_resumable_leads_to_a_new_identify(server: StandIn, place: Place) -> None:
    client = Recorder()
    async with running(server, client):
        await speak(server, client, place)
        server.invalidate(resumable=False)
        server.say(place.general, place.ada, "lost")
        await client.wait_until(lambda: client.events.count("ready") == 2)
        server.say(place.general, place.ada, "after")
        await client.wait_until(lambda: "after" in client.contents)
    assert client.contents == ["before", "after"]
    assert (server.gateway.identifies, server.gateway.resumes) == (2, 0)


async def test_a_timed_out_session_is_resumed_in_vain_and_then_new(server: StandIn, place: Place) -> None:
    client = Recorder()
    async with running(server, client):
        await speak(server, client, place)
        server.close_sessions(4009)
        await client.wait_until(lambda: client.events.count("ready") == 2)
    assert (server.gateway.identifies, server.gateway.resumes) == (2, 1)


@pytest.mark.parametrize("code", [4004, 4010, 4011, 4012, 4013])
async def test_final_close_codes_end_the_client(server: StandIn, code: int) -> None:
    client = Recorder()
    server.faults.arm(GatewayFault.CLOSE_AT_IDENTIFY, code=code)
    async with running(server, client) as task:
        with pytest.raises(discord.ConnectionClosed) as caught:
            await task
    assert caught.value.code == code
    assert server.gateway.identifies == 1


async def test_a_replay_with_duplicates_reaches_the_client_twice(server: StandIn, place: Place) -> None:
    client = Recorder()
    server.faults.arm(GatewayFault.DUPLICATE_REPLAY)
    async with running(server, client):
        await speak(server, client, place)
        server.drop_connections()
        server.say(place.general, place.ada, "between")
        await client.wait_until(lambda: "resumed" in client.events)
    assert client.contents == ["before", "before", "between", "between"]


async def test_a_server_that_refuses_every_session_is_asked_for_ever(server: StandIn) -> None:
    client = Recorder()
    server.faults.arm(GatewayFault.INVALID_SESSION, times=None)
    ask = asyncio.create_task(server.wait_for(lambda: server.gateway.identifies >= 5))
    started = asyncio.create_task(enter(server, client))
    await ask
    assert "ready" not in client.events
    server.faults.clear()
    await started


async def enter(server: StandIn, client: Recorder) -> None:
    async with running(server, client):
        pass


async def test_a_refused_first_connect_ends_the_client(server: StandIn) -> None:
    client = Recorder()
    server.faults.arm(GatewayFault.REFUSE_CONNECT)
    async with running(server, client) as task:
        with pytest.raises(AttributeError):
            await task


async def test_an_unparsable_event_ends_the_client(server: StandIn) -> None:
    client = Recorder()
    async with running(server, client) as task:
        server.dispatch_unparsable()
        with pytest.raises(KeyError):
            await task


async def test_heartbeats_are_in_time(place: Place) -> None:
    client = Recorder()
    async with StandIn(place.world, rate=RateLimits.none(), heartbeat_interval=0.5) as server:
        async with running(server, client):
            await server.wait_for(lambda: sum(not one.missed for one in server.heartbeats) >= 4)
