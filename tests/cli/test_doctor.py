"""`sususbot doctor` as its user meets it: a healthy folder, a broken one, as text and as JSON, and asked of Discord."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from sususbot.archive.archive import FILE_NAME
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.sources.discord_api.town import empty_town
from tests.support.commands import environment, run, run_here
from tests.support.kettle import small_exports
from tests.support.ready import AT_API


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run_here("import", *map(str, small_exports()), folder=tmp_path).returncode == 0
    (tmp_path / "data").chmod(0o700)
    return tmp_path


def everything(folder: Path) -> dict[str, bytes]:
    """All files but SQLite's own beside the archive, which come and go with who has it open."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(f"{FILE_NAME}-"))
    return {str(path): path.read_bytes() for path in files}


def test_a_healthy_folder_stays_as_it_is(folder: Path) -> None:
    before = everything(folder)
    done = run("doctor", folder=folder, METRICS_PORT="0", WEB_PORT="0")
    assert done.returncode == 0, done.stdout
    assert "archive content: 309 messages (0 deleted) of 10 authors" in done.stdout
    assert (
        "warning  index: search goes by words alone: no message has a vector\n         → sususbot index" in done.stdout
    )
    assert done.stdout.rstrip().splitlines()[-1].startswith("0 wrong, 1 warning, ")
    assert done.stderr == ""
    assert everything(folder) == before


def test_an_empty_folder_is_nothing_wrong_and_stays_empty(tmp_path: Path) -> None:
    done = run_here("doctor", "--json", folder=tmp_path, METRICS_PORT="0", WEB_PORT="0")
    told = json.loads(done.stdout)
    assert (done.returncode, told["wrong"], told["warnings"]) == (0, 0, 0)
    assert list(tmp_path.iterdir()) == []
    skipped = {one["name"]: one["step"] for one in told["findings"] if one["state"] == "skipped"}
    assert skipped["archive"] == "sususbot import FILE, or sususbot backfill"


def test_all_that_is_wrong_is_told_at_once(folder: Path) -> None:
    (folder / "data" / FILE_NAME).write_bytes(b"overwritten" * 1000)
    (folder / ".env").write_text("DISCORD_TOKEN=notatoken\nBACKEND=llamacpp\nMODEL_PATH=none.gguf\n", encoding="utf-8")
    (folder / ".env").chmod(0o644)
    done = run_here("doctor", "--json", folder=folder, METRICS_PORT="0", WEB_PORT="0")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    wrong = {one["name"]: one for one in told["findings"] if one["state"] == "wrong"}
    assert set(wrong) == {"token", "archive", "model"}
    assert all(one["step"] for one in wrong.values())
    assert "notatoken" not in done.stdout
    if os.name == "posix":
        assert "settings file" in {one["name"] for one in told["findings"] if one["state"] == "warning"}


def test_settings_that_cannot_be_read_do_not_end_it(folder: Path) -> None:
    (folder / ".env").write_text("TEMPERATURE=hot\n", encoding="utf-8")
    done = run_here("doctor", folder=folder)
    assert done.returncode == 1
    assert "WRONG    settings: TEMPERATURE: write a number" in done.stdout
    assert "archive content: 309 messages" in done.stdout


async def test_discord_is_asked_when_wished(folder: Path) -> None:
    made = empty_town()
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", AT_API, server.http_url, "doctor", "--online", "--json"),
            cwd=folder,
            env=environment(
                {"DISCORD_TOKEN": made.world.token, "CHANNEL_ID": str(made.square.id), "METRICS_PORT": "0"}
            ),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    names = {one["name"]: one["state"] for one in json.loads(out)["findings"]}
    assert names["discord channel"] == "ok"
    assert "token" in names
    assert made.world.token not in out.decode()
