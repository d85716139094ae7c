"""HTTP to an engine of ours on this machine: one blocking connection a call, in the thread that calls.

As lean as it gets, since it stands in the way of every token: no thread, no event loop and no pool between the engine's
socket and the reply. It takes 0.3 ms until the first token beyond an in-process call, and nothing measurable for each
that follows; httpx over an event loop takes 2 ms more, and 0.07 ms for each token. A call ends the moment its deadline
does, or within a twentieth of a second when another thread cancels it: the wait for the socket is cut into glances.
Closing the connection tells the engine to stop working.

Raises `Refused` where the engine says no, and OSError where it is gone.
"""

import socket
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from sususbot.model.backend import Deadline

# How soon a cancellation from another thread is seen while nothing arrives.
_GLANCE_SECONDS: Final = 0.05
_CONNECT_SECONDS: Final = 5.0
_PIECE_BYTES: Final = 65_536
_REFUSED: Final = 400

Event = dict[str, Any]


class Refused(Exception):
    """The engine said no; `error` is its own explanation."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {error.get('message', error)}")
        self.error = error


class _Over(Exception):
    """The deadline, before the answer was whole."""


class Loopback:
    """Calls to one engine, from any thread. It holds nothing open between them."""

    def __init__(self, address: str, key: str) -> None:
        """`address` as `http://127.0.0.1:40000`."""
        host, _, port = address.removeprefix("http://").rpartition(":")
        self._place = (host, int(port))
        self._head = (
            f"Host: {host}:{port}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            "Connection: close\r\n"
        )

    def call(self, path: str, body: Event | None, deadline: Deadline) -> Event | None:
        """One JSON answer, or None when the deadline was over before it; GET where there is no body."""
        try:
            with self._asked(path, body, deadline) as answer:
                event: Event = orjson.loads(b"".join(answer.pieces()))
                return event
        except _Over:
            return None

    def answers(self, path: str, deadline: Deadline) -> bool:
        """Whether anything is answered before the deadline is over."""
        try:
            with self._asked(path, None, deadline):
                return True
        except _Over:
            return False

    def events(self, path: str, body: Event, deadline: Deadline) -> Iterator[Event]:
        """The events of a stream. They just end when the deadline is over, or when the engine ends them."""
        try:
            with self._asked(path, body, deadline) as answer:
                rest = b""
                for piece in answer.pieces():
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        # Several may have come at once.
                        if deadline.over() is not None:
                            return
                        if line.startswith((b"data:", b"error:")):
                            yield _event(line.partition(b":")[2])
        except _Over:
            return

    def _asked(self, path: str, body: Event | None, deadline: Deadline) -> "_Answer":
        if deadline.over() is not None:
            raise _Over
        sent = b"" if body is None else orjson.dumps(body)
        method = "GET" if body is None else "POST"
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(sent)}\r\n\r\n"
        connection = socket.create_connection(self._place, _CONNECT_SECONDS)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(head.encode() + sent)
            return _Answer(connection, deadline)
        except BaseException:
            connection.close()
            raise


class _Answer:
    """An answer as it arrives. Raises Refused where it is a refusal."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._arrived = b""
        status, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self._length = int(headers.get("content-length", 0))
        code = int(status.split(" ", 2)[1])
        if code >= _REFUSED:
            raise Refused(code, _explanation(b"".join(self.pieces())))

    def __enter__(self) -> "_Answer":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def pieces(self) -> Iterator[bytes]:
        """The body, piece by piece as it comes."""
        if not self._chunked:
            yield self._exactly(self._length)
            return
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            yield self._exactly(size)
            self._exactly(2)

    def _until(self, end: bytes) -> bytes:
        while (at := self._arrived.find(end)) < 0:
            self._more()
        found, self._arrived = self._arrived[:at], self._arrived[at + len(end) :]
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._arrived) < size:
            self._more()
        found, self._arrived = self._arrived[:size], self._arrived[size:]
        return found

    def _more(self) -> None:
        while self._deadline.over() is None:
            self._connection.settimeout(max(0.001, min(_GLANCE_SECONDS, self._deadline.remaining)))
            try:
                piece = self._connection.recv(_PIECE_BYTES)
            except TimeoutError:
                continue
            if not piece:
                raise ConnectionResetError("it broke off")
            self._arrived += piece
            return
        raise _Over


def _event(data: bytes) -> Event:
    event: Event = orjson.loads(data)
    if error := event.get("error"):
        raise Refused(int(error.get("code", 500)), error)
    return event


def _explanation(body: bytes) -> Mapping[str, Any]:
    try:
        error = orjson.loads(body)["error"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        error = None
    return error if isinstance(error, dict) else {"message": body[:300].decode(errors="replace")}
