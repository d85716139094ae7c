"""One ground for all tests that only read it."""

from collections.abc import Iterator

import pytest

from sususbot.evaluation.ground import Ground
from tests.evaluation.making import ground_of, words_embedder


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Everybody is played in turn; found by meaning and by words."""
    with ground_of(tmp_path_factory.mktemp("ground"), embedder=words_embedder()) as ground:
        yield ground
