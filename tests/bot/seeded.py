"""What the tests of commands begin with: a channel with some talk in it, and an archive that another program holds."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sususbot.archive.archive import FILE_NAME, Archive
from sususbot.messages import Author, Guild
from sususbot.messages import Channel as Known
from sususbot.messages import Message as Kept
from sususbot.standin.objects import Channel, User
from sususbot.standin.server import StandIn
from tests.bot.running import PATIENCE

T = TypeVar("T")
PUT = "/applications/{application_id}/guilds/{guild_id}/commands"
CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"
LORE = "the printer in the cellar is called Gerald"


def seed(folder: Path, server: StandIn, channel: Channel, author: User, *texts: str, **more: Any) -> list[int]:
    """What was said in a channel before the bot came."""
    guild = Guild(server.world.guild_id, "x")
    with Archive(folder) as archive:
        known = Known(channel.id, guild.id, channel.name)
        archive.add_channel(guild, known, origin="export", seen_at=1)
        who = Author(author.id, author.name, author.display or author.name)
        ids = [server.world.next_id() for _ in texts]
        kept = [Kept(id_, channel.id, who, 0, text, text, **more) for id_, text in zip(ids, texts, strict=True)]
        archive.add(kept, source=archive.add_source("export", "x"), fetched_at=0)
    return ids


async def until(predicate: Callable[[], T], seconds: float = PATIENCE) -> T:
    """The predicate's first true value, of something that threads or the clock change."""
    async with asyncio.timeout(seconds):
        while not (value := predicate()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return value


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another program writes to the archive."""
    blocker = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
