"""JSON and event streams from a model server, as blocking calls that a deadline can end at any moment.

The client lives on an event loop in a thread of its own. Only so can a call be dropped while the server is still
reading the prompt: a blocking client sits in `recv` until the first token, and closing its socket from outside does not
wake it on every system. Dropping the call closes the connection, which tells the server to stop working.

Raises `Refused` for an answer that says no or makes no sense, `httpx.TransportError` for trouble with the connection.
A call whose connection breaks before anything came is made once more: servers drop idle connections as they like.
"""

import asyncio
import atexit
import queue
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import httpx
import orjson

from sususbot.errors import BackendFailed
from sususbot.model.backend import Deadline
from sususbot.proxy import proxy_for

# How soon a cancellation from another thread is seen while nothing arrives.
_GLANCE_SECONDS: Final = 0.05
_CONNECT_SECONDS: Final = 5.0
# How long a stream may stay open after its end mark, so that the connection can serve the next call.
_LINGER_SECONDS: Final = 1.0
# llama.cpp keeps one of its few threads (five or more) busy with each open connection, and closes idle ones after 5 s.
_CONNECTIONS: Final = 4
_KEPT_SECONDS: Final = 3.0
_LONGEST_REASON: Final = 300
_REFUSED: Final = 400
_BROKE: Final = 500
_BROKEN: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)

Event = dict[str, Any]
_Inbox = queue.SimpleQueue[Event | Exception | None]


class Refused(Exception):
    """The server said no (`status` of 400 and up) or something that is not JSON; `error` is its own explanation.

    `said`, the beginning of it in words, and `error` may repeat what was sent. So they are not what it is called: a
    traceback in a log shows that.
    `retry_after` is for how many seconds it wants to be left alone, where it says so.
    """

    def __init__(self, status: int, said: str, error: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"the server said no ({status})")
        self.status = status
        self.said = said[:_LONGEST_REASON]
        self.error = error or {}
        self.retry_after: float | None = None


class Patience(NamedTuple):
    """How many seconds a server may say nothing before its first event, and between two."""

    first: float
    between: float


_ENDLESS: Final = Patience(float("inf"), float("inf"))


class Wire:
    """A connection to one server. Calls may come from any thread."""

    def __init__(
        self, base_url: str, headers: Mapping[str, str] | None = None, *, connections: int = _CONNECTIONS
    ) -> None:
        """At most so many `connections` at once; a call beyond waits for one."""
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        # Reading the certificates takes 60 ms: not where there is nothing to verify.
        secure = httpx.URL(base_url).scheme != "http"
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers=headers,
            timeout=timeout,
            # A transport of our own: httpx itself would ask this machine by way of another where there is a proxy.
            transport=httpx.AsyncHTTPTransport(
                limits=httpx.Limits(max_connections=connections, keepalive_expiry=_KEPT_SECONDS),
                verify=secure,
                proxy=proxy_for(base_url),
            ),
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="model-wire", daemon=True)
        self._lock = threading.Lock()
        self._closed = False
        # On the loop's thread alone.
        self._calls: set[asyncio.Task[object]] = set()
        self._thread.start()
        # A server in this process cannot end while a connection to it is open, and this thread is frozen by then.
        atexit.register(self.close)

    def call(self, path: str, body: Event | None, seconds: float) -> Event:
        """One JSON answer; GET when there is no body."""
        answers = list(self.events(path, body, Deadline(seconds)))
        if answers:
            return answers[0]
        raise httpx.ReadTimeout(f"no answer within {seconds:g} s")

    def events(
        self, path: str, body: Event | None, deadline: Deadline, patience: Patience = _ENDLESS
    ) -> Iterator[Event]:
        """The events of a stream. They just end when the deadline is over, or when the server ends them."""
        inbox: _Inbox = queue.SimpleQueue()
        with self._lock:
            if self._closed:
                raise BackendFailed("The model was closed and answers no more: start the program again.")
            pump = asyncio.run_coroutine_threadsafe(self._pump(path, body, inbox), self._loop)
        ended = False
        heard, silence = time.monotonic(), patience.first
        try:
            while deadline.over() is None:
                try:
                    item = inbox.get(timeout=min(_GLANCE_SECONDS, deadline.remaining))
                except queue.Empty:
                    if time.monotonic() - heard > silence:
                        raise httpx.ReadTimeout(f"it said nothing for {silence:g} s") from None
                    continue
                if item is None:
                    ended = True
                    return
                if isinstance(item, Exception):
                    raise item
                yield item
                heard, silence = time.monotonic(), patience.between
        finally:
            if not ended:
                pump.cancel()

    def close(self) -> None:
        """Drop every call and end the thread; may be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _shut(self) -> None:
        # Not all tasks: a call ends those within it itself, and one that is cancelled before it began is never awaited.
        calls = tuple(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await self._client.aclose()

    async def _pump(self, path: str, body: Event | None, inbox: _Inbox) -> None:
        """Carry what the server says into the inbox; None marks the end, whatever it was."""
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        try:
            if not await self._carry(path, body, inbox, may_repeat=True):
                await self._carry(path, body, inbox, may_repeat=False)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that called
            inbox.put(error)
        finally:
            self._calls.discard(call)
            inbox.put(None)

    async def _carry(self, path: str, body: Event | None, inbox: _Inbox, *, may_repeat: bool) -> bool:
        """False when the connection broke before anything came."""
        method = "GET" if body is None else "POST"
        try:
            async with asyncio.timeout(None) as limit, self._client.stream(method, path, json=body) as response:
                if response.status_code >= _REFUSED:
                    refused = _refusal(response.status_code, await response.aread())
                    refused.retry_after = _seconds(response.headers.get("retry-after"))
                    raise refused
                async for event in _events(response):
                    may_repeat = False
                    inbox.put(event)
                    if event is None:
                        limit.reschedule(self._loop.time() + _LINGER_SECONDS)
        except _BROKEN:
            if not may_repeat:
                raise
            return False
        return True


async def _events(response: httpx.Response) -> AsyncIterator[Event | None]:
    """Server-sent events, or the one object of a server that does not stream; None for the end mark.

    Lines are cut at line feeds alone: httpx would also cut at U+2028 and the like, which may stand inside a text.
    """
    if "text/event-stream" not in response.headers.get("content-type", ""):
        yield _object(response.status_code, await response.aread())
        return
    rest = b""
    async for data in response.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.startswith((b"data:", b"error:")):
                payload = line.partition(b":")[2].strip()
                yield None if payload == b"[DONE]" else _object(response.status_code, payload)


def _object(status: int, data: bytes) -> Event:
    """A JSON object; a list is one as OpenAI has lists."""
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        event = None
    if isinstance(event, list):
        event = {"data": event}
    if not isinstance(event, dict):
        raise Refused(status, f"the answer is not a JSON object but begins with {data[:60].decode(errors='replace')!r}")
    if event.get("error"):
        raise _refusal(status, data)
    return event


def _refusal(status: int, data: bytes) -> Refused:
    """The many shapes of an error body: {"error": {"message": …}}, {"error": "…"}, {"detail": …}, {"message": …}."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        body = data[:_LONGEST_REASON].decode(errors="replace")
    error = body.get("error") or body if isinstance(body, dict) else body
    code = error.get("code") if isinstance(error, dict) else None
    if status < _REFUSED:
        # Said halfway through a stream that began well.
        status = code if isinstance(code, int) and code >= _REFUSED else _BROKE
    if not isinstance(error, dict):
        return Refused(status, str(error))
    return Refused(status, str(error.get("message") or error.get("detail") or error), error)


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds; it may also be a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
