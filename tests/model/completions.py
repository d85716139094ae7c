"""What the tests of `openai` are made of: servers that answer as they are told, and how they are asked."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from sususbot.model.backend import Chunk, Deadline, Request, Sampling
from sususbot.model.openai import OpenAI
from sususbot.standin.listening import listener, stop_listening

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SAMPLING = Sampling(max_new_tokens=20, seed=3, min_p=0.03, dry_multiplier=0.5)
ASKED = Request("hello", (), stop=("\n",), sampling=SAMPLING)
DONE = "data: [DONE]\n\n"


def event(text: str, finish: str | None = None, **more: Any) -> str:
    data = {"choices": [{"text": text, "finish_reason": finish}], **more}
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


PATHS = {
    "completions": "/v1/completions",
    "tokenize": "/tokenize",
    "models": "/v1/models",
    "loras": "/lora-adapters",
}


def server_of(handlers: Mapping[str, Handler], place: socket.socket) -> TestServer:
    """`place` is a socket that nobody listens at yet."""
    application = web.Application()
    for name, handler in handlers.items():
        application.router.add_route("*", PATHS[name], function_of(handler))
    return TestServer(application, socket_factory=lambda *_: place)


@contextmanager
def nobody() -> Iterator[tuple[socket.socket, str]]:
    """A place where nobody listens, and nobody else can meanwhile, and its host and port."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        yield place, f"127.0.0.1:{place.getsockname()[1]}"


def function_of(handler: Handler) -> Handler:
    """aiohttp takes functions alone."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    return handle


@asynccontextmanager
async def served(**handlers: Handler) -> AsyncIterator[str]:
    """A server with `completions`, `tokenize`, `models` and `loras` as given."""
    place = listener()
    server = server_of(handlers, place)
    await server.start_server()
    try:
        yield str(server.make_url("/")).rstrip("/")
    finally:
        await stop_listening(place)
        await server.close()


def streaming(*pieces: str | bytes) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece.encode() if isinstance(piece, str) else piece)
        return response

    return handle


def refusing(status: int, text: str = '{"error": {"message": "because"}}', **headers: str) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type="application/json", headers=headers)

    return handle


class Counting:
    """Handles the first requests by the first handlers, all others by the last, and counts them."""

    def __init__(self, *handlers: Handler) -> None:
        self.handlers = handlers
        self.bodies: list[dict[str, Any]] = []
        self.asked = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json() if request.can_read_body else {})
        self.asked.set()
        return await self.handlers[min(len(self.bodies), len(self.handlers)) - 1](request)

    @property
    def times(self) -> int:
        return len(self.bodies)


FINE = streaming(event("fine", "stop"), DONE)


async def ask(backend: OpenAI, request: Request = ASKED, deadline: Deadline | None = None) -> list[Chunk]:
    return await asyncio.to_thread(lambda: list(backend.generate(request, deadline or Deadline(20))))


async def reply(handler: Handler, request: Request = ASKED, deadline: Deadline | None = None) -> list[Chunk]:
    async with served(completions=handler) as url:
        with closing(OpenAI(url, model="tiny")) as backend:
            return await ask(backend, request, deadline)


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


class Hanging:
    """Says `first`, then nothing, and notices when the client goes away."""

    def __init__(self, first: str) -> None:
        self.first = first
        self.begun = asyncio.Event()
        self.left = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if self.first:
                response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                await response.prepare(request)
                await response.write(self.first.encode())
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.left.set()
        raise AssertionError("unreachable")
