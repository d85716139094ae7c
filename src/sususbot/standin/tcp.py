"""The one thing done below HTTP: ending a TCP connection the rude way."""

import asyncio
import socket
import struct


def reset_connection(transport: asyncio.Transport | None) -> None:
    """Ends a connection the rude way: the peer sees a reset, not an end of file."""
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
