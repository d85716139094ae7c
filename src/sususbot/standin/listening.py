"""How a server on loopback begins and ends, so that no connection is left open, however young.

asyncio's `Server.close` lets nobody in any more, also those it has let in a turn of the event loop before: making their
connection fails then (`Server._attach`), and nobody closes its socket.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Final

# A connection that was let in is known to its server after as many turns of the loop.
_TURNS: Final = 3


def listener() -> socket.socket:
    """A place on loopback, with a port that was free."""
    return socket.create_server(("127.0.0.1", 0))


async def stop_listening(place: socket.socket) -> None:
    """Before its server is closed: whoever was let in is known to it afterwards. What comes later waits in vain."""
    # Windows' loop listens in another way.
    with suppress(NotImplementedError):
        asyncio.get_running_loop().remove_reader(place)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
