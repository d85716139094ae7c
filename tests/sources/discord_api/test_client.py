"""One request: what is tried again, what is waited for, what ends the run, and what only concerns one channel."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import patch

import pytest

from sususbot.errors import ConnectionLost, DiscordError, RateLimited, TokenRefused
from sususbot.sources.discord_api import client as client_module
from sususbot.sources.discord_api.address import api_at
from sususbot.sources.discord_api.client import AnswerTimes, Client, Refused
from sususbot.sources.discord_api.limits import Limiter
from sususbot.standin import faults
from sususbot.standin.faults import Fault
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.world import World

ME = "/users/@me"


@asynccontextmanager
async def calling(
    token: str = "stand-in.token",
    *,
    rate: RateLimits | None = None,
    limits: Limiter | None = None,
    timeout: float = 60.0,  # noqa: ASYNC109
    patience: float = 300.0,
) -> AsyncIterator[tuple[StandIn, Client]]:
    """A client that gives no answer up before `timeout` seconds."""
    async with StandIn(World(), rate=rate or RateLimits.none()) as server:
        with api_at(server.http_url):
            limiter = limits or Limiter(1000.0, limit=50)
            client = Client(token, limiter, backoff=0.001, timeout=timeout, patience=patience)
        async with client:
            with patch.object(client_module, "_SHORTEST_TIMEOUT", timeout):
                yield server, client


@pytest.mark.parametrize(
    "fault",
    [
        faults.failing(500),
        faults.failing(502),
        faults.failing(503),
        faults.failing(504),
        faults.failing(524),
        faults.reset(),
        faults.reset(after=True),
        faults.truncated(),
        faults.html(),
        faults.rate_limited(0.01),
        faults.rate_limited(0.01, via=False),
        faults.rate_limited(0.01, scope="shared"),
        faults.rate_limited(0.01, scope="global"),
    ],
    ids=str,
)
async def test_what_passes_is_tried_again(fault: Fault) -> None:
    async with calling() as (server, client):
        server.faults.add("GET", ME, fault, times=3)
        assert (await client.get(ME)).json["username"] == "sususbot"
        assert server.faults.pending == 0
        assert server.ledger.count() >= 4


async def test_a_slow_answer_is_given_more_time_each_try() -> None:
    async with calling(timeout=0.05) as (server, client):
        server.faults.add("GET", ME, faults.slow(0.12), times=None)
        assert (await client.get(ME)).json["username"] == "sususbot"
        assert client.requests >= 4


async def test_a_wrong_token_ends_the_run_at_once() -> None:
    async with calling(token="wrong") as (server, client):
        with pytest.raises(TokenRefused, match="Reset Token"):
            await client.get(ME)
        assert server.ledger.count() == 1


@pytest.mark.parametrize("status", [429, 403])
async def test_a_page_of_cloudflares_ends_the_run_at_once(status: int) -> None:
    async with calling() as (server, client):
        server.faults.add("GET", ME, faults.cloudflare(status, retry_after=1200.0))
        with pytest.raises(RateLimited, match="20 minutes"):
            await client.get(ME)
        assert server.ledger.count() == 1


async def test_a_page_of_cloudflares_is_ten_minutes_at_least() -> None:
    async with calling() as (server, client):
        server.faults.add("GET", ME, faults.cloudflare(429, retry_after=1.0))
        with pytest.raises(RateLimited, match="10 minutes"):
            await client.get(ME)


async def test_refusals_by_the_hundred_end_the_run_far_below_a_ban() -> None:
    async with calling() as (server, client):
        server.faults.add("GET", "/channels/*", faults.failing(403, code=50001), times=None)
        for number in range(499):
            with pytest.raises(Refused):
                await client.get("/channels/{channel_id}", channel_id=number)
        with pytest.raises(RateLimited, match="500 requests"):
            await client.get("/channels/{channel_id}", channel_id=499)
        assert server.ledger.invalid == 500


async def test_shared_limits_do_not_count_as_refusals() -> None:
    async with calling(rate=RateLimits.none()) as (server, client):
        server.faults.add("GET", ME, faults.rate_limited(0.0, scope="shared"), times=501)
        assert (await client.get(ME)).status == 200
        assert server.ledger.invalid == 0


@pytest.mark.parametrize(("path", "status", "code"), [("/channels/{c}", 404, 10003), ("/guilds/{c}", 404, 10004)])
async def test_what_is_not_there_is_told_to_the_caller(path: str, status: int, code: int) -> None:
    async with calling() as (_server, client):
        with pytest.raises(Refused) as refused:
            await client.get(path, c=1)
        assert (refused.value.status, refused.value.code) == (status, code)


async def test_a_request_that_discord_does_not_understand_is_our_fault() -> None:
    async with calling() as (server, client):
        channel = server.world.add_channel("general")
        with pytest.raises(DiscordError, match="update sususbot"):
            await client.get("/channels/{c}/messages", {"limit": "1000"}, c=channel.id)


async def test_a_network_that_is_gone_is_given_up_in_time() -> None:
    async with calling(patience=0.2) as (server, client):
        assert (await client.get(ME)).status == 200
        server.faults.add("GET", ME, faults.reset(), times=None)
        begun = time.monotonic()
        with pytest.raises(ConnectionLost, match="goes on where it stopped"):
            await client.get(ME)
        assert 0.2 <= time.monotonic() - begun < 60


async def test_nothing_listens_there() -> None:
    with api_at("http://127.0.0.1:9"):
        client = Client("token", Limiter(), backoff=0.001, patience=0.1)
    async with client:
        with pytest.raises(ConnectionLost, match="check the network"):
            await client.get(ME)


async def test_half_a_surrogate_pair_is_json_enough() -> None:
    async with calling() as (server, client):
        channel = server.world.add_channel("general")
        server.world.post(channel, server.world.owner, "x")
        raw = (await client.get("/channels/{c}/messages", c=channel.id)).json
        assert raw[0]["content"] == "x"


async def test_a_closed_connection_is_repeated_without_being_forgotten_by_the_limits() -> None:
    """aiohttp sends a request again by itself when a kept connection was closed: it counts twice."""
    async with calling(limits=Limiter(1000.0, limit=3, per=600.0)) as (server, client):
        await client.get(ME)
        server.faults.add("GET", ME, faults.reset())
        await client.get(ME)
        assert client.requests == 2
        assert server.ledger.count() == 3
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.get(ME)


async def test_the_token_is_in_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with calling(token="s3cret", patience=0.05) as (server, client):
        server.faults.add("GET", ME, faults.reset(), times=None)
        with pytest.raises(ConnectionLost) as lost:
            await client.get(ME)
    assert "s3cret" not in f"{lost.value}{lost.value.__cause__!r}{caplog.text}"


def test_a_request_is_given_up_by_how_long_answers_take() -> None:
    quick, slow = AnswerTimes(2.5), AnswerTimes(2.5)
    assert quick.timeout(0) == 2.5
    for _ in range(50):
        quick.took(0.01)
        slow.took(4.0)
    assert [quick.timeout(time_outs) for time_outs in range(4)] == [1.0, 1.0, 2.0, 4.0]
    assert 4.0 < slow.timeout(0) < 4.1
    slow.took(9.0)
    assert slow.timeout(0) > 9.0
    assert slow.timeout(50) == 80.0
