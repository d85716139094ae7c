"""Shared fixtures, and what holds for every test: no settings of this machine, no card, no address but this machine's.

How long a test may take is in `pyproject.toml` (`faulthandler_timeout`): then its process tells where it is, and ends.
"""

import gc
import ipaddress
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import hypothesis
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

# What is collected stays to the end: looked through again and again while it grows, it takes a third of that time.
gc.disable()

# Random tests draw the same examples each time, and no clock ends one: what fails here fails everywhere, and again.
# `--hypothesis-profile=default` draws others.
hypothesis.settings.register_profile(
    "suite", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

# Besides settings: how other addresses are reached, and which files of models are at hand.
_NOT_OURS: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NOTIFY_SOCKET", "WATCHDOG_USEC")
# What takes longest comes first, so that at the end of a run no process is left with much while others are done:
# `--durations=40` tells. What waits for a browser stands among what reckons. Files are dealt out one by one, as
# processes are done with those before.
_SLOWEST: Final = (
    "cli/test_demo.py",
    "web/test_chat.py",
    "benchmarks/test_evaluating.py",
    "web/test_training.py",
    "training/test_resume.py",
    "web/test_data.py",
    "cli/test_eval.py",
    "training/test_whole_path.py",
    "web/test_pictures.py",
    "test_examples.py",
    "benchmarks/test_training.py",
    "web/test_memory.py",
    "cli/test_forget.py",
    "web/test_health.py",
    "cli/test_commands.py",
    "bot/test_gateway_faults.py",
    "model/test_transformers.py",
    "training/test_memory_model.py",
    "benchmarks/test_soak.py",
    "sources/discord_api/test_kills.py",
    "bot/test_engine_death.py",
    "sources/test_ingest.py",
    "cli/test_train.py",
    "linking/test_linker.py",
    "cli/test_backfill.py",
    "web/test_frame.py",
    "test_windows.py",
    "training/test_train_lora.py",
    "sources/test_fuzzing.py",
    "training/test_serving_alike.py",
    "bot/test_catching_up.py",
)
# What is made once in a process of the suite, and takes seconds: the files that use it go to one, in this order.
_TOGETHER: Final = (
    # One process of transformers, which the last test of the last of them closes.
    ("model/test_transformers.py", "model/test_scoring.py", "model/test_conformance.py"),
    # One process that has loaded all of training, and is forked (`training.killable`).
    (
        "training/test_resume.py",
        "training/test_checkpoints.py",
        "training/test_out_of_memory.py",
        "training/test_gguf.py",
        "training/test_merge.py",
        "training/test_many_processes.py",
    ),
)
_HERE: Final = Path(__file__).parent
_outside: list[str] = []


class Outside(OSError):
    """A test asked for an address that is not this machine's. Whoever asks finds the network gone."""


def pytest_configure() -> None:
    # A shell's background jobs ignore Ctrl-C, and so would all that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: (number, 0) for number, name in enumerate(_SLOWEST)}
    for names in _TOGETHER:
        first = min(place.get(name, (len(place), 0)) for name in names)[0]
        place |= {name: (first, number) for number, name in enumerate(names)}
    last = (len(_SLOWEST), 0)
    items.sort(key=lambda item: place.get(item.path.relative_to(_HERE).as_posix(), last))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """As `--dist loadfile` has it, but that files of _TOGETHER are dealt out as one."""
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            return dealt_as(super()._split_scope(nodeid))

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def dealt_as(file: str) -> str:
    """The file that stands for all it is dealt out with."""
    folder = f"{_HERE.name}/"
    return next((folder + names[0] for names in _TOGETHER if file.removeprefix(folder) in names), file)


# How much was put aside. What a test calls may take it back (gc.unfreeze).
frozen: list[int] = []


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """From here on garbage is collected again, but never looked for among what was collected by pytest."""
    gc.collect()
    gc.freeze()
    frozen.append(gc.get_freeze_count())
    gc.enable()
