"""What tests of training share: one thread each, and a tiny base."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.training import tiny


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Suites run side by side; and sums come out alike however many cores there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with two blocks, as a folder. Nobody changes it."""
    return tiny.base(tmp_path_factory.mktemp("base"))
