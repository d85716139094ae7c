"""The whole of a guild, under every kind of limit and weather: the archive is the stand-in's history, exactly."""

from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.benchmarks.own_discord import weather
from sususbot.sources.discord_api.collector import Wanted
from sususbot.standin import faults
from sususbot.standin.api import Validator
from sususbot.standin.faults import Weather
from sususbot.standin.ratelimit import Headers, RateLimits, Window
from sususbot.standin.server import StandIn
from tests.sources.discord_api.town import BEGUN, PER, add_forum, empty_town, gather, history, town

PAGES = "/channels/{channel_id}/messages"


async def test_everything_with_honest_headers(tmp_path: Path, validator: Validator | None) -> None:
    made = town(pages=12)
    async with StandIn(made.world, rate=RateLimits.fast(), validator=validator) as server:
        with Archive(tmp_path) as archive:
            collected = await gather(server, archive, Wanted(made.ids()))
            assert list(archive.history()) == history(made.world, made.ids())
            assert archive.check() == []
            assert archive.origins() == {"api": collected.added.new}
    assert collected.channels == 2
    assert collected.threads == 5
    assert not collected.refused
    assert server.ledger.count(status=429) == 0
    assert server.ledger.invalid == 0


@pytest.mark.parametrize("headers", [Headers.LYING, Headers.ABSENT])
@pytest.mark.parametrize(("limit", "refusals"), [(5, 0), (3, 12)])
async def test_headers_that_do_not_help(tmp_path: Path, headers: Headers, limit: int, refusals: int) -> None:
    """Also where the limit is lower than the measured one, which only refusals tell."""
    made = town(pages=8)
    rate = replace(RateLimits.fast(), history=Window(limit, PER, headers))
    async with StandIn(made.world, rate=rate) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids()))
            assert list(archive.history()) == history(made.world, made.ids())
    assert server.ledger.count(status=429) <= refusals


async def test_a_limit_over_everything(tmp_path: Path) -> None:
    made = town(pages=4)
    async with StandIn(made.world, rate=replace(RateLimits.fast(), overall=Window(8, 0.1))) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids()))
            assert list(archive.history()) == history(made.world, made.ids())
    # None where the machine is slower than the limit.
    assert server.ledger.count(status=429) <= 12


@pytest.mark.parametrize("seed", range(2))
async def test_bad_weather(tmp_path: Path, seed: int) -> None:
    """5 % each of 429, 500, 503, reset, time-out, truncated body and HTML body, for every request."""
    made = town(pages=10)
    add_forum(made, 12)
    wanted = Wanted(everything=True, guild_id=made.world.guild_id)
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        server.faults.weather = Weather(weather(0.05), seed=seed)
        with Archive(tmp_path) as archive:
            collected = await gather(server, archive, wanted, timeout=0.2)
            assert list(archive.history()) == history(made.world, made.world.channels)
            assert archive.check() == []
    assert not collected.refused
    assert len(server.faults.struck) == 6, "500 and 503 are of one kind"


async def test_a_forum_and_its_many_archived_posts(tmp_path: Path, validator: Validator | None) -> None:
    """More than a page of archived posts, several of them archived in the same moment on both sides of its end."""
    made = empty_town()
    forum = add_forum(made, 130)
    async with StandIn(made.world, rate=RateLimits.none(), validator=validator) as server:
        with Archive(tmp_path) as archive:
            collected = await gather(server, archive, Wanted((forum.id,)))
            assert list(archive.history()) == history(made.world, [forum.id])
            kinds = {channel.id: channel.type for channel in archive.channels()}
    assert collected.threads == 130
    assert kinds[forum.id] == "GuildForum"
    assert list(kinds.values()).count("GuildPublicThread") == 130


async def test_private_threads_that_only_managers_see(tmp_path: Path) -> None:
    made = town(pages=1)
    closed = next(channel for channel in made.world.channels.values() if channel.name == "closed")
    made.world.archive(closed)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids()))
            assert closed.id not in {channel.id for channel in archive.channels()}
            made.world.allow_everyone(made.world.roles[made.world.guild_id].permissions | 1 << 34)
            await gather(server, archive, Wanted(made.ids()))
            assert list(archive.history()) == history(made.world, made.ids())
            assert closed.id in {channel.id for channel in archive.channels()}


async def test_one_thread_by_its_own_id(tmp_path: Path) -> None:
    made = town(pages=1)
    talk = next(channel for channel in made.world.channels.values() if channel.name == "talk")
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted((talk.id,)))
            assert list(archive.history()) == history(made.world, [talk.id])


async def test_only_what_was_named_is_asked_for(tmp_path: Path) -> None:
    made = town(pages=1)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted((made.square.id,)))
    asked = {entry.path for entry in server.ledger.requests}
    assert not any(str(made.market.id) in path for path in asked)


async def test_all_are_all_that_the_bot_may_read(tmp_path: Path) -> None:
    made = town(pages=1)
    hidden = made.world.add_channel("hidden", private=True)
    made.say(hidden, 3)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted((made.market.id,), everything=True))
            assert list(archive.history()) == history(made.world, made.ids())
    assert server.ledger.invalid == 0


async def test_messages_and_threads_that_come_while_collecting(tmp_path: Path) -> None:
    """The newest message at the start bounds the run; what comes later is the next run's, a new thread this one's."""
    made = town(pages=4)
    before = history(made.world, made.ids())
    async with StandIn(made.world, rate=RateLimits.none()) as server:

        def arrive(_progress: object) -> None:
            if server.ledger.count(route=PAGES) >= 2 and "new" not in {c.name for c in made.world.channels.values()}:
                made.world.post(made.square, made.ada, "late", at=BEGUN + 9_000_000)
                thread = made.world.add_thread(made.square, "new", at=BEGUN + 9_000_001)
                made.world.post(thread, made.bob, "first", at=BEGUN + 9_000_002)

        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids()), tell=arrive)
            found = list(archive.history())
            assert {message.content for message in found if message not in before} >= {"first"}
            assert [message for message in found if message in before] == before
            await gather(server, archive, Wanted(made.ids()))
            assert list(archive.history()) == history(made.world, made.ids())


async def test_a_later_run_asks_only_for_what_is_new(tmp_path: Path) -> None:
    made = town(pages=6)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids()))
            asked = server.ledger.count(route=PAGES)
            made.say(made.square, 250, begun=BEGUN + 9_000_000)
            collected = await gather(server, archive, Wanted(made.ids()))
            assert list(archive.history()) == history(made.world, made.ids())
    assert collected.added.new == 250
    # Three pages and an empty one for the square, one empty one each for the market and the five threads.
    assert server.ledger.count(route=PAGES) - asked == 4 + 1 + 5


async def test_since_reads_back_to_a_day_and_a_later_run_further(tmp_path: Path) -> None:
    made = empty_town()
    made.say(made.square, 950)
    since = int(BEGUN + 500 * 60) * 1000
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted((made.square.id,), since=since))
            whole = history(made.world, made.ids())
            assert list(archive.history()) == [message for message in whole if message.created_at >= since]
            asked = server.ledger.count(route=PAGES)
            await gather(server, archive, Wanted((made.square.id,), since=since))
            assert server.ledger.count(route=PAGES) == asked + 1
            await gather(server, archive, Wanted((made.square.id,)))
            assert list(archive.history()) == whole


async def test_since_a_day_after_all_that_was_said(tmp_path: Path) -> None:
    made = empty_town()
    made.say(made.square, 150)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            later = int(BEGUN + 9_000_000) * 1000
            collected = await gather(server, archive, Wanted((made.square.id,), since=later))
            assert collected.added.new == 0
            assert list(archive.history()) == []
            made.world.post(made.square, made.ada, "at last", at=BEGUN + 9_000_001)
            await gather(server, archive, Wanted((made.square.id,), since=later))
            assert [message.content for message in archive.history()] == ["at last"]
            await gather(server, archive, Wanted((made.square.id,)))
            assert list(archive.history()) == history(made.world, made.ids())


async def test_so_many_messages_and_no_more(tmp_path: Path) -> None:
    made = town(pages=4)
    whole = history(made.world, made.ids())
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            for count in range(1, 4):
                collected = await gather(server, archive, Wanted(made.ids(), max_messages=237))
                assert collected.added.new == 237
                assert collected.stopped_early
                assert archive.counts().messages == 237 * count
            made.say(made.market, 150, begun=BEGUN + 9_000_000)
            collected = await gather(server, archive, Wanted(made.ids(), max_messages=70))
            assert archive.counts().messages == 237 * 3 + 70
            collected = await gather(server, archive, Wanted(made.ids(), max_messages=100_000))
            assert not collected.stopped_early
            assert list(archive.history()) == history(made.world, made.ids())
            assert len(whole) + 150 == archive.counts().messages


async def test_a_channel_that_turns_one_away_costs_only_itself(tmp_path: Path) -> None:
    made = town(pages=3)
    path = f"/channels/{made.square.id}/messages"
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        server.faults.add("GET", path, faults.failing(403, code=50001), times=None)
        with Archive(tmp_path) as archive:
            collected = await gather(server, archive, Wanted(made.ids()))
            assert list(collected.refused) == [made.square.id]
            assert "#square" in collected.refused[made.square.id]
            assert "View Channel" in collected.refused[made.square.id]
            in_square = [message for message in history(made.world, made.ids()) if message.channel_id == made.square.id]
            found = list(archive.history())
            assert found == [m for m in history(made.world, made.ids()) if m not in in_square]
            assert server.ledger.count(status=403) == 1
            server.faults.clear()
            assert not (await gather(server, archive, Wanted(made.ids()))).refused
            assert list(archive.history()) == history(made.world, made.ids())


def test_the_town_holds_what_it_should() -> None:
    """So that the tests above prove something."""
    whole = history(town(pages=2).world, town(pages=2).ids())
    assert {message.type for message in whole} == {0, 7, 19, 21, 99}
    assert any(message.edited_at for message in whole)
    assert any(len(message.reactions) == 2 for message in whole)
    assert any(message.attachments for message in whole)
    assert any(message.reply_to for message in whole)
    assert any(message.mentions for message in whole)
    assert any(message.author.is_bot for message in whole)
    assert any("@bob #market :wave: (a time)" in message.rendered for message in whole)
