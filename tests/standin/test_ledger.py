"""The record, and waiting for a condition: counts for ever, entries up to a bound, waits without polling."""

import asyncio

import pytest

from sususbot.standin.ledger import Ledger
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.watch import Watch
from sususbot.standin.world import World
from tests.standin.clients import Rest
from tests.standin.conftest import Place


async def test_a_bounded_ledger_still_counts(place: Place) -> None:
    ledger = Ledger(keep=3)
    async with StandIn(place.world, rate=RateLimits.none(), ledger=ledger) as server, Rest(server) as rest:
        for number in range(10):
            await rest("POST", f"/channels/{place.general.id}/messages", {"content": str(number)})
        await rest("GET", "/channels/1")
        assert len(ledger.requests) == 3
        assert ledger.count("POST", "/channels/{channel_id}/messages", 200) == 10
        assert ledger.count(status=404) == 1
        assert ledger.count() == 11
        assert ledger.bodies("POST", "/channels/{channel_id}/messages") == [{"content": "8"}, {"content": "9"}]


async def test_memory_is_bounded_by_the_world_too() -> None:
    world = World(keep_messages=50)
    channel = world.add_channel("general")
    async with StandIn(world, replay=50) as server:
        for number in range(1000):
            server.say(channel, world.owner, str(number))
    assert len(channel.history) < 100


async def test_waiting_takes_the_first_true_value() -> None:
    watch, seen = Watch(), list[int]()
    waiting = asyncio.create_task(watch.wait_for(lambda: seen and seen[-1]))
    await asyncio.sleep(0)
    for number in (0, 7, 0):
        seen.append(number)
        watch.notify()
    assert await waiting == 7


async def test_waiting_ends_with_the_timeout_or_the_error_of_the_predicate() -> None:
    watch, empty = Watch(), list[int]()
    with pytest.raises(TimeoutError):
        await watch.wait_for(lambda: False, timeout=0.01)
    with pytest.raises(IndexError):
        await watch.wait_for(lambda: empty[0])
    watch.notify()
