"""The proxy that a server is reached by, told in one way for all that goes out: Discord, the hub, a model server.

As other programs have it: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in the environment (or in small letters), on
Windows and macOS what the system is set to. This machine itself is never asked by way of another.
"""

import ipaddress
from base64 import b64encode
from collections.abc import Iterator, MutableMapping
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from sususbot.errors import SettingsError

_NAMES: Final = ("http_proxy", "https_proxy", "all_proxy")
_HERE: Final = ("localhost", "127.0.0.1", "::1")
# What aiohttp and httpx both speak without another package.
_SPOKEN: Final = ("http", "https")


def proxy_for(url: str) -> str | None:
    """The proxy's address, which may hold a password, or None where there is none on the way.

    Raises SettingsError for a proxy that cannot be used.
    """
    there = urlsplit(url)
    host = there.hostname or ""
    if is_this_machine(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    address = proxies.get(there.scheme) or proxies.get("all")
    if not address:
        return None
    address = address if "://" in address else f"http://{address}"
    if not _usable(address):
        raise SettingsError(
            f"the proxy {shown(address)} cannot be used: set HTTPS_PROXY to one like http://127.0.0.1:3128, or unset it"
        )
    return address


def spare_this_machine(environment: MutableMapping[str, str]) -> None:
    """For libraries that read the environment by themselves, and would ask this machine by way of another."""
    if not any(environment.get(name) for name in (*_NAMES, *map(str.upper, _NAMES))):
        return
    spared = "no_proxy" if environment.get("no_proxy") else "NO_PROXY"
    there = environment.get(spared, "")
    if there.strip() == "*":
        # No address at all goes by one; among others the star would mean nothing.
        return
    missing = [name for name in _HERE if name not in there.replace(" ", "").split(",")]
    environment[spared] = ",".join(filter(None, (there, *missing)))


def shown(address: str) -> str:
    """An address, of a proxy or another server, without what it is opened by; also where it is no right one."""
    scheme, mark, place = address.rpartition("://")
    return f"{scheme}{mark}{place.rpartition('@')[2]}"


def secrets() -> tuple[str, ...]:
    """What the proxies of this machine are opened by, in each form in which a library may tell of it."""
    return tuple(dict.fromkeys(form for address in getproxies().values() for form in _opened_by(address)))


def is_this_machine(host: str) -> bool:
    """Whether a name or an address never leaves the machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


def _opened_by(address: str) -> Iterator[str]:
    user, mark, _ = address.rpartition("://")[2].rpartition("@")
    if mark:
        yield user
        yield unquote(user)
        yield b64encode(unquote(user).encode()).decode()
        if password := user.partition(":")[2]:
            yield password
            yield unquote(password)


def _usable(address: str) -> bool:
    try:
        place = urlsplit(address)
        return place.scheme in _SPOKEN and bool(place.hostname) and place.port != 0
    except ValueError:
        return False
