"""Every fault once, as a bare client meets it, and what is left of the request."""

import aiohttp
import pytest

from sususbot.standin import faults
from sususbot.standin.faults import Fault, Faults, GatewayFault, Weather
from sususbot.standin.server import StandIn
from tests.standin.clients import Recorder, Rest, connected, running
from tests.standin.conftest import Place

POST = "/channels/{channel_id}/messages"


def test_faults_are_used_up_in_order_and_matched_by_route_or_pattern() -> None:
    script = Faults()
    first, second = faults.failing(500), faults.failing(502)
    script.add("POST", POST, first)
    script.add("*", "/channels/1/*", second, times=2)
    assert script.pending == 3
    assert script.take("POST", "/channels/1/messages", POST) is first
    assert script.take("POST", "/channels/2/messages", POST) is None
    assert script.take("POST", "/channels/1/messages", POST) is second
    assert script.take("GET", "/channels/1/typing", None) is second
    assert script.pending == 0
    script.add("GET", "/users/@me", first, times=None)
    assert [script.take("GET", "/users/@me", "/users/@me") for _ in range(3)] == [first] * 3
    script.clear()
    assert script.take("GET", "/users/@me", None) is None


def test_weather_strikes_each_fault_by_its_share_and_the_same_again_with_the_same_seed() -> None:
    shares = {faults.failing(500): 0.1, faults.reset(): 0.05}

    def struck(seed: int) -> list[Fault | None]:
        script = Faults()
        script.weather = Weather(shares, seed=seed, path="/channels/*")
        assert all(script.take("GET", "/users/@me", None) is None for _ in range(50))
        assert all(script.take("POST", "/channels/1", None) is None for _ in range(50))
        taken = [script.take("GET", "/channels/1", None) for _ in range(2000)]
        assert script.struck.total() == 2000 - taken.count(None)
        return taken

    first = struck(1)
    assert first == struck(1) != struck(2)
    assert 150 < first.count(faults.failing(500)) < 250
    assert 70 < first.count(faults.reset()) < 130


def test_gateway_faults_are_armed_by_kind() -> None:
    script = Faults()
    script.arm(GatewayFault.CLOSE_AT_IDENTIFY, times=1, code=4010)
    assert script.strike(GatewayFault.NO_HELLO) is None
    struck = script.strike(GatewayFault.CLOSE_AT_IDENTIFY)
    assert struck is not None
    assert struck.code == 4010
    assert script.strike(GatewayFault.CLOSE_AT_IDENTIFY) is None


@pytest.mark.parametrize("status", [500, 502, 503, 504, 524])
@pytest.mark.parametrize("after", [False, True])
async def test_error_status(server: StandIn, place: Place, rest: Rest, status: int, after: bool) -> None:
    server.faults.add("POST", POST, faults.failing(status, after=after))
    response = await rest("POST", f"/channels/{place.general.id}/messages", {"content": "x"})
    assert response.status == status
    assert len(server.sent(place.general)) == after
    assert server.faults.pending == 0


@pytest.mark.parametrize("scope", ["user", "global", "shared"])
async def test_429_out_of_nowhere(server: StandIn, place: Place, rest: Rest, scope: faults.Scope) -> None:
    server.faults.add("POST", POST, faults.rate_limited(1.5, scope=scope))
    response = await rest("POST", f"/channels/{place.general.id}/messages", {"content": "x"})
    assert response.status == 429
    assert response.json["retry_after"] == 1.5
    assert response.json["global"] is (scope == "global")
    assert response.headers["X-RateLimit-Scope"] == scope
    assert response.headers["Retry-After"] == "2"
    assert response.headers["Via"]
    assert server.ledger.invalid == (scope != "shared")


async def test_429_without_via(server: StandIn, rest: Rest) -> None:
    server.faults.add("GET", "/users/@me", faults.rate_limited(via=False))
    response = await rest("GET", "/users/@me")
    assert response.status == 429
    assert "Via" not in response.headers


@pytest.mark.parametrize("status", [429, 403])
async def test_cloudflare(server: StandIn, rest: Rest, status: int) -> None:
    server.faults.add("GET", "/users/@me", faults.cloudflare(status, retry_after=60))
    response = await rest("GET", "/users/@me")
    assert response.status == status
    assert response.headers["Content-Type"].startswith("text/html")
    assert "Via" not in response.headers
    assert response.headers["Retry-After"] == "60"


@pytest.mark.parametrize("after", [False, True])
async def test_reset(server: StandIn, place: Place, rest: Rest, after: bool) -> None:
    server.faults.add("POST", POST, faults.reset(after=after))
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await rest("POST", f"/channels/{place.general.id}/messages", {"content": "x"})
    assert len(server.sent(place.general)) == after
    assert server.ledger.count("POST", status=0) == 1


async def test_truncated_json(server: StandIn, rest: Rest) -> None:
    server.faults.add("GET", "/users/@me", faults.truncated())
    response = await rest("GET", "/users/@me")
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    with pytest.raises(ValueError):
        _ = response.json


async def test_html_with_200(server: StandIn, rest: Rest) -> None:
    server.faults.add("GET", "/users/@me", faults.html())
    response = await rest("GET", "/users/@me")
    assert response.status == 200
    assert response.text.startswith("<!DOCTYPE html>")


async def test_slow(server: StandIn, rest: Rest) -> None:
    server.faults.add("GET", "/users/@me", faults.slow(30.0))
    with pytest.raises(TimeoutError):
        await rest("GET", "/users/@me", timeout=aiohttp.ClientTimeout(total=0.1))
    server.faults.add("GET", "/users/@me", faults.slow(0.01))
    assert (await rest("GET", "/users/@me")).status == 200


async def test_typing_refused(server: StandIn, place: Place, rest: Rest) -> None:
    server.faults.add("POST", "*/typing", faults.failing(403, code=50013))
    response = await rest("POST", f"/channels/{place.general.id}/typing")
    assert (response.status, response.json["code"]) == (403, 50013)
    assert place.world.typing[place.general.id] == 0


@pytest.mark.parametrize("fault", [faults.failing(500, after=True)])
async def test_discord_py_does_not_send_twice(server: StandIn, place: Place, fault: Fault) -> None:
    server.faults.add("POST", POST, fault)
    client = Recorder()
    async with running(server, client):
        sent = await client.text_channel(place.general.id).send("once")
    (message,) = server.sent(place.general)
    assert sent.id == message.id
    assert server.ledger.count("POST") == 2


async def test_refused_connect(server: StandIn) -> None:
    server.faults.arm(GatewayFault.REFUSE_CONNECT)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with connected(server.gateway_url):
            pass
    server.faults.arm(GatewayFault.RESET_CONNECT, times=2)
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        async with connected(server.gateway_url):
            pass
    async with connected(server.gateway_url) as socket:
        assert (await socket.frame())["op"] == 10


async def test_no_hello_and_no_ack(server: StandIn, place: Place) -> None:
    server.faults.arm(GatewayFault.NO_HELLO)
    server.faults.arm(GatewayFault.NO_ACK)
    async with connected(server.gateway_url) as socket:
        await socket.send(1, None)
        await socket.send(1, None)
        assert (await socket.frame())["op"] == 11
        await socket.identify(place.world.token)
        assert await socket.event("READY")
    assert len(server.heartbeats) == 2
    assert server.ledger.count_frames("out", 11) == 1


async def test_close_at_identify_and_at_resume(server: StandIn) -> None:
    server.faults.arm(GatewayFault.CLOSE_AT_IDENTIFY, code=4000)
    server.faults.arm(GatewayFault.CLOSE_AT_RESUME, code=4009)
    async with connected(server.gateway_url) as socket:
        await socket.identify(server.world.token)
        assert await socket.close_code() == 4000
    async with connected(server.gateway_url) as socket:
        await socket.send(6, {"token": server.world.token, "session_id": "any", "seq": 1})
        assert await socket.close_code() == 4009


async def test_invalid_session(server: StandIn) -> None:
    server.faults.arm(GatewayFault.INVALID_SESSION)
    async with connected(server.gateway_url) as socket:
        await socket.frame()
        await socket.identify(server.world.token)
        assert await socket.frame() == {"op": 9, "d": False, "s": None, "t": None}
        await socket.identify(server.world.token)
        assert await socket.event("READY")


async def test_ready_without_guild(server: StandIn, place: Place) -> None:
    server.faults.arm(GatewayFault.NO_GUILD)
    async with connected(server.gateway_url) as socket:
        await socket.frame()
        await socket.identify(server.world.token)
        assert (await socket.frame())["t"] == "READY"
        server.say(place.general, place.ada, "early")
        assert (await socket.frame())["t"] == "MESSAGE_CREATE"


async def test_guild_unavailable_and_back(server: StandIn, place: Place) -> None:
    server.faults.arm(GatewayFault.GUILD_UNAVAILABLE)
    client = Recorder()
    async with running(server, client):
        assert client.guilds[0].unavailable
        server.guild_returns()
        await client.wait_until(lambda: "guild_available" in client.events)
        assert client.guilds[0].name == place.world.guild_name
        server.guild_leaves()
        await client.wait_until(lambda: "guild_unavailable" in client.events)


async def test_unparsable_event(server: StandIn) -> None:
    server.faults.arm(GatewayFault.UNPARSABLE)
    async with connected(server.gateway_url) as socket:
        await socket.frame()
        await socket.identify(server.world.token)
        assert "position" not in await socket.event("CHANNEL_UPDATE")
