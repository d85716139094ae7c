"""The page Memory in a browser: searched, pinned, forgotten, leafed through; what is held back; the summaries."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sususbot.archive.archive import Archive
from sususbot.archive.browsing import Wanted
from sususbot.messages import Author, Message
from sususbot.web.leafing import day_begin
from tests.web.browsing import BROWSING, NARROW, Served, Visit, choose, overflows, push, serving, write_community

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = BROWSING

MARKUP = '<img src=x onerror="document.title=1"> and **bold** [link](javascript:alert(1))'
EVE = Author(7, "eve", "<b>Eve</b>")
SUMMARY = "They talked about <i>bread</i>."


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A community of this module's own: it changes."""
    folder = write_community(tmp_path_factory.mktemp("memory"))
    with Archive(folder / "data") as archive:
        newest = archive.newest() or 0
        channel = archive.browsing.places()[0][0]
        at = archive.messages([newest])[newest].created_at
        said = Message(newest + 5, channel, EVE, at + 5000, MARKUP, MARKUP)
        archive.add([said], source=archive.add_source("export", "more.json"), fetched_at=at)
        ids = archive.ids(channel, 0, newest)
        archive.summaries.cut(channel, [ids[-21], ids[-16], ids[-11]], kept=6)
        piece = archive.summaries.spans(channel)[0]
        messages = archive.messages(ids[-20:-15])
        archive.summaries.put(piece.id, SUMMARY, "bart", [(id_, one.rendered) for id_, one in messages.items()])
    async with serving(folder) as served:
        yield served


@pytest.fixture
def archive(served: Served) -> Iterator[Archive]:
    with Archive(served.folder / "data") as archive:
        yield archive


async def search(tab: "Page", question: str) -> list[str]:
    """The words of what is found, best first."""
    await tab.get_by_label("What do you want to find?").fill(question)
    await tab.get_by_label("What do you want to find?").press("Enter")
    await tab.get_by_text(f"found for “{question}”").wait_for()
    return await tab.locator("article > .words").all_inner_texts()


async def test_a_search_says_why_and_a_pin_holds(visit: Visit, archive: Archive) -> None:
    tab = await visit("/memory")
    found = await search(tab, "who broke the printer?")
    assert any("printer" in text for text in found[:2])
    best = tab.get_by_role("article").first
    parts = dict(
        zip(await best.locator("dt").all_inner_texts(), await best.locator("dd.value").all_inner_texts(), strict=True)
    )
    assert float(parts.pop("score")) == pytest.approx(sum(map(float, parts.values())), abs=0.04)
    assert {"words", "around"} <= parts.keys()
    await push(best.get_by_role("button", name="around it"))
    assert await best.locator(".beside.itself").inner_text()

    pinned = tab.get_by_role("article").nth(5)
    words = await pinned.locator("> .words").inner_text()
    await push(pinned.get_by_role("button", name="Pin as lore"))
    await pinned.get_by_text("pinned as lore").wait_for()
    (id_,) = archive.lore.pinned()
    assert archive.messages([id_])[id_].rendered == words
    again = await search(tab, "who broke the printer")
    assert again.index(words) < found.index(words)
    card = tab.get_by_role("article").nth(again.index(words))
    assert "lore" in await card.locator("dt").all_inner_texts()
    await push(card.get_by_role("button", name="Unpin"))
    await card.get_by_role("button", name="Pin as lore").wait_for()
    assert archive.lore.pinned() == {}


async def test_a_search_shows_only_what_its_readers_may_see(visit: Visit) -> None:
    tab = await visit("/memory")
    await choose(tab, "Readers may see", "#gaming")
    await tab.keyboard.press("Escape")
    await search(tab, "frogs, bread and the printer")
    places = await tab.locator("article > .head").all_inner_texts()
    assert places
    assert all("#gaming" in place for place in places)


async def test_a_message_is_forgotten_everywhere(visit: Visit, archive: Archive) -> None:
    tab = await visit("/memory")
    before = await search(tab, "flamingo bet")
    words = before[0]
    (id_,) = [one.id for one in archive.history() if one.rendered == words]
    card = tab.get_by_role("article").first
    await push(card.get_by_role("button", name="Forget…"))
    dialog = tab.get_by_role("alertdialog", name="Forget a message")
    await dialog.get_by_text("This cannot be undone").wait_for()
    await push(dialog.get_by_role("button", name="Keep it"))
    await dialog.wait_for(state="detached")
    assert await card.get_by_role("button", name="Forget…").evaluate("it => it.contains(document.activeElement)")
    assert id_ in archive.messages([id_])
    await push(card.get_by_role("button", name="Forget…"))
    await push(dialog.get_by_role("button", name="Forget it for good"))
    await card.get_by_text("Forgotten: nothing finds this message any more.").wait_for()
    await tab.get_by_text("The message is forgotten.").wait_for()
    await tab.wait_for_function("document.activeElement.textContent.startsWith('Forgotten:')")
    assert archive.messages([id_]) == {}
    assert id_ in archive.known([id_])
    assert words not in await search(tab, "flamingo bet!")
    assert archive.check() == []


async def test_a_card_drawn_again_keeps_nothing_that_was_taken_away(visit: Visit, archive: Archive) -> None:
    tab = await visit("/memory")
    await search(tab, "who broke the printer?")
    card = tab.get_by_role("article").first
    await push(card.get_by_role("button", name="around it"))
    words = await card.locator(".beside:not(.itself) .words").first.inner_text()
    archive.delete([one.id for one in archive.history() if one.rendered == words], at=1)
    await push(card.get_by_role("button", name="Pin as lore"))
    await card.get_by_role("button", name="Unpin").wait_for()
    assert words not in (await card.locator(".words").all_text_contents())
    await push(card.get_by_role("button", name="Unpin"))
    await card.get_by_role("button", name="Pin as lore").wait_for()


async def test_browsing_turns_pages_and_shows_words_as_words(visit: Visit, archive: Archive) -> None:
    tab = await visit("/memory", width=NARROW)
    await push(tab.get_by_role("tab", name="Browse"))
    newest = tab.get_by_role("article").first
    await newest.get_by_text(MARKUP).wait_for()
    assert await newest.locator("strong").inner_text() == EVE.display_name
    assert await newest.locator("img, .words b, .words a").count() == 0
    assert not await overflows(tab)
    await push(tab.get_by_role("button", name="Older"))
    await newest.get_by_text(MARKUP).wait_for(state="detached")
    second = archive.browsing.page(Wanted(), limit=40)[20]
    assert await newest.locator("> .words").inner_text() == archive.messages([second])[second].rendered
    await push(tab.get_by_role("button", name="Newer"))
    await newest.get_by_text(MARKUP).wait_for()
    await tab.get_by_label("Until").fill("2024-10-01")
    (early,) = archive.browsing.page(Wanted(end=day_begin("2024-10-02", None)), limit=1)
    await newest.get_by_text(archive.messages([early])[early].rendered).wait_for()
    await push(tab.get_by_role("switch", name="Pinned as lore"))
    await tab.get_by_text("Nothing here that may be remembered.").wait_for()


async def test_what_is_held_back_is_counted_and_summaries_are_told(visit: Visit, archive: Archive) -> None:
    tab = await visit("/memory")
    await push(tab.get_by_role("tab", name="Held back"))
    row = tab.get_by_role("listitem").filter(has_text="Not embedded yet")
    assert await row.locator(".count").inner_text() == f"{archive.vectors.count_pending():,}"
    await push(tab.get_by_role("button", name="Some that wait to be embedded"))
    await tab.get_by_role("article").first.get_by_text(MARKUP).wait_for()
    await push(tab.get_by_role("tab", name="Summaries"))
    await tab.get_by_role("heading", name="2 pieces, 1 of them without a summary").wait_for()
    assert await tab.get_by_text(SUMMARY).count() == 1
    assert await tab.get_by_text("by BART").count() == 1
    assert await tab.get_by_text("nothing was made of it yet").count() == 1
