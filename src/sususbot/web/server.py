"""The server of the page: what listens, what it mounts, how it ends.

Built on NiceGUI: of Python's UI libraries it is the one that brings charts, tables, streaming and forms, serves every
asset from its own package (so the page works without a network; a browser test holds it so), speaks ASGI (so that
`access` stands before all of it, sockets included), and keeps a page's state in Python. Gradio and Streamlit load fonts
and analytics from elsewhere, rerun scripts or keep a queue of their own, and paint their first page after seconds.
It is mounted on a bare FastAPI application behind `Access` and served by uvicorn; Tailwind is left out, which the page
does not use and which compiles styles in the browser before anything is seen.

**Invariant.** The event loop never waits for a model, a disk or a lock: pages do such work in threads (`io_bound`).
"""

import asyncio
import inspect
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, cast

import uvicorn
from fastapi import FastAPI
from nicegui import core, ui

from sususbot.errors import PasswordMissing, PortTaken, SususError, WebError
from sususbot.web.access import Access, App, Receive, Scope, Send, is_loopback, new_token
from sususbot.web.desk import Desk
from sususbot.web.frame import failed, frame, unfinished
from sususbot.web.pages import PAGES, Page

# A tab that is gone for longer is forgotten, and what it waited for ends.
_RECONNECT_SECONDS: Final = 15.0
# How long a browser may be too busy to answer a ping; one that is cut off for it may lose what is sent just then.
_PING_SECONDS: Final = 20.0
# How long a page may be built: it waits for the archive where a member is being forgotten.
_BUILD_SECONDS: Final = 60.0
# How long requests may take to end once the server is stopped; open sockets never would.
_GRACE_SECONDS: Final = 1
# Ctrl-C, a service that is stopped, and on Windows a window that is closed.
_ENDING: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
_FAVICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="#4752c4"/>'
    '<path fill="#fff" d="M6 7h12v8h-7l-4 3v-3H6z"/></svg>'
)


class Visitor:
    """Somebody who is waited for: a page that nobody comes to within these seconds ends by itself (None: it stays).

    `greet` is called once they came, on the event loop.
    """

    def __init__(self, seconds: float | None, greet: Callable[[], None] | None = None) -> None:
        self._seconds = seconds
        self._greet = greet
        self._came = False
        self._settled = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.missed = False
        """Whether the page ended so."""

    def come(self) -> None:
        """On the event loop."""
        if not self._came and self._greet is not None:
            self._greet()
        self._came = True
        self._settled.set()

    def give_up(self) -> None:
        """Nobody will. From any thread, once the page answers."""
        # Where the page has ended meanwhile, there is nothing to give up.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._settled.set)

    async def awaited(self) -> None:
        """Returns once somebody came, or will not."""
        self._loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._settled.wait()
        self.missed = not self._came


def serve(
    desk: Desk,
    host: str,
    port: int,
    password: str | None,
    on_start: Callable[[str], None],
    visitor: Visitor | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM, or until `visitor` is not waited for any longer. `on_start` is told the link once
    the page answers.

    Raises PortTaken, PasswordMissing and WebError before anything is served.
    """
    names = desk.settings.web_names
    if password is None and not is_loopback(host):
        raise PasswordMissing(
            f"WEB_HOST={host} lets other machines see the page: set WEB_PASSWORD in .env, or WEB_HOST=127.0.0.1"
        )
    if password is None and names:
        raise PasswordMissing(
            f"WEB_NAMES={','.join(names)} lets other machines see the page: set WEB_PASSWORD in .env, or leave it empty"
        )
    listener = _listen(host, port)
    with listener:
        port = listener.getsockname()[1]
        token = new_token()
        # Browsers send cookies to every port of a host: two pages on one machine must not throw each other out.
        cookie = f"sususbot_{port}"
        app = _application(desk) if visitor is None else _greeted(_application(desk), visitor)
        access = Access(app, token=token, names=[host], proxied=names, password=password, cookie=cookie)
        link = f"http://{_shown(host)}:{port}/?token={token}"
        asyncio.run(_run(access, listener, lambda: on_start(link), visitor))


def _greeted(app: App, visitor: Visitor) -> App:
    """The same page, whose visitor is noticed once they are let in."""

    async def greeted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            visitor.come()
        await app(scope, receive, send)

    return greeted


def _application(desk: Desk) -> App:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for page in PAGES:
        _mount(desk, page)
    ui.run_with(
        app,
        title="sususbot",
        favicon=_FAVICON,
        dark=None,
        tailwind=False,
        prod_js=True,
        reconnect_timeout=_RECONNECT_SECONDS,
        # No value of the pages is bound by polling.
        binding_refresh_interval=None,
        gzip_middleware_factory=None,
        show_welcome_message=False,
    )
    core.app.on_startup(_be_patient)
    return cast(App, app)


def _be_patient() -> None:
    """The library takes a part of the time for reconnecting, which is short."""
    core.sio.eio.ping_timeout = _PING_SECONDS


def _mount(desk: Desk, page: Page) -> None:
    # Now, not when it is first looked at: loading a module would keep every tab waiting.
    build = page.build()
    title = desk.scene.channel if desk.scene is not None and page.path == "/" else None

    @ui.page(page.path, title=f"{page.title} · sususbot", response_timeout=_BUILD_SECONDS)
    async def draw() -> None:
        with frame(page, title):
            try:
                await unfinished(desk)
                drawn = build(desk)
                if inspect.isawaitable(drawn):
                    await drawn
            except SususError as error:
                failed(error)


async def _run(access: Access, listener: socket.socket, started: Callable[[], None], visitor: Visitor | None) -> None:
    config = uvicorn.Config(
        access,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config, started)
    waiting = None if visitor is None else asyncio.create_task(_expect(visitor, server))
    await server.serve(sockets=[listener])
    if waiting is not None:
        waiting.cancel()


async def _expect(visitor: Visitor, server: uvicorn.Server) -> None:
    await visitor.awaited()
    if visitor.missed:
        server.should_exit = True


class _Server(uvicorn.Server):
    """Says when it answers, and ends by a signal as a command ends, so that all that is behind it is closed."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {one: signal.signal(one, self.handle_exit) for one in _ENDING}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that is ours from now on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is no name"
        raise WebError(f"WEB_HOST={host} is no address of this machine ({why}): set it to 127.0.0.1") from error
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # What was stopped a moment ago still holds its port otherwise.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"port {port} on {host} cannot be had ({error.strerror}): stop what listens there, or set WEB_PORT to "
            "another (0: any that is free)"
        ) from error
    return listener


def _shown(host: str) -> str:
    """An address that a browser on this machine can open."""
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
