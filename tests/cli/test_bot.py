"""`sususbot bot` as owners run it: a process that logs in, answers, and ends by a signal; one for a data folder."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sususbot.standin.server import StandIn
from tests.standin.conftest import Place

RUN = """
import sys
from sususbot.bot.address import discord_at
from sususbot.cli.main import main
with discord_at(sys.argv.pop(1), sys.argv.pop(1)):
    main()
"""


@asynccontextmanager
async def command(server: StandIn, place: Place, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in a process of its own, in front of the stand-in. It searches by words alone: no model."""
    settings = {
        "DISCORD_TOKEN": place.world.token, "CHANNEL_ID": str(place.general.id), "METRICS_PORT": "0",
        "EMBEDDING_MODEL": "none", "SUMMARIZER": "off",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, server.http_url, server.gateway_url, "--data", str(folder / "data"), "bot"),
        cwd=folder,
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent SIGTERM there")
async def test_it_answers_and_ends_well_when_it_is_told_to(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with command(server, place, tmp_path) as process:
        await server.wait_for(lambda: server.connected == 1, 120)
        asked = server.say(place.general, place.ada, f"{server.world.bot.mention} hello")
        await server.wait_for(lambda: server.sent(place.general))
        (reply,) = server.sent(place.general)
        assert reply.reference is not None
        assert reply.reference.message_id == asked.id
        async with command(server, place, tmp_path) as second:
            assert second.stdout is not None
            assert b"another bot runs on" in await second.stdout.read()
            assert await second.wait() == 1
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        said = await process.stdout.read()
        assert await process.wait() == 0
        assert b"Traceback" not in said
        assert place.world.token.encode() not in said
    assert server.connected == 0
