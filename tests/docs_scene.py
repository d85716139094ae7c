"""An owner's evening for the documents' commands: a server on the stand-in Discord, a hub, and a PC that has little.

What is elsewhere stands here on loopback: Discord, the hub that models come from. What is large is small: the base has
some thousand weights, and the settings of this machine (`SMALL`) have it read little. All else is the real program.
"""

import asyncio
import base64
import json
import signal
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from sususbot.sources.discord_api.address import api_at
from sususbot.standin.objects import Channel, User
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.world import World
from sususbot.training.gguf_base import base_to_gguf
from tests.support.commands import run_here, start_against
from tests.support.hub import StandInHub, stand_in_hub
from tests.support.kettle import small_exports
from tests.training import tiny

T = TypeVar("T")
QUESTION: Final = "who broke the printer?"
# Settings of the environment, which win over .env: what makes an evening short.
SMALL: Final = {
    "EPOCHS": "1",
    "TOKENS_PER_STEP": "1024",
    "PACK_TOKENS": "1024",
    "LEARNING_RATE": "0.003",
    "VALID_SHARE": "0.3",
    "LOAD_IN_4BIT": "false",
    "METRICS_PORT": "0",
    "THREADS": "1",
    "SUMMARIZER": "extractive",
    "OMP_NUM_THREADS": "1",
}
_PATIENCE: Final = 300.0


class Elsewhere:
    """An event loop in a thread of its own, where Discord is."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()


@dataclass
class Scene:
    """The owner's folder, their server, and what they may reach. `environment` is what this machine adds."""

    folder: Path
    discord: StandIn
    channel: Channel
    member: User
    hub: StandInHub
    elsewhere: Elsewhere
    environment: dict[str, str]
    done: dict[str, str] = field(default_factory=dict)

    def sususbot(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The program in this process, with Discord where it is here."""
        with api_at(self.discord.http_url):
            return run_here(*arguments, folder=self.folder, **self.environment)

    def mentioned(self) -> str:
        """What the bot as a process answers in its channel, before it is told to stop."""
        return self.elsewhere(self._mentioned())

    async def _mentioned(self) -> str:
        http, gateway = self.discord.http_url, self.discord.gateway_url
        process = await start_against(http, gateway, "bot", folder=self.folder, **self.environment)
        try:
            await self.discord.wait_for(lambda: self.discord.connected == 1, _PATIENCE)
            self.discord.say(self.channel, self.member, f"{self.discord.world.bot.mention} {QUESTION}")
            (reply,) = await self.discord.wait_for(lambda: self.discord.sent(self.channel), _PATIENCE)
            process.send_signal(signal.SIGTERM)
            _, said = await process.communicate()
            assert process.returncode == 0, said.decode()
        finally:
            if process.returncode is None:
                process.kill()
        return str(reply.content)


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """All of it, in an empty folder."""
    world = World()
    first = base64.urlsafe_b64encode(str(world.application_id).encode()).decode().rstrip("=")
    world.token = f"{first}.stand.in-token"
    channel = world.add_channel("general")
    member = _history(world, channel)
    elsewhere = Elsewhere()
    with stand_in_hub() as hub:
        base = tiny.base(folder / "base")
        hub.put("MaziyarPanahi/Mistral-7B-v0.3-GGUF", {"Mistral-7B-v0.3.Q4_K_M.gguf": _as_gguf(base)})
        discord = elsewhere(_started(world))
        reached = {"HF_ENDPOINT": hub.url, "BASE_MODEL": str(base)}
        home = folder / "home"
        home.mkdir()
        try:
            yield Scene(home, discord, channel, member, hub, elsewhere, {**SMALL, **reached})
        finally:
            elsewhere(discord.__aexit__(None, None, None))
            elsewhere.close()


async def _started(world: World) -> StandIn:
    return await StandIn(world, rate=RateLimits.none()).__aenter__()


def _as_gguf(base: Path) -> bytes:
    base_to_gguf(base, base / "base.gguf")
    return (base / "base.gguf").read_bytes()


def _history(world: World, channel: Channel) -> User:
    """What was said in the sample's #general, said here; gives a member."""
    (export,) = (path for path in small_exports() if path.stem == "general")
    members: dict[str, User] = {}
    for item in json.loads(export.read_bytes())["messages"]:
        author = item["author"]
        user = members.get(author["id"]) or world.add_user(
            author["name"], display=author["nickname"], bot=author["isBot"]
        )
        members[author["id"]] = user
        if item["content"]:
            at = datetime.fromisoformat(item["timestamp"]).timestamp()
            world.post(channel, user, item["content"], at=at)
    return next(user for user in members.values() if not user.bot)
