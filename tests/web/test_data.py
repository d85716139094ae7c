"""The page Data in a browser: the report, consent changed and members forgotten, rules switched off."""

import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sususbot.archive.archive import Archive
from sususbot.archive.consents import Permissions
from sususbot.forgetting import Forgetting
from sususbot.messages import WRITTEN_TYPES
from tests.web.browsing import BROWSING, NARROW, PATIENCE_MS, Served, Visit, overflows, push, serving, write_community

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

pytestmark = BROWSING

ENV = "# mine\nSEED=7\n\n# CLEAN_OFF=\n# the end\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A community of this module's own: it changes."""
    folder = write_community(tmp_path_factory.mktemp("data"))
    (folder / ".env").write_text(ENV, encoding="utf-8")
    (folder / ".env").chmod(0o600)
    async with serving(folder) as served:
        yield served
    # Whoever leaves, and whatever goes on while the page ends.
    assert "Traceback" not in (folder / f"web-{os.getpid()}.log").read_text(encoding="utf-8")


@pytest.fixture
def archive(served: Served) -> Iterator[Archive]:
    with Archive(served.folder / "data") as archive:
        yield archive


def account(archive: Archive, name: str) -> int:
    return next(id_ for id_, author in archive.authors().items() if author.display_name == name)


async def opened(tab: "Page", name: str) -> "Locator":
    """The consent row of a member."""
    await push(tab.get_by_role("tab", name="Consent"))
    row = tab.get_by_role("listitem").filter(has=tab.get_by_role("button", name=f"Change what {name} said"))
    await row.wait_for()
    return row


async def focused(tab: "Page", name: str) -> None:
    """Wait until the keyboard is at the control that is called so."""
    await tab.wait_for_function("(name) => document.activeElement.getAttribute('aria-label') === name", arg=name)


async def outlined(tab: "Page") -> None:
    """Wait until a line is drawn around where the keyboard is: transitions take a moment, if only one frame."""
    await tab.wait_for_function(
        """() => { const style = getComputedStyle(document.activeElement);
            return style.outlineStyle === "solid" && style.outlineWidth === "3px" }"""
    )


def served_data(visit: Visit) -> Path:
    return visit.served.folder / "data"


async def test_the_report_tells_what_the_archive_holds(visit: Visit, archive: Archive) -> None:
    written = [one for one in archive.history() if one.type in WRITTEN_TYPES and not one.author.is_bot]
    busiest, count = Counter(one.author.display_name for one in written).most_common(1)[0]
    tab = await visit("/data")
    await tab.get_by_text("tokens in one pass").wait_for()
    tiles = await tab.locator(".tile .big").all_inner_texts()
    assert tiles[:2] == [f"{len(written):,}", str(len({one.author.id for one in written}))]
    pictures = tab.get_by_role("img")
    assert await pictures.count() >= 4
    for number in range(await pictures.count()):
        assert await pictures.nth(number).get_attribute("aria-label")
        await pictures.nth(number).locator("canvas").first.wait_for()
    await push(tab.get_by_role("button", name="These figures as a table").first)
    weeks = tab.get_by_label("Messages by week").locator("tbody tr")
    await weeks.first.wait_for()
    by_week = Counter(datetime.fromtimestamp(one.created_at / 1000).strftime("%G-%V") for one in written)
    assert (await weeks.first.inner_text()).split()[-1] == str(by_week[min(by_week)])
    members = tab.get_by_label("Members", exact=True).locator("tbody tr")
    assert (await members.first.inner_text()).split()[:2] == [busiest, str(count)]


async def test_the_report_fits_a_phone(visit: Visit) -> None:
    tab = await visit("/data", width=NARROW)
    await tab.get_by_text("tokens in one pass").wait_for()
    assert not await overflows(tab)
    await push(tab.get_by_role("tab", name="Consent"))
    await tab.get_by_role("button", name="Change what Ravi said").wait_for()
    assert not await overflows(tab)


async def test_an_answer_is_written_down(visit: Visit, archive: Archive) -> None:
    dee = account(archive, "Dee")
    tab = await visit("/data")
    row = await opened(tab, "Dee")
    await push(row.get_by_role("button", name="Change what Dee said"))
    await tab.get_by_role("dialog", name="What did Dee say?").wait_for()
    await push(tab.get_by_label("To be quoted").get_by_role("button", name="no"))
    await push(tab.get_by_role("button", name="The member said so"))
    await tab.get_by_label("How it was said").fill("told me <b>in</b> #general")
    await push(tab.get_by_role("button", name="Write it down"))
    await row.get_by_text("by the member on").wait_for()
    assert await row.locator(".source").get_by_text("told me <b>in</b> #general").count() == 1
    assert archive.consents.answers(dee) == Permissions(learn=True, remember=True, quote=False)
    (said,) = (one for one in archive.consents.statements() if one.author_id == dee)
    assert (said.by, said.learn, said.remember, said.quote) == ("member", None, None, False)
    await focused(tab, "Change what Dee said")


async def test_a_full_no_is_asked_about_first_and_takes_the_words_away(visit: Visit, archive: Archive) -> None:
    kasia = account(archive, "Kasia")
    count = archive.erasure.count(kasia)
    tab = await visit("/data")
    row = await opened(tab, "Kasia")
    await push(row.get_by_role("button", name="Change what Kasia said"))
    write = tab.get_by_role("button", name="Write it down")
    await push(write)
    await tab.get_by_text("Say yes or no to at least one of them.").wait_for()
    for purpose in ("learned from", "remembered"):
        await push(tab.get_by_label(f"To be {purpose}").get_by_role("button", name="no"))
    await push(write)
    await tab.get_by_text(f"{count} messages lose their words").wait_for()
    assert archive.erasure.count(kasia) == count
    await push(write)
    await row.get_by_text("words taken away").wait_for()
    assert archive.erasure.count(kasia) == 0
    assert archive.check() == []


async def test_a_dialog_stays_while_the_answer_before_it_is_written_down(visit: Visit) -> None:
    tab = await visit("/data")
    ravi, wren = await opened(tab, "Ravi"), await opened(tab, "Wren")
    await push(ravi.get_by_role("button", name="Change what Ravi said"))
    await push(tab.get_by_label("To be quoted").get_by_role("button", name="no"))
    change = await wren.get_by_role("button", name="Change what Wren said").element_handle()
    write = tab.get_by_role("button", name="Write it down")
    await write.evaluate("(write, change) => { write.click(); change.click(); }", change)
    await ravi.get_by_text("by the owner on").wait_for()
    dialog = tab.get_by_role("dialog", name="What did Wren say?")
    await push(dialog.get_by_label("To be quoted").get_by_role("button", name="no"))
    await push(dialog.get_by_role("button", name="Write it down"))
    await wren.get_by_text("by the owner on").wait_for()


async def test_a_member_is_forgotten_once_their_name_is_typed(visit: Visit, archive: Archive) -> None:
    gaz = account(archive, "Gaz")
    tab = await visit("/data")
    await push(tab.get_by_role("tab", name="Consent"))
    await tab.get_by_label("Find by name or id").fill("gaz")
    await tab.get_by_text(re.compile(r"^1 of \d+ members")).wait_for()
    assert any("@gaz" in one.rendered.lower() for one in archive.history())
    await push(tab.get_by_role("button", name="Forget Gaz"))
    await tab.get_by_role("alertdialog", name="Forget Gaz for good?").wait_for()
    await tab.keyboard.press("Escape")
    # The keyboard is given back before the dialog is gone.
    await tab.get_by_role("alertdialog").wait_for(state="detached")
    await focused(tab, "Forget Gaz")
    await tab.keyboard.press("Enter")
    sure = tab.get_by_role("button", name="Forget them")
    assert await sure.is_disabled()
    await tab.get_by_label("Type Gaz to go on").fill("Gaz")
    await push(sure)
    await tab.get_by_text("Gaz is forgotten.").wait_for()
    await tab.get_by_label("Find by name or id").fill(str(gaz))
    await tab.get_by_text("forgotten on").wait_for()
    assert gaz in archive.erasure.forgotten([gaz])
    assert not any("@gaz" in one.rendered.lower() for one in archive.history())


async def test_the_report_follows_the_archive(visit: Visit, archive: Archive) -> None:
    """By itself; and who was forgotten by another program stands there no longer."""
    bram = account(archive, "Bram")
    tab = await visit("/data")
    members = tab.get_by_label("Members", exact=True)
    await members.get_by_text("Bram").wait_for()
    before = (await tab.locator(".tile .big").all_inner_texts())[0]
    last = list(archive.history())[-1]
    more = replace(last, id=last.id + 1, author=archive.author(bram) or last.author, content="more", rendered="more")
    archive.add([more], source=archive.add_source("export", "more.json"), fetched_at=last.created_at)
    count = f"{int(before.replace(',', '')) + 1:,}"
    tile = tab.locator(".tile", has_text="messages by members")
    # Where counting takes seconds, the archive must be still for several times as long.
    await tile.get_by_text(count, exact=True).wait_for(timeout=5 * PATIENCE_MS)
    Forgetting(archive, served_data(visit)).forget(bram, at=last.created_at)
    await members.get_by_text("Bram").wait_for(state="detached")
    await members.get_by_text("Ravi").wait_for()


async def test_the_keyboard_is_seen_where_it_is(visit: Visit) -> None:
    tab = await visit("/data")
    # With the report all that the tests before changed is taken in: no rule is drawn anew while it has the keyboard.
    await tab.get_by_text("may be learned from").first.wait_for()
    await push(tab.get_by_role("tab", name="Cleaning"))
    await tab.get_by_role("switch", name="Rule links").wait_for()
    # From now on it is the keyboard that is used.
    await tab.keyboard.press("Tab")
    for control in (
        tab.get_by_role("tab", name="Cleaning"),
        tab.get_by_role("switch", name="Rule links"),
        tab.get_by_role("button", name="Examples").first,
    ):
        await control.focus()
        await outlined(tab)
    for one in await tab.get_by_role("tab").all():
        assert await one.evaluate("(it) => getComputedStyle(it).opacity") == "1"
    await push(tab.get_by_role("tab", name="Consent"))
    change = tab.get_by_role("button", name="Change what Ravi said")
    await tab.keyboard.press("Tab")
    await change.focus()
    await outlined(tab)


@pytest.mark.skipif(os.name == "nt", reason="the mode of a file is POSIX's")
async def test_a_rule_is_switched_off_in_the_settings_file(visit: Visit, served: Served) -> None:
    env: Path = served.folder / ".env"
    tab = await visit("/data")
    # With the report all that the tests before changed is taken in: then the rules are not drawn anew below a hand.
    await tab.get_by_text("may be learned from").first.wait_for()
    await push(tab.get_by_role("tab", name="Cleaning"))
    rule = tab.get_by_role("listitem").filter(has=tab.get_by_role("switch", name="Rule commands"))
    await push(rule.get_by_role("button", name="Examples"))
    await rule.get_by_text("!roll").first.wait_for()
    assert await tab.get_by_role("switch", name="Rule bots").is_disabled()
    await push(tab.get_by_role("switch", name="Rule links"))
    await tab.get_by_text("links is switched off").wait_for()
    await push(tab.get_by_role("switch", name="Rule commands"))
    await tab.get_by_text("commands is switched off: run sususbot build again").wait_for()
    assert env.read_text(encoding="utf-8") == ENV.replace("# CLEAN_OFF=", "CLEAN_OFF=commands,links")
    assert env.stat().st_mode & 0o777 == 0o600
    # What cannot be written is told, and the lever shows what holds.
    written = env.read_text(encoding="utf-8")
    env.write_text(written + "TEMPERATUR=1\n", encoding="utf-8")
    await push(tab.get_by_role("switch", name="Rule quotes"))
    await tab.get_by_text("TEMPERATUR is no setting").wait_for()
    await tab.locator('[aria-label="Rule quotes"][aria-checked="true"]').wait_for()
    env.write_text(written, encoding="utf-8")
    await push(tab.get_by_role("switch", name="Rule links"))
    await tab.get_by_text("links is switched on").wait_for()
    await tab.reload()
    await push(tab.get_by_role("tab", name="Cleaning"))
    rule = tab.get_by_role("listitem").filter(has=tab.get_by_role("switch", name="Rule commands"))
    await rule.get_by_text("switched off", exact=True).wait_for()
    assert await tab.get_by_role("switch", name="Rule commands").get_attribute("aria-checked") == "false"
    assert await tab.get_by_role("switch", name="Rule links").get_attribute("aria-checked") == "true"
