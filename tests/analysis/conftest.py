"""A tea house's archive with every odd case in it, and its analysis: made once for all that look at it."""

from pathlib import Path

import pytest

from sususbot.analysis.analysis import Analysis
from tests.analysis import teahouse
from tests.analysis.counted import analyzed


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teahouse")
    teahouse.built(folder).close()
    return folder


@pytest.fixture(scope="session")
def analysis(folder: Path) -> Analysis:
    return analyzed(folder)
