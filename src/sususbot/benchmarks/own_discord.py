"""A stand-in Discord in a process of its own, so that what is measured does not wait for it.

In: a `Recipe`, from which the same guild is made each time. Out: its address, and when asked its history and what was
requested of it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, Final, Protocol

from sususbot.messages import iso_ms
from sususbot.standin import faults
from sususbot.standin.faults import Fault, Weather
from sususbot.standin.objects import Channel, User
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.snowflake import TickingClock, iso
from sususbot.standin.world import World

HISTORY: Final = "/channels/{channel_id}/messages"
# 2023-11-14, and so many seconds from message to message.
_BEGUN: Final = 1_700_000_000.0
_SECONDS: Final = 7.0
_WORDS: Final = "tea kettle garden printer who broke it again nobody knows the release is late as ever maybe".split()

Row = tuple[int, int, str, int | None, tuple[tuple[str, int], ...]]
"""Of a message: id, channel, content, time of the edit (ms), reactions."""


def weather(share: float) -> dict[Fault, float]:
    """Each kind of fault, with its share of the requests."""
    kinds = (
        faults.rate_limited(0.05), faults.failing(500), faults.failing(503), faults.reset(),
        faults.slow(6.0), faults.truncated(), faults.html(),
    )  # fmt: skip
    return dict.fromkeys(kinds, share)


@dataclass(frozen=True, slots=True)
class Recipe:
    """`share` is that of each kind of fault among the requests for history."""

    channels: int
    messages: int
    rate: RateLimits = field(default_factory=RateLimits)
    share: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    http_url: str
    token: str
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was requested: all, pages of history by channel but for those answered with 429, and how many those were."""

    requests: int
    pages: dict[int, int]
    too_many: int


class _Pipe(Protocol):
    """What a pipe is on every system; its class is another on Windows."""

    def send(self, obj: Any, /) -> None: ...
    def recv(self) -> Any: ...


class OwnDiscord:
    """The other end of the pipe."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self.address: Address = pipe.recv()

    def asked(self) -> Asked:
        self._pipe.send("asked")
        asked: Asked = self._pipe.recv()
        return asked

    def rows(self) -> set[Row]:
        self._pipe.send("rows")
        rows: set[Row] = self._pipe.recv()
        return rows


@contextmanager
def own_discord(recipe: Recipe) -> Iterator[OwnDiscord]:
    """Running within the block."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(recipe, there), daemon=True)
    process.start()
    try:
        yield OwnDiscord(here)
    finally:
        here.send("stop")
        process.join(10)
        process.kill()


def make_world(recipe: Recipe) -> World:
    """Channels of the same length each, with edits, replies and reactions here and there."""
    world = World(clock=TickingClock(_BEGUN - 1_000_000))
    people = [world.add_user(name, display=name.title()) for name in ("ada", "bob", "cleo", "dan")]
    for number in range(recipe.channels):
        _fill(world, world.add_channel(f"channel-{number}"), people, recipe.messages)
    return world


def _fill(world: World, channel: Channel, people: list[User], messages: int) -> None:
    last = None
    for number in range(messages):
        author = people[number * 7 % len(people)]
        words = " ".join(_WORDS[(number + step) % len(_WORDS)] for step in range(3 + number % 9))
        message = world.post(
            channel,
            author,
            f"{words} {number}",
            at=_BEGUN + number * _SECONDS,
            reply_to=last if number % 5 == 0 else None,
        )
        if number % 50 == 7:
            world.edit(message, f"{words} {number}, edited")
        if number % 20 == 3:
            world.react(message, people[0], "👍")
        last = message


def rows_of(world: World) -> set[Row]:
    """Every message of a world."""
    return {
        (
            message.id,
            message.channel_id,
            message.content,
            None if message.edited is None else iso_ms(iso(message.edited)),
            tuple((emoji, len(who)) for emoji, who in message.reactions.items()),
        )
        for channel in world.channels.values()
        for message in channel.history
    }


def _serve(recipe: Recipe, pipe: _Pipe) -> None:
    asyncio.run(_answer(recipe, pipe))


async def _answer(recipe: Recipe, pipe: _Pipe) -> None:
    world = make_world(recipe)
    async with StandIn(world, rate=recipe.rate) as server:
        if recipe.share:
            server.faults.weather = Weather(weather(recipe.share), seed=recipe.seed, path="/channels/*/messages")
        channels = tuple(channel.id for channel in world.channels.values())
        pipe.send(Address(server.http_url, world.token, channels))
        while (question := await asyncio.to_thread(pipe.recv)) != "stop":
            pipe.send(rows_of(world) if question == "rows" else _asked(server))


def _asked(server: StandIn) -> Asked:
    pages: Counter[int] = Counter()
    for request in server.ledger.requests:
        if request.route == HISTORY and request.status != 429:
            pages[int(request.path.split("/")[2])] += 1
    return Asked(len(server.ledger.requests), dict(pages), server.ledger.count(status=429))
