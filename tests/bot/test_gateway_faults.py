"""Whatever the gateway does: the bot comes back by itself and answers each mention once, or stops with a sentence."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.bot.client import Client
from sususbot.errors import ChannelUnknown, ConnectionLost, DiscordError, GuildUnknown, IntentMissing, TokenRefused
from sususbot.standin.faults import GatewayFault
from sususbot.standin.objects import Message
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.bot.running import PATIENCE, PRESSED, Running, answered, bot, echo, replies, until
from tests.standin.conftest import Place


@asynccontextmanager
async def running(server: StandIn, place: Place, folder: Path) -> AsyncIterator[Running]:
    async with bot(server, place.general, folder, [echo()], pace=PRESSED) as made:
        yield made


def ask(server: StandIn, place: Place, text: str) -> Message:
    return server.say(place.general, place.ada, f"{server.world.bot.mention} {text}")


async def up(server: StandIn, made: Running) -> None:
    """Wait until the bot has caught up."""
    await server.wait_for(lambda: server.connected == 1)
    await until(lambda: made.keeper.hearing)


Fault = Callable[[StandIn], object]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(StandIn.drop_connections, id="reset"),
        pytest.param(StandIn.end_connections, id="closed without a code"),
        pytest.param(StandIn.reconnect, id="op 7"),
        pytest.param(lambda server: server.invalidate(resumable=True), id="op 9 true"),
        pytest.param(lambda server: server.invalidate(resumable=False), id="op 9 false"),
        pytest.param(StandIn.dispatch_unparsable, id="an event that cannot be parsed"),
        pytest.param(lambda server: server.dispatch("MESSAGE_CREATE", {"id": "1"}), id="a message that cannot be"),
        *(
            pytest.param(lambda server, code=code: server.close_sessions(code), id=f"close {code}")
            for code in (1000, 1001, 4000, 4001, 4002, 4003, 4005, 4007, 4008, 4009, 4999)
        ),
    ],
)
async def test_a_connection_that_ends(server: StandIn, place: Place, tmp_path: Path, fault: Fault) -> None:
    async with running(server, place, tmp_path) as made:
        await up(server, made)
        before = ask(server, place, "before")
        await answered(server, before)
        connects = server.ledger.connects
        fault(server)
        # Said while nobody listens.
        meanwhile = ask(server, place, "meanwhile")
        await answered(server, meanwhile)
        await server.wait_for(lambda: server.ledger.connects > connects and server.connected == 1)
        after = ask(server, place, "after")
        await answered(server, after)
        await up(server, made)
        assert [len(replies(server, one)) for one in (before, meanwhile, after)] == [1, 1, 1]
        kept = [one.rendered for one in made.archive.window(place.general.id, limit=20, own_id=server.world.bot.id)]
        assert [text for text in kept if text.startswith("@")] == [
            f"@sususbot {x}" for x in ("before", "meanwhile", "after")
        ]
        await until(lambda: made.archive.mentions.in_hand(place.general.id) == [])


async def test_what_is_told_of_after_the_end_of_a_connection_is_nobodys(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    """discord.py closes itself at some codes, and tells of a late server afterwards."""
    lives: list[Client] = []

    async def extend(client: Client) -> None:
        lives.append(client)

    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED, extend=extend) as made:
        await up(server, made)
        await lives[0].close()
        lives[0].dispatch("ready")
        await server.wait_for(lambda: len(lives) == 2)
        await up(server, made)
        await answered(server, ask(server, place, "again"))


@pytest.mark.parametrize(
    "fault", [StandIn.send_unknown_op, lambda server: server.dispatch("NEWS_OF_TOMORROW", {"x": 1})]
)
async def test_what_nobody_knows_yet_is_passed_over(
    server: StandIn, place: Place, tmp_path: Path, fault: Fault
) -> None:
    async with running(server, place, tmp_path) as made:
        await up(server, made)
        fault(server)
        await answered(server, ask(server, place, "hello"))
        assert server.ledger.connects == 1


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (GatewayFault.REFUSE_CONNECT, 3),
        (GatewayFault.RESET_CONNECT, 4),
        (GatewayFault.NO_HELLO, 1),
        (GatewayFault.RECONNECT_FIRST, 2),
        (GatewayFault.CLOSE_AT_IDENTIFY, 3),
        (GatewayFault.INVALID_SESSION, 3),
        (GatewayFault.NO_GUILD, 1),
        (GatewayFault.GUILD_UNAVAILABLE, 1),
        (GatewayFault.UNPARSABLE, 2),
    ],
)
async def test_a_beginning_that_fails(
    server: StandIn, place: Place, tmp_path: Path, fault: GatewayFault, times: int
) -> None:
    server.faults.arm(fault, times)
    asked = ask(server, place, "are you there yet?")
    pace = replace(PRESSED, readying=2.0) if fault is GatewayFault.NO_HELLO else replace(PRESSED, guildless=0.5)
    async with bot(server, place.general, tmp_path, [echo()], pace=pace) as made:
        await answered(server, asked)
        await up(server, made)
        await answered(server, ask(server, place, "and now?"))
        assert len(replies(server, asked)) == 1
        assert server.gateway.identifies <= times + 2


@pytest.mark.parametrize("fault", [GatewayFault.REFUSE_CONNECT, GatewayFault.CLOSE_AT_RESUME])
async def test_a_connection_that_ends_and_is_refused_for_a_while(
    server: StandIn, place: Place, tmp_path: Path, fault: GatewayFault
) -> None:
    async with running(server, place, tmp_path) as made:
        await up(server, made)
        # Past it, the session cannot be resumed.
        server.faults.arm(fault, 1, code=4009)
        server.drop_connections()
        asked = ask(server, place, "meanwhile")
        await answered(server, asked)
        await up(server, made)
        assert len(replies(server, asked)) == 1


@pytest.mark.parametrize("fault", [GatewayFault.DUPLICATE_REPLAY, GatewayFault.SHUFFLED_REPLAY])
async def test_a_replay_that_is_not_what_it_should_be(
    server: StandIn, place: Place, tmp_path: Path, fault: GatewayFault
) -> None:
    async with running(server, place, tmp_path) as made:
        await up(server, made)
        asked = [ask(server, place, "one")]
        await answered(server, asked[0])
        server.faults.arm(fault)
        server.drop_connections()
        asked += [server.say(place.general, one, f"{server.world.bot.mention} two") for one in (place.ada, place.bob)]
        for one in asked:
            await answered(server, one)
        assert server.gateway.resumes == 1
        asked.append(ask(server, place, "three"))
        await answered(server, asked[-1])
        assert [len(replies(server, one)) for one in asked] == [1, 1, 1, 1]


async def test_a_resume_that_comes_too_late(place: Place, tmp_path: Path) -> None:
    async with (
        StandIn(place.world, rate=RateLimits.none(), replay=5) as server,
        running(server, place, tmp_path) as made,
    ):
        await up(server, made)
        server.drop_connections()
        said = [server.say(place.general, place.bob, f"line {number}") for number in range(150)]
        asked = ask(server, place, "meanwhile")
        await answered(server, asked)
        await up(server, made)
        assert sorted(made.archive.messages(one.id for one in said)) == [one.id for one in said]
        assert (server.gateway.resumes, server.gateway.identifies) == (1, 2)


async def test_a_connection_that_stands_and_is_silent_is_given_up(place: Place, tmp_path: Path) -> None:
    async with StandIn(place.world, rate=RateLimits.none(), heartbeat_interval=0.2) as server:
        async with running(server, place, tmp_path) as made:
            await up(server, made)
            server.fall_silent()
            asked = ask(server, place, "can you hear me?")
            await answered(server, asked)
            assert made.metrics.connection["last_end"] == "deaf"
            assert len(replies(server, asked)) == 1


async def test_a_connection_without_acknowledgements_in_a_quiet_channel_is_given_up(
    place: Place, tmp_path: Path
) -> None:
    async with StandIn(place.world, rate=RateLimits.none(), heartbeat_interval=0.2) as server:
        async with running(server, place, tmp_path) as made:
            await up(server, made)
            server.faults.arm(GatewayFault.NO_ACK, None)
            await server.wait_for(lambda: server.ledger.connects > 1)
            server.faults.disarm(GatewayFault.NO_ACK)
            await answered(server, ask(server, place, "hello"))


async def test_a_bot_that_is_not_idle_but_blocked_is_not_given_up(place: Place, tmp_path: Path) -> None:
    async with StandIn(place.world, rate=RateLimits.none(), heartbeat_interval=0.5) as server:
        async with running(server, place, tmp_path) as made:
            await up(server, made)
            time.sleep(1.5)  # noqa: ASYNC251  (the point of it)
            asked = ask(server, place, "awake?")
            await answered(server, asked)
            assert "last_end" not in made.metrics.connection
            assert len(replies(server, asked)) == 1


async def test_an_outage_of_the_server_is_waited_for(server: StandIn, place: Place, tmp_path: Path) -> None:
    pace = replace(PRESSED, guildless=2.0)
    begun = time.monotonic()
    async with bot(server, place.general, tmp_path, [echo()], pace=pace) as made:
        await up(server, made)
        # It is counted from its beginning, not from that of the session.
        await until(lambda: time.monotonic() - begun > pace.guildless + 0.1)
        server.guild_leaves()
        await until(lambda: not made.keeper.hearing)
        server.guild_returns()
        await up(server, made)
        await answered(server, ask(server, place, "back?"))
        assert server.gateway.identifies == 1


async def ends(server: StandIn, place: Place, folder: Path, act: Callable[[], object]) -> DiscordError:
    """What a bot ends with once this was done to it."""
    async with running(server, place, folder) as made:
        await up(server, made)
        act()
        with pytest.raises(DiscordError) as raised:
            async with asyncio.timeout(PATIENCE):
                await made.task
    assert server.gateway.identifies <= 2
    return raised.value


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (4004, TokenRefused, "Reset Token"),
        (4010, ConnectionLost, "update"),
        (4011, ConnectionLost, "update"),
        (4012, ConnectionLost, "update"),
        (4013, IntentMissing, "Intent"),
        (4014, IntentMissing, "Intent"),
    ],
)
async def test_close_codes_that_no_retry_can_mend(
    server: StandIn, place: Place, tmp_path: Path, code: int, error: type[DiscordError], words: str
) -> None:
    ended = await ends(server, place, tmp_path, lambda: server.close_sessions(code))
    assert isinstance(ended, error)
    assert words in str(ended)


async def test_a_token_that_is_revoked_while_the_bot_runs(server: StandIn, place: Place, tmp_path: Path) -> None:
    def revoke() -> None:
        server.world.revoke_token()
        server.drop_connections()

    assert isinstance(await ends(server, place, tmp_path, revoke), TokenRefused)


async def test_a_bot_that_is_removed_from_its_server(server: StandIn, place: Place, tmp_path: Path) -> None:
    ended = await ends(server, place, tmp_path, server.guild_removes_the_bot)
    assert isinstance(ended, GuildUnknown)
    assert "invite it again" in str(ended)


async def test_a_channel_that_is_deleted(server: StandIn, place: Place, tmp_path: Path) -> None:
    ended = await ends(server, place, tmp_path, lambda: server.world.remove_channel(place.general))
    assert isinstance(ended, ChannelUnknown)
    assert "CHANNEL_ID" in str(ended)


async def test_nothing_listens_where_discord_should_be(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As without a network: the bot tries again, ever more slowly, and asks for no session meanwhile."""
    pace = replace(PRESSED, longest_pause=0.04)
    nowhere = StandIn(place.world)
    nowhere.http_url, nowhere.gateway_url = "http://127.0.0.1:9/api/v10", "ws://127.0.0.1:9/"
    async with bot(nowhere, place.general, tmp_path, [echo()], pace=pace) as made:
        await until(lambda: made.metrics.connection.get("last_end") == "unreachable")
        assert not made.task.done()
        assert made.metrics.connection["sessions_today"] == 0
    assert "Discord cannot be reached (the connection was refused): check the network" in caplog.text


async def test_without_a_network_no_host_is_found(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = StandIn(place.world)
    nowhere.http_url = "http://discord.invalid/api/v10"
    async with bot(nowhere, place.general, tmp_path, [echo()], pace=replace(PRESSED, longest_pause=0.04)) as made:
        await until(lambda: made.metrics.connection.get("last_end") == "unreachable")
    assert "Discord cannot be reached (no such host): check the network, and the proxy" in caplog.text
