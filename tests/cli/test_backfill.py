"""`sususbot backfill` as an owner runs it: settings, options, results, and a sentence where something is wrong."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.standin import faults
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.world import World
from tests.sources.discord_api.town import BEGUN, Town, empty_town, history, town
from tests.support.commands import environment, refusal
from tests.support.commands import run_here as run

CODE = """
import sys
from sususbot.cli.main import main
from sususbot.sources.discord_api.address import api_at
with api_at(sys.argv.pop(1)):
    main()
"""
PAGES = "/channels/{channel_id}/messages"


async def start(server: StandIn, *arguments: str, folder: Path, **settings: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", CODE, server.http_url, "backfill", *arguments,
        cwd=folder, env=environment({"DISCORD_TOKEN": server.world.token} | settings),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def backfill(server: StandIn, *arguments: str, folder: Path, **settings: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    process = await start(server, *arguments, folder=folder, **settings)
    async with asyncio.timeout(120):
        out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


def held(folder: Path, made: Town, *channels: int) -> bool:
    with Archive(folder / "data") as archive:
        return list(archive.history()) == history(made.world, channels or made.ids())


async def test_the_channels_of_the_settings_and_what_was_done_as_json(tmp_path: Path) -> None:
    made = town(pages=2)
    channels = ",".join(map(str, made.ids()))
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, out, errors = await backfill(server, "--json", folder=tmp_path, CHANNELS=channels, CHANNEL_ID="42")
    assert code == 0, errors
    assert errors == ""
    whole = len(history(made.world, made.ids()))
    told = json.loads(out)
    assert (told["channels"], told["threads"], told["new"], told["archive_messages"]) == (2, 5, whole, whole)
    assert told["refused"] == {}
    assert held(tmp_path, made)


async def test_ids_on_the_command_line_come_first_and_progress_is_told(tmp_path: Path) -> None:
    made = town(pages=2)
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, out, errors = await backfill(server, str(made.square.id), folder=tmp_path, CHANNELS=str(made.market.id))
    assert (code, out) == (0, ""), errors
    assert "1 channel and 1 thread:" in errors
    assert "messages to read: at least" in errors
    assert "sususbot index" in errors
    assert held(tmp_path, made, made.square.id)


async def test_the_bots_own_channel_is_the_default_and_since_and_max_are_honoured(tmp_path: Path) -> None:
    made = empty_town()
    made.say(made.square, 400, begun=BEGUN)
    made.say(made.square, 50, begun=1_710_000_000)
    settings = {"CHANNEL_ID": str(made.square.id)}
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, _, errors = await backfill(server, "--since", "2024-03-01", folder=tmp_path, **settings)
        assert code == 0, errors
        assert "50 new messages" in errors
        code, _, errors = await backfill(server, "--max-messages", "30", folder=tmp_path, **settings)
        assert "30 new messages" in errors
        assert "run the same command again to go on" in errors
        code, _, errors = await backfill(server, folder=tmp_path, MAX_MESSAGES="70", **settings)
        assert "70 new messages" in errors
        code, _, errors = await backfill(server, folder=tmp_path, **settings)
    assert held(tmp_path, made, made.square.id)


async def test_all_channels_and_a_later_verify(tmp_path: Path) -> None:
    made = town(pages=1)
    made.world.add_channel("hidden", private=True)
    settings = {"GUILD_ID": str(made.world.guild_id)}
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, _, errors = await backfill(server, "--all", folder=tmp_path, **settings)
        assert code == 0, errors
        assert held(tmp_path, made)
        server.delete(next(iter(made.square.history)))
        code, _, errors = await backfill(server, "--all", "--verify", folder=tmp_path, **settings)
        assert "1 deleted" in errors
    assert held(tmp_path, made)


async def test_a_channel_that_cannot_be_read_is_told_last_and_the_others_are_there(tmp_path: Path) -> None:
    made = town(pages=1)
    hidden = made.world.add_channel("hidden", private=True)
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, out, errors = await backfill(server, str(hidden.id), *map(str, made.ids()), "--json", folder=tmp_path)
    assert code == 1
    assert "View Channel" in refusal(errors)
    assert list(json.loads(out)["refused"]) == [str(hidden.id)]
    assert held(tmp_path, made)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_stopping_it_leaves_everything_resumable(tmp_path: Path, number: signal.Signals) -> None:
    made = town(pages=8)
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        process = await start(server, *map(str, made.ids()), folder=tmp_path)
        await server.wait_for(lambda: server.ledger.count(route=PAGES) >= 5)
        process.send_signal(number)
        _, errors = await process.communicate()
        assert process.returncode == 130
        assert "run the same command again to go on" in errors.decode()
        assert "Traceback" not in errors.decode()
        code, _, told = await backfill(server, *map(str, made.ids()), folder=tmp_path)
        assert code == 0, told
    assert held(tmp_path, made)


@pytest.mark.parametrize(
    ("settings", "next_step"),
    [
        ({"DISCORD_TOKEN": ""}, "DISCORD_TOKEN is not set"),
        ({"DISCORD_TOKEN": "x"}, "no channel is named"),
        ({"DISCORD_TOKEN": "x", "CHANNELS": "general"}, "CHANNELS"),
        ({"DISCORD_TOKEN": "x", "CHANNEL_ID": "1", "REQUESTS_PER_SECOND": "51"}, "REQUESTS_PER_SECOND"),
    ],
)
def test_settings_that_are_missing_or_wrong(tmp_path: Path, settings: dict[str, str], next_step: str) -> None:
    done = run("backfill", folder=tmp_path, **settings)
    assert done.returncode == 1
    assert next_step in refusal(done.stderr)


@pytest.mark.parametrize("arguments", [["general"], ["--since", "yesterday"], ["--max-messages", "0"]])
def test_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    done = run("backfill", *arguments, folder=tmp_path, DISCORD_TOKEN="x")
    assert done.returncode == 2


async def test_a_wrong_token_and_a_gate_that_is_shut(tmp_path: Path) -> None:
    world = World()
    channel = world.add_channel("general")
    async with StandIn(world, rate=RateLimits.none()) as server:
        code, _, errors = await backfill(server, str(channel.id), folder=tmp_path, DISCORD_TOKEN="wrong")
        assert code == 1
        assert "Reset Token" in refusal(errors)
        server.faults.add("GET", "*", faults.cloudflare(429, retry_after=900))
        code, _, errors = await backfill(server, str(channel.id), folder=tmp_path)
        assert code == 1
        assert "wait 15 minutes" in refusal(errors)
