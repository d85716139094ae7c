"""The page Chat in a browser: replies and their why, redone, rated; several speakers and tabs; a model that streams."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from sususbot.archive.archive import Archive
from sususbot.archive.feedback import Rated, Votes
from tests.support import tiny_gguf
from tests.support.commands import run
from tests.web.browsing import BROWSING, NARROW, Served, Visit, overflows, push, serving, write_community

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

pytestmark = BROWSING

QUESTION = "who broke the printer?"


async def ask(tab: "Page", text: str) -> "Locator":
    """Say something, and wait for the reply; gives its line."""
    before = await tab.locator(".line.own").count()
    await tab.get_by_label("Message").fill(text)
    await tab.get_by_label("Message").press("Enter")
    line = tab.locator(".line.own").nth(before)
    await line.get_by_role("button", name="Why this reply").wait_for()
    return line


async def test_a_reply_is_explained(visit: Visit) -> None:
    tab = await visit("/")
    line = await ask(tab, QUESTION)
    assert "Percival" in (await line.locator(".text").inner_text()) or "printer" in await line.inner_text()
    why = line.get_by_role("button", name="Why this reply")
    await push(why)
    panel = line.get_by_role("region", name="Why")
    await panel.get_by_role("heading", name="Memories").wait_for()
    assert await why.get_attribute("aria-expanded") == "true"
    told = await panel.inner_text()
    for word in ("recall", "seed", "persona", "Tokens:", "Time:", "model", "Recent turns", "Left out"):
        assert word in told
    assert await panel.locator(".memory").count() > 0
    assert await panel.locator(".memory .part-bar .fill").count() > 0
    assert await panel.locator(".stacked").count() == 2
    await push(why)
    await panel.wait_for(state="hidden")


async def test_what_was_said_before_goes_into_the_next_reply(visit: Visit) -> None:
    tab = await visit("/")
    await ask(tab, QUESTION)
    line = await ask(tab, "and when was that?")
    await push(line.get_by_role("button", name="Why this reply"))
    recent = line.locator(".why-part", has_text="Recent turns")
    assert f"you: {QUESTION}" in await recent.inner_text()


async def test_words_are_never_markup(visit: Visit) -> None:
    tab = await visit("/")
    said = '<img src=x onerror="document.title=1"> <b>bold</b> {{ 1 + 1 }} `${1}`'
    await ask(tab, said)
    assert await tab.locator(".line:not(.own) .text").inner_text() == said
    assert await tab.locator(".log img, .log b").count() == 0
    assert "Chat" in await tab.title()


async def test_several_speak_under_their_names(visit: Visit) -> None:
    tab = await visit("/")
    await push(tab.get_by_role("switch", name="answers"))
    for speaker, text in (("Ann", "hello"), ("Ann", "anybody?"), ("Bo", "me")):
        await tab.get_by_label("Speak as").fill(speaker)
        await tab.get_by_label("Speak as").press("Enter")
        await tab.get_by_label("Message").fill(text)
        await tab.get_by_label("Message").press("Enter")
    await tab.locator(".line .text", has_text="me").wait_for()
    assert await tab.locator(".line .name").all_inner_texts() == ["Ann", "Bo"]
    assert await tab.locator(".line.grouped .text").all_inner_texts() == ["anybody?"]
    await push(tab.get_by_role("switch", name="answers"))
    line = await ask(tab, "what did Ann say?")
    await push(line.get_by_role("button", name="Why this reply"))
    recent = await line.locator(".why-part", has_text="Recent turns").inner_text()
    assert "Ann: anybody?" in recent


async def test_what_is_begun_while_the_last_line_travels_stays(visit: Visit) -> None:
    tab = await visit("/")
    await push(tab.get_by_role("switch", name="answers"))
    box = tab.get_by_label("Message")
    await box.evaluate("""field => {
        const write = text => { field.value = text; field.dispatchEvent(new Event("input", {bubbles: true})); };
        const enter = more => field.dispatchEvent(new KeyboardEvent(
            "keydown", {key: "Enter", bubbles: true, cancelable: true, ...more}));
        write("first");
        enter({isComposing: true});
        enter({});
        write("second");
    }""")
    await tab.locator(".line .text", has_text="first").wait_for()
    assert await box.input_value() == "second"
    await push(tab.get_by_role("button", name="Send"))
    await tab.locator(".line .text", has_text="second").wait_for()
    assert await tab.locator(".line .text").all_inner_texts() == ["first", "second"]
    assert await box.input_value() == ""


async def test_each_tab_has_its_own_talk(visit: Visit) -> None:
    first, second = await visit("/"), await visit("/")
    await ask(first, QUESTION)
    line = await ask(second, "and when was that?")
    assert await second.locator(".line.own").count() == 1
    await push(line.get_by_role("button", name="Why this reply"))
    assert QUESTION not in await line.locator(".why-part", has_text="Recent turns").inner_text()


async def test_a_narrow_window_holds_a_reply_and_its_why(visit: Visit) -> None:
    tab = await visit("/", width=NARROW)
    line = await ask(tab, QUESTION)
    await push(line.get_by_role("button", name="Why this reply"))
    await line.get_by_role("heading", name="Memories").wait_for()
    assert not await overflows(tab)


# -- words are taken away: by a command beside the page, and on it


async def test_what_is_forgotten_is_not_shown_again_and_what_is_left_is_erased(
    browser: "Browser", tmp_path: Path
) -> None:
    async with serving(write_community(tmp_path)) as served:
        owner = Visit(browser, served)
        tab = await owner("/")
        bet = "who lost the bet?"
        first = await ask(tab, bet)
        said = await first.locator(".text").inner_text()
        why = first.get_by_role("button", name="Why this reply")
        await push(why)
        await first.get_by_role("heading", name="Memories").wait_for()
        await push(why)
        done = await asyncio.to_thread(run, "forget", "Gaz", "--yes", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        second = await ask(tab, bet)
        await push(second.get_by_role("button", name="Why this reply"))
        recent = await second.locator(".why-part", has_text="Recent turns").inner_text()
        assert said not in recent
        await push(why)
        await first.get_by_text("it is not shown any more").wait_for()
        assert await first.locator(".why *").count() == 0
        assert not await why.is_visible()

        memory = await owner("/memory")
        await memory.get_by_label("What do you want to find?").fill(QUESTION)
        await memory.get_by_label("What do you want to find?").press("Enter")
        await push(memory.get_by_role("article").first.get_by_role("button", name="Forget…"))
        await push(memory.get_by_role("button", name="Forget it for good"))
        await second.get_by_text("it is not shown any more").wait_for()
        assert await second.locator(".why *").count() == 0

        with Archive(tmp_path / "data") as archive:
            member = next(id_ for id_, names in archive.names().items() if "Wren" in names)
            # What a forgetting that was ended at once leaves.
            archive.erasure.begin(member, at=1)
            data = await owner("/data")
            await push(data.get_by_role("button", name="Erase the rest"))
            await data.get_by_text("All is erased. ").wait_for()
            assert archive.erasure.unfinished() == []
            assert archive.erasure.count(member) == 0
        await owner.close()


# -- with a model, on a page of its own


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def modelled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The page with llama.cpp and a tiny model behind it, and an adapter that learned from nobody here."""
    folder = write_community(tmp_path_factory.mktemp("modelled"))
    model = tiny_gguf.write_model(folder / "tiny.gguf")
    adapter = tiny_gguf.write_adapter(folder / "first.gguf")
    settings = {
        "BACKEND": "llamacpp", "MODEL_PATH": str(model), "ADAPTER_PATH": str(adapter), "CONTEXT_TOKENS": "2048",
        "MAX_NEW_TOKENS": "300", "TEMPERATURE": "1.3", "REPLY_DEADLINE": "60", "THREADS": "1", "SLOTS": "1",
        # Some seeds draw only what must not be said, and then another answers.
        "SEED": "6",
    }  # fmt: skip
    async with serving(folder, **settings) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def at_model(browser: "Browser", modelled: Served) -> AsyncIterator[Visit]:
    owner = Visit(browser, modelled)
    yield owner
    await owner.close()


async def _redo(line: "Locator", tab: "Page", **knobs: str) -> str:
    """Draw the reply again, and give its words."""
    count = line.locator(".versions .figure")
    before = await count.inner_text() if await count.is_visible() else "1 / 1"
    await push(line.get_by_role("button", name="Redo"))
    dialog = tab.get_by_role("dialog", name="Redo with other settings")
    for label, value in knobs.items():
        await dialog.get_by_label(label.replace("_", " ")).fill(value)
    # Who clicks twice means one.
    await dialog.get_by_role("button", name="Redo").evaluate("button => { button.click(); button.click() }")
    number = int(before.split("/")[1]) + 1
    await line.locator(".versions", has_text=f"{number} / {number}").wait_for()
    return await line.locator(".text").inner_text()


async def test_a_model_says_the_same_with_the_same_seed(at_model: Visit) -> None:
    tab = await at_model("/")
    line = await ask(tab, "hello there")
    await push(line.get_by_role("button", name="Why this reply"))
    told = await line.get_by_role("region", name="Why").inner_text()
    for word in ("llamacpp", "tiny.gguf", "first.gguf", "temperature 1.3,", "written"):
        assert word in told
    # What of a prompt an engine has read before counts as part of the request: the first time nothing was.
    again = await _redo(line, tab)
    assert await _redo(line, tab) == again
    others = {await _redo(line, tab, Seed=str(seed)) for seed in (1, 2, 3)}
    assert others != {again}
    await push(line.get_by_role("button", name="Earlier reply"))
    await line.locator(".versions", has_text="5 / 6").wait_for()


async def test_thumbs_are_kept(at_model: Visit, modelled: Served) -> None:
    tab = await at_model("/")
    line = await ask(tab, "hello there")
    up, down = (line.get_by_role("button", name=name) for name in ("Thumb up", "Thumb down"))
    await push(up)
    await line.locator("[aria-pressed=true][aria-label='Thumb up']").wait_for()
    await push(down)
    await line.locator("[aria-pressed=true][aria-label='Thumb down']").wait_for()
    await tab.get_by_text("0 up and 1 down so far").wait_for()
    kept, votes = await asyncio.to_thread(_feedback, modelled.folder)
    assert votes == [Votes("llamacpp", "first.gguf", 0, 1)]
    assert (kept[0].asked, kept[0].said) == ("hello there", await line.locator(".text").inner_text())
    assert isinstance(kept[0].sampling["seed"], int)
    await push(down)
    await line.locator("[aria-pressed=false][aria-label='Thumb down']").wait_for()
    assert await asyncio.to_thread(_feedback, modelled.folder) == ([], [])


def _feedback(folder: Path) -> tuple[list[Rated], list[Votes]]:
    with Archive(folder / "data") as archive:
        return archive.feedback.all(), archive.feedback.votes()


# -- a model that is not there, and one that never comes to an end


async def test_what_keeps_the_bot_asleep_is_one_sentence(browser: "Browser", tmp_path: Path) -> None:
    async with serving(write_community(tmp_path), BACKEND="llamacpp") as served:
        owner = Visit(browser, served)
        tab = await owner("/")
        await tab.get_by_label("Message").fill("hello there")
        await tab.get_by_label("Message").press("Enter")
        line, later = (tab.locator(".line.own").nth(number) for number in (0, 1))
        await line.get_by_text("BACKEND=llamacpp needs MODEL_PATH").wait_for()
        await tab.get_by_text("could not wake up").wait_for()
        assert not await line.get_by_role("button", name="Why this reply").is_visible()
        await push(line.get_by_role("button", name="Redo"))
        dialog = tab.get_by_role("dialog")
        await push(dialog.get_by_role("button", name="Redo"))
        await dialog.wait_for(state="hidden")
        # The sentence stood there before: once a later line has its own, the other reply was begun for certain.
        await tab.get_by_label("Message").fill("anybody?")
        await tab.get_by_label("Message").press("Enter")
        await later.get_by_text("BACKEND=llamacpp needs MODEL_PATH").wait_for()
        await line.get_by_text("BACKEND=llamacpp needs MODEL_PATH").wait_for()
        await owner.close()


class Endless:
    """A model server that says one word and goes on until nobody listens."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"text": "well", "finish_reason": null}]}\n\n')
        try:
            while not request.transport.is_closing():  # type: ignore[union-attr]
                await asyncio.sleep(0.02)
                await response.write(b": still there\n\n")
        except (ConnectionError, asyncio.CancelledError):
            pass
        self.left.set()
        return response


async def test_words_stream_and_a_tab_that_is_gone_waits_for_nothing_and_disturbs_nobody(
    browser: "Browser", tmp_path: Path
) -> None:
    model = Endless()
    application = web.Application()
    application.router.add_post("/v1/completions", model.complete)
    async with TestServer(application) as server:
        settings = {"OPENAI_BASE_URL": str(server.make_url("/v1")), "REPLY_DEADLINE": "120"}
        async with serving(write_community(tmp_path), BACKEND="openai", **settings) as served:
            owner = Visit(browser, served)
            tab, other = await owner("/"), await owner("/")
            await tab.get_by_label("Message").fill("hello there")
            await tab.get_by_label("Message").press("Enter")
            await tab.locator(".line.own .text", has_text="well").wait_for()
            await push(other.get_by_role("switch", name="answers"))
            await other.get_by_label("Message").fill("anybody?")
            await other.get_by_label("Message").press("Enter")
            await other.locator(".line .text", has_text="anybody?").wait_for()
            assert not model.left.is_set()
            await tab.close()
            async with asyncio.timeout(60):
                await model.left.wait()
            await owner.close()
