"""An open archive with two channels."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from tests.archive.making import filled


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path) as archive:
        filled(archive)
        yield archive
