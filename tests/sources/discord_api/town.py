"""A guild with everything that a history can hold, and what an archive of it must be."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from unittest.mock import patch

from sususbot.archive.archive import Archive
from sususbot.messages import Attachment, Author, Message, Reaction
from sususbot.sources.discord_api import client
from sususbot.sources.discord_api.address import api_at
from sususbot.sources.discord_api.collector import Collected, Wanted, collect
from sususbot.sources.discord_api.limits import Limiter
from sususbot.sources.discord_api.progress import Progress
from sususbot.standin import objects
from sususbot.standin.objects import Channel, ChannelType, MessageType, User
from sususbot.standin.server import StandIn
from sususbot.standin.snowflake import TickingClock, created_at
from sususbot.standin.world import World

BEGUN = 1_700_000_000.0
# The windows of the tests' stand-ins: 5 in 50 ms.
PER = 0.05


@dataclass
class Town:
    """The world, and the parts of it that tests name."""

    world: World
    square: Channel
    market: Channel
    ada: User
    bob: User

    def ids(self) -> tuple[int, ...]:
        return (self.square.id, self.market.id)

    def say(self, channel: Channel, count: int, *, begun: float = BEGUN) -> list[objects.Message]:
        """So many plain messages, a minute apart."""
        return [
            self.world.post(channel, (self.ada, self.bob)[number % 2], f"number {number}", at=begun + number * 60)
            for number in range(count)
        ]


def empty_town() -> Town:
    """Two channels in which nothing was said yet."""
    world = World(clock=TickingClock(BEGUN - 1_000_000))
    square, market = world.add_channel("square", topic="Everything"), world.add_channel("market")
    return Town(world, square, market, world.add_user("ada", display="Ada"), world.add_user("bob"))


def town(pages: int = 3) -> Town:
    """Some pages in each channel, with all that can be in them; threads, archived ones too, and a forum."""
    made = empty_town()
    world, ada, bob = made.world, made.ada, made.bob
    for channel in (made.square, made.market):
        said = made.say(channel, pages * 100 - 37)
        world.edit(said[5], "number 5, mended")
        world.react(said[7], bob, "👍")
        world.react(said[7], ada, "👍")
        world.react(said[7], bob, "party:123456")
    late = BEGUN + 1_000_000
    world.post(made.square, bob, "yes", at=late, reply_to=said[3])
    world.post(made.square, ada, f"look {bob.mention} {made.market.mention} <:wave:77> <t:1700000000:R>", at=late + 1)
    hook = world.add_user("hook")
    world.post(made.square, hook, "from a hook", at=late + 2, webhook_id=hook.id)
    world.post(made.square, ada, "joined", at=late + 3, type=MessageType.JOIN)
    world.post(made.square, ada, "of a kind nobody knows", at=late + 4, type=99)
    world.post(made.square, bob, "", at=late + 5, attachments=[_file()])
    world.post(made.square, bob, "", at=late + 6, extra=_forward(said[1]))
    started = world.post(made.square, ada, "let us talk about this", at=late + 7)
    thread = world.add_thread(made.square, "talk", on=started, at=late + 8)
    made.say(thread, 120, begun=late + 100)
    for number in range(3):
        old = world.add_thread(made.market, f"old {number}", at=late + 20 + number)
        made.say(old, 5, begun=late + 200)
        world.archive(old, at=late + 90_000)
    secret = world.add_thread(made.market, "secret", private=True, at=late + 40)
    made.say(secret, 3, begun=late + 300)
    world.archive(secret, at=late + 91_000)
    closed = world.add_thread(made.market, "closed", private=True, invited=False, at=late + 41)
    made.say(closed, 3, begun=late + 400)
    return made


def add_forum(made: Town, posts: int) -> Channel:
    """A forum whose posts are all but one archived."""
    forum = made.world.add_channel("ideas", type=ChannelType.FORUM)
    for number in range(posts):
        post = made.world.add_post(forum, f"idea {number}", made.ada, f"what about {number}?", at=BEGUN + number)
        made.world.post(post, made.bob, "no", at=BEGUN + 500 + number)
        if number:
            made.world.archive(post, at=BEGUN + 1000 + number // 3)
    return forum


def readable(world: World, channels: Iterable[int]) -> list[Channel]:
    """These channels and their threads, as far as the bot may see them."""
    wanted = set(channels)
    return [
        channel
        for channel in world.channels.values()
        if (channel.id in wanted or channel.parent_id in wanted) and world.permissions(world.bot, channel)
    ]


def history(world: World, channels: Iterable[int]) -> list[Message]:
    """What an archive of these channels and their threads must hold, ordered as the archive orders."""
    shown = [_message(world, message) for channel in readable(world, channels) for message in channel.history]
    return sorted(shown, key=lambda message: (message.channel_id, message.id))


async def gather(
    server: StandIn,
    archive: Archive,
    wanted: Wanted,
    *,
    timeout: float = 60.0,  # noqa: ASYNC109
    tell: Callable[[Progress], None] = lambda _progress: None,
) -> Collected:
    """A collection with waits as short as the stand-in's windows. No answer is given up before `timeout` seconds."""
    with api_at(server.http_url):
        asking = client.Client(server.world.token, Limiter(2000.0, per=PER), backoff=0.005, timeout=timeout)
    with patch.object(client, "_SHORTEST_TIMEOUT", timeout):
        return await collect(archive, asking, wanted, tell=tell)


def _message(world: World, message: objects.Message) -> Message:
    author = message.author
    machine = author.bot or message.webhook_id is not None
    reply = message.type == MessageType.REPLY and message.reference is not None
    return Message(
        id=message.id,
        channel_id=message.channel_id,
        author=Author(author.id, author.name, author.display or author.name, machine),
        created_at=round(created_at(message.id) * 1000),
        content=message.content,
        rendered=_rendered(world, message.content),
        type=int(message.type),
        edited_at=None if message.edited is None else round(message.edited * 1000),
        reply_to=message.reference.message_id if reply and message.reference is not None else None,
        mentions=message.pings.users,
        reactions=tuple(
            Reaction(f":{emoji.split(':')[0]}:" if ":" in emoji else emoji, len(people))
            for emoji, people in message.reactions.items()
        ),
        attachments=tuple(
            Attachment(int(file["id"]), file["filename"], file["size"], file["url"]) for file in message.attachments
        ),
    )


def _rendered(world: World, content: str) -> str:
    for user in world.users.values():
        content = content.replace(user.mention, f"@{user.display or user.name}")
    for channel in world.channels.values():
        content = content.replace(channel.mention, f"#{channel.name}")
    return re.sub(r"<t:[^>]*>", "(a time)", re.sub(r"<(:\w+:)\d+>", r"\1", content))


def _file() -> dict[str, object]:
    url = "https://cdn.invalid/1/cat.png"
    return {"id": "1", "filename": "cat.png", "size": 5, "url": url, "proxy_url": url}


def _forward(message: objects.Message) -> dict[str, object]:
    """A forward of another's words, as a message carries it."""
    snapshot = {"type": 0, "content": message.content, "embeds": [], "attachments": [], "mentions": []}
    return {
        "message_reference": {"type": 1, "message_id": str(message.id), "channel_id": str(message.channel_id)},
        "message_snapshots": [{"message": snapshot}],
    }
