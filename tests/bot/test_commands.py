"""Slash commands by the real discord.py against the stand-in: each works, refuses who may not, and is for one alone."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import discord
import pytest

from sususbot.archive.archive import FILE_NAME, Archive, now_ms
from sususbot.artifacts import write_manifest
from sususbot.bot.commands import OWNERS
from sususbot.bot.controls import owners_of
from sususbot.bot.limits import Limits
from sususbot.errors import ModelLoadFailed
from sususbot.messages import NOTE_TYPE, Author, Guild
from sususbot.messages import Channel as Known
from sususbot.messages import Message as Kept
from sususbot.model.backend import Facts, Request
from sususbot.model.scripted import Scripted
from sususbot.standin import interactions, permissions
from sususbot.standin.faults import Fault, cloudflare, failing, reset
from sususbot.standin.interactions import NotOffered
from sususbot.standin.objects import Channel, User
from sususbot.standin.server import StandIn
from tests.bot.commanding import Commanded, commanded, ok
from tests.standin.conftest import Place

T = TypeVar("T")
PUT = "/applications/{application_id}/guilds/{guild_id}/commands"
CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"
LORE = "the printer in the cellar is called Gerald"


def seed(folder: Path, server: StandIn, channel: Channel, author: User, *texts: str) -> list[int]:
    """What was said in a channel before the bot came."""
    guild = Guild(server.world.guild_id, "x")
    with Archive(folder) as archive:
        known = Known(channel.id, guild.id, channel.name)
        archive.add_channel(guild, known, origin="export", seen_at=1)
        who = Author(author.id, author.name, author.display or author.name)
        ids = [server.world.next_id() for _ in texts]
        kept = [Kept(id_, channel.id, who, 0, text, text) for id_, text in zip(ids, texts, strict=True)]
        archive.add(kept, source=archive.add_source("export", "x"), fetched_at=0)
    return ids


async def until(predicate: Callable[[], T], seconds: float = 10.0) -> T:
    """The predicate's first true value, of something that threads or the clock change."""
    async with asyncio.timeout(seconds):
        while not (value := predicate()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return value


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another program writes to the archive."""
    blocker = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()


# -- that Discord knows them


async def test_discord_is_told_when_commands_changed_and_only_then(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    async def started(told: int) -> None:
        looked = server.ledger.count("GET", PUT)
        async with commanded(server, place.general, tmp_path) as bot:
            await server.wait_for(lambda: server.ledger.count("GET", PUT) > looked)
            await server.wait_for(lambda: server.ledger.count("PUT", PUT) == told)
            assert "I did not say anything" in await bot.said(place.ada, "why")
        assert server.ledger.count("PUT", PUT) == told

    commands = server.world.commands
    await started(1)
    assert {command["name"] for command in commands[server.world.guild_id]} >= {"why", "remember", *OWNERS}
    assert {c["name"] for c in commands[server.world.guild_id] if c["default_member_permissions"]} == OWNERS
    await started(1)
    # Somebody else took them away.
    kept = commands[server.world.guild_id]
    commands[server.world.guild_id] = kept[:1]
    await started(2)
    assert [command["name"] for command in commands[server.world.guild_id]] == [command["name"] for command in kept]


@pytest.mark.parametrize(("status", "said"), [(403, "applications.commands"), (400, "the next connection tries again")])
async def test_without_commands_the_bot_goes_on(
    server: StandIn, place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, said: str
) -> None:
    server.world.commands[server.world.guild_id] = [{"id": "1", "name": "x", "type": 1}]
    server.faults.add("GET", PUT, failing(status))
    with caplog.at_level(logging.WARNING):
        async with commanded(server, place.general, tmp_path) as bot:
            assert await bot.ask(place.ada, "there?") == "ok: there?"
            await until(lambda: said in caplog.text)
    assert said in caplog.text


async def test_a_command_that_comes_before_the_bot_is_ready_is_told_so(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    async with commanded(server, place.general, tmp_path) as bot:
        await bot.said(place.ada, "status")
        server.world.commands[server.world.guild_id].append(
            {"id": "5", "name": "old", "type": 1, "default_member_permissions": None}
        )
        assert "waking up" in await bot.said(place.ada, "old")


async def test_a_command_that_discord_tells_of_twice_is_taken_once(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    reloads: list[int] = []

    def reload() -> str:
        reloads.append(1)
        return "done"

    async with commanded(server, place.general, tmp_path, reload=reload) as bot:
        used = await bot.use(server.world.owner, "reload")
        server.dispatch("INTERACTION_CREATE", interactions.event(server.world, used))
        await bot.said(place.ada, "status")
        assert len(reloads) == 1
        assert used.text == "done"


async def test_a_slow_command_is_promised_at_once_and_holds_nothing_up(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    done = threading.Event()

    def reload() -> str:
        assert done.wait(10)
        return "loaded"

    async with commanded(server, place.general, tmp_path, reload=reload) as bot:
        slow = server.command(place.general, server.world.owner, "reload")
        await server.wait_for(lambda: slow.deferred)
        assert await bot.ask(place.ada, "there?") == "ok: there?"
        assert "all is well" in await bot.said(place.ada, "status")
        assert slow.waits
        done.set()
        assert (await server.answer(slow)).text == "loaded"


@pytest.mark.parametrize("fault", [failing(404, code=10062), reset(), cloudflare()], ids=str)
async def test_what_was_asked_for_is_done_even_if_discord_does_not_hear_the_answer(
    server: StandIn, place: Place, tmp_path: Path, fault: Fault
) -> None:
    async with commanded(server, place.general, tmp_path) as bot:
        server.faults.add("POST", CALLBACK, fault)
        unheard = server.command(place.general, place.bob, "opt-out", {"what": "quoting"})
        await until(lambda: not bot.archive.consents.answers(place.bob.id).quote)
        await bot.said(place.ada, "status")
        assert unheard.text == ""


async def test_a_new_connection_has_the_commands_too(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with commanded(server, place.general, tmp_path) as bot:
        await bot.said(server.world.owner, "pause")
        looked = server.ledger.count("GET", PUT)
        server.dispatch_unparsable()
        await server.wait_for(lambda: server.gateway.identifies == 2 and server.ledger.count("GET", PUT) > looked)
        assert bot.controls.answering.paused
        assert "paused" in await bot.said(place.ada, "status")
        assert server.ledger.count("PUT", PUT) == 1


async def test_elsewhere_no_command_is_taken(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with commanded(server, place.general, tmp_path):
        made = interactions.command(server.world, place.general, place.ada, "forget-me", {}, let=False)
        told = interactions.event(server.world, made)
        member = told.pop("member")
        for key in ("guild_id", "guild", "guild_locale"):
            told.pop(key)
        told["data"].pop("guild_id")
        told |= {"user": member["user"], "context": 1, "channel": {"id": "7", "type": 1, "recipients": [], "flags": 0}}
        server.dispatch("INTERACTION_CREATE", told)
        assert "only listen to commands on the server" in (await server.answer(made)).text
        assert made.ephemeral


# -- asking


async def test_how_it_is(server: StandIn, place: Place, tmp_path: Path) -> None:
    engine: Facts = {"state": "running", "model": "/models/tiny.gguf", "adapter": "none", "pid": 7}
    async with commanded(server, place.general, tmp_path, engine=lambda: engine) as bot:
        await bot.ask(place.ada, "the kettle sings")
        text = await bot.said(place.bob, "status")
        assert "engine: state running, model tiny.gguf, adapter none" in text
        assert "last reply" in text
        assert "messages of" in text
        assert "models/" not in text
        engine["state"] = "down: it died"
        assert "the model is not there" in await bot.said(place.bob, "status")


async def test_help_names_whom_to_turn_to(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with commanded(server, place.general, tmp_path, contact="Kim (kim@example.org)") as bot:
        text = await bot.said(place.ada, "help")
        assert "Tell Kim (kim@example.org)." in text
        assert "/forget-me" in text


async def test_why_shows_the_memories_and_how_the_reply_came_about(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    hall = server.world.add_channel("hall")
    (id_,) = seed(tmp_path, server, hall, place.bob, LORE)
    async with commanded(server, place.general, tmp_path) as bot:
        assert "I did not say anything in this channel lately" in await bot.said(place.ada, "why")
        await bot.ask(place.ada, "what is the printer in the cellar called?")
        first = server.sent(place.general)[-1]
        text = await bot.said(place.bob, "why")
        assert "answered by scripted" in text
        assert f"bob: {LORE} <https://discord.com/channels/{server.world.guild_id}/{hall.id}/{id_}>" in text
        assert "memories, by " in text
        assert "tokens used, of each section's budget: persona " in text
        assert "milliseconds: " in text
        await bot.ask(place.ada, "hello?")
        link = f"https://discord.com/channels/{server.world.guild_id}/{place.general.id}/{first.id}"
        assert LORE in await bot.said(place.bob, "why", reply=link)
        assert LORE in await bot.said(place.bob, "why", reply=str(first.id))
        assert "I did not say that lately" in await bot.said(place.bob, "why", reply=str(server.world.next_id()))
        chosen = await server.answer(server.choose(first, place.bob, "Why?"))
        assert LORE in chosen.text
        assert chosen.ephemeral
        assert "link or id" in await bot.said(place.bob, "why", reply="the one about tea")


async def test_why_shows_nothing_that_is_gone_hidden_or_not_to_be_quoted(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    hall = server.world.add_channel("hall")
    seed(tmp_path, server, hall, place.bob, LORE)
    async with commanded(server, place.general, tmp_path) as bot:
        await bot.ask(place.ada, "what is the printer in the cellar called?")
        assert LORE in await bot.said(place.ada, "why")
        # The reply is asked about where other people read.
        other = Commanded(server, hall, bot.archive, bot.controls)
        asked = await other.said(place.ada, "why", reply=str(server.sent(place.general)[-1].id))
        assert asked == "That was said in another channel: ask me there."
        await bot.said(place.bob, "opt-out", what="quoting")
        text = await bot.said(place.ada, "why")
        assert "Gerald" not in text
        assert "bob: (does not want to be quoted)" in text
        bot.archive.consents.say(place.bob.id, by="member", way="test", at=now_ms() + 1, quote=True)
        hall.overwrites.append(server.world.overwrite(deny=permissions.VIEW_CHANNEL))
        server.dispatch("CHANNEL_UPDATE", hidden(server, hall))
        text = await bot.said(place.ada, "why")
        assert "Gerald" not in text
        assert "not to be seen here" in text


def hidden(server: StandIn, channel: Channel) -> dict[str, Any]:
    from sususbot.standin import render

    return render.channel_json(server.world, channel)


async def test_a_long_answer_comes_in_parts(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with commanded(server, place.general, tmp_path, reload=lambda: "many words " * 1500) as bot:
        used = await bot.use(server.world.owner, "reload")
        await server.wait_for(lambda: len(used.answers) == 5)
        assert all(len(message.content) <= 2000 for message in used.answers)
        assert used.answers[-1].content == "…and more than fits here."


# -- wishes


async def test_a_no_holds_at_once_and_a_yes_again(server: StandIn, place: Place, tmp_path: Path) -> None:
    (id_,) = seed(tmp_path, server, place.general, place.bob, LORE)
    async with commanded(server, place.general, tmp_path) as bot:
        text = await bot.said(place.bob, "opt-out", what="remembering")
        assert text.startswith("Nothing you wrote or write is looked up, shown to the model or quoted.")
        assert text.endswith("What holds for you now: learned from yes, remembered no, quoted no.")
        assert bot.archive.messages([id_])
        assert bot.controls.long_term.search("printer", limit=3).hits == []
        assert bot.controls.short_term.recent(place.general.id) == []
        assert "remembered yes, quoted yes" in await bot.said(place.bob, "opt-in", what="remembering")
        await until(lambda: bot.controls.long_term.search("printer", limit=3).hits)
        said = bot.archive.consents.statements()
        assert [(one.by, one.way, one.remember) for one in said] == [
            ("member", "/opt-out", False),
            ("member", "/opt-in", True),
        ]


async def test_a_no_to_everything_takes_the_words_away_and_names_what_learned_of_them(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    (id_,) = seed(tmp_path, server, place.general, place.bob, LORE)
    for name, author in (("mine", place.bob), ("hers", place.ada)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_manifest(tmp_path / "runs" / name, {"authors": [str(author.id)]})
    let_go: list[int] = []

    def unlearn() -> str:
        let_go.append(1)
        return "I answer without it from now on."

    async with commanded(server, place.general, tmp_path, unlearn=unlearn) as bot:
        text = await bot.said(place.bob, "opt-out")
        assert "1 message lost its words" in text
        assert "the adapter of run mine must be trained anew without you" in text
        assert "hers" not in text
        assert "I answer without it from now on." in text
        assert let_go == [1]
        assert bot.archive.messages([id_]) == {}
        assert bot.controls.short_term.recent(place.general.id) == []
        assert "comes back only if the owner imports" in await bot.said(place.bob, "opt-in")
        assert bot.archive.check() == []
    assert not any(b"Gerald" in path.read_bytes() for path in tmp_path.glob("archive.db*"))


async def test_who_wants_to_be_forgotten_is_asked_once_more(server: StandIn, place: Place, tmp_path: Path) -> None:
    (id_, _) = seed(tmp_path, server, place.general, place.bob, LORE, "and it likes paper")
    async with commanded(server, place.general, tmp_path) as bot:
        asked = await bot.use(place.bob, "forget-me")
        assert "2 messages of yours lose their words" in asked.text
        server.press(asked, "Forget me", user=place.ada)
        server.press(asked, "Keep me")
        await server.wait_for(lambda: asked.text == "Nothing was changed.")
        assert bot.archive.messages([id_])
        asked = await bot.use(place.bob, "forget-me")
        server.press(asked, "Forget me")
        await server.wait_for(lambda: "You are forgotten." in asked.text)
        assert "2 messages lost their words" in asked.text
        assert bot.archive.messages([id_]) == {}
        assert bot.archive.erasure.unfinished() == []
        server.say(place.general, place.bob, "me again")
        assert await bot.ask(place.ada, "printer?") == "ok: printer?"
        assert "bob" not in bot.archive.names().get(place.bob.id, set())
        assert bot.controls.long_term.search("printer paper", limit=3).hits == []
        assert "must not remember you" in await bot.said(place.bob, "remember", text="tea is at four")
        assert bot.archive.check() == []
    assert not any(b"Gerald" in path.read_bytes() for path in tmp_path.glob("archive.db*"))


async def test_a_note_is_found_at_once_and_can_be_taken_back(server: StandIn, place: Place, tmp_path: Path) -> None:
    script = Scripted(ok)
    async with commanded(server, place.general, tmp_path, [script]) as bot:
        server.say(place.general, place.ada, "good morning all")
        await until(lambda: bot.archive.author(place.ada.id))
        text = f"{place.ada.mention} keeps the key in {place.general.mention} <:key:77>"
        used = await bot.use(place.bob, "remember", text=text)
        assert used.text.startswith("Noted, and I can find it from now on: @Ada keeps the key in #general :key:")
        found = await until(lambda: bot.controls.long_term.search("who keeps the key?", limit=1).hits, seconds=1)
        note = found[0].message
        assert (note.id, note.type, note.pinned, note.author.id) == (used.id, NOTE_TYPE, True, place.bob.id)
        assert note.mentions == (place.ada.id,)
        await bot.ask(place.ada, "who keeps the key?")
        request: Request = script.requests[-1]
        assert "keeps the key in #general" in request.prompt
        assert [turn.text for turn in request.turns] == ["good morning all", "who keeps the key?"]
        assert "bob: @Ada keeps the key in #general :key: (a note)" in await bot.said(place.ada, "why")
        server.press(used, "Take it back")
        await server.wait_for(lambda: "do not know it any more" in used.text)
        assert bot.archive.messages([used.id]) == {}
        assert bot.controls.long_term.search("who keeps the key?", limit=9).hits[0].message.id != used.id


async def test_who_may_not_leave_notes(server: StandIn, place: Place, tmp_path: Path) -> None:
    limits = Limits(blocked=[place.ada.id])
    async with commanded(server, place.general, tmp_path, limits=limits) as bot:
        assert "I take no notes of you" in await bot.said(place.ada, "remember", text="tea")
        await bot.said(place.bob, "opt-out", what="remembering")
        assert "must not remember you" in await bot.said(place.bob, "remember", text="tea")
        with pytest.raises(NotOffered):
            await bot.said(place.bob, "remember", text="x" * 501)
        kim = server.world.add_user("kim")
        texts = [await bot.said(kim, "remember", text=f"fact number {number}") for number in range(11)]
        assert all(text.startswith("Noted") for text in texts[:10])
        assert "give me a while" in texts[10]
        assert bot.archive.counts().messages == 10


async def test_a_locked_archive_gets_a_sentence_and_wishes_are_done_later(
    server: StandIn, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sususbot.archive.database.BUSY_SECONDS", 0.2)
    (id_,) = seed(tmp_path, server, place.general, place.bob, LORE)
    async with commanded(server, place.general, tmp_path) as bot:
        with locked(tmp_path):
            sentence = "My memory is in use by another program right now: try again in a minute."
            assert await bot.said(place.bob, "opt-out") == sentence
            asked = await bot.use(place.bob, "forget-me")
            server.press(asked, "Forget me")
            await server.wait_for(lambda: asked.text == sentence)
            assert "as soon as my memory can be written" in await bot.said(place.ada, "remember", text="tea at four")
        assert bot.archive.messages([id_])


async def test_what_another_program_is_in_the_way_of_is_erased_once_it_is_gone(
    server: StandIn, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sususbot.archive.database.BUSY_SECONDS", 0.2)
    seed(tmp_path, server, place.general, place.bob, LORE)
    async with commanded(server, place.general, tmp_path) as bot:
        with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM messages").fetchall()
            asked = await bot.use(place.bob, "forget-me")
            server.press(asked, "Forget me")
            await server.wait_for(lambda: "It is on record and nothing of yours is used any more" in asked.text)
            assert bot.archive.erasure.unfinished() == [place.bob.id]
            assert bot.controls.long_term.search("printer", limit=3).hits == []
            assert "some words that are to be erased are still on disk" in await bot.said(place.ada, "status")
        await until(lambda: bot.archive.erasure.unfinished() == [])
    assert not any(b"Gerald" in path.read_bytes() for path in tmp_path.glob("archive.db*"))


# -- the owner's


def team_member(id_: int, role: str, state: int = 2) -> dict[str, Any]:
    user = {"id": str(id_), "username": "x", "discriminator": "0", "avatar": None}
    return {"user": user, "team_id": "1", "membership_state": state, "role": role, "permissions": ["*"]}


def test_whom_an_application_belongs_to() -> None:
    told = {"id": "5", "name": "x", "description": "", "icon": None, "bot_public": False, "verify_key": "",
            "bot_require_code_grant": False, "owner": team_member(7, "admin")["user"]}  # fmt: skip
    state = discord.Client(intents=discord.Intents.none())._connection
    assert owners_of(None) == frozenset()
    assert owners_of(discord.AppInfo(state, told)) == {7}  # type: ignore[arg-type]
    members = [
        team_member(7, "admin"),
        team_member(8, "admin"),
        team_member(9, "developer"),
        team_member(10, "admin", 1),
    ]
    told["team"] = {"id": "1", "name": "x", "icon": None, "owner_user_id": "7", "members": members}
    assert owners_of(discord.AppInfo(state, told)) == {7, 8}  # type: ignore[arg-type]


async def test_the_owner_s_commands_are_for_owners(server: StandIn, place: Place, tmp_path: Path) -> None:
    refusal = "That is for the bot's owner, or for who may manage this server."
    keeper = server.world.add_user("kim", roles=[server.world.add_role("k", grants=permissions.MANAGE_GUILD)])
    async with commanded(server, place.general, tmp_path, owners=[place.bob.id]) as bot:
        for name in sorted(OWNERS):
            with pytest.raises(NotOffered, match="hidden"):
                await bot.said(place.ada, name)
            assert await bot.said(place.ada, name, let=True) == refusal
            for user in (place.bob, keeper, server.world.owner):
                assert await bot.said(user, name, let=True) != refusal


async def test_a_pause_lasts_through_restarts_until_it_is_over(server: StandIn, place: Place, tmp_path: Path) -> None:
    owner = server.world.owner
    async with commanded(server, place.general, tmp_path) as bot:
        assert await bot.said(owner, "resume") == "I was not paused."
        assert (await bot.said(owner, "pause")).startswith("Paused until /resume")
        asked = server.say(place.general, place.ada, f"{server.world.bot.mention} there?")
        await server.wait_for(lambda: asked.reactions)
        assert "paused" in await bot.said(place.ada, "status")
    async with commanded(server, place.general, tmp_path) as bot:
        assert bot.controls.answering.paused
        assert await bot.said(owner, "resume") == "I answer again."
        assert await bot.ask(place.ada, "and now?") == "ok: and now?"
        assert (await bot.said(owner, "pause", minutes=90)).startswith("Paused for 90 minutes")
    with Archive(tmp_path) as archive:
        # Its time is over while nothing runs.
        archive.facts.put("paused", str(now_ms() - 1))
    async with commanded(server, place.general, tmp_path) as bot:
        assert not bot.controls.answering.paused
        bot.archive.facts.put("paused", str(now_ms() + 150))
    async with commanded(server, place.general, tmp_path) as bot:
        await until(lambda: not bot.controls.answering.paused)


async def test_a_fresh_start_lasts_through_restarts_and_forgets_nothing(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    before, after = (Scripted(ok) for _ in range(2))
    async with commanded(server, place.general, tmp_path, [before]) as bot:
        server.say(place.general, place.bob, LORE)
        await bot.ask(place.ada, "hi")
        assert "begins anew here" in await bot.said(server.world.owner, "clear-memory")
        await bot.ask(place.ada, "tea?")
        assert [turn.text for turn in before.requests[-1].turns] == ["tea?"]
    async with commanded(server, place.general, tmp_path, [after]) as bot:
        await bot.ask(place.ada, "and what is the printer called?")
        texts = [turn.text for turn in after.requests[-1].turns]
        assert texts[0].endswith("tea?")
        assert LORE not in texts
        assert LORE in after.requests[-1].prompt


async def test_figures_training_and_settings(server: StandIn, place: Place, tmp_path: Path) -> None:
    owner = server.world.owner

    def reload() -> str:
        raise ModelLoadFailed("the adapter /data/x.gguf is for another base: train it anew")

    async with commanded(server, place.general, tmp_path, reload=reload, engine=lambda: {"pid": 7}) as bot:
        await bot.ask(place.ada, "hi")
        text = await bot.said(owner, "stats")
        assert "replies in the last 24 hours: 1" in text
        assert "by backend: scripted 1" in text
        assert "not sent by the filter: none" in text
        assert "engine: pid 7" in text
        assert await bot.said(owner, "train-status") == "There was no training yet."
        (tmp_path / "runs" / "first").mkdir(parents=True)
        write_manifest(tmp_path / "runs" / "first", {"state": "finished"})
        assert await bot.said(owner, "train-status") == "run first: finished"
        assert "/data/x.gguf is for another base" in await bot.said(owner, "reload")
