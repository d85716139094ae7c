"""What has broken other bots, one test for each, numbered: each mention gets one answer or one sign all the same."""

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.errors import IntentMissing, RateLimited, SessionsSpent, TokenRefused
from sususbot.model.backend import Request
from sususbot.model.scripted import Scripted
from sususbot.sources.discord_api.collector import Wanted
from sususbot.standin.faults import GatewayFault, cloudflare, failing, html, rate_limited, slow
from sususbot.standin.objects import Message
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.bot.running import PATIENCE, PRESSED, answered, bot, echo, replies, until
from tests.sources.discord_api.town import empty_town, gather, history
from tests.standin.conftest import Place

POST = "/channels/{channel_id}/messages"
TYPING = "/channels/{channel_id}/typing"


def ask(server: StandIn, place: Place, text: str) -> Message:
    return server.say(place.general, place.ada, f"{server.world.bot.mention} {text}")


def beats(server: StandIn) -> int:
    """How many heartbeats came."""
    return sum(not one.missed for one in server.heartbeats)


async def test_01_a_model_that_blocks_does_not_freeze_the_connection(place: Place, tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def block(request: Request) -> str:
        begun.set()
        assert go_on.wait(PATIENCE)
        return f"you said {request.turns[-1].text}"

    async with StandIn(place.world, rate=RateLimits.none(), heartbeat_interval=0.6) as server:
        async with bot(server, place.general, tmp_path, [Scripted(block)], pace=PRESSED) as made:
            await until(lambda: made.keeper.hearing)
            asked = ask(server, place, "are you slow?")
            await until(begun.is_set)
            before = beats(server)
            await server.wait_for(lambda: beats(server) >= before + 3)
            go_on.set()
            assert (await answered(server, asked)).content == "you said are you slow?"


async def test_02_more_than_two_thousand_characters_arrive_in_parts(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    words = " ".join(f"word{number}" for number in range(400))
    async with bot(server, place.general, tmp_path, [Scripted(lambda _: words)], pace=PRESSED) as made:
        made.responder._sampling = replace(made.responder._sampling, max_new_tokens=1000)
        ask(server, place, "tell me all")
        parts = await server.wait_for(lambda: server.sent(place.general) if len(server.sent(place.general)) > 1 else [])
        assert " ".join(part.content for part in parts) == words
        assert all(len(part.content) < 2000 for part in parts)


async def test_03_a_question_deleted_before_its_reply_costs_nothing(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    # The reply is on its way when the question goes.
    server.faults.add("POST", POST, slow(0.3))
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        gone = ask(server, place, "never mind")
        await until(lambda: server.faults.struck["slow"])
        server.delete(gone)
        await answered(server, ask(server, place, "and now?"))
        await until(lambda: made.archive.mentions.in_hand(place.general.id) == [])


async def test_04_nothing_a_model_says_pings_anybody(server: StandIn, place: Place, tmp_path: Path) -> None:
    role = server.world.add_role("all", mentionable=True)
    loud = f"@everyone @here {role.mention} {place.bob.mention} <@!{place.bob.id}>"
    async with bot(server, place.general, tmp_path, [Scripted([loud])], pace=PRESSED):
        reply = await answered(server, ask(server, place, "shout"))
        assert (reply.pinged_users, reply.pinged_roles, reply.pinged_everyone) == ((), (), False)
        assert reply.allowed_mentions is not None
        assert reply.allowed_mentions["parse"] == []


async def test_05_an_event_that_comes_twice_is_answered_once_also_over_a_restart(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        asked = ask(server, place, "once?")
        await answered(server, asked)
        server.faults.arm(GatewayFault.DUPLICATE_REPLAY)
        server.drop_connections()
        await server.wait_for(lambda: server.gateway.resumes == 1 and server.connected == 1)
        await answered(server, ask(server, place, "back?"))
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        await answered(server, ask(server, place, "again?"))
    assert len(replies(server, asked)) == 1
    assert len(server.sent(place.general)) == 3


async def test_06_bots_and_webhooks_are_never_answered(server: StandIn, place: Place, tmp_path: Path) -> None:
    robot = server.world.add_user("robot", bot=True)
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED):
        reply = await answered(server, ask(server, place, "hello"))
        server.say(place.general, robot, f"{server.world.bot.mention} beep")
        server.say(place.general, robot, "beep", reply_to=reply)
        server.say(place.general, place.bob, f"{server.world.bot.mention} I am a hook", webhook_id=7)
        await answered(server, ask(server, place, "and you?"))
        assert len(server.sent(place.general)) == 2


async def test_07_a_word_to_everyone_is_no_word_to_the_bot(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED):
        await server.wait_for(lambda: server.connected == 1)
        server.say(place.general, server.world.owner, "@everyone @here look")
        await answered(server, ask(server, place, "hello"))
        assert len(server.sent(place.general)) == 1


async def test_08_refused_for_ever_it_stops_within_its_budget_and_so_do_restarts(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    pace = replace(PRESSED, identifies_a_day=6, spared=0)
    server.faults.arm(GatewayFault.INVALID_SESSION, None)
    for _ in range(2):
        async with bot(server, place.general, tmp_path, [echo()], pace=pace) as made:
            with pytest.raises(SessionsSpent, match=r"6 times within a day.* again after \d\d:\d\d"):
                async with asyncio.timeout(PATIENCE):
                    await made.task
    assert server.gateway.identifies == 6


async def test_08_what_discord_says_is_left_counts_too(place: Place, tmp_path: Path) -> None:
    async with StandIn(place.world, rate=RateLimits.none(), starts_allowed=13) as server:
        server.faults.arm(GatewayFault.INVALID_SESSION, None)
        async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
            with pytest.raises(SessionsSpent, match="10 of 13"):
                async with asyncio.timeout(PATIENCE):
                    await made.task
        assert server.gateway.identifies == 3


@pytest.mark.parametrize("fault", [GatewayFault.UNPARSABLE, GatewayFault.RESET_CONNECT])
async def test_09_an_unreadable_event_and_a_refused_first_connection_end_nothing(
    server: StandIn, place: Place, tmp_path: Path, fault: GatewayFault
) -> None:
    # aiohttp tries a connection that was reset twice.
    server.faults.arm(fault, 2)
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED):
        await answered(server, ask(server, place, "still there?"))


async def test_10_a_bot_that_is_connected_but_deaf_connects_anew(place: Place, tmp_path: Path) -> None:
    async with StandIn(place.world, rate=RateLimits.none(), heartbeat_interval=0.2) as server:
        async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
            await until(lambda: made.keeper.hearing)
            server.fall_silent()
            await answered(server, ask(server, place, "do you hear me?"))


@pytest.mark.parametrize("status", [403, 429, 500])
async def test_11_a_typing_sign_that_fails_costs_no_reply(
    server: StandIn, place: Place, tmp_path: Path, status: int
) -> None:
    server.faults.add("POST", TYPING, failing(status), times=None)
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED):
        await answered(server, ask(server, place, "hello"))


async def test_11_a_typing_sign_given_up_while_all_is_limited_holds_up_nothing_else(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    # The reply is there long before the limit is over, and the sign is given up within it.
    server.faults.add("POST", "/channels/*/typing", rate_limited(60.0, scope="global"))
    slowly = Scripted(lambda request: f"you said {request.turns[-1].text}", seconds_per_token=0.1)
    async with bot(server, place.general, tmp_path, [slowly]):
        await server.wait_for(lambda: server.connected)
        for words in ("one", "two"):
            await answered(server, server.say(place.general, place.ada, f"{server.world.bot.mention} {words}"))


async def test_12_a_history_without_words_is_refused_not_kept(tmp_path: Path) -> None:
    made = empty_town()
    made.say(made.square, 120)
    made.world.message_content_allowed = False
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive, pytest.raises(IntentMissing, match="Message Content Intent"):
            await gather(server, archive, Wanted(made.ids()))


async def test_13_a_long_collection_goes_on_where_it_ended(tmp_path: Path) -> None:
    made = empty_town()
    made.say(made.square, 650)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:

            def revoke(_progress: object) -> None:
                if server.ledger.count(route=POST) >= 4:
                    made.world.revoke_token()

            token = made.world.token
            with pytest.raises(TokenRefused):
                await gather(server, archive, Wanted(made.ids()), tell=revoke)
            made.world.token = token
            before = server.ledger.count(route=POST, status=200)
            await gather(server, archive, Wanted(made.ids()))
            assert list(archive.history()) == history(made.world, made.ids())
            assert server.ledger.count(route=POST, status=200) - before <= 7


async def test_14_a_page_of_cloudflares_stops_a_collection(tmp_path: Path) -> None:
    made = empty_town()
    made.say(made.square, 120)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        server.faults.add("GET", POST, cloudflare(429, retry_after=1.0))
        with Archive(tmp_path) as archive, pytest.raises(RateLimited, match="10 minutes"):
            await gather(server, archive, Wanted(made.ids()))
        assert server.ledger.count(status=429) == 1


async def test_14_a_page_of_cloudflares_at_login_is_waited_out(server: StandIn, place: Place, tmp_path: Path) -> None:
    server.faults.add("GET", "/users/@me", cloudflare(403))
    begun = time.monotonic()
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await answered(server, ask(server, place, "hello"))
        assert made.metrics.connection["last_end"] == "banned"
    assert time.monotonic() - begun >= PRESSED.banned_pause
    assert server.ledger.invalid == 1


async def test_15_mentions_that_pile_up_are_answered_or_told_that_it_is_busy(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    members = [server.world.add_user(f"member{number}") for number in range(20)]
    slow_model = Scripted(lambda request: f"you said {request.turns[-1].text}", seconds_per_token=0.02)
    async with bot(server, place.general, tmp_path, [slow_model], queue_size=4, pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        asked = [server.say(place.general, one, f"{server.world.bot.mention} me, {one.name}") for one in members]
        await server.wait_for(lambda: all(one.reactions or replies(server, one) for one in asked))
        assert not any(one.reactions and replies(server, one) for one in asked)
        assert 4 <= sum(bool(replies(server, one)) for one in asked) < 20


async def test_15_a_sign_that_only_a_proxy_took_is_given_again(server: StandIn, place: Place, tmp_path: Path) -> None:
    server.faults.add("PUT", "*", html())
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        made.answering.paused = True
        asked = ask(server, place, "hello")
        await server.wait_for(lambda: asked.reactions)


async def test_15_a_sign_on_a_line_that_is_deleted_goes_to_the_line_before(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    others = [server.world.add_user(f"member{number}") for number in range(3)]
    slow_model = Scripted(lambda request: f"you said {request.turns[-1].text}", seconds_per_token=1.0)
    async with bot(server, place.general, tmp_path, [slow_model], queue_size=1, pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        for one in others:
            server.say(place.general, one, f"{server.world.bot.mention} one two three four")
        await server.wait_for(lambda: sum(bool(one.reactions) for one in place.general.history) == 2)
        server.faults.add("PUT", "*", slow(0.3))
        first, last = ask(server, place, "hello"), ask(server, place, "are you there?")
        await until(lambda: not server.faults.pending)
        server.delete(last)
        await server.wait_for(lambda: first.reactions)


async def test_16_a_bare_id_is_shown_to_nobody(server: StandIn, place: Place, tmp_path: Path) -> None:
    script = Scripted([f"ask <@{place.bob.id}> or <@99> about it"])
    async with bot(server, place.general, tmp_path, [script], pace=PRESSED):
        reply = await answered(server, ask(server, place, f"who knows? {place.bob.mention} <:wave:123>?"))
    assert "<@" not in reply.content
    assert script.requests[0].turns[-1].text == "who knows? @bob :wave:?"


@pytest.mark.parametrize("away", [False, True])
async def test_17_edits_and_deletions_are_mirrored_also_those_of_a_gap(
    server: StandIn, place: Place, tmp_path: Path, *, away: bool
) -> None:
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        said = [server.say(place.general, place.bob, f"the kettle number {number}") for number in range(5)]
        await answered(server, ask(server, place, "there?"))

        def change() -> None:
            server.edit(said[1], "the teapot")
            server.delete(said[2])
            server.delete_bulk(said[3:])

        if away:
            server.invalidate(resumable=False)
            change()
            await server.wait_for(lambda: server.gateway.identifies == 2)
        else:
            change()
        await answered(server, ask(server, place, "seen?"))
        await until(lambda: made.keeper.hearing)
        kept = made.archive.messages(one.id for one in said)
        assert [one.rendered for one in kept.values()] == ["the kettle number 0", "the teapot"]
        assert made.archive.check() == []
