"""A running bot sums up what leaves its window, and takes back what was edited or deleted."""

import asyncio
import re
from pathlib import Path

from sususbot.memory.short_term import Folds
from sususbot.model.scripted import Scripted
from sususbot.standin.server import StandIn
from tests.bot.running import bot
from tests.bot.test_bot import answers, listening
from tests.memory.summing_up import PATIENCE, Joiner
from tests.standin.conftest import Place


async def test_a_prompt_tells_what_was_said_before_its_window(server: StandIn, place: Place, tmp_path: Path) -> None:
    script, joiner, me = Scripted(["ok", "yes", "sure"]), Joiner(), server.world.bot
    folds = Folds("sususbot", summarizer=joiner)
    async with bot(server, place.general, tmp_path, [script], folds=folds) as running:
        await listening(server)
        said = [server.say(place.general, place.bob, f"secret word{number}") for number in range(25)]
        server.say(place.general, place.ada, f"{me.mention} zero")
        await answers(server, place.general, 1)
        # Before a summary is made a prompt has the most telling lines, not all.
        assert await asyncio.to_thread(running.short_term.settle, PATIENCE)
        server.say(place.general, place.ada, f"{me.mention} one")
        await answers(server, place.general, 2)
        server.edit(said[0], "plain speech")
        server.delete(said[1])
        server.say(place.general, place.ada, f"{me.mention} two")
        await answers(server, place.general, 3)
    _, first, second = (request.prompt for request in script.requests)
    assert re.search(r"word0\b", first)
    assert first.count("word4") == first.count("word5") == first.count("word24") == 1
    assert "plain speech" in second
    assert not re.search(r"word0\b", second)
    assert not re.search(r"word1\b", second)


async def test_what_was_said_before_the_start_is_summed_up_too(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])]):
        await listening(server)
        for number in range(40):
            server.say(place.general, place.bob, f"secret word{number}")
        server.say(place.general, place.ada, f"{server.world.bot.mention} there?")
        await answers(server, place.general, 1)
    script = Scripted(["ok"])
    async with bot(server, place.general, tmp_path, [script], folds=Folds("sususbot")):
        await server.wait_for(lambda: server.connected == 1)
        server.say(place.general, place.ada, f"{server.world.bot.mention} and now?")
        await answers(server, place.general, 2)
    prompt = script.requests[0].prompt
    assert prompt.index("earlier") < prompt.index("word39")
    assert re.search(r"bob: secret word0\b", prompt)
