"""The clients that call on a stand-in: the real discord.py, and bare HTTP and websocket ones for what it hides."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import aiohttp
import discord
import orjson

from sususbot.standin.server import StandIn
from sususbot.standin.watch import Watch
from tests.standin.patch import pointed_at

T = TypeVar("T")

INTENTS = discord.Intents(guilds=True, guild_messages=True, guild_reactions=True, message_content=True)
AGENT = "DiscordBot (https://example.invalid, 1.0)"


class Recorder(discord.Client):
    """A client that notes what reaches it. It does not wait before it identifies again."""

    def __init__(self, intents: discord.Intents = INTENTS) -> None:
        super().__init__(intents=intents, guild_ready_timeout=0.1)
        self.events: list[str] = []
        self.seen: list[discord.Message] = []
        self._watch = Watch()

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        self.events.append(event)
        if event == "message":
            self.seen.append(args[0])
        super().dispatch(event, *args, **kwargs)
        self._watch.notify()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        pass

    @property
    def contents(self) -> list[str]:
        return [message.content for message in self.seen]

    async def wait_until(self, predicate: Callable[[], T], timeout: float = 60.0) -> T:  # noqa: ASYNC109
        return await self._watch.wait_for(predicate, timeout)

    def text_channel(self, channel_id: int) -> discord.TextChannel:
        channel = self.get_channel(channel_id)
        assert isinstance(channel, discord.TextChannel)
        return channel


@asynccontextmanager
async def running(server: StandIn, client: Recorder, token: str | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """`client` logged in, its guild known; gives the task of `start()`."""
    with pointed_at(server):
        async with client:
            task = asyncio.create_task(client.start(token or server.world.token))
            ready = asyncio.create_task(client.wait_until(lambda: "ready" in client.events))
            await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
            try:
                yield task
            finally:
                ready.cancel()
                await client.close()
                await asyncio.gather(task, ready, return_exceptions=True)


@dataclass(frozen=True)
class Response:
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.text)


class Rest:
    """One HTTP session with the right token and user agent."""

    def __init__(self, server: StandIn) -> None:
        self._server = server
        self.headers = {"Authorization": f"Bot {server.world.token}", "User-Agent": AGENT}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def __call__(self, method: str, path: str, json: Any = None, **more: Any) -> Response:
        headers = more.pop("headers", self.headers)
        url = self._server.http_url + path
        async with self._session.request(method, url, json=json, headers=headers, **more) as response:
            return Response(response.status, response.headers, await response.text())


class Socket:
    """One gateway connection, frame by frame."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._inflate = zlib.decompressobj()
        self.seq: int | None = None

    async def frame(self) -> dict[str, Any]:
        """The next frame; fails on a close."""
        message = await self._socket.receive(timeout=60)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), f"closed with {message.data}"
        raw = message.data if isinstance(message.data, str) else self._inflate.decompress(message.data)
        frame: dict[str, Any] = orjson.loads(raw)
        self.seq = frame["s"] or self.seq
        return frame

    async def event(self, name: str) -> Any:
        """The payload of the next dispatch of that name; others are passed over."""
        while True:
            frame = await self.frame()
            if frame["t"] == name:
                return frame["d"]

    async def close_code(self) -> int:
        """Reads until the other side closes."""
        while True:
            message = await self._socket.receive(timeout=60)
            if message.type is aiohttp.WSMsgType.CLOSE:
                return int(message.data)
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), f"ended with {message!r}"

    async def send(self, op: int, data: Any = None) -> None:
        await self._socket.send_str(orjson.dumps({"op": op, "d": data}).decode())

    async def send_raw(self, text: str) -> None:
        await self._socket.send_str(text)

    async def identify(self, token: str, intents: Any = INTENTS.value, **more: Any) -> None:
        await self.send(2, {"token": token, "intents": intents, "properties": {}, **more})

    async def close(self, code: int) -> None:
        await self._socket.close(code=code)


@asynccontextmanager
async def connected(url: str, **query: str) -> AsyncIterator[Socket]:
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, params={"v": "10", "encoding": "json", **query}, autoclose=False) as socket:
            yield Socket(socket)
