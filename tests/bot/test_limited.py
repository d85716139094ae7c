"""What members see of the limits: a refusal is one reaction that says why, counted and on record; a block is silent."""

import logging
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive, now_ms
from sususbot.bot import logs
from sususbot.bot.limits import Limits
from sususbot.forgetting import Forgetting
from sususbot.model.scripted import Scripted
from sususbot.standin.objects import Message, User
from sususbot.standin.server import StandIn
from tests.bot.running import Running, answered, bot, echo, replies, until
from tests.standin.conftest import Place


def ask(server: StandIn, place: Place, who: User, text: str) -> Message:
    return server.say(place.general, who, f"{place.world.bot.mention} {text}")


async def settled(running: Running, place: Place) -> None:
    """Until no mention is without an end on record."""
    await until(lambda: not running.archive.mentions.in_hand(int(place.general.id)))


async def test_who_asks_too_often_gets_a_sign_and_others_an_answer(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    async with bot(server, place.general, tmp_path, [echo()]) as running:
        running.answering.limits = Limits(member_rate=1)
        await answered(server, ask(server, place, place.ada, "who broke the printer?"))
        refused = ask(server, place, place.ada, "and the kettle?")
        await server.wait_for(lambda: refused.reactions)
        await answered(server, ask(server, place, place.bob, "who broke the kettle?"))
        await settled(running, place)
        assert list(refused.reactions) == ["🐢"]
        assert replies(server, refused) == []
        assert running.metrics.day().signs == {"member": 1}


@pytest.mark.parametrize(
    ("limits", "sign", "cause"),
    [
        (Limits(channel_rate=1), "🚦", "channel"),
        (Limits(cooldown=60), "🧊", "cooldown"),
    ],
)
async def test_each_limit_has_its_own_sign(
    server: StandIn, place: Place, tmp_path: Path, limits: Limits, sign: str, cause: str
) -> None:
    async with bot(server, place.general, tmp_path, [echo()]) as running:
        running.answering.limits = limits
        await answered(server, ask(server, place, place.ada, "tea?"))
        refused = ask(server, place, place.ada, "more tea?")
        await server.wait_for(lambda: refused.reactions)
        assert list(refused.reactions) == [sign]
        assert running.metrics.day().signs == {cause: 1}


async def test_it_sleeps_in_quiet_hours(server: StandIn, place: Place, tmp_path: Path) -> None:
    now = datetime.fromtimestamp(time.time())
    night = ((now - timedelta(hours=1)).time(), (now + timedelta(hours=1)).time())
    async with bot(server, place.general, tmp_path, [echo()]) as running:
        running.answering.limits = Limits(quiet=[night])
        asked = ask(server, place, place.ada, "awake?")
        await server.wait_for(lambda: asked.reactions)
        assert list(asked.reactions) == ["💤"]
        # What is said is kept all the same.
        assert running.archive.messages([int(asked.id)])


async def test_a_blocked_member_is_not_heard_and_the_log_knows(
    server: StandIn, place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sususbot.bot.answering")
    async with bot(server, place.general, tmp_path, [echo()]) as running:
        running.answering.limits = Limits(blocked=[int(place.ada.id)])
        asked = ask(server, place, place.ada, "hello?")
        await answered(server, ask(server, place, place.bob, "hello?"))
        await settled(running, place)
        assert not asked.reactions
        assert replies(server, asked) == []
        assert running.metrics.day().signs == {"blocked": 1}
    assert f"message {asked.id} got a sign instead of an answer: blocked" in caplog.text


@pytest.mark.parametrize("shown", [False, True])
async def test_words_stand_in_the_log_only_where_the_settings_say_so(
    server: StandIn, place: Place, tmp_path: Path, shown: bool
) -> None:
    with logs.logged("DEBUG", file=tmp_path / "log", content=shown):
        async with bot(server, place.general, tmp_path / "data", [Scripted(["gerald, again"])]) as running:
            server.say(place.general, place.bob, "the plumber was here")
            await answered(server, ask(server, place, place.ada, "who broke the printer?"))
            await settled(running, place)
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "answered message" in log
    assert ("who broke the printer" in log, "gerald, again" in log) == (shown, shown)
    assert "the plumber was here" not in log
    assert place.world.token not in log


@pytest.mark.parametrize("shown", [False, True])
async def test_a_log_with_words_in_it_goes_with_whoever_stood_in_the_talk(
    server: StandIn, place: Place, tmp_path: Path, shown: bool
) -> None:
    """Neither id nor name of who asked stands in it, nor of whom the answer repeats."""
    log = tmp_path / "logs" / "bot.jsonl"
    with logs.logged("INFO", file=log, content=shown):
        async with bot(server, place.general, tmp_path, [Scripted(["ask the plumber"])]) as running:
            server.say(place.general, place.bob, "the plumber was here")
            await answered(server, ask(server, place, place.ada, "who broke the printer?"))
            await settled(running, place)
    assert not [name for name in (place.bob.id, place.ada.id) if str(name) in log.read_text(encoding="utf-8")]
    with Archive(tmp_path) as archive:
        gone = Forgetting(archive, tmp_path).forget(int(place.bob.id), at=now_ms())
    assert gone.messages == 1
    assert (gone.files, log.exists()) == ((("logs/bot.jsonl",), False) if shown else ((), True))
