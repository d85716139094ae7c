"""Slash commands by the real discord.py against the stand-in: each works, refuses who may not, and is for one alone."""

import logging
import threading
from pathlib import Path
from typing import Any

import discord
import pytest

from sususbot.archive.archive import Archive, now_ms
from sususbot.artifacts import write_manifest
from sususbot.bot.commands import OWNERS
from sususbot.bot.controls import owners_of
from sususbot.errors import ModelLoadFailed
from sususbot.model.backend import Facts
from sususbot.model.scripted import Scripted
from sususbot.standin import interactions, permissions
from sususbot.standin.faults import Fault, cloudflare, failing, reset
from sususbot.standin.interactions import NotOffered
from sususbot.standin.objects import Channel
from sususbot.standin.server import StandIn
from tests.bot.commanding import Commanded, commanded, ok
from tests.bot.running import PATIENCE
from tests.bot.seeded import CALLBACK, LORE, PUT, seed, until
from tests.standin.conftest import Place

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
        assert done.wait(PATIENCE)
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


async def test_why_shows_others_lines_without_what_they_quote_of_who_is_not_to_be_quoted(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    hall = server.world.add_channel("hall")
    (hers,) = seed(tmp_path, server, hall, place.bob, LORE)
    seed(tmp_path, server, hall, place.ada, f"> {LORE}\nand rightly so", reply_to=hers)
    async with commanded(server, place.general, tmp_path) as bot:
        await bot.ask(place.ada, "what is the printer in the cellar rightly called?")
        assert "Gerald" in await bot.said(place.ada, "why")
        await bot.said(place.bob, "opt-out", what="quoting")
        assert "and rightly so" in (text := await bot.said(place.ada, "why"))
        assert "Gerald" not in text


async def test_a_quote_of_who_opted_out_leaves_the_running_bot_and_comes_back_with_a_yes(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    async with commanded(server, place.general, tmp_path) as bot:
        memory = bot.controls.long_term

        def found(word: str) -> list[str]:
            return [hit.message.content for hit in memory.search(word, limit=9).hits]

        hers = server.say(place.general, place.bob, LORE)
        quoting = server.say(place.general, place.ada, f"> {LORE}\nand rightly so", reply_to=hers)
        await until(lambda: len(found("Gerald")) == 2)
        await bot.said(place.bob, "opt-out", what="remembering")
        await until(lambda: "> …\nand rightly so" in found("rightly"))
        assert quoting.id not in {hit.message.id for hit in memory.search("Gerald", limit=9).hits if hit.parts["words"]}
        await bot.said(place.bob, "opt-in", what="remembering")
        await until(lambda: sorted(found("Gerald")) == sorted([hers.content, quoting.content]))


def hidden(server: StandIn, channel: Channel) -> dict[str, Any]:
    from sususbot.standin import render

    return render.channel_json(server.world, channel)


async def test_a_long_answer_comes_in_parts(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with commanded(server, place.general, tmp_path, reload=lambda: "many words " * 1500) as bot:
        used = await bot.use(server.world.owner, "reload")
        await server.wait_for(lambda: len(used.answers) == 5)
        assert all(len(message.content) <= 2000 for message in used.answers)
        assert used.answers[-1].content == "…and more than fits here."


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
