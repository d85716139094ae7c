"""What members see of the limits: a refusal is one reaction that says why, counted and on record; a block is silent."""

import logging
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sususbot.bot import logs
from sususbot.bot.limits import Limits
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
        async with bot(server, place.general, tmp_path / "data", [Scripted(["gerald, again"])]):
            await answered(server, ask(server, place, place.ada, "who broke the printer?"))
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "answered message" in log
    assert ("who broke the printer" in log, "gerald, again" in log) == (shown, shown)
    assert place.world.token not in log
