"""An archive in trouble: the bot answers on, says it once, holds what it cannot write, and mends by itself."""

import asyncio
import logging
import threading
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.bot.keeper import Keeper
from sususbot.memory.long_term import LongTerm
from sususbot.messages import Author, Channel, Guild, Message
from sususbot.standin.server import StandIn
from tests.bot.running import PRESSED, answered, bot, echo, replies, until
from tests.standin.conftest import Place


def fill_up(archive: Archive) -> None:
    """From now on SQLite finds the disk full."""
    pages = archive._database.rows("PRAGMA page_count")[0][0]
    archive._database.execute(f"PRAGMA max_page_count={pages}")


def make_room(archive: Archive) -> None:
    archive._database.execute("PRAGMA max_page_count=1000000")


async def test_a_full_disk_costs_no_reply_and_no_message(
    server: StandIn, place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    me = server.world.bot.mention
    caplog.set_level(logging.WARNING, "sususbot.bot.keeper")
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        fill_up(made.archive)
        said = [server.say(place.general, place.bob, f"word{number} " * 200) for number in range(40)]
        asked = server.say(place.general, place.ada, f"{me} is the disk full?")
        await answered(server, asked)
        await until(lambda: made.keeper.trouble is not None)
        facts = made.metrics.connection
        assert "disk" in str(facts["archive"])
        assert int(facts["events_waiting"]) > 0
        server.delete(said[3])
        make_room(made.archive)
        left = [one.id for one in said if one is not said[3]]
        await until(lambda: sorted(made.archive.messages(one.id for one in said)) == left)
        assert made.archive.check() == []
        await until(lambda: made.archive.mentions.ends() == {"reply": 1})
        await until(lambda: "archive" not in made.metrics.connection)
    assert len(replies(server, asked)) == 1
    told = [record.message for record in caplog.records if record.name == "sususbot.bot.keeper"]
    assert [text.split()[0] for text in told] == ["nothing", "what"]


async def test_a_process_that_ends_with_a_full_disk_loses_nothing_that_discord_still_has(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    me = server.world.bot.mention
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        await answered(server, server.say(place.general, place.ada, f"{me} hello"))
        fill_up(made.archive)
        said = [server.say(place.general, place.bob, f"word{number} " * 200) for number in range(40)]
        asked = server.say(place.general, place.ada, f"{me} is the disk full?")
        await answered(server, asked)
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        await answered(server, server.say(place.general, place.ada, f"{me} and now?"))
        assert sorted(made.archive.messages(one.id for one in said)) == [one.id for one in said]
    assert len(replies(server, asked)) == 1


async def test_a_locked_archive_holds_up_no_reply(
    server: StandIn, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sususbot.archive.database.BUSY_SECONDS", 0.05)
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        with Archive(tmp_path) as other, other.together():
            members = [server.world.add_user(f"member{number}") for number in range(6)]
            asked = [server.say(place.general, one, f"{server.world.bot.mention} {one.name}") for one in members]
            for one in asked:
                await answered(server, one)
            assert "in use" in str(made.metrics.connection["archive"])
        await until(lambda: not made.keeper.backlog)
        await until(lambda: made.archive.mentions.ends() == {"reply": 6})
    assert [len(replies(server, one)) for one in asked] == [1] * 6


async def test_what_was_taken_by_a_catch_up_that_was_broken_off_is_open_to_the_next(tmp_path: Path) -> None:
    guild, channel = Guild(1, "x"), Channel(2, 1, "general")
    message = Message(10, 2, Author(3, "mia", "mia"), 0, "one", "one")
    slow_disk = threading.Event()
    with Archive(tmp_path) as archive:
        keeper = Keeper(archive, LongTerm(archive, None, None))
        keeper._writer.submit(slow_disk.wait, 10)
        keeping = asyncio.create_task(keeper.keep(message, guild, channel, mention=True))
        await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        slow_disk.set()
        assert await keeper.open(2) == [10]
        keeper.close()
