"""Rate limits: the windows by themselves, and the real discord.py under honest, lying and absent headers."""

import asyncio
from dataclasses import replace
from math import ceil

import pytest

from sususbot.standin.faults import rate_limited
from sususbot.standin.ratelimit import Headers, Limiter, RateLimits, Window
from sususbot.standin.server import StandIn
from tests.standin.clients import Recorder, Rest, running
from tests.standin.conftest import Place


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_window_admits_its_limit_and_opens_again() -> None:
    clock = Clock()
    limiter = Limiter(RateLimits(post=Window(2, 5.0)), clock)
    first = limiter.admit("post", "1")
    assert first.retry_after is None
    assert first.headers["X-RateLimit-Remaining"] == "1"
    assert first.headers["X-RateLimit-Reset-After"] == "5.000"
    clock.now += 1
    assert limiter.admit("post", "1").headers["X-RateLimit-Remaining"] == "0"
    refused = limiter.admit("post", "1")
    assert (refused.retry_after, refused.scope) == (4.0, "user")
    clock.now += 4
    assert limiter.admit("post", "1").retry_after is None


def test_buckets_are_apart_by_route_and_channel() -> None:
    limiter = Limiter(RateLimits(post=Window(1, 5.0)), Clock())
    verdicts = [limiter.admit("post", "1"), limiter.admit("post", "2"), limiter.admit("edit", "1")]
    assert [verdict.retry_after for verdict in verdicts] == [None, None, None]
    hashes = [verdict.headers["X-RateLimit-Bucket"] for verdict in verdicts]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_limit_over_everything_comes_first() -> None:
    limiter = Limiter(RateLimits(overall=Window(2, 1.0)), Clock())
    scopes = [limiter.admit("other", str(n)).scope for n in range(3)]
    assert scopes == ["user", "user", "global"]


def test_lying_headers_tell_the_truth_only_when_refusing() -> None:
    limiter = Limiter(RateLimits(history=Window(5, 5.0, Headers.LYING)), Clock())
    told = [limiter.admit("history", "1").headers for _ in range(6)]
    assert [headers["X-RateLimit-Remaining"] for headers in told] == ["999"] * 5 + ["0"]
    assert [headers["X-RateLimit-Limit"] for headers in told] == ["1000"] * 5 + ["5"]


def test_absent_headers_are_absent() -> None:
    assert Limiter(RateLimits(post=Window(1, 5.0, Headers.ABSENT)), Clock()).admit("post", "1").headers == {}


async def test_a_refusal_says_everything(place: Place) -> None:
    async with StandIn(place.world, rate=RateLimits(post=Window(1, 60.0))) as server, Rest(server) as rest:
        path = f"/channels/{place.general.id}/messages"
        await rest("POST", path, {"content": "one"})
        refused = await rest("POST", path, {"content": "two"})
        assert refused.status == 429
        assert refused.json["global"] is False
        assert 0 < refused.json["retry_after"] <= 60
        assert refused.headers["Retry-After"] == str(ceil(refused.json["retry_after"]))
        assert refused.headers["X-RateLimit-Scope"] == "user"
        assert refused.headers["Via"]
        assert server.ledger.invalid == 1
        assert len(server.sent(place.general)) == 1


async def test_over_everything_is_marked_global(place: Place) -> None:
    async with StandIn(place.world, rate=RateLimits(overall=Window(1, 60.0))) as server, Rest(server) as rest:
        await rest("GET", "/users/@me")
        refused = await rest("GET", "/gateway")
        assert refused.json["global"] is True
        assert refused.headers["X-RateLimit-Global"] == "true"
        assert refused.headers["X-RateLimit-Scope"] == "global"


async def send_twelve(server: StandIn, place: Place) -> None:
    client = Recorder()
    async with running(server, client):
        channel = client.text_channel(place.general.id)
        await asyncio.gather(*(channel.send(str(number)) for number in range(12)))
    assert sorted(int(message.content) for message in server.sent(place.general)) == list(range(12))


async def test_discord_py_obeys_honest_headers(place: Place) -> None:
    # Long enough that none of five sent at once arrives in the next window.
    rate = replace(RateLimits.none(), post=Window(5, 1.0))
    async with StandIn(place.world, rate=rate) as server:
        await send_twelve(server, place)
        assert server.ledger.count(status=429) == 0


async def test_discord_py_obeys_honest_headers_while_paging(place: Place) -> None:
    for number in range(1200):
        place.world.post(place.general, place.ada, str(number))
    rate = replace(RateLimits.none(), history=Window(5, 0.1))
    async with StandIn(place.world, rate=rate) as server:
        client = Recorder()
        async with running(server, client):
            found = [m async for m in client.text_channel(place.general.id).history(limit=None)]
        assert len(found) == 1200
        assert server.ledger.count("GET", status=429) == 0


@pytest.mark.parametrize("headers", [Headers.LYING, Headers.ABSENT])
async def test_discord_py_recovers_from_headers_that_do_not_help(place: Place, headers: Headers) -> None:
    rate = replace(RateLimits.none(), post=Window(5, 0.3, headers))
    async with StandIn(place.world, rate=rate) as server:
        await send_twelve(server, place)
        assert server.ledger.count("POST", status=429) >= 1


async def test_discord_py_waits_out_a_global_limit(server: StandIn, place: Place) -> None:
    client = Recorder()
    server.faults.add("POST", "/channels/*/messages", rate_limited(0.05, scope="global"))
    async with running(server, client):
        await client.text_channel(place.general.id).send("late")
    assert [message.content for message in server.sent(place.general)] == ["late"]
    assert server.ledger.count("POST", status=429) == 1
