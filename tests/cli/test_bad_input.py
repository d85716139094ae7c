"""What users get wrong: each ends in exit code 1 and one plain sentence that holds the next step."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sususbot.standin.faults import GatewayFault
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.world import World
from tests.support.commands import environment, refusal, run_against, start_against
from tests.support.commands import run_here as run
from tests.support.kettle import small_exports

# Nothing that is told here is told by a model.
LIGHT = {"EMBEDDING_MODEL": "none", "SUMMARIZER": "off"}


@pytest.mark.parametrize(
    ("settings", "next_step"),
    [
        ({}, "DISCORD_TOKEN is not set"),
        ({"DISCORD_TOKEN": "abc"}, "CHANNEL_ID is not set"),
        (
            {"DISCORD_TOKEN": "abc", "CHANNEL_ID": "general"},
            "CHANNEL_ID: write the number that Copy ID in Discord gives",
        ),
    ],
)
def test_a_bot_without_token_or_channel(tmp_path: Path, settings: dict[str, str], next_step: str) -> None:
    done = run("bot", folder=tmp_path, **settings)
    assert done.returncode == 1
    assert next_step in refusal(done.stderr)


def test_a_bot_started_in_another_folder_than_its_settings(tmp_path: Path) -> None:
    told = refusal(run("bot", folder=tmp_path).stderr)
    assert told.startswith(f"DISCORD_TOKEN is not set (there is no {tmp_path / '.env'}): run  sususbot init")


@pytest.mark.parametrize("strange", [".env", ".git", "pyproject.toml"])
def test_a_data_folder_that_is_somebody_elses_too(tmp_path: Path, strange: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / strange).touch()
    done = run("--data", "home", "forget", "1", "--yes", folder=tmp_path)
    assert done.returncode == 1
    assert "choose a folder of its own with --data" in refusal(done.stderr)
    assert [path.name for path in (tmp_path / "home").iterdir()] == [strange]


@pytest.mark.parametrize("command", [["index"], ["chat", "--once", "hi"]])
def test_an_empty_archive(tmp_path: Path, command: list[str]) -> None:
    done = run(*command, folder=tmp_path)
    assert done.returncode == 1
    told = refusal(done.stderr)
    assert f"the archive in {tmp_path / 'data'} is empty" in told
    assert "run  sususbot backfill  or  sususbot import FILES  first" in told
    assert not (tmp_path / "data").exists()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    done = run("import", *map(str, small_exports()), folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def filled(imported: Path, tmp_path: Path) -> Path:
    """A folder whose archive holds a few messages."""
    return Path(shutil.copytree(imported, tmp_path / "here"))


@pytest.mark.parametrize(
    ("settings", "next_step"),
    [
        ({"BACKEND": "llamacpp"}, "needs MODEL_PATH"),
        ({"BACKEND": "llamacpp", "MODEL_PATH": "missing.gguf"}, "missing.gguf"),
        ({"BACKEND": "llamacpp", "MODEL_PATH": "."}, "MODEL_PATH"),
        ({"BACKEND": "llamacpp", "MODEL_PATH": "notes.txt"}, "notes.txt"),
        ({"BACKEND": "openai"}, "needs OPENAI_BASE_URL"),
        ({"BACKEND": "gpt"}, "BACKEND"),
        ({"CONTEXT_TOKENS": "400", "MAX_NEW_TOKENS": "390"}, "CONTEXT_TOKENS"),
    ],
)
def test_a_model_that_is_not_there(filled: Path, settings: dict[str, str], next_step: str) -> None:
    (filled / "notes.txt").write_text("no model", encoding="utf-8")
    done = run("chat", "--once", "hi", folder=filled, **settings)
    assert done.returncode == 1, done.stdout
    assert next_step in refusal(done.stderr)


def test_a_server_that_is_not_there_is_answered_by_recall(filled: Path) -> None:
    done = run(
        "chat", "--once", "who broke the printer?", "--why", folder=filled,
        BACKEND="openai", OPENAI_BASE_URL="http://127.0.0.1:9/v1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "answered by recall" in done.stderr
    assert "not by openai" in done.stderr


def test_a_misspelt_setting_or_a_missing_settings_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DISCORD_TOKN=abc\n", encoding="utf-8")
    done = run("bot", folder=tmp_path)
    assert done.returncode == 1
    assert "did you mean DISCORD_TOKEN?" in refusal(done.stderr)
    done = run("--env", "none.env", "bot", folder=tmp_path)
    assert done.returncode == 1
    assert "none.env" in refusal(done.stderr)


@pytest.mark.parametrize("content", [b"", b"hello", b"{}", b"[1, 2]", b"\x00\xff\x1f\x8b", b"\x1f\x8bxx"])
def test_files_that_are_no_exports(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "thing.json").write_bytes(content)
    done = run("import", "thing.json", folder=tmp_path)
    assert done.returncode == 1
    assert "thing.json" in refusal(done.stderr)


@pytest.mark.parametrize("path", ["missing.json", "."])
def test_paths_that_are_no_files(tmp_path: Path, path: str) -> None:
    done = run("import", path, folder=tmp_path)
    assert done.returncode == 1
    assert "check the path" in refusal(done.stderr)


def test_a_data_folder_that_is_a_file_or_holds_another_database(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder", encoding="utf-8")
    done = run("index", folder=tmp_path)
    assert done.returncode == 2
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "archive.db").write_text(
        "this is no database, but it is long enough to be taken for one", encoding="utf-8"
    )
    done = run("--data", "other", "index", folder=tmp_path)
    assert done.returncode == 1
    assert "archive.db" in refusal(done.stderr)


@pytest.mark.parametrize("arguments", [["imprt"], ["import"], ["chat", "--json"], ["bench", "everything"]])
def test_wrong_usage_is_exit_code_2(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


async def bot_command(discord: StandIn, channel_id: int, folder: Path) -> str:
    """The sentence with which `sususbot bot` ends."""
    code, errors = await run_against(
        discord.http_url, discord.gateway_url, "bot",
        folder=folder, DISCORD_TOKEN="stand-in.token", CHANNEL_ID=str(channel_id), **LIGHT,
    )  # fmt: skip
    assert code == 1
    return refusal(errors)


async def test_a_wrong_token_at_login(tmp_path: Path) -> None:
    world = World(token="another")
    async with StandIn(world, rate=RateLimits.none()) as discord:
        assert "Reset Token" in await bot_command(discord, world.add_channel("general").id, tmp_path)


async def test_a_wrong_token_at_the_gateway(tmp_path: Path) -> None:
    world = World()
    async with StandIn(world, rate=RateLimits.none()) as discord:
        discord.faults.arm(GatewayFault.CLOSE_AT_IDENTIFY, code=4004)
        assert "Reset Token" in await bot_command(discord, world.add_channel("general").id, tmp_path)


async def test_a_missing_intent(tmp_path: Path) -> None:
    world = World(message_content_allowed=False)
    async with StandIn(world, rate=RateLimits.none()) as discord:
        assert "Message Content Intent" in await bot_command(discord, world.add_channel("general").id, tmp_path)


async def test_an_unknown_channel(tmp_path: Path) -> None:
    async with StandIn(World(), rate=RateLimits.none()) as discord:
        assert "CHANNEL_ID" in await bot_command(discord, 42, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="a process there is only ended, not told to stop")
async def test_discord_out_of_reach_is_waited_for_and_a_stop_is_no_error(tmp_path: Path) -> None:
    process = await start_against(
        "http://127.0.0.1:9", "ws://127.0.0.1:9", "bot",
        folder=tmp_path, DISCORD_TOKEN="stand-in.token", CHANNEL_ID="42", **LIGHT,
        METRICS_PORT="0", LOG_FILE="data/logs/bot.jsonl",
    )  # fmt: skip
    assert process.stderr is not None
    async with asyncio.timeout(120):
        while b"the next connection is tried in" not in await process.stderr.readline():
            assert not process.stderr.at_eof()
        process.terminate()
        rest = await process.stderr.read()
        assert await process.wait() == 0, rest
    log = (tmp_path / "data" / "logs" / "bot.jsonl").read_text(encoding="utf-8")
    messages = [json.loads(line)["message"] for line in log.splitlines()]
    assert any("Discord cannot be reached (the connection was refused)" in message for message in messages)
    assert messages[-1] == "stopped"
    assert "stand-in.token" not in log


def test_a_bad_file_among_good_ones_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}", encoding="utf-8")
    first, *others = map(str, small_exports())
    done = run("import", first, "bad.json", *others, folder=tmp_path)
    assert done.returncode == 1
    assert "bad.json" in refusal(done.stderr)
    assert "0 new" in run("import", first, *others, folder=tmp_path).stderr


@pytest.mark.parametrize("arguments", [["--once", ""], ["--once", "  "]])
def test_an_empty_question_is_wrong_usage(filled: Path, arguments: list[str]) -> None:
    assert run("chat", *arguments, folder=filled).returncode == 2


def test_odd_bytes_are_no_traceback(filled: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sususbot", "chat"],
        cwd=filled,
        env=environment({}),
        input=b"\xff\xfe who broke the printer?\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"sususbot: ")
