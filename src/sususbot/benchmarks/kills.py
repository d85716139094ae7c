"""Does a kill at any instant cost anything? Commands are killed (SIGKILL), run again, and the archives compared.

Each killed command is started again, and perhaps killed again, until it comes to its end. Then every row of every table
must be that of a run that nobody killed, but for the times at which something was looked at and the numbers of sources;
of a training, every byte of its adapter.
A backfill is killed by its progress, after a chance number of pages; the others after a chance time.
"""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from sususbot import sample
from sususbot.archive.archive import FILE_NAME, Archive
from sususbot.archive.database import Database, Row
from sususbot.archive.erasure import WISHES
from sususbot.artifacts import RUNS
from sususbot.benchmarks.own_discord import HISTORY, Recipe, make_world
from sususbot.benchmarks.report import Result
from sususbot.standin.objects import Channel
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.snowflake import iso
from sususbot.standin.world import World

Contents = dict[str, list[Row]]

KILLS: Final = {"backfill": 80, "import": 70, "forget": 50, "train": 20}
_PAGES: Final = 15
_FILES: Final = 3
_IMPORTED: Final = 20_000
# Small steps and many checkpoints, so that most kills fall between two of them or into one.
_QUICKLY: Final = {
    "TRAINING_PERMISSION_CONFIRMED": "true",
    "TOKENS_PER_STEP": "1024",
    "PACK_TOKENS": "1024",
    "EPOCHS": "4",
    "LEARNING_RATE": "0.003",
    "CHECKPOINT_MINUTES": "0.01",
    "PATIENCE": "99",
}
# The channel of the sample that a killed training learns: some 300 messages.
_LEARNED: Final = "projects"
# No more kills than this before one run is let through.
_IN_A_ROW: Final = 8
# When something was looked at or done, and the number of the source it came from.
_TIMES: Final = frozenset(
    "fetched_at words_at named_at seen_at started_at finished_at deleted_at noted_at done_at at source_id".split()
)
_BACKFILL: Final = """
import sys
from sususbot.cli.main import main
from sususbot.sources.discord_api.address import api_at
with api_at(sys.argv.pop(1)):
    main()
"""


class Tally(NamedTuple):
    kills: int
    archives: int
    differences: int


def bench_kills(seed: int = 0) -> Result:
    """All of it: some 6 minutes."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tallies = {
            "backfill": asyncio.run(kill_backfills(folder / "backfill", KILLS["backfill"], chance)),
            "import": kill_imports(folder / "import", KILLS["import"], chance),
            "forget": kill_forgets(folder / "forget", KILLS["forget"], chance),
            "train": kill_trainings(folder / "train", KILLS["train"], chance),
        }
    return Result(
        "kills",
        {
            "kills": sum(tally.kills for tally in tallies.values()),
            "differences": sum(tally.differences for tally in tallies.values()),
            "archives": sum(tally.archives for tally in tallies.values()),
            **{f"kills_{name}": tally.kills for name, tally in tallies.items()},
            **{f"differences_{name}": tally.differences for name, tally in tallies.items()},
        },
        {},
        "archives after kills that differ from a clean run's",
        "none: a difference is a fault",
    )


async def kill_backfills(folder: Path, kills: int, chance: random.Random, *, pages: int = _PAGES) -> Tally:
    """Kill a collection of two channels and a thread again and again, each archive until it is whole."""
    world = make_world(Recipe(2, pages * 100 - 40))
    channels = [channel for channel in world.channels.values() if not channel.is_thread]
    _add_thread(world, channels[0])
    async with StandIn(world, rate=RateLimits.fast()) as server:
        await _until_done(server, folder / "clean", channels, [])
        clean, killed, archives, differences = contents(folder / "clean"), 0, 0, 0
        while killed < kills:
            plan = [chance.randint(1, 8) for _ in range(min(_IN_A_ROW, kills - killed))]
            place = folder / str(archives)
            killed += await _until_done(server, place, channels, plan)
            archives += 1
            differences += contents(place) != clean
    return Tally(killed, archives, differences)


def _add_thread(world: World, channel: Channel) -> None:
    first = next(iter(channel.history))
    thread = world.add_thread(channel, "side", on=first)
    for number in range(150):
        world.post(thread, first.author, f"aside {number}", at=world.clock())


async def _until_done(server: StandIn, folder: Path, channels: Sequence[Channel], plan: list[int]) -> int:
    """Run a backfill to its end, killed after so many pages as the plan says, each time; gives how often it was."""
    killed = 0
    for pages in plan:
        if not await _killed(server, folder, channels, pages):
            return killed
        killed += 1
    await _killed(server, folder, channels, None)
    return killed


async def _killed(server: StandIn, folder: Path, channels: Sequence[Channel], pages: int | None) -> bool:
    """Whether a run was killed before it came to its end. Raises RuntimeError when it failed by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _BACKFILL, server.http_url, "--data", str(folder), "backfill", "--json",
        *(str(channel.id) for channel in channels),
        env=_environment(DISCORD_TOKEN=server.world.token), cwd=folder.parent.parent,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    talked = asyncio.create_task(process.communicate())
    waits: set[asyncio.Task[Any]] = {talked}
    if pages is not None:
        target = server.ledger.count(route=HISTORY) + pages
        waits.add(asyncio.create_task(server.wait_for(lambda: server.ledger.count(route=HISTORY) >= target, 60.0)))
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if not talked.done():
        process.kill()
    _, errors = await talked
    for wait in waits - {talked}:
        wait.cancel()
    if process.returncode not in (0, -9):
        raise RuntimeError(f"a backfill failed:\n{errors.decode()}")
    return process.returncode != 0


def kill_imports(folder: Path, kills: int, chance: random.Random, *, messages: int = _IMPORTED) -> Tally:
    """Kill an import of several files, each archive a few times, and let it come to its end."""
    folder.mkdir(parents=True)
    files = [str(path) for path in write_exports(folder, messages)]
    return _kill_again_and_again(folder, ["import", "--json", *files], kills, chance, lambda _place: None, contents)


def kill_forgets(folder: Path, kills: int, chance: random.Random, *, messages: int = _IMPORTED) -> Tally:
    """Kill the erasing of a member, in copies of one archive."""
    folder.mkdir(parents=True)
    files = [str(path) for path in write_exports(folder, messages)]
    _run(folder / "filled", ["import", "--json", *files])
    with Archive(folder / "filled") as archive:
        author = next(archive.history()).author.id
    command = ["forget", str(author), "--yes", "--json"]
    return _kill_again_and_again(
        folder, command, kills, chance, lambda place: shutil.copytree(folder / "filled", place), contents
    )


def kill_trainings(folder: Path, kills: int, chance: random.Random) -> Tally:
    """Kill a training on the processor again and again: a tiny base that learns one channel of the sample community."""
    folder.mkdir(parents=True)
    filled = folder / "filled"
    _run(filled, ["import", "--json", *(str(path) for path in sample.exports() if path.stem == _LEARNED)])
    _run(filled, ["build", "--json"])
    from sususbot.training.run_folder import MODEL

    begun_base = ["train", "--from-scratch", "--size", "tiny", "--cpu", "--name", "base", "--json"]
    _run(filled, begun_base, settings=_QUICKLY)
    # One base for all, by its path: an adapter names the base it is for.
    command = ["train", "--base", str(filled / RUNS / "base" / MODEL), "--cpu", "--resume", "--json"]
    return _kill_again_and_again(
        folder, command, kills, chance, lambda place: shutil.copytree(filled, place), _adapter, _QUICKLY
    )


def _adapter(folder: Path) -> dict[str, bytes]:
    """Every file of the adapter that a training left."""
    return {path.name: path.read_bytes() for path in (folder / RUNS / "default" / "adapter").iterdir()}


def _kill_again_and_again(
    folder: Path,
    command: Sequence[str],
    kills: int,
    chance: random.Random,
    prepare: Callable[[Path], object],
    state: Callable[[Path], object],
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Tally:
    prepare(folder / "clean")
    begun = time.monotonic()
    _run(folder / "clean", command, settings=settings)
    seconds = time.monotonic() - begun
    clean, killed, archives, differences = state(folder / "clean"), 0, 0, 0
    while killed < kills:
        place = folder / str(archives)
        prepare(place)
        for number in range(min(_IN_A_ROW, kills - killed)):
            begun = time.monotonic()
            if not _run(place, command, kill_after=chance.uniform(0.2, 1.1) * seconds, settings=settings):
                if number == 0:
                    # The clean run may have been held up, and kills would come too late for ever.
                    seconds = min(seconds, time.monotonic() - begun)
                break
            killed += 1
        else:
            _run(place, command, settings=settings)
        archives += 1
        differences += state(place) != clean
        shutil.rmtree(place)
    return Tally(killed, archives, differences)


def _run(
    folder: Path,
    command: Sequence[str],
    *,
    kill_after: float | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """Whether the command was killed before it came to its end. Raises RuntimeError when it failed by itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sususbot", "--data", str(folder), *command],
        env=_environment(**settings), cwd=folder.parent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        _, errors = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{errors.decode()}")
    return False


def _environment(**settings: str) -> dict[str, str]:
    """What a process needs to start, and no settings of this machine."""
    kept = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "HOME", "USERPROFILE", "LANG", "PYTHONPATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | settings


def contents(folder: Path) -> Contents:
    """Every row of every table, without times of looking and numbers of sources; and what `check` finds wrong."""
    with Archive(folder) as archive:
        found: Contents = {"faults": [(fault,) for fault in archive.check()]}
    database = Database(folder / FILE_NAME)
    tables = database.rows(
        """SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'sources'
        ORDER BY name"""
    )
    for (table,) in tables:
        columns = [row[1] for row in database.rows(f"PRAGMA table_info({table})") if row[1] not in _TIMES]
        found[table] = sorted(database.rows(f"SELECT {', '.join(columns)} FROM {table}"), key=repr)
    # How often something was to be forgotten: a command that is repeated asks again.
    found["facts"] = [row for row in found["facts"] if row[0] != WISHES]
    database.close()
    return found


def write_exports(folder: Path, messages: int) -> list[Path]:
    """Export files of channels, as DiscordChatExporter writes them."""
    world = make_world(Recipe(_FILES, messages))
    return [_write_export(folder, world, channel) for channel in world.channels.values()]


def _write_export(folder: Path, world: World, channel: Channel) -> Path:
    messages: list[dict[str, Any]] = [
        {
            "id": str(message.id),
            "type": "Default",
            "timestamp": iso(((message.id >> 22) + 1_420_070_400_000) / 1000),
            "timestampEdited": None if message.edited is None else iso(message.edited),
            "callEndedTimestamp": None,
            "isPinned": False,
            "content": message.content,
            "author": {
                "id": str(message.author.id), "name": message.author.name, "discriminator": "0000",
                "nickname": message.author.display, "color": None, "isBot": False, "roles": [], "avatarUrl": "",
            },
            "attachments": [], "embeds": [], "stickers": [], "reactions": [], "mentions": [],
        }
        for message in channel.history
    ]  # fmt: skip
    export = {
        "guild": {"id": str(world.guild_id), "name": world.guild_name, "iconUrl": ""},
        "channel": {
            "id": str(channel.id), "type": "GuildTextChat", "categoryId": None, "category": None,
            "name": channel.name, "topic": None,
        },
        "dateRange": {"after": None, "before": None},
        "exportedAt": "2024-01-01T00:00:00+00:00",
        "messages": messages,
        "messageCount": len(messages),
    }  # fmt: skip
    path = folder / f"{channel.name}.json"
    path.write_bytes(orjson.dumps(export))
    return path
