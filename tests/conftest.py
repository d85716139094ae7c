"""Shared fixtures, and what holds for every test: no settings of this machine, no card, no address but this machine's.

How long a test may take is in `pyproject.toml` (`faulthandler_timeout`): then its process tells where it is, and ends.
"""

import gc
import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.memory.conftest import minilm as minilm
from tests.standin.conftest import place as place
from tests.standin.conftest import rest as rest
from tests.standin.conftest import server as server
from tests.standin.conftest import validator as validator

# Suites run side by side: threads of one product of matrices that wait for each other take the cores from all others.
# Read once, when torch is loaded, here and in the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Figures are those of a processor, on every machine. (Windows drops a variable that is empty.)
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

# Besides settings: how other addresses are reached, and which files of models are at hand.
_NOT_OURS: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NOTIFY_SOCKET", "WATCHDOG_USEC")
_outside: list[str] = []


class Outside(RuntimeError):
    """A test asked for an address that is not this machine's."""


def pytest_configure() -> None:
    _forget_settings()
    _stay_at_home()


def _forget_settings() -> None:
    from sususbot.settings import Settings

    unwanted = {*_NOT_OURS, *(name.upper() for name in Settings.model_fields)}
    for name in [name for name in os.environ if name.upper() in unwanted]:
        del os.environ[name]


def _stay_at_home() -> None:
    """No socket of this process leaves the machine, and no test passes that tried."""
    for method in ("connect", "connect_ex", "sendto"):
        _watch(method)


def _watch(method: str) -> None:
    plain = getattr(socket.socket, method)

    def watched(self: socket.socket, *arguments: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(str(arguments[-1][0])):
            _outside.append(str(arguments[-1]))
            raise Outside(f"asked for {arguments[-1]}, which is not this machine")
        return plain(self, *arguments)

    setattr(socket.socket, method, watched)


def _is_here(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
        return address.is_loopback or address.is_unspecified
    except ValueError:
        return host == "localhost"


@pytest.fixture(autouse=True)
def at_home() -> Iterator[None]:
    """Fails a test that asked for another machine, whatever became of it."""
    yield
    asked, _outside[:] = list(_outside), []
    assert asked == []


def pytest_collection_finish() -> None:
    """What was collected stays to the end: looked through again with each full collection, it took a tenth of all."""
    gc.collect()
    gc.freeze()
