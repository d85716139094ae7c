"""Checks of what runs: the bot of this data folder, and the ports that bot and page want."""

import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.artifacts import BOT_LOCK
from sususbot.doctor.findings import Finding, ok, skipped, warning
from sususbot.file_lock import held
from sususbot.settings import Settings

_LOOPBACK: Final = "127.0.0.1"
# Every address of the machine, which is none to ask at.
_ANY: Final = frozenset({"", "0.0.0.0", "::"})
_SECONDS: Final = 1.0


def bot(settings: Settings, data: Path) -> Iterator[Finding]:
    """Whether one runs on this data folder, and how it says it is."""
    runs = held(data / BOT_LOCK)
    health = _health(settings.metrics_port) if settings.metrics_port else None
    if not runs:
        yield skipped("bot", f"no bot runs on {data}")
    elif health is None:
        yield ok("bot", f"a bot runs on {data}, and says nothing on port {settings.metrics_port or 'none'}")
    elif problems := health.get("problems"):
        yield warning("bot", f"a bot runs on {data}: {'; '.join(map(str, problems))}", "read its log")
    else:
        yield ok("bot", f"a bot runs on {data}, and all is well")
    yield _health_port(settings.metrics_port, runs=runs, ours=health is not None)


def _health_port(port: int, *, runs: bool, ours: bool) -> Finding:
    name = "health port"
    if not port:
        return skipped(name, "METRICS_PORT=0: a bot tells no other program how it is")
    if ours and runs:
        return ok(name, f"port {port} is the bot's own")
    if ours:
        told = f"port {port} is taken by a bot of another data folder"
        return warning(name, told, "set METRICS_PORT to another one, or 0")
    if taken(_LOOPBACK, port):
        return warning(name, f"port {port} is taken by another program", "set METRICS_PORT to another one, or 0")
    return ok(name, f"port {port} is free")


def web_port(settings: Settings) -> Finding:
    name, port = "web port", settings.web_port
    if not port:
        return ok(name, "WEB_PORT=0: the page takes any port that is free")
    host = settings.web_host
    if not _is_address(host):
        return warning(name, f"WEB_HOST={host} is no address of this machine", "set WEB_HOST to 127.0.0.1")
    if not taken(host, port):
        return ok(name, f"port {port} is free")
    if _page_of_ours(host, port):
        return ok(name, f"port {port} is the page's own, which runs")
    return warning(name, f"port {port} is taken by another program", "set WEB_PORT to another one, or 0")


def taken(host: str, port: int) -> bool:
    """Whether somebody listens there, or it is kept from us otherwise. Nothing is left open."""
    try:
        with _bound(host, port) as one:
            one.listen(1)
    except OSError:
        return True
    return False


def _is_address(host: str) -> bool:
    """Whether servers can listen there, whatever the port."""
    try:
        _bound(host, 0).close()
    except (OSError, UnicodeError):
        return False
    return True


def _bound(host: str, port: int) -> socket.socket:
    """As the page does it."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    one = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            # On Windows the other option lets two listen at the same port.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # So that connections that just ended are in nobody's way.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)
    except OSError:
        one.close()
        raise
    return one


def _health(port: int) -> dict[str, Any] | None:
    """What a bot of ours says of itself; None where nobody, or somebody else, answers."""
    body = _get(_LOOPBACK, port, "/health")
    try:
        health = orjson.loads(body or b"")
    except orjson.JSONDecodeError:
        return None
    return health if isinstance(health, dict) and {"state", "connection"} <= health.keys() else None


def _page_of_ours(host: str, port: int) -> bool:
    """Whoever has no token is told by its name what it is."""
    return b"sususbot" in (_get(_LOOPBACK if host in _ANY else host, port, "/") or b"")


def _get(host: str, port: int, path: str) -> bytes | None:
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().read(1 << 20)
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
