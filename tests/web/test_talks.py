"""A tab's talk: what goes before what, which seed, what a thumb is of, and what every talk forgets."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.cli.main import Place
from sususbot.cli.web import PageBot
from sususbot.model.backend import Sampling
from sususbot.settings import Settings
from sususbot.web.desk import Desk
from sususbot.web.talks import LONGEST_NAME, Exchange, WebTalk, adapter_name
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
    desk.changed([])
    assert before(await answered(talk, "and when?")) == []


def test_an_adapter_is_called_like_its_run(desk: Desk, folder: Path, tmp_path: Path) -> None:
    adapter = write_run(folder, [])
    elsewhere = tmp_path / "theirs.gguf"
    settings = Settings(backend="llamacpp", model_path=elsewhere)
    assert adapter_name(replace(desk, settings=settings)) == ""
    for path, name in ((adapter, "first"), (elsewhere, "theirs.gguf")):
        assert adapter_name(replace(desk, settings=settings.model_copy(update={"adapter_path": path}))) == name
    served = Settings(backend="openai", openai_base_url="http://x", openai_adapter="second")
    assert adapter_name(replace(desk, settings=served)) == "second"
