"""What `conftest` promises every test: no settings of this machine, no card, no other machine, the slowest files first,
and those that share what takes long in one process.

Changed together with it.
"""

import gc
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import hypothesis
import pytest
import torch

from sususbot.settings import Settings
from tests import conftest


def test_no_setting_of_this_machine_is_left() -> None:
    assert {name.upper() for name in Settings.model_fields} & {name.upper() for name in os.environ} == set()
    assert Settings() == Settings.model_construct(**Settings().model_dump())
    assert Settings().model_fields_set == set()


def test_there_is_no_card() -> None:
    assert not torch.cuda.is_available()


def asked() -> list[str]:
    """What the fixture would fail a test for, taken from it."""
    taken, conftest._outside[:] = list(conftest._outside), []
    return taken


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "sususbot.invalid"])
def test_a_socket_that_would_leave_the_machine_is_refused_and_told_of(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as one, pytest.raises(conftest.Outside, match=address):
        one.connect((address, 443))
    assert len(asked()) == 1


def test_what_took_it_for_bad_weather_fails_its_test_all_the_same() -> None:
    with pytest.raises(URLError, match="which is not this machine"):
        urlopen("http://192.0.2.1/", timeout=5)
    assert len(asked()) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "0.0.0.0"])
def test_this_machine_is_here(host: str) -> None:
    assert conftest._is_here(host)


def test_random_tests_draw_the_same_again_and_no_clock_ends_them() -> None:
    assert hypothesis.settings.default is not None
    assert (hypothesis.settings.default.derandomize, hypothesis.settings.default.deadline) == (True, None)


def test_garbage_is_collected_but_not_looked_for_among_what_stays() -> None:
    assert gc.isenabled()
    assert conftest.frozen[0] > 10_000


def test_the_files_that_come_first_are_there() -> None:
    assert [name for name in conftest._SLOWEST if not (Path(__file__).parent / name).is_file()] == []


def test_files_that_share_are_dealt_out_as_one() -> None:
    together = [name for names in conftest._TOGETHER for name in names]
    assert [name for name in together if not (Path(__file__).parent / name).is_file()] == []
    assert len(set(together)) == len(together)
    for first, *others in conftest._TOGETHER:
        assert {conftest.dealt_as(f"tests/{name}") for name in others} == {f"tests/{first}"}
    assert conftest.dealt_as("tests/test_suite.py") == "tests/test_suite.py"


def test_they_come_one_after_the_other_where_the_slowest_of_them_stands() -> None:
    def item(name: str) -> Any:
        return SimpleNamespace(path=Path(__file__).parent / name)

    first, second, third = conftest._TOGETHER[0]
    names = ["test_suite.py", third, conftest._SLOWEST[0], second, conftest._SLOWEST[-1], first]
    items = [item(name) for name in names]
    conftest.pytest_collection_modifyitems(items)
    ordered = [one.path.relative_to(Path(__file__).parent).as_posix() for one in items]
    assert ordered == [conftest._SLOWEST[0], first, second, third, conftest._SLOWEST[-1], "test_suite.py"]
