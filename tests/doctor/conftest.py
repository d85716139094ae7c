"""A data folder as it should be: a server of three, and a corpus of their words."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from tests.cli.community import write_export
from tests.support.commands import run_here


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, and never changed."""
    folder = tmp_path_factory.mktemp("made")
    assert run_here("import", str(write_export(folder)), folder=folder).returncode == 0
    assert run_here("build", folder=folder).returncode == 0
    return folder / "data"


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


@pytest.fixture
def archive(data: Path) -> Iterator[Archive]:
    with closing(Archive(data)) as archive:
        yield archive
