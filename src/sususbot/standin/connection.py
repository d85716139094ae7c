"""One gateway socket: frames out in order through a bounded outbox, the heartbeat clock, the send limit.

What the frames mean is `gateway`'s concern.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import orjson
from aiohttp import ClientConnectionError, web

from sususbot.standin.codec import Codec
from sususbot.standin.ledger import Ledger
from sususbot.standin.session import Dispatch, Session
from sususbot.standin.tcp import reset_connection

MOST_SENDS = 120
SEND_WINDOW = 60.0

_MOST_WAITING = 200_000
"""Frames a client may lag behind before it is cut off; bounds the memory a deaf client can take."""

_ZOMBIE_FACTOR = 1.5


class Pulse:
    """How late each heartbeat is, against the one before it."""

    def __init__(self, interval: float, now: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._now = now
        self._last = now()

    def beat(self) -> float:
        """Takes a heartbeat into account; seconds past its due time, 0 when in time."""
        last, self._last = self._last, self._now()
        return max(0.0, self._last - last - self._interval)


class Connection:
    def __init__(
        self,
        number: int,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        codec: Codec,
        ledger: Ledger,
        heartbeat_interval: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.number = number
        self.session: Session | None = None
        self.closing = False
        """Whether this side said the last word; the code that comes back is then only an echo."""
        self.silent = False
        """Whether nothing goes out any more."""
        self._socket = socket
        self._transport = transport
        self._codec = codec
        self._ledger = ledger
        self._interval = heartbeat_interval
        self._now = now
        self._outbox: asyncio.Queue[bytes | int] = asyncio.Queue()
        self._sends: deque[float] = deque(maxlen=MOST_SENDS)
        self._pulse = Pulse(heartbeat_interval, now)
        self._zombie: asyncio.TimerHandle | None = None

    # -- out

    def send(self, op: int, data: object = None) -> None:
        self._ledger.frame(self.number, "out", op)
        self._put(orjson.dumps({"op": op, "d": data, "s": None, "t": None}))

    def dispatch(self, event: Dispatch) -> None:
        self._ledger.frame(self.number, "out", 0, event=event.event, seq=event.seq)
        self._put(event.frame)

    def close(self, code: int) -> None:
        """Closes after what is waiting to go out."""
        self._put(code)

    def abort(self) -> None:
        """Resets the TCP connection."""
        reset_connection(self._transport)

    def end(self) -> None:
        """Ends the TCP connection without a word of the websocket's."""
        if self._transport is not None:
            self._transport.close()

    def _put(self, item: bytes | int) -> None:
        if self._outbox.qsize() >= _MOST_WAITING:
            self.abort()
        else:
            self._outbox.put_nowait(item)

    async def write(self) -> None:
        """Empties the outbox until the connection ends."""
        while True:
            item = await self._outbox.get()
            if self.silent:
                continue
            try:
                if isinstance(item, int):
                    self.closing = True
                    await self._socket.close(code=item)
                    return
                await self._send_frame(item)
            except (ClientConnectionError, ConnectionError):
                return

    async def _send_frame(self, frame: bytes) -> None:
        encoded = self._codec.encode(frame)
        if self._codec.binary:
            await self._socket.send_bytes(encoded)
        else:
            await self._socket.send_str(encoded.decode())

    # -- in

    def too_many_sends(self) -> bool:
        """Takes one incoming frame into account."""
        now = self._now()
        full = len(self._sends) == MOST_SENDS and now - self._sends[0] < SEND_WINDOW
        self._sends.append(now)
        return full

    def expect_heartbeat(self) -> None:
        """Starts the clock, at HELLO."""
        self._pulse = Pulse(self._interval, self._now)
        self._wind_up()

    def heartbeat(self) -> None:
        self._ledger.heartbeat(self.number, self._pulse.beat())
        self._wind_up()

    def _wind_up(self) -> None:
        self.release()
        loop = asyncio.get_running_loop()
        self._zombie = loop.call_later(self._interval * _ZOMBIE_FACTOR, self._give_up)

    def _give_up(self) -> None:
        self._ledger.heartbeat(self.number, self._pulse.beat(), missed=True)
        self.close(4009)

    def release(self) -> None:
        if self._zombie is not None:
            self._zombie.cancel()
            self._zombie = None
