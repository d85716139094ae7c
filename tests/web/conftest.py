"""One browser and one page for all tests that only look; those that change something start a page of their own."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.web.browsing import Served, Visit, browsing, serving, write_community

if TYPE_CHECKING:
    from playwright.async_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a module share a page: where groups count (`--dist loadgroup`), they stay in one process."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> "AsyncIterator[Browser]":
    async with browsing() as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The page over the sample community, BACKEND=recall. Only looked at."""
    async with serving(write_community(tmp_path_factory.mktemp("web"))) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: "Browser", served: Served) -> AsyncIterator[Visit]:
    """An owner at the shared page."""
    owner = Visit(browser, served)
    yield owner
    await owner.close()
