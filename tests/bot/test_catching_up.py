"""What was said while nobody listened is kept, in order; mentions are answered once, or told that it is too late."""

import time
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive, now_ms
from sususbot.memory.long_term import LongTerm
from sususbot.messages import Author, Guild
from sususbot.messages import Channel as Known
from sususbot.messages import Message as Kept
from sususbot.model.scripted import Scripted
from sususbot.standin import faults, permissions
from sususbot.standin.faults import Fault
from sususbot.standin.objects import Message
from sususbot.standin.pings import Allowed
from sususbot.standin.server import StandIn
from tests.bot.running import PRESSED, answered, bot, echo, replies, until
from tests.standin.conftest import Place

PAGES = "/channels/{channel_id}/messages"
LATE = replace(PRESSED, answered_late=-1.0)


def ask(server: StandIn, place: Place, text: str) -> Message:
    return server.say(place.general, place.ada, f"{server.world.bot.mention} {text}")


async def run_once(server: StandIn, place: Place, folder: Path, text: str = "first") -> Message:
    """A bot that lives for one question."""
    async with bot(server, place.general, folder, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        asked = ask(server, place, text)
        await answered(server, asked)
        await until(lambda: made.archive.mentions.ends())
    return asked


async def test_a_gap_between_two_runs_is_read_in_order_and_answered_once(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    before = await run_once(server, place, tmp_path)
    said = [server.say(place.general, place.bob, f"line {number}") for number in range(230)]
    asked = [
        server.say(place.general, one, f"{server.world.bot.mention} {one.name}?") for one in (place.ada, place.bob)
    ]
    more = server.say(place.general, place.bob, "and more of it")
    # Long enough that what is added is kept while the reply is made.
    script = Scripted(lambda request: f"you said {request.turns[-1].text}", seconds_per_token=0.2)
    async with bot(server, place.general, tmp_path, [script], pace=PRESSED) as made:
        for one in asked:
            await answered(server, one)
        await until(lambda: made.keeper.hearing)
        assert sorted(made.archive.messages(one.id for one in said)) == [one.id for one in said]
        await until(lambda: (made.archive.mentions.heard(place.general.id) or 0) >= more.id)
        texts = [request.turns[-1].text for request in script.requests]
        assert texts[0] == "ada?"
        # What a member adds belongs to the question, as if it came now.
        assert texts[-1] == "bob?\nand more of it"
    assert [len(replies(server, one)) for one in (before, *asked)] == [1, 1, 1]


async def test_quick_lines_answered_without_a_record_are_not_answered_by_themselves(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    # As a kill leaves it while the archive cannot be written: there is a reply, and nothing else.
    await run_once(server, place, tmp_path)
    quick, last = ask(server, place, "did it"), ask(server, place, "break again?")
    server.say(place.general, server.world.bot, "it did", reply_to=last)
    other = server.say(place.general, place.bob, f"{server.world.bot.mention} and now?")
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await answered(server, other)
        await until(lambda: made.keeper.hearing)
        await until(lambda: made.archive.mentions.ends() == {"reply": 3, "merged": 1})
    assert [len(replies(server, one)) for one in (quick, last, other)] == [0, 1, 1]


async def test_what_is_on_record_is_not_answered_again_while_nothing_can_be_written(
    server: StandIn, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a kill during catching up leaves it: the record is whole, but the channel was not heard to its end.
    await run_once(server, place, tmp_path)
    quick, last = ask(server, place, "did it"), ask(server, place, "break again?")
    server.say(place.general, server.world.bot, "it did", reply_to=last)
    with Archive(tmp_path) as archive:
        source = archive.add_source("gateway", "bot")
        author = Author(place.ada.id, "ada", "Ada")
        kept = [Kept(one.id, place.general.id, author, now_ms(), one.content, one.content) for one in (quick, last)]
        archive.add(kept, source=source, fetched_at=now_ms(), also=lambda: take(archive, place, quick.id, last.id))
        archive.mentions.settle([quick.id], "merged")
        archive.mentions.settle([last.id], "reply")
        LongTerm(archive, None, None).close()
    other = server.say(place.general, place.bob, f"{server.world.bot.mention} and now?")
    monkeypatch.setattr("sususbot.archive.database.BUSY_SECONDS", 0.02)
    with Archive(tmp_path) as blocker, ExitStack() as blocking:
        blocking.enter_context(blocker.together())
        async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
            await answered(server, other)
            await until(lambda: made.keeper.trouble is not None)
            blocking.close()
            await until(lambda: made.keeper.hearing)
    assert [len(replies(server, one)) for one in (quick, last, other)] == [0, 1, 1]


async def test_the_very_first_catch_up_may_be_broken_off_too(server: StandIn, place: Place, tmp_path: Path) -> None:
    first = ask(server, place, "first")
    # It gets no further than the first mention.
    async with bot(server, place.general, tmp_path, [echo()], pace=replace(PRESSED, at_once=0)) as made:
        await until(lambda: made.archive.mentions.in_hand(place.general.id))
    second = server.say(place.general, place.bob, f"{server.world.bot.mention} second")
    for number in range(120):
        server.say(place.general, server.world.owner, f"line {number}")
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED):
        for asked in (first, second):
            await answered(server, asked)


async def test_what_is_found_too_late_is_told_so_once(server: StandIn, place: Place, tmp_path: Path) -> None:
    await run_once(server, place, tmp_path)
    asked = ask(server, place, "anybody?")
    for _ in range(2):
        async with bot(server, place.general, tmp_path, [echo()], pace=LATE) as made:
            await until(lambda: made.keeper.hearing)
            await server.wait_for(lambda: asked.reactions)
            await until(lambda: not made.archive.mentions.in_hand(place.general.id))
            assert made.archive.mentions.ends()["old"] == 1
    assert replies(server, asked) == []
    assert server.ledger.count("PUT") == 1


async def test_a_new_bot_reads_one_page_and_excuses_itself_to_nobody(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    long_ago = time.time() - 86_400
    for number in range(250):
        server.world.post(place.general, place.bob, f"line {number}", at=long_ago + number)
    old = server.world.post(
        place.general, place.ada, f"{server.world.bot.mention} hm?", allowed=Allowed(), at=long_ago + 300
    )
    young = ask(server, place, "are you new here?")
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await answered(server, young)
        await until(lambda: made.keeper.hearing)
        assert made.archive.counts().messages - len(server.sent(place.general)) <= 100
        await until(lambda: made.archive.mentions.ends().get("old") == 1)
    assert server.ledger.count("GET", PAGES) == 1
    assert not old.reactions
    assert replies(server, old) == []


async def test_no_more_pages_than_are_allowed(server: StandIn, place: Place, tmp_path: Path) -> None:
    await run_once(server, place, tmp_path)
    before = server.ledger.count("GET", PAGES)
    for number in range(400):
        server.say(place.general, place.bob, f"line {number}")
    asked = ask(server, place, "there?")
    async with bot(server, place.general, tmp_path, [echo()], pace=replace(PRESSED, most_pages=2)) as made:
        await answered(server, asked)
        await until(lambda: made.keeper.hearing)
    assert server.ledger.count("GET", PAGES) - before == 2


async def taken_and_killed(folder: Path, place: Place, *ids: int) -> None:
    """As a process leaves it that was killed after it took these mentions."""
    with Archive(folder) as archive, archive.together():
        take(archive, place, *ids)
        archive.mentions.hear(place.general.id, max(ids))


def take(archive: Archive, place: Place, *ids: int) -> None:
    for id_ in ids:
        archive.mentions.take(id_, place.general.id)


async def test_what_a_killed_process_had_in_hand_is_answered(server: StandIn, place: Place, tmp_path: Path) -> None:
    await run_once(server, place, tmp_path)
    asked, gone = ask(server, place, "did you see that?"), ask(server, place, "never mind")
    await taken_and_killed(tmp_path, place, asked.id, gone.id)
    server.delete(gone)
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await answered(server, asked)
        await until(lambda: made.archive.mentions.ends() == {"reply": 2, "deleted": 1})
    assert len(replies(server, asked)) == 1


@pytest.mark.parametrize("kept", [False, True])
async def test_what_a_killed_process_answered_is_not_answered_again(
    server: StandIn, place: Place, tmp_path: Path, *, kept: bool
) -> None:
    """Its reply stands in the channel, in sight or among what is kept; or its sign does."""
    await run_once(server, place, tmp_path)
    asked, signed = ask(server, place, "again?"), ask(server, place, "busy?")
    server.react(signed, server.world.bot, "⏳")
    reply = server.world.post(place.general, server.world.bot, "no", reply_to=asked)
    await taken_and_killed(tmp_path, place, asked.id, signed.id)
    if kept:
        with Archive(tmp_path) as archive:
            me = Author(server.world.bot.id, "sususbot", "sususbot", is_bot=True)
            own = Kept(reply.id, place.general.id, me, now_ms(), "no", "no", type=19, reply_to=asked.id)
            archive.add([own], source=archive.add_source("gateway", "bot"), fetched_at=now_ms())
            archive.mentions.hear(place.general.id, reply.id)
        for number in range(120):
            server.say(place.general, place.bob, f"line {number}")
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.archive.mentions.ends() == {"reply": 2, "sign": 1})
        await answered(server, ask(server, place, "and now?"))
    assert replies(server, asked) == [reply]
    assert replies(server, signed) == []


async def test_a_mention_that_a_backfill_kept_meanwhile_is_answered_all_the_same(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    await run_once(server, place, tmp_path)
    asked = ask(server, place, "who kept this?")
    with Archive(tmp_path) as archive:
        guild, channel = Guild(server.world.guild_id, "x"), Known(place.general.id, server.world.guild_id, "general")
        archive.add_channel(guild, channel, origin="api", seen_at=1)
        author = Author(place.ada.id, "ada", "Ada")
        one = Kept(asked.id, place.general.id, author, now_ms(), asked.content, "@sususbot who kept this?")
        archive.add([one], source=archive.add_source("api", "x"), fetched_at=now_ms())
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED):
        await answered(server, asked)


@pytest.mark.parametrize(
    "fault",
    [
        faults.failing(503),
        faults.truncated(),
        faults.html(),
        faults.reset(),
        faults.rate_limited(0.01),
        faults.cloudflare(429),
        faults.cloudflare(403),
    ],
    ids=str,
)
async def test_faults_of_discord_put_it_off_and_lose_nothing(
    server: StandIn, place: Place, tmp_path: Path, fault: Fault
) -> None:
    await run_once(server, place, tmp_path)
    said = [server.say(place.general, place.bob, f"line {number}") for number in range(130)]
    asked = ask(server, place, "stormy?")
    server.faults.add("GET", PAGES, fault, times=3)
    async with bot(server, place.general, tmp_path, [echo()], pace=replace(PRESSED, banned_pause=0.05)) as made:
        await answered(server, asked)
        await until(lambda: made.keeper.hearing)
        assert sorted(made.archive.messages(one.id for one in said)) == [one.id for one in said]
    assert len(replies(server, asked)) == 1


async def test_without_the_right_to_read_history_it_listens_all_the_same(
    server: StandIn, place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.say(place.general, place.bob, "before")
    server.world.allow_everyone(permissions.ORDINARY & ~permissions.READ_MESSAGE_HISTORY)
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        ask(server, place, "hello")
        await server.wait_for(lambda: server.sent(place.general))
    assert "right to read message history" in caplog.text


async def test_a_reply_that_could_not_be_sent_is_made_again_in_the_next_session(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    """Nothing gets through for longer than a reply is tried; the mention stays open and is found again."""
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED, lasting=0.1) as made:
        await until(lambda: made.keeper.hearing)
        server.faults.add("POST", PAGES, faults.failing(503), times=None)
        asked = ask(server, place, "can you speak?")
        await until(lambda: server.faults.struck["status"] >= 1 and made.answering.waiting == 0)
        server.faults.clear()
        server.invalidate(resumable=False)
        await answered(server, asked)
        await until(lambda: made.archive.mentions.ends() == {"reply": 1})
    assert len(replies(server, asked)) == 1


async def test_a_reply_in_hand_outlives_its_connection(server: StandIn, place: Place, tmp_path: Path) -> None:
    script = Scripted(lambda request: f"you said {request.turns[-1].text}", seconds_per_token=0.1)
    async with bot(server, place.general, tmp_path, [script], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        asked = ask(server, place, "one two three four")
        await until(lambda: script.requests)
        server.dispatch_unparsable()
        await server.wait_for(lambda: server.gateway.identifies == 2)
        await answered(server, asked)
        await answered(server, ask(server, place, "five"))
        assert made.metrics.connection["last_end"] == "broken"
    assert len(replies(server, asked)) == 1


async def test_edits_and_deletions_of_a_gap_are_seen_in_the_newest_page(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        said = [server.say(place.general, place.bob, f"line {number}") for number in range(5)]
        await answered(server, ask(server, place, "there?"))
    server.edit(said[0], "better")
    server.delete(said[2])
    server.say(place.general, place.bob, "new")
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        await made.keeper.delete([])
        left = made.archive.messages(one.id for one in said)
        assert [one.rendered for one in left.values()] == ["better", "line 1", "line 3", "line 4"]
        assert made.archive.check() == []


@pytest.mark.parametrize("archived", [False, True])
async def test_a_bot_that_lives_in_a_thread_catches_up_there(
    server: StandIn, place: Place, tmp_path: Path, *, archived: bool
) -> None:
    """One that was archived is not told of when a session begins."""
    thread = server.world.add_thread(place.general, "tea")
    asked = server.say(thread, place.ada, f"{server.world.bot.mention} milk?")
    elsewhere = ask(server, place, "sugar?")
    if archived:
        server.world.archive(thread)
    async with bot(server, thread, tmp_path, [echo()], pace=PRESSED) as made:
        await answered(server, asked)
        await until(lambda: made.keeper.hearing)
        await answered(server, server.say(thread, place.ada, f"{server.world.bot.mention} and lemon?"))
    assert replies(server, elsewhere) == []


async def test_fifty_mentions_of_a_gap_are_answered_a_few_at_a_time(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    await run_once(server, place, tmp_path)
    members = [server.world.add_user(f"member{number}") for number in range(50)]
    asked = [server.say(place.general, one, f"{server.world.bot.mention} I am {one.name}") for one in members]
    async with bot(server, place.general, tmp_path, [echo()], queue_size=4, pace=PRESSED):
        await server.wait_for(lambda: all(replies(server, one) for one in asked))
    assert not any(one.reactions for one in asked)
    assert in_order(asked, server.sent(place.general))


def in_order(asked: Collection[Message], sent: Collection[Message]) -> bool:
    """Replies come in the order of the questions, but for those in hand at the same time."""
    place = {one.id: number for number, one in enumerate(asked)}
    order = [place[one.reference.message_id] for one in sent if one.reference and one.reference.message_id in place]
    return all(abs(number - where) <= PRESSED.at_once for where, number in enumerate(order))


async def test_what_could_not_even_be_held_is_read_again(
    server: StandIn, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sususbot.bot.keeper._BACKLOG", 3)
    monkeypatch.setattr("sususbot.archive.database.BUSY_SECONDS", 0.02)
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        with Archive(tmp_path) as other:
            with other.together():
                said = [server.say(place.general, place.bob, f"line {number}") for number in range(30)]
                await until(lambda: made.keeper.backlog == 3)
                asked = ask(server, place, "still there?")
                await answered(server, asked)
        await until(lambda: sorted(made.archive.messages(one.id for one in said)) == [one.id for one in said])
        await until(lambda: made.keeper.backlog == 0)
    assert len(replies(server, asked)) == 1
