"""Chroma's own server on a loopback port, for tests of what speaks to it."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

# A busy machine takes its time to load it.
_START_SECONDS: Final = 120.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _beats(client: httpx.Client, url: str, *, last: bool) -> bool:
    """Whether it answers; raises why not at the last try."""
    try:
        client.get(f"{url}/api/v2/heartbeat").raise_for_status()
    except httpx.ConnectError:
        if last:
            raise
        return False
    return True


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
            with httpx.Client(timeout=60, trust_env=False) as client:
                until = time.monotonic() + _START_SECONDS
                while not _beats(client, url, last=time.monotonic() > until):
                    time.sleep(0.1)
            yield url
        finally:
            server.terminate()
            server.wait(20)
