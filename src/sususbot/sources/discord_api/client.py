"""One GET request to Discord's API, patient with everything that passes and clear about what does not.

Retried, with growing waits and chance in them: broken connections, time-outs, 5xx, and bodies that are cut off or no
JSON. Waited for: 429. Ends everything at once: 401, a page of Cloudflare's, refusals by the hundred. Handed to the
caller as `Refused`: 403 and 404, which concern one channel. Never writes anything on Discord.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson

from sususbot import __version__
from sususbot.errors import ConnectionLost, DiscordError, RateLimited, TokenRefused
from sususbot.proxy import proxy_for, shown
from sususbot.sources.discord_api import address
from sususbot.sources.discord_api.limits import FIRST, Limiter, Turn

_AGENT: Final = f"DiscordBot (https://github.com/sususbot/sususbot, {__version__})"
# Seconds for a whole answer before it is known how long answers take, and the shortest once it is.
_FIRST_TIMEOUT: Final = 2.5
_SHORTEST_TIMEOUT: Final = 1.0
_LAST_TIMEOUT: Final = 80.0
_LONGEST_BACKOFF: Final = 30.0
# How long one request is tried: until anything has been answered at all the fault is probably on this side.
_PATIENCE_FIRST: Final = 10.0
_PATIENCE: Final = 300.0
_SHORTEST_BAN: Final = 600.0
# The status by which a proxy asks for a password.
_UNPROVEN: Final = 407


class Refused(Exception):
    """Discord's answer is no, for this one place: 403 or 404 with Discord's own error code."""

    def __init__(self, status: int, code: int) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """A status of 2xx and the JSON that came with it."""

    status: int
    json: Any


class _Broken(Exception):
    """An answer that is worth another try."""


class _Unproven(_Broken):
    """The proxy wants to know who asks, and was told nothing or something wrong."""


class AnswerTimes:
    """How long answers take, and so when to give one up: as TCP does it (RFC 6298), by mean and deviation."""

    def __init__(self, first: float) -> None:
        self._first = first
        self._mean: float | None = None
        self._deviation = 0.0

    def took(self, seconds: float) -> None:
        if self._mean is None:
            self._mean, self._deviation = seconds, seconds / 2
            return
        self._deviation += (abs(seconds - self._mean) - self._deviation) / 4
        self._mean += (seconds - self._mean) / 8

    def timeout(self, time_outs: int) -> float:
        """Seconds for the next try; from the second time-out of the same request on doubled, for lines that need it."""
        known = self._first if self._mean is None else self._mean + 4 * self._deviation
        shortest = min(_SHORTEST_TIMEOUT, self._first)
        return min(max(known, shortest) * 2.0 ** max(0, time_outs - 1), _LAST_TIMEOUT)


class Client:
    """An HTTP session with one token. `backoff` is the first wait after a failure, in seconds."""

    def __init__(
        self,
        token: str,
        limiter: Limiter,
        *,
        backoff: float = 0.25,
        timeout: float = _FIRST_TIMEOUT,
        patience: float = _PATIENCE,
    ) -> None:
        self.requests = 0
        self.per_second = limiter.per_second
        self._limiter = limiter
        self._backoff = backoff
        self._times = AnswerTimes(timeout)
        self._patience = patience
        self._answered_once = False
        self._base = address.base()
        self._proxy = proxy_for(self._base)
        self._headers = {"Authorization": f"Bot {token}", "User-Agent": _AGENT}

    async def __aenter__(self) -> Self:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_count_sending)
        tracing.on_connection_create_end.append(_count_sending)
        self._session = aiohttp.ClientSession(
            headers=self._headers, trace_configs=[tracing], connector=aiohttp.TCPConnector(limit=0)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(
        self, route: str, query: Mapping[str, str] | None = None, *, rank: float = FIRST, **places: int
    ) -> Answer:
        """`route` as Discord's documents write it; its first placeholder is the resource that has a window of its own.

        Of the requests that wait, the lowest rank goes first. Raises Refused and DiscordError.
        """
        path = route.format_map(places)
        resource = str(next(iter(places.values()), ""))
        failures = time_outs = 0
        failing_since = 0.0
        while True:
            async with self._limiter.turn(route, resource, rank=rank) as turn:
                try:
                    begun = self._limiter.now()
                    answer = await self._once(path, query, turn, self._times.timeout(time_outs))
                except (aiohttp.ClientError, OSError, TimeoutError, _Broken) as error:
                    time_outs += isinstance(error, TimeoutError)
                    failures += 1
                    failing_since = failing_since or self._limiter.now()
                    self._give_up_in_time(error, failing_since)
                else:
                    if answer is None:
                        continue
                    self._answered_once = True
                    self._times.took(self._limiter.now() - begun)
                    return answer
            longest = min(self._backoff * 2 ** min(failures - 1, 20), _LONGEST_BACKOFF)
            await asyncio.sleep(random.uniform(0.5, 1) * longest)

    def _give_up_in_time(self, error: Exception, failing_since: float) -> None:
        patience = self._patience if self._answered_once else min(_PATIENCE_FIRST, self._patience)
        if _is_unproven(error) and not self._answered_once:
            # What was wrong from the beginning does not pass.
            patience = 0.0
        if self._limiter.now() - failing_since >= patience:
            # Not even by --debug is told what the library says of an answer.
            raise ConnectionLost(self._lost_by(error)) from None if _tells_too_much(error) else error

    def _lost_by(self, error: Exception) -> str:
        if self._proxy is None:
            way = "the network"
        elif _is_unproven(error):
            return (
                f"the proxy {shown(self._proxy)} refuses the user or password (status {_UNPROVEN}): write both into "
                "HTTPS_PROXY, as in http://USER:PASSWORD@HOST:PORT, and run the same command again"
            )
        else:
            way = f"the network and the proxy {shown(self._proxy)}"
        return (
            f"Discord cannot be reached ({_reason(error)}): check {way}, then run the same command again, "
            "it goes on where it stopped"
        )

    async def _once(self, path: str, query: Mapping[str, str] | None, turn: Turn, timeout: float) -> Answer | None:  # noqa: ASYNC109
        """One try; None after a 429. Raises _Broken for what another try may mend."""
        sent = SimpleNamespace(times=0)
        answered = False
        self.requests += 1
        try:
            async with self._session.get(
                self._base + path,
                params=query,
                proxy=self._proxy,
                timeout=aiohttp.ClientTimeout(total=timeout),
                trace_request_ctx=sent,
                allow_redirects=False,
            ) as response:
                answered = True
                # aiohttp repeats a request by itself when a kept connection turns out to be closed.
                turn.lost(sent.times - 1)
                if response.status != 429:
                    turn.answered(response.headers)
                return self._understood(response, await response.read(), turn)
        finally:
            if not answered:
                turn.lost(sent.times)

    def _understood(self, response: aiohttp.ClientResponse, body: bytes, turn: Turn) -> Answer | None:
        status = response.status
        if status == 429 or (status == 403 and not _is_json(response)):
            self._count_refusal(response)
            self._wait(response, body, turn)
            return None
        if status == _UNPROVEN:
            raise _Unproven(f"status {status}")
        if status >= 500:
            raise _Broken(f"status {status}")
        value = _parsed(body, response)
        if status < 300:
            return Answer(status, value)
        if status == 401:
            raise TokenRefused(
                "Discord refuses the token: press Reset Token on the developer portal's Bot page and put the new one "
                "into .env as DISCORD_TOKEN"
            )
        code = value.get("code", 0) if isinstance(value, dict) else 0
        if status in (403, 404):
            if status == 403:
                self._count_refusal(response)
            raise Refused(status, code if isinstance(code, int) else 0)
        raise DiscordError(f"Discord does not understand a request ({status}, code {code}): update sususbot")

    def _count_refusal(self, response: aiohttp.ClientResponse) -> None:
        if response.headers.get("X-RateLimit-Scope") != "shared":
            self._limiter.refusals.count(self._limiter.now())

    def _wait(self, response: aiohttp.ClientResponse, body: bytes, turn: Turn) -> None:
        """Note how long to be silent, where Discord itself asks for it; a ban ends the program."""
        header = _seconds(response.headers.get("Retry-After"))
        if not _is_json(response):
            minutes = max(header or 0.0, _SHORTEST_BAN) / 60
            raise RateLimited(
                f"Discord's gate (Cloudflare) refuses this address for now: wait {minutes:.0f} minutes, then run the "
                "same command again, it goes on where it stopped"
            )
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            value = None
        value = value if isinstance(value, dict) else {}
        wait = _seconds(value.get("retry_after"))
        if wait is None:
            wait = header if header is not None else 5.0
        everywhere = value.get("global") is True or response.headers.get("X-RateLimit-Scope") == "global"
        turn.refused(response.headers, wait, everywhere=everywhere)


async def _count_sending(_session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object) -> None:
    """A connection was taken for the request, so it goes out (again)."""
    sent = context.trace_request_ctx
    if sent is not None:
        sent.times += 1


def _is_unproven(error: Exception) -> bool:
    return isinstance(error, _Unproven) or (
        isinstance(error, aiohttp.ClientHttpProxyError) and error.status == _UNPROVEN
    )


def _tells_too_much(error: Exception) -> bool:
    """Whether the library's words hold an address as it is, with the proxy's password."""
    return isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL)


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"status {error.status}"
    return type(error).__name__ if _tells_too_much(error) else str(error) or type(error).__name__


def _is_json(response: aiohttp.ClientResponse) -> bool:
    return response.content_type == "application/json"


def _parsed(body: bytes, response: aiohttp.ClientResponse) -> Any:
    if not _is_json(response):
        raise _Broken(f"an answer of type {response.content_type}")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # Halves of surrogate pairs, which orjson takes for no JSON.
        return json.loads(body)
    except ValueError as error:
        raise _Broken("an answer that is cut off") from error


def _seconds(value: object) -> float | None:
    """A number of seconds from outside, or None."""
    try:
        seconds = float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None
