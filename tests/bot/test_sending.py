"""What becomes of a reply that Discord refuses, delays, loses or shows without saying so."""

from pathlib import Path

import pytest

from sususbot.model.scripted import Scripted
from sususbot.standin.faults import Fault, cloudflare, failing, html, rate_limited, reset, truncated
from sususbot.standin.objects import Message
from sususbot.standin.server import StandIn
from tests.bot.running import bot, until
from tests.bot.test_bot import answers, listening
from tests.standin.conftest import Place

POST = "/channels/{channel_id}/messages"


async def asked(server: StandIn, place: Place, text: str = "hello?") -> Message:
    return server.say(place.general, place.ada, f"{server.world.bot.mention} {text}")


@pytest.mark.parametrize(
    "fault",
    [
        failing(500),
        failing(502),
        failing(504),
        failing(503),
        failing(503, after=True),
        failing(500, after=True),
        reset(),
        reset(after=True),
        truncated(),
        html(),
        rate_limited(0.05),
        rate_limited(0.05, via=False),
        cloudflare(retry_after=0.0),
        failing(400, code=20028),
    ],
    ids=str,
)
async def test_a_fault_that_passes_neither_loses_nor_doubles_a_reply(
    server: StandIn, place: Place, tmp_path: Path, fault: Fault
) -> None:
    async with bot(server, place.general, tmp_path, [Scripted(["once", "twice"])]) as running:
        await listening(server)
        server.faults.add("POST", POST, fault)
        first = await asked(server, place)
        await until(lambda: running.answering.answered(first.id) is not None)
        await asked(server, place, "again?")
        await answers(server, place.general, 2)
        assert [one.content for one in server.sent(place.general)] == ["once", "twice"]
        assert server.faults.struck.total() == 1


@pytest.mark.parametrize("code", [160002, 50035, 10008])
async def test_a_reply_that_may_not_point_comes_without(
    server: StandIn, place: Place, tmp_path: Path, code: int
) -> None:
    server.faults.add("POST", POST, failing(400, code=code))
    async with bot(server, place.general, tmp_path, [Scripted(["here"])]):
        await listening(server)
        await asked(server, place)
        (reply,) = await answers(server, place.general, 1)
    assert (reply.content, reply.reference) == ("here", None)


@pytest.mark.parametrize(
    ("status", "code", "sign"),
    [(400, 200000, "🤕"), (400, 240000, "🤕"), (400, 50006, "🤕"), (403, 160005, "🤕"), (403, 50013, "🔇")],
)
async def test_a_reply_that_is_refused_is_signed_and_not_tried_again(
    server: StandIn, place: Place, tmp_path: Path, status: int, code: int, sign: str
) -> None:
    server.faults.add("POST", POST, failing(status, code=code))
    async with bot(server, place.general, tmp_path, [Scripted(["never seen"])]):
        await listening(server)
        message = await asked(server, place)
        await server.wait_for(lambda: message.reactions)
    assert list(message.reactions) == [sign]
    assert server.sent(place.general) == []
    assert sum(one.method == "POST" and one.route == POST for one in server.ledger.requests) == 1


async def test_where_the_bot_may_not_talk_it_does_not_go_on_trying(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    server.faults.add("POST", POST, failing(403, code=50013), times=None)
    script = Scripted(["never seen"])
    async with bot(server, place.general, tmp_path, [script]):
        await listening(server)
        for _ in range(3):
            message = await asked(server, place)
            await server.wait_for(lambda message=message: message.reactions)  # type: ignore[misc]
            assert list(message.reactions) == ["🔇"]
    assert sum(one.method == "POST" and one.route == POST for one in server.ledger.requests) == 1
    assert len(script.requests) == 1


async def test_where_reactions_are_forbidden_a_word_says_it(server: StandIn, place: Place, tmp_path: Path) -> None:
    server.faults.add("PUT", "/channels/*/messages/*/reactions/*/@me", failing(403, code=50013), times=None)
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])]) as running:
        await listening(server)
        running.answering.paused = True
        await asked(server, place)
        (words,) = await answers(server, place.general, 1)
    assert words.content == "⏸️ I am paused"
    assert (words.pinged_users, words.pinged_everyone) == ((), False)


async def test_words_instead_of_reactions_are_few(server: StandIn, place: Place, tmp_path: Path) -> None:
    server.faults.add("PUT", "/channels/*/messages/*/reactions/*/@me", failing(403, code=50013), times=None)
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])]) as running:
        await listening(server)
        running.answering.paused = True
        for _ in range(5):
            await asked(server, place)
        server.say(place.general, place.bob, f"{server.world.bot.mention} and me?")
        await until(lambda: running.archive.mentions.ends() == {"sign": 6})
    assert len(server.sent(place.general)) == 2


async def test_a_message_that_is_gone_gets_no_sign_and_no_words(server: StandIn, place: Place, tmp_path: Path) -> None:
    server.faults.add("PUT", "/channels/*/messages/*/reactions/*/@me", failing(404, code=10008))
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])]) as running:
        await listening(server)
        running.answering.paused = True
        await asked(server, place)
        await until(lambda: running.archive.mentions.ends() == {"deleted": 1})
    assert server.sent(place.general) == []


async def test_a_typing_sign_that_fails_costs_no_reply(server: StandIn, place: Place, tmp_path: Path) -> None:
    server.faults.add("POST", "/channels/*/typing", failing(403, code=50013), times=None)
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])]):
        await listening(server)
        await asked(server, place)
        await answers(server, place.general, 1)
