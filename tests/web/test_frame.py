"""Every page can be reached, read at any width and used by keyboard."""

import pytest

from sususbot.web.pages import PAGES, Page
from tests.web.browsing import BROWSING, NARROW, WIDE, Visit, at_width, overflows, push

pytestmark = BROWSING


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_each_page_is_reached_and_fits(visit: Visit, page: Page) -> None:
    tab = await visit("/" if page.path != "/" else "/health")
    await push(tab.get_by_role("navigation").get_by_role("link", name=page.title))
    await tab.get_by_role("heading", level=1, name=page.title).wait_for()
    for width in (NARROW, WIDE):
        await at_width(tab, width)
        assert not await overflows(tab), width


async def test_the_keyboard_reaches_content_and_theme(visit: Visit) -> None:
    tab = await visit("/health")
    await tab.keyboard.press("Tab")
    assert await tab.evaluate("document.activeElement.textContent") == "To the content"
    await tab.keyboard.press("Enter")
    assert await tab.evaluate("document.activeElement.id") == "content"
    await push(tab.get_by_role("button", name="Light or dark"))
    await tab.wait_for_function("document.body.classList.contains('body--dark')")
    await tab.reload()
    await tab.wait_for_function("document.body.classList.contains('body--dark')")
    assert await tab.evaluate("document.documentElement.dataset.theme") == "dark"
    assert await tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(31, 32, 37)"


async def test_the_theme_that_was_chosen_stays_while_the_page_changes(visit: Visit) -> None:
    tab = await visit("/training")
    await push(tab.get_by_role("button", name="Light or dark"))
    await push(tab.get_by_role("button", name="Start a training"))
    await tab.get_by_label("Name of the run").wait_for()
    assert await tab.evaluate("document.body.classList.contains('body--dark')")
    await push(tab.get_by_role("button", name="Light or dark"))
    await push(tab.get_by_role("button", name="Start a training"))
    await tab.get_by_label("Name of the run").wait_for(state="hidden")
    assert await tab.evaluate("document.body.classList.contains('body--light')")
