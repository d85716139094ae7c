"""How the bot is, for programs on the same machine: `/health` as JSON, `/metrics` for Prometheus. Loopback alone.

Figures and sentences of ours, never what anybody wrote. Who asks by another name than this machine's is refused, so
that no web page can look in through a browser.
"""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

import orjson
import psutil  # type: ignore[import-untyped]
from aiohttp import web

from sususbot.bot.metrics import Metrics

logger = logging.getLogger(__name__)

State = Literal["running", "degraded", "down"]
HOST: Final = "127.0.0.1"
_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_JSON: Final = "application/json"
_EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """Of one bot, by its metrics; `waiting` is how many questions are in hand."""

    def __init__(self, metrics: Metrics, waiting: Callable[[], int]) -> None:
        self._metrics = metrics
        self._waiting = waiting
        process = psutil.Process()
        metrics.watch("sususbot_memory_bytes", "Memory of the bot's process.", lambda: process.memory_info().rss)
        metrics.watch("sususbot_connected", "1 while Discord's events arrive.", lambda: float(self.connected))
        metrics.watch("sususbot_waiting", "Questions and signs in hand.", lambda: float(waiting()))
        metrics.watch("sususbot_problems", "Troubles at the moment.", lambda: float(len(self.problems())))

    @property
    def state(self) -> State:
        if not self.connected:
            return "down"
        return "degraded" if self.problems() else "running"

    @property
    def connected(self) -> bool:
        """Whether Discord's events arrive."""
        return self._metrics.connection.get("state") == "running"

    def problems(self) -> list[str]:
        """What is not as it should be, in sentences; none while all is well."""
        connection = self._metrics.connection
        found = [] if self.connected else [f"no events of Discord arrive: {connection.get('state', 'not begun')}"]
        if "archive" in connection:
            found.append(f"the archive cannot be written: {connection['archive']}")
        state = str(self._metrics.engine.get("state", "running"))
        if state != "running":
            found.append(f"the engine is {state}")
        return found

    def report(self) -> dict[str, object]:
        """What `/health` says. Times in seconds."""
        metrics, day = self._metrics, self._metrics.day()
        return {
            "state": self.state,
            "problems": self.problems(),
            "uptime_s": metrics.uptime,
            "since_received_s": metrics.since_received,
            "since_reply_s": metrics.since_reply,
            "waiting": self._waiting(),
            "connection": metrics.connection,
            "engine": metrics.engine,
            "last_24_h": {
                "replies": day.replies,
                "p50_s": day.p50,
                "p95_s": day.p95,
                "by_backend": day.by_backend,
                "fallbacks": day.fallbacks,
                "signs": day.signs,
                "filtered": day.filtered,
            },
        }


class HealthServer:
    """Answers while the block lasts. Port 0 takes any that is free; one that is taken costs a warning, not the bot."""

    def __init__(self, health: Health, metrics: Metrics, port: int) -> None:
        self._health = health
        self._metrics = metrics
        self._wanted = port
        self._runner: web.AppRunner | None = None
        self.port: int | None = None
        """Where it answers; None where it could not."""

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[_only_this_machine])
        app.router.add_get("/health", self._tell_health)
        app.router.add_get("/metrics", self._tell_metrics)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._wanted).start()
        except OSError as error:
            await runner.cleanup()
            logger.warning(
                "port %s is taken, so there is no health endpoint (%s): set METRICS_PORT to another one",
                self._wanted,
                error.strerror,
            )
            return self
        self._runner, self.port = runner, runner.addresses[0][1]
        logger.info("health and metrics at http://%s:%s/health and /metrics", HOST, self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _tell_health(self, _request: web.Request) -> web.Response:
        report = self._health.report()
        status = 503 if report["state"] == "down" else 200
        return web.Response(body=orjson.dumps(report), status=status, content_type=_JSON)

    async def _tell_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": _EXPOSITION})


@web.middleware
async def _only_this_machine(request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
    name = (request.host or "").rpartition(":")[0] or request.host
    if name not in _NAMES:
        raise web.HTTPForbidden(text="ask this machine by its own name")
    answer: web.StreamResponse = await handler(request)  # type: ignore[misc]
    return answer
