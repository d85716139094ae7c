"""Chroma's own server on a loopback port, for tests of what speaks to it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def chroma_server(folder: Path, port: int) -> Iterator[str]:
    """Runs it until the block ends; gives its URL once it answers."""
    url = f"http://127.0.0.1:{port}"
    program = Path(sys.executable).parent / "chroma"
    with subprocess.Popen(
        [program, "run", "--path", folder, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            # A refused connection is tried again after 0, 0.5, 1, 2, 4 and 8 s.
            with httpx.Client(transport=httpx.HTTPTransport(retries=6), timeout=20, trust_env=False) as client:
                client.get(f"{url}/api/v2/heartbeat").raise_for_status()
            yield url
        finally:
            server.terminate()
            server.wait(20)
