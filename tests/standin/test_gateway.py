"""The gateway frame by frame: the order of things, close codes, resume, intents, heartbeats."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sususbot.standin.connection import MOST_SENDS, Pulse
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.standin.clients import INTENTS, Rest, Socket, connected
from tests.standin.conftest import Place


@asynccontextmanager
async def identified(server: StandIn, intents: int = INTENTS.value) -> AsyncIterator[tuple[Socket, Any]]:
    """A connection past READY and GUILD_CREATE, and its READY."""
    async with connected(server.gateway_url) as socket:
        assert (await socket.frame())["op"] == 10
        await socket.identify(server.world.token, intents)
        ready = await socket.event("READY")
        await socket.event("GUILD_CREATE")
        yield socket, ready


@pytest.mark.parametrize("compress", [{}, {"compress": "zlib-stream"}, {"compress": "zstd-stream"}])
async def test_hello_ready_guild(server: StandIn, place: Place, compress: dict[str, str]) -> None:
    async with connected(server.gateway_url, **compress) as socket:
        hello = await socket.frame()
        assert hello == {"op": 10, "d": {"heartbeat_interval": 45000}, "s": None, "t": None}
        await socket.send(1, None)
        assert (await socket.frame())["op"] == 11
        await socket.identify(place.world.token)
        ready = await socket.event("READY")
        assert ready["guilds"] == [{"id": str(place.world.guild_id), "unavailable": True}]
        assert ready["resume_gateway_url"] != server.gateway_url
        guild = await socket.event("GUILD_CREATE")
        assert [(c["name"], c["flags"]) for c in guild["channels"]] == [("general", 0), ("___hidden___", 1 << 17)]
        server.say(place.general, place.ada, "hi")
        message = await socket.event("MESSAGE_CREATE")
        assert message["guild_id"] == str(place.world.guild_id)
        assert message["member"]["roles"] == []
        assert socket.seq == 3


@pytest.mark.parametrize(
    ("intents", "code"),
    [(1 << 30, 4013), ("513", 4013), (-1, 4013), (1 << 1, 4014), (1 << 8, 4014)],
)
async def test_intents_are_checked(server: StandIn, intents: Any, code: int) -> None:
    async with connected(server.gateway_url) as socket:
        await socket.identify(server.world.token, intents)
        assert await socket.close_code() == code


async def test_the_content_intent_is_checked(server: StandIn) -> None:
    server.world.message_content_allowed = False
    async with connected(server.gateway_url) as socket:
        await socket.identify(server.world.token)
        assert await socket.close_code() == 4014


async def test_wrong_token(server: StandIn) -> None:
    async with connected(server.gateway_url) as socket:
        await socket.identify("wrong")
        assert await socket.close_code() == 4004
    assert "wrong" not in repr(server.ledger.frames)


@pytest.mark.parametrize("shard", [[1, 1], [0], "0", ["a", "b"]])
async def test_wrong_shard(server: StandIn, shard: Any) -> None:
    async with connected(server.gateway_url) as socket:
        await socket.identify(server.world.token, shard=shard)
        assert await socket.close_code() == 4010


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 4002),
        ("[]", 4002),
        ('{"op": 2, "d": 1}', 4002),
        ('{"op": 99}', 4001),
        ('{"op": 3, "d": {}}', 4003),
        ('{"op": 1, "d": "' + "x" * 4096 + '"}', 4002),
    ],
)
async def test_bad_frames(server: StandIn, text: str, code: int) -> None:
    async with connected(server.gateway_url) as socket:
        await socket.send_raw(text)
        assert await socket.close_code() == code


async def test_identify_twice(server: StandIn) -> None:
    async with identified(server) as (socket, _):
        await socket.identify(server.world.token)
        assert await socket.close_code() == 4005


async def test_too_many_sends(server: StandIn) -> None:
    async with connected(server.gateway_url) as socket:
        for _ in range(MOST_SENDS + 1):
            await socket.send(1, None)
        assert await socket.close_code() == 4008


async def test_more_identifies_than_a_day_allows_void_the_token(place: Place) -> None:
    async with StandIn(place.world, rate=RateLimits.none(), starts_allowed=1) as server, Rest(server) as rest:
        token = place.world.token
        async with identified(server):
            assert (await rest("GET", "/gateway/bot")).json["session_start_limit"]["remaining"] == 0
        async with connected(server.gateway_url) as socket:
            await socket.identify(token)
            assert await socket.close_code() == 4004
        assert (await rest("GET", "/users/@me")).status == 401


async def resume(server: StandIn, socket: Socket, ready: Any, seq: int | None) -> None:
    await socket.send(6, {"token": server.world.token, "session_id": ready["session_id"], "seq": seq})


async def test_resume_replays_what_was_missed(server: StandIn, place: Place) -> None:
    async with identified(server) as (socket, ready):
        await socket.close(4000)
    await server.wait_for(lambda: server.connected == 0)
    for number in range(3):
        server.say(place.general, place.ada, str(number))
    async with connected(ready["resume_gateway_url"]) as again:
        await again.frame()
        await resume(server, again, ready, socket.seq)
        frames = [await again.frame() for _ in range(4)]
    assert [frame["t"] for frame in frames] == ["MESSAGE_CREATE"] * 3 + ["RESUMED"]
    assert [frame["s"] for frame in frames] == [3, 4, 5, 6]
    assert [frame["d"].get("content") for frame in frames] == ["0", "1", "2", None]
    assert server.gateway.resumes == 1


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_session_closed_by_its_client_is_gone(server: StandIn, code: int) -> None:
    async with identified(server) as (socket, ready):
        await socket.close(code)
    await server.wait_for(lambda: server.connected == 0)
    async with connected(server.gateway_url) as again:
        await again.frame()
        await resume(server, again, ready, 2)
        assert await again.frame() == {"op": 9, "d": False, "s": None, "t": None}


async def test_resume_with_an_impossible_sequence(server: StandIn) -> None:
    async with identified(server) as (_, ready), connected(server.gateway_url) as again:
        await resume(server, again, ready, 99)
        assert await again.close_code() == 4007


async def test_a_replay_that_is_no_longer_kept_is_refused(place: Place) -> None:
    async with StandIn(place.world, replay=2) as server:
        async with identified(server) as (_, ready), connected(server.gateway_url) as again:
            for number in range(5):
                server.say(place.general, place.ada, str(number))
            await again.frame()
            await resume(server, again, ready, 2)
            assert (await again.frame())["op"] == 9


async def test_an_identify_after_a_refused_resume_works_on_the_same_connection(server: StandIn) -> None:
    async with connected(server.gateway_url) as socket:
        await socket.frame()
        await resume(server, socket, {"session_id": "unknown"}, 1)
        assert (await socket.frame())["op"] == 9
        await socket.identify(server.world.token)
        assert await socket.event("READY")


async def test_a_second_connection_takes_the_session_over(server: StandIn) -> None:
    async with identified(server) as (first, ready), connected(server.gateway_url) as second:
        await resume(server, second, ready, first.seq)
        assert await second.event("RESUMED") == {}
        assert await first.close_code() == 4000
        assert server.connected == 1


async def test_events_follow_intents(server: StandIn, place: Place) -> None:
    intents = 1 | 1 << 9 | 1 << 11
    async with identified(server, intents) as (socket, _), Rest(server) as rest:
        message = server.say(place.general, place.ada, "hidden words")
        server.react(message, place.bob, "👍")
        await rest("POST", f"/channels/{place.general.id}/typing")
        frames = [await socket.frame() for _ in range(2)]
    assert [frame["t"] for frame in frames] == ["MESSAGE_CREATE", "TYPING_START"]
    assert frames[0]["d"]["content"] == ""


async def test_everything_that_happens_has_its_event(server: StandIn, place: Place) -> None:
    async with identified(server) as (socket, _):
        message = server.say(place.general, place.ada, "words", mentions=[place.bob])
        server.edit(message, "other words")
        place.world.unfurl(message, {"type": "link"})
        server.react(message, place.bob, "party:123456")
        place.world.unreact(message, place.bob, "party:123456")
        reply = server.say(place.general, place.bob, "re", reply_to=message, ping=False)
        server.delete(message)
        server.delete_bulk([reply])
        thread = place.world.add_thread(place.general, "side")
        place.world.remove_channel(thread)
        place.world.remove_channel(place.world.add_channel("brief"))
        frames = [await socket.frame() for _ in range(12)]
    assert [frame["t"] for frame in frames] == [
        "MESSAGE_CREATE",
        "MESSAGE_UPDATE",
        "MESSAGE_UPDATE",
        "MESSAGE_REACTION_ADD",
        "MESSAGE_REACTION_REMOVE",
        "MESSAGE_CREATE",
        "MESSAGE_DELETE",
        "MESSAGE_DELETE_BULK",
        "THREAD_CREATE",
        "THREAD_DELETE",
        "CHANNEL_CREATE",
        "CHANNEL_DELETE",
    ]
    assert frames[0]["d"]["mentions"][0]["id"] == str(place.bob.id)
    assert frames[2]["d"]["edited_timestamp"] == frames[1]["d"]["edited_timestamp"]
    assert frames[3]["d"]["emoji"] == {"id": "123456", "name": "party"}
    assert frames[5]["d"]["mentions"] == []
    assert frames[5]["d"]["referenced_message"]["id"] == str(message.id)


async def test_a_heartbeat_is_measured_and_its_absence_ends_the_connection(place: Place) -> None:
    async with StandIn(place.world, heartbeat_interval=3.0) as server:
        async with connected(server.gateway_url) as socket:
            await socket.frame()
            await socket.send(1, None)
            assert (await socket.frame())["op"] == 11
            assert await socket.close_code() == 4009
        came, missing = server.heartbeats
        assert (came.lateness, came.missed) == (0, False)
        assert missing.missed
        assert server.ledger.latest_heartbeat == missing.lateness > 0.1


def test_lateness_is_counted_from_the_heartbeat_before() -> None:
    times = iter([0.0, 40.0, 85.0, 140.0, 141.0])
    pulse = Pulse(45.0, lambda: next(times))
    assert [pulse.beat() for _ in range(4)] == [0.0, 0.0, 10.0, 0.0]


async def test_the_server_may_ask_for_a_heartbeat(server: StandIn) -> None:
    async with identified(server) as (socket, _):
        server.gateway.ask_for_heartbeat()
        assert (await socket.frame())["op"] == 1
