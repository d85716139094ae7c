"""`sususbot backfill` as an owner runs it: settings, options, results, and a sentence where something is wrong."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.standin import faults
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.world import World
from tests.sources.discord_api.town import BEGUN, Town, empty_town, history, town
from tests.support.commands import refusal
from tests.support.commands import run_here as run
from tests.support.ready import Ready, Running
from tests.support.ready import ready as ready_to_run

PAGES = "/channels/{channel_id}/messages"


@pytest.fixture(scope="module")
def ready() -> Iterator[Ready]:
    with ready_to_run("sususbot.cli.backfilling", "sususbot.sources.discord_api.collector") as waiting:
        yield waiting


def start(ready: Ready, server: StandIn, *arguments: str, folder: Path, **settings: str) -> Running:
    """The command as a process of its own; what it says goes into the files `out` and `errors`."""
    return ready.begin(
        "backfill", *arguments, folder=folder, errors=folder / "errors", out=folder / "out", api=server.http_url,
        **{"DISCORD_TOKEN": server.world.token} | settings,
    )  # fmt: skip


async def ended(process: Running, folder: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    async with asyncio.timeout(120):
        code = await asyncio.to_thread(process.wait)
    out, errors = ((folder / name).read_text(encoding="utf-8") for name in ("out", "errors"))
    return code, out, errors


async def backfill(
    ready: Ready, server: StandIn, *arguments: str, folder: Path, **settings: str
) -> tuple[int, str, str]:
    return await ended(start(ready, server, *arguments, folder=folder, **settings), folder)


def held(folder: Path, made: Town, *channels: int) -> bool:
    with Archive(folder / "data") as archive:
        return list(archive.history()) == history(made.world, channels or made.ids())


async def test_the_channels_of_the_settings_and_what_was_done_as_json(ready: Ready, tmp_path: Path) -> None:
    made = town(pages=2)
    channels = ",".join(map(str, made.ids()))
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, out, errors = await backfill(ready, server, "--json", folder=tmp_path, CHANNELS=channels, CHANNEL_ID="42")
    assert code == 0, errors
    assert errors == ""
    whole = len(history(made.world, made.ids()))
    told = json.loads(out)
    assert (told["channels"], told["threads"], told["new"], told["archive_messages"]) == (2, 5, whole, whole)
    assert told["refused"] == {}
    assert held(tmp_path, made)


async def test_ids_on_the_command_line_come_first_and_progress_is_told(ready: Ready, tmp_path: Path) -> None:
    made = town(pages=2)
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, out, errors = await backfill(
            ready, server, str(made.square.id), folder=tmp_path, CHANNELS=str(made.market.id)
        )
    assert (code, out) == (0, ""), errors
    assert "1 channel and 1 thread:" in errors
    assert "messages to read: at least" in errors
    assert "sususbot index" in errors
    assert held(tmp_path, made, made.square.id)


async def test_the_bots_own_channel_is_the_default_and_since_and_max_are_honoured(ready: Ready, tmp_path: Path) -> None:
    made = empty_town()
    made.say(made.square, 400, begun=BEGUN)
    made.say(made.square, 50, begun=1_710_000_000)
    settings = {"CHANNEL_ID": str(made.square.id)}
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, _, errors = await backfill(ready, server, "--since", "2024-03-01", folder=tmp_path, **settings)
        assert code == 0, errors
        assert "50 new messages" in errors
        code, _, errors = await backfill(ready, server, "--max-messages", "30", folder=tmp_path, **settings)
        assert "30 new messages" in errors
        assert "run the same command again to go on" in errors
        code, _, errors = await backfill(ready, server, folder=tmp_path, MAX_MESSAGES="70", **settings)
        assert "70 new messages" in errors
        code, _, errors = await backfill(ready, server, folder=tmp_path, **settings)
    assert held(tmp_path, made, made.square.id)


async def test_all_channels_and_a_later_verify(ready: Ready, tmp_path: Path) -> None:
    made = town(pages=1)
    made.world.add_channel("hidden", private=True)
    settings = {"GUILD_ID": str(made.world.guild_id)}
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, _, errors = await backfill(ready, server, "--all", folder=tmp_path, **settings)
        assert code == 0, errors
        assert held(tmp_path, made)
        server.delete(next(iter(made.square.history)))
        code, _, errors = await backfill(ready, server, "--all", "--verify", folder=tmp_path, **settings)
        assert "1 deleted" in errors
    assert held(tmp_path, made)


async def test_a_channel_that_cannot_be_read_is_told_last_and_the_others_are_there(
    ready: Ready, tmp_path: Path
) -> None:
    made = town(pages=1)
    hidden = made.world.add_channel("hidden", private=True)
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, out, errors = await backfill(
            ready, server, str(hidden.id), *map(str, made.ids()), "--json", folder=tmp_path
        )
    assert code == 1
    assert "View Channel" in refusal(errors)
    assert list(json.loads(out)["refused"]) == [str(hidden.id)]
    assert held(tmp_path, made)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_stopping_it_leaves_everything_resumable(ready: Ready, tmp_path: Path, number: signal.Signals) -> None:
    made = town(pages=8)
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        process = start(ready, server, *map(str, made.ids()), folder=tmp_path)
        await server.wait_for(lambda: server.ledger.count(route=PAGES) >= 5)
        process.send_signal(number)
        code, _, errors = await ended(process, tmp_path)
        assert code == 130
        assert "run the same command again to go on" in errors
        assert "Traceback" not in errors
        code, _, told = await backfill(ready, server, *map(str, made.ids()), folder=tmp_path)
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


async def test_a_wrong_token_and_a_gate_that_is_shut(ready: Ready, tmp_path: Path) -> None:
    world = World()
    channel = world.add_channel("general")
    async with StandIn(world, rate=RateLimits.none()) as server:
        code, _, errors = await backfill(ready, server, str(channel.id), folder=tmp_path, DISCORD_TOKEN="wrong")
        assert code == 1
        assert "Reset Token" in refusal(errors)
        server.faults.add("GET", "*", faults.cloudflare(429, retry_after=900))
        code, _, errors = await backfill(ready, server, str(channel.id), folder=tmp_path)
        assert code == 1
        assert "wait 15 minutes" in refusal(errors)
