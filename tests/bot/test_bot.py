"""The whole bot against the stand-in: what it answers, what it keeps, and that nothing is lost in a burst."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from sususbot.archive import database
from sususbot.archive.archive import Archive
from sususbot.archive.browsing import Wanted
from sususbot.bot.keeper import Keeper
from sususbot.bot.pace import Pace
from sususbot.bot.sessions import Sessions
from sususbot.errors import ChannelUnknown, IntentMissing, TokenRefused
from sususbot.memory.embedding import MiniLM
from sususbot.memory.long_term import LongTerm
from sususbot.messages import Author, Guild, Reaction
from sususbot.messages import Channel as Known
from sususbot.messages import Message as Kept
from sususbot.model.backend import Request
from sususbot.model.scripted import Scripted
from sususbot.standin.faults import failing
from sususbot.standin.objects import Channel, Message, MessageType
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.world import World
from tests.bot.running import PATIENCE, bot, until
from tests.standin.conftest import Place


async def listening(discord: StandIn) -> None:
    """Wait until the bot has its session and has looked at the guild."""
    await discord.wait_for(lambda: discord.connected == 1)


async def answers(discord: StandIn, channel: Channel, count: int, timeout: float = PATIENCE) -> list[Message]:  # noqa: ASYNC109
    return await discord.wait_for(lambda: discord.sent(channel) if len(discord.sent(channel)) >= count else [], timeout)


async def test_answers_a_mention_as_a_reply_that_pings_nobody(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with bot(server, place.general, tmp_path, [Scripted(["gerald did it @everyone <@1>"])]):
        await listening(server)
        asked = server.say(place.general, place.ada, f"{server.world.bot.mention} who broke the printer?")
        (reply,) = await answers(server, place.general, 1)
        assert reply.content == "gerald did it everyone"
        assert reply.reference is not None
        assert reply.reference.message_id == asked.id
        assert reply.allowed_mentions is not None
        assert reply.allowed_mentions["parse"] == []
        assert (reply.pinged_users, reply.pinged_roles, reply.pinged_everyone) == ((), (), False)


async def test_is_silent_where_it_is_not_addressed(server: StandIn, place: Place, tmp_path: Path) -> None:
    me = server.world.bot
    robot = server.world.add_user("dice", bot=True)
    other = server.world.add_channel("other")
    async with bot(server, place.general, tmp_path, [Scripted(["here"])]) as running:
        await listening(server)
        server.say(place.general, place.ada, "hello everyone")
        server.say(place.general, place.ada, "@everyone look", mentions=[])
        server.say(place.general, robot, f"{me.mention} beep")
        server.say(place.general, me, f"{me.mention} me")
        server.say(place.general, place.ada, f"{me.mention} from a hook", webhook_id=7)
        server.say(place.general, place.ada, f"{me.mention} pinned", type=MessageType.PIN)
        server.say(other, place.ada, f"{me.mention} elsewhere")
        last = server.say(place.general, place.ada, f"{me.mention} you there?")
        _, *replies = await answers(server, place.general, 2)
        assert [reply.reference and reply.reference.message_id for reply in replies] == [last.id]
        assert server.sent(other) == []
        assert running.archive.messages([last.id])


async def test_keeps_messages_edits_and_deletions(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])]) as running:
        await listening(server)
        kept = server.say(place.general, place.ada, "the kettle leaks")
        edited = server.say(place.general, place.ada, "the kettel sings")
        gone = server.say(place.general, place.bob, "my secret")
        server.edit(edited, "the kettle sings")
        server.delete(gone)
        server.delete_bulk([server.say(place.general, place.bob, "one"), server.say(place.general, place.bob, "two")])
        # Events are handled in order: once this is answered, all before it is written.
        server.say(place.general, place.ada, f"{server.world.bot.mention} done?")
        await answers(server, place.general, 1)
        archive = running.archive
        texts = [message.rendered for message in archive.window(place.general.id, limit=10)]
        assert texts == ["the kettle leaks", "the kettle sings", "@sususbot done?"]
        assert archive.counts().deleted == 3
        assert archive.browsing.page(Wanted(), limit=5)[-2:] == [edited.id, kept.id]
        assert archive.check() == []


async def test_reactions_are_named_as_every_other_source_names_them(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])]) as running:
        await listening(server)
        liked = server.say(place.general, place.ada, "the kettel sings")
        for emoji in ("tea:77", "🫖"):
            server.react(liked, place.bob, emoji)
        server.edit(liked, "the kettle sings")
        server.say(place.general, place.ada, f"{server.world.bot.mention} done?")
        await answers(server, place.general, 1)
        kept = running.archive.messages([liked.id])[liked.id]
        assert kept.reactions == (Reaction(":tea:", 1), Reaction("🫖", 1))


async def test_reads_the_recent_turns_and_its_own_lines(server: StandIn, place: Place, tmp_path: Path) -> None:
    script = Scripted(["first", "second"])
    me = server.world.bot
    async with bot(server, place.general, tmp_path, [script]):
        await listening(server)
        server.say(place.general, place.bob, "the printer is called Gerald")
        server.say(place.general, place.ada, f"{me.mention} hi")
        await answers(server, place.general, 1)
        server.say(place.general, place.ada, f"{me.mention}")
        await answers(server, place.general, 2)
    first, second = script.requests
    assert [(turn.speaker, turn.text) for turn in first.turns] == [
        ("bob", "the printer is called Gerald"),
        ("Ada", "hi"),
    ]
    assert ("sususbot", "first", True) in [(turn.speaker, turn.text, turn.own) for turn in second.turns]


async def test_long_answers_come_in_parts(server: StandIn, place: Place, tmp_path: Path) -> None:
    words = " ".join(f"word{number}" for number in range(700))
    async with bot(server, place.general, tmp_path, [Scripted(lambda _: words)]) as running:
        running.responder._sampling = running.responder._sampling.__class__(max_new_tokens=1000)
        await listening(server)
        server.say(place.general, place.ada, f"{server.world.bot.mention} tell me all")
        parts = await answers(server, place.general, 3)
        assert " ".join(part.content for part in parts) == words
        assert [part.reference is None for part in parts] == [False, True, True]


async def test_a_deleted_question_still_gets_its_answer_or_none(server: StandIn, place: Place, tmp_path: Path) -> None:
    slow = Scripted(["a b c d e f g h"], seconds_per_token=0.1)
    async with bot(server, place.general, tmp_path, [slow]):
        await listening(server)
        asked = server.say(place.general, place.ada, f"{server.world.bot.mention} wait")
        await server.wait_for(lambda: server.world.typing[place.general.id])
        server.delete(asked)
        server.say(place.general, place.ada, f"{server.world.bot.mention} and now?")
        (reply,) = await answers(server, place.general, 1)
        assert reply.reference is not None
        assert reply.reference.message_id != asked.id


async def test_sends_again_after_a_server_fault_without_doubling(server: StandIn, place: Place, tmp_path: Path) -> None:
    server.faults.add("POST", "/channels/{channel_id}/messages", failing(503))
    async with bot(server, place.general, tmp_path, [Scripted(["once", "twice", "thrice"])]):
        await listening(server)
        server.say(place.general, place.ada, f"{server.world.bot.mention} hi")
        await answers(server, place.general, 1)
        server.faults.add("POST", "/channels/{channel_id}/messages", failing(503, after=True))
        server.say(place.general, place.ada, f"{server.world.bot.mention} again")
        await answers(server, place.general, 2)
        server.say(place.general, place.ada, f"{server.world.bot.mention} last")
        await answers(server, place.general, 3)
    assert [message.content for message in server.sent(place.general)] == ["once", "twice", "thrice"]


async def test_a_replayed_event_is_answered_once(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with bot(server, place.general, tmp_path, [Scripted(["once"])]):
        await listening(server)
        server.say(place.general, place.ada, f"{server.world.bot.mention} hi")
        await answers(server, place.general, 1)
        connects = server.ledger.connects
        server.drop_connections()
        await server.wait_for(lambda: server.ledger.connects > connects and server.connected == 1)
        server.say(place.general, place.ada, f"{server.world.bot.mention} back?")
        await answers(server, place.general, 2)
        assert len(server.sent(place.general)) == 2


async def test_a_thousand_mentions_are_each_answered_once_or_refused_visibly(place: Place, tmp_path: Path) -> None:
    queue_size = 8
    members = [place.world.add_user(f"member{number}") for number in range(50)]
    mention = place.world.bot.mention

    def echo(request: Request) -> str:
        return f"answer to {request.turns[-1].text.splitlines()[-1]}"

    async with StandIn(place.world, rate=RateLimits.fast(), heartbeat_interval=1.0) as discord:
        async with bot(discord, place.general, tmp_path, [Scripted(echo)], queue_size=queue_size):
            await listening(discord)
            asked = [
                discord.say(place.general, members[number % 50], f"{mention} question {number}")
                for number in range(1000)
            ]
            by_id = {message.id: message for message in asked}
            newest = {message.author.id: message for message in asked}

            def settled() -> bool:
                answered = {m.reference.message_id for m in discord.sent(place.general) if m.reference}
                return all(one.id in answered or one.reactions for one in newest.values())

            await discord.wait_for(settled, timeout=60)
            replies = {m.reference.message_id: m for m in discord.sent(place.general) if m.reference}
            signed = {message.id for message in asked if message.reactions}
            assert len(replies) == sum(m.reference is not None for m in discord.sent(place.general))
            assert not replies.keys() & signed
            assert len(replies) >= queue_size
            # What is neither was answered, or refused, together with a later line of the same member.
            for message in asked:
                later = (id_ for id_ in (*replies, *signed) if by_id[id_].author.id == message.author.id)
                assert any(id_ >= message.id for id_ in later)
            # The line it points at is the last of those it answers.
            for id_, reply in replies.items():
                assert reply.content == f"answer to {by_id[id_].content.removeprefix(mention).strip()}"
            # Heartbeats went on meanwhile. How late they are at most the soak measures, on a machine of its own.
            assert discord.ledger.latest_heartbeat < 20.0


async def ending(discord: StandIn, channel: Channel | int, folder: Path) -> None:
    """Run a bot until it ends by itself."""
    async with bot(discord, channel, folder, [Scripted(["x"])]) as running:
        await running.task


async def test_wrong_token(server: StandIn, place: Place, tmp_path: Path) -> None:
    server.faults.add("GET", "/users/@me", failing(401))
    with pytest.raises(TokenRefused, match="Reset Token"):
        await ending(server, place.general, tmp_path)


async def test_missing_intent(tmp_path: Path) -> None:
    world = World(message_content_allowed=False)
    async with StandIn(world, rate=RateLimits.none()) as discord:
        with pytest.raises(IntentMissing, match="Message Content Intent"):
            await ending(discord, world.add_channel("general"), tmp_path)
        # No session of the day's budget is spent on it.
        assert discord.gateway.identifies == 0


async def test_unknown_channel(server: StandIn, tmp_path: Path) -> None:
    with pytest.raises(ChannelUnknown, match="CHANNEL_ID"):
        await ending(server, 12345, tmp_path)
    # Whatever starts it again by itself, until somebody sets another, has to wait longer each time.
    assert Sessions(tmp_path, Pace()).failures == 1


async def test_a_deletion_in_any_channel_reaches_the_archive(server: StandIn, place: Place, tmp_path: Path) -> None:
    other = server.world.add_channel("other")
    said = server.say(other, place.bob, "an old secret")
    with Archive(tmp_path) as archive:
        archive.add_channel(
            Guild(server.world.guild_id, "x"),
            Known(other.id, server.world.guild_id, "other"),
            origin="export",
            seen_at=1,
        )
        text, author = "an old secret", Author(place.bob.id, "bob", "bob")
        kept = [Kept(said.id, other.id, author, 0, text, text), Kept(5, other.id, author, 0, text, text)]
        archive.add(kept, source=archive.add_source("export", "x"), fetched_at=0)
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])]) as running:
        await listening(server)
        server.delete(said)
        server.say(place.general, place.ada, f"{server.world.bot.mention} done?")
        await answers(server, place.general, 1)
        assert sorted(running.archive.messages([said.id, 5])) == [5]


async def test_what_cannot_be_written_now_is_written_later_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    guild, channel, author = Guild(1, "x"), Known(2, 1, "general"), Author(3, "mia", "mia")
    with Archive(tmp_path) as archive, sqlite3.connect(tmp_path / "archive.db", isolation_level=None) as blocker:
        keeper = Keeper(archive, LongTerm(archive, None, None), pace=Pace(patience=0.01, mend=0.01))
        blocker.execute("BEGIN IMMEDIATE")
        assert await keeper.keep(Kept(10, 2, author, 0, "one", "one"), guild, channel, mention=True)
        keeper.settle([10], "reply")
        assert keeper.backlog == 2
        assert not await keeper.keep(Kept(10, 2, author, 0, "one", "one"), guild, channel, mention=True)
        await until(lambda: keeper.trouble)
        assert archive.newest() is None
        blocker.execute("ROLLBACK")
        await keeper.keep(Kept(11, 2, author, 0, "two", "two"), guild, channel)
        await until(lambda: not keeper.backlog)
        assert [message.id for message in archive.window(2, limit=5)] == [10, 11]
        assert archive.mentions.ends() == {"reply": 1}
        await until(lambda: keeper.trouble is None)
        keeper.close()
    blocker.close()


async def test_a_message_that_arrives_is_found_by_meaning(
    server: StandIn, place: Place, tmp_path: Path, minilm: MiniLM
) -> None:
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])], embedder=minilm) as running:
        await listening(server)
        server.say(place.general, place.ada, "the kettle in the kitchen leaks again")
        search = partial(running.long_term.search, "water drips from the boiler", limit=1)
        async with asyncio.timeout(PATIENCE):
            while not (found := await asyncio.to_thread(search)).hits:
                pass
        assert [hit.message.rendered for hit in found.hits] == ["the kettle in the kitchen leaks again"]
