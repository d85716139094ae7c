"""The life of a bot: one connection after another, with pauses that grow, until it is stopped or cannot go on.

discord.py resumes a session by itself. It ends for good at an event that it cannot read and at a first connection that
is refused, it can be connected and deaf, and it would ask for a session every five seconds for ever. So each life here
is a fresh `Client`, watched from outside; what ends it is counted, and only what somebody must mend ends the bot.

    connecting ── READY ──► running ── lost, deaf, broken ──► pausing ──► connecting …
        └── token, intents, channel, budget: stopped, with one sentence

A connection that was given up lingers until the replies in hand are sent: they go by HTTP and need no session.
"""

import asyncio
import gc
import logging
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import discord
from discord.gateway import KeepAliveHandler

from sususbot.bot.answering import Answering
from sususbot.bot.catching_up import banned
from sususbot.bot.client import Client, SessionRefused, intent_missing
from sususbot.bot.keeper import Keeper
from sususbot.bot.metrics import Metrics
from sususbot.bot.pace import Pace
from sususbot.bot.service import Service, alone, signals_to
from sususbot.bot.sessions import Sessions
from sususbot.errors import ConnectionLost, SususError, TokenRefused
from sususbot.memory.short_term import ShortTerm
from sususbot.model.backend import Facts

State = Literal["connecting", "running", "pausing", "stopping", "stopped"]
Cause = Literal["unreachable", "refused", "banned", "broken", "deaf", "no session", "no server", "closed"]

# The status by which a proxy asks for a password.
_UNPROVEN: Final = 407
# Errors of a connection, the narrower before the wider, in words.
_REASONS: Final = (
    (aiohttp.ClientProxyConnectionError, "the proxy does not answer"),
    (socket.gaierror, "no such host"),
    (ssl.SSLError, "the certificate is not known here"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionError, "the connection was cut"),
    (TimeoutError, "no answer in time"),
)

logger = logging.getLogger(__name__)


async def run_bot(
    token: str,
    channel_id: int,
    *,
    folder: Path,
    keeper: Keeper,
    answering: Answering,
    short_term: ShortTerm,
    metrics: Metrics | None = None,
    pace: Pace = Pace(),  # noqa: B008  (frozen)
    grace: float = 15.0,
    extend: Callable[[Client], Awaitable[None]] | None = None,
    signals: bool = False,
    frozen: bool = True,
) -> None:
    """Run until it is stopped. Raises DiscordError when it cannot go on, BotRunning where one runs in `folder` already.

    With `signals`, SIGTERM and Ctrl-C stop it: replies in hand may take `grace` seconds more. The keeper is closed.
    `frozen`: meanwhile the garbage collector leaves alone what was loaded before.
    """
    metrics = metrics or Metrics()
    try:
        with alone(folder):
            sessions = await asyncio.to_thread(Sessions, folder, pace)

            def client() -> Client:
                return Client(
                    channel_id,
                    keeper=keeper,
                    answering=answering,
                    short_term=short_term,
                    sessions=sessions,
                    metrics=metrics,
                    pace=pace,
                    extend=extend,
                )

            supervisor = Supervisor(
                client, token, sessions=sessions, keeper=keeper, answering=answering, metrics=metrics, pace=pace
            )
            metrics.watch_connection(supervisor.facts)
            if frozen:
                # It stays loaded (the encoder alone brings a million objects): the collector need not stop the replies
                # to look at all of it again.
                gc.collect()
                gc.freeze()
            with signals_to(supervisor.stop, supervisor.hurry) if signals else nullcontext():
                await supervisor.run(grace=grace)
    finally:
        keeper.close()
        if frozen:
            gc.unfreeze()


class Supervisor:
    """Keeps a bot connected. `client` makes a fresh one for each life."""

    def __init__(
        self,
        client: Callable[[], Client],
        token: str,
        *,
        sessions: Sessions,
        keeper: Keeper,
        answering: Answering,
        metrics: Metrics,
        pace: Pace,
        service: Service | None = None,
    ) -> None:
        self._make = client
        self._token = token
        self._sessions = sessions
        self._keeper = keeper
        self._answering = answering
        self._metrics = metrics
        self._pace = pace
        self._service = service or Service()
        self._client: Client | None = None
        self._stop = asyncio.Event()
        self._ending = asyncio.Event()
        self._funerals: set[asyncio.Task[None]] = set()
        self._last: Cause | None = None
        self._until = 0.0
        self._state: State = "connecting"

    def stop(self) -> None:
        """Finish the replies in hand, then end."""
        self._stop.set()

    def hurry(self) -> None:
        """End at once; what is in hand stays open on record."""
        self._ending.set()

    @property
    def state(self) -> State:
        listening = self._client is not None and self._client.listening_at is not None
        return "running" if self._state == "connecting" and listening else self._state

    def facts(self) -> Facts:
        """What an owner may want to know of the connection now."""
        client = self._client
        facts: Facts = {
            "state": self.state,
            "sessions_today": self._sessions.spent,
            "events_waiting": self._keeper.backlog,
        }
        if self.state == "pausing":
            facts["pause_s"] = round(max(0.0, self._until - time.monotonic()), 1)
        if self._last is not None:
            facts["last_end"] = self._last
        if client is not None and client.session_at is not None:
            facts["session_s"] = round(time.monotonic() - client.session_at)
            facts["silence_s"] = round(time.monotonic() - client.heard_at, 1)
        if self._keeper.trouble is not None:
            facts["archive"] = self._keeper.trouble
        return facts

    async def run(self, *, grace: float) -> None:
        """One life after another. Raises DiscordError when no further one would be any better."""
        chores = [asyncio.create_task(work) for work in self._chores()]
        self._service.ready()
        try:
            while not self._stop.is_set():
                await self._pause()
                if not self._stop.is_set():
                    await self._live(grace)
            await asyncio.to_thread(self._sessions.ended)
        except SususError:
            # Somebody has to do something first; what starts the bot anew by itself, meanwhile, waits longer each time.
            self._sessions.failed()
            raise
        except asyncio.CancelledError:
            self._sessions.ended()
            raise
        finally:
            self._tell("stopped")
            await self._end(chores)

    def _chores(self) -> list[Coroutine[Any, Any, None]]:
        return [self._keeper.learn(), self._keeper.tidy(), self._service.watchdog()]

    async def _end(self, chores: list[asyncio.Task[None]]) -> None:
        await self._answering.close()
        self._ending.set()
        for task in chores:
            task.cancel()
        await asyncio.gather(*chores, *self._funerals, return_exceptions=True)

    async def _pause(self) -> None:
        seconds = self._sessions.pause()
        if self._last == "banned":
            seconds = max(seconds, self._pace.banned_pause)
        if not seconds:
            return
        self._until = time.monotonic() + seconds
        self._tell("pausing", f"the next connection is tried in {seconds:.0f} s")
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def _live(self, grace: float) -> None:
        """One life, and how it ended on record. Raises what no further one could mend."""
        self._tell("connecting")
        client = self._client = self._make()
        life = asyncio.create_task(client.start(self._token))
        watch = asyncio.create_task(self._watch(client))
        others = [asyncio.create_task(self._stop.wait()), asyncio.create_task(client.over.wait())]
        try:
            await asyncio.wait([life, watch, *others], return_when=asyncio.FIRST_COMPLETED)
            if self._stop.is_set():
                await self._finish(grace)
                return
        finally:
            for task in (life, watch, *others):
                task.cancel()
            await asyncio.gather(life, watch, *others, return_exceptions=True)
            client.retire()
            funeral = asyncio.create_task(self._bury(client))
            self._funerals.add(funeral)
            funeral.add_done_callback(self._funerals.discard)
        if client.fault is not None:
            raise client.fault
        error = None if life.cancelled() else life.exception()
        if error is not None and (sentence := final(error)) is not None:
            raise sentence from (None if sentence is error else error)
        cause = _cause(error, client) if watch.cancelled() else watch.result()
        self._last = cause
        self._metrics.connection_lost(cause)
        # Before anything is waited for: a stop must not swallow it.
        logger.warning("%s", _complaint(cause, error), exc_info=error if cause == "broken" else None)
        await asyncio.to_thread(self._sessions.failed)

    async def _finish(self, grace: float) -> None:
        """What is in hand, while the connection still stands."""
        waiting = self._answering.waiting
        self._tell("stopping", f"stopping; what is in hand ({waiting}) is finished first" if waiting else "")
        self._service.stopping()
        close = asyncio.create_task(self._answering.close(grace))
        hurry = asyncio.create_task(self._ending.wait())
        await asyncio.wait([close, hurry], return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        await self._answering.close()
        await close

    async def _watch(self, client: Client) -> Cause:
        """Ends with what is wrong with a life that goes on."""
        good = told = False
        while True:
            begun = time.monotonic()
            await asyncio.sleep(self._pace.watch)
            now = time.monotonic()
            if not told and client.listening_at is not None:
                told = True
                self._service.status(f"listening as {client.user}")
            if now - begun > 2 * self._pace.watch + 1:
                # The event loop itself stood still: what came meanwhile has yet to be read.
                continue
            if client.session_at is None:
                if now - client.born > self._pace.readying:
                    return "no session"
            elif now - client.heard_at > self._pace.deaf_heartbeats * client.heartbeat:
                return "deaf"
            elif client.listening_at is None:
                if now - max(client.session_at, client.lost_at) > self._pace.guildless:
                    return "no server"
            elif not good and now - client.listening_at > self._pace.good_life:
                good = True
                await asyncio.to_thread(self._sessions.lived)

    async def _bury(self, client: Client) -> None:
        """Close a connection: what listens at once, what sends once nothing is in hand any more."""
        if client.socket is not None:
            _end_heartbeats(client.socket)
            with suppress(Exception):
                async with asyncio.timeout(self._pace.farewell):
                    await client.socket.close(code=1000)
        until = time.monotonic() + self._pace.linger
        while self._answering.waiting and not self._ending.is_set() and time.monotonic() < until:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.breath):
                    await self._ending.wait()
        with suppress(Exception):
            await client.close()

    def _tell(self, state: State, sentence: str = "") -> None:
        self._state = state
        self._service.status(sentence or state)
        logger.info("%s", sentence or state)


def _end_heartbeats(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Also of a websocket that discord.py gave up before it took it for its own."""
    for thread in threading.enumerate():
        if isinstance(thread, KeepAliveHandler) and thread.ws.socket is socket:
            thread.stop()


def _cause(error: BaseException | None, client: Client) -> Cause:
    """In a word what ended a life."""
    if error is None:
        return "closed"
    if isinstance(error, Exception) and banned(error):
        return "banned"
    if isinstance(error, discord.DiscordException | SessionRefused):
        return "refused"
    if isinstance(error, aiohttp.ClientError | OSError | TimeoutError):
        return "unreachable"
    if isinstance(error, AttributeError) and client.ws is None:
        # discord.py fails so when its very first connection is refused.
        return "unreachable"
    return "broken"


def _complaint(cause: Cause, error: BaseException | None) -> str:
    """What ended a life, and what to do about it. Nothing in the library's words: those tell a proxy's password."""
    if isinstance(error, aiohttp.ClientHttpProxyError) and error.status == _UNPROVEN:
        return "the proxy refuses the user or password: correct HTTPS_PROXY"
    if cause == "unreachable" and error is not None:
        return f"Discord cannot be reached ({_reason(error)}): check the network, and the proxy if there is one"
    return f"the connection to Discord ended: {cause}" + ("" if error is None else f" ({type(error).__name__})")


def _reason(error: BaseException) -> str:
    """Why nothing is reached, in words where it is one of the usual reasons."""
    if isinstance(error, AttributeError):
        return "no connection came about"
    name = type(error).__name__
    below = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return next((words for kind, words in _REASONS if isinstance(error, kind) or isinstance(below, kind)), name)


def final(error: BaseException) -> SususError | None:
    """What no retry can mend, as ours; None for the rest."""
    if isinstance(error, SususError):
        return error
    code = error.code if isinstance(error, discord.ConnectionClosed) else None
    if isinstance(error, discord.LoginFailure) or code == 4004:
        return TokenRefused(
            "Discord refuses the token: press Reset Token on the developer portal's Bot page and put the new one "
            "into .env as DISCORD_TOKEN"
        )
    if isinstance(error, discord.PrivilegedIntentsRequired) or code in (4013, 4014):
        return intent_missing()
    if code in _OUTDATED:
        return ConnectionLost(
            f"Discord does not understand this version of the bot any more (close code {code}): update sususbot"
        )
    return None


# Close codes: invalid shard, sharding required, invalid API version.
_OUTDATED: Final = (4010, 4011, 4012)
