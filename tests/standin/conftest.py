"""A small guild and a stand-in that serves it without rate limits; tests of limits start their own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from sususbot.standin.api import Validator
from sususbot.standin.objects import Channel, User
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.world import World
from tests.standin import openapi
from tests.standin.clients import Rest


@dataclass
class Place:
    """The world and the parts of it that tests name."""

    world: World
    general: Channel
    secret: Channel
    ada: User
    bob: User


@pytest.fixture
def place() -> Place:
    world = World()
    general = world.add_channel("general")
    secret = world.add_channel("secret", private=True)
    return Place(world, general, secret, world.add_user("ada", display="Ada"), world.add_user("bob"))


@pytest.fixture(scope="session")
def validator() -> Validator | None:
    """The published description where there is one; `test_openapi` says so where there is not."""
    try:
        return openapi.load()
    except openapi.NoDescription:
        return None


@pytest.fixture
async def server(place: Place, validator: Validator | None) -> AsyncIterator[StandIn]:
    async with StandIn(place.world, rate=RateLimits.none(), validator=validator) as running:
        yield running


@pytest.fixture
async def rest(server: StandIn) -> AsyncIterator[Rest]:
    async with Rest(server) as client:
        yield client
