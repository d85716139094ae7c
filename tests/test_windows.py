"""The commands on a machine that behaves as Windows does (tests/support/like_windows), in a folder with an umlaut.

What a Windows machine alone can show is not here: its console, its event loop, drives and backslashes.
"""

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sususbot.standin.server import StandIn
from tests.standin.conftest import Place
from tests.support import commands, like_windows
from tests.support.kettle import small_exports

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this is Windows: every other test shows it")

# Commands one after another in one process: what Python takes to start is spent once.
COMMANDS = """
import json, sys
from sususbot.cli.main import main
for line in json.loads(sys.argv[1]):
    sys.argv = ["sususbot", *line]
    try:
        main()
    except SystemExit as end:
        sys.stderr.write(f"= {end.code}" + chr(10))
"""
BOT = """
import sys
from sususbot.bot.address import discord_at
from sususbot.cli.main import main
with discord_at(sys.argv.pop(1), sys.argv.pop(1)):
    main()
"""
# Gives those that went through.
REFUSED = """
import asyncio, json, os, signal, sys
through = []
for one in json.loads(sys.argv[1]):
    try:
        exec(one)
    except (OSError, ImportError, AttributeError, UnicodeEncodeError, NotImplementedError):
        continue
    through.append(one)
print(json.dumps(through))
"""
# One thread reads what another replaces, and is done before that is given up.
READER = """
import sys, threading
from pathlib import Path
from sususbot.in_place import put
Path("old").write_bytes(b"old")
Path("new").write_bytes(b"new")
reader = Path("old").open("rb")
threading.Timer(0.1, reader.close).start()
put(Path("new"), Path("old"))
sys.stdout.write(Path("old").read_bytes().decode())
"""
WHAT_WINDOWS_REFUSES = (
    "held = open('a', 'wb'); os.unlink('a')",
    "held = open('b', 'wb'); open('c', 'wb').close(); os.replace('c', 'b')",
    "os.mkdir('d'); held = open('d/a', 'wb'); os.rename('d', 'e')",
    "open('a:b', 'wb')",
    "os.mkdir('nul')",
    "os.mkdir('ends with a dot.')",
    "open('f', 'w').write(chr(0x1F915))",
    "sys.stdout.write(chr(0x1F915))",
    "os.open('.', os.O_RDONLY)",
    "os.symlink('a', 'g')",
    "os.fork()",
    "import fcntl",
    "signal.SIGKILL",
    "asyncio.new_event_loop().add_signal_handler(signal.SIGINT, print)",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "Jörg Müßig" / "my bot"
    folder.mkdir(parents=True)
    return folder


def environment(tmp_path: Path, **settings: str) -> dict[str, str]:
    return commands.environment({**like_windows.environment(tmp_path / "held"), "COLUMNS": "200", **settings})


def run(
    code: str, *arguments: str, home: Path, tmp_path: Path, **settings: str
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=home,
        env=environment(tmp_path, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=600,
        check=False,
    )


def sususbot(*lines: Sequence[str], home: Path, tmp_path: Path) -> tuple[str, str]:
    """What the commands say, which is UTF-8 whatever the console is set to; each must end well."""
    done = run(COMMANDS, json.dumps(lines), home=home, tmp_path=tmp_path)
    said, told = done.stdout.decode(), done.stderr.decode()
    ends = [line for line in told.splitlines() if line.startswith("= ")]
    assert (done.returncode, ends) == (0, ["= 0"] * len(lines)), told
    return said, told


def test_what_windows_refuses_is_refused(home: Path, tmp_path: Path) -> None:
    """Otherwise the tests below would show nothing."""
    done = run(REFUSED, json.dumps(WHAT_WINDOWS_REFUSES), home=home, tmp_path=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == []


def test_a_file_that_is_read_is_replaced_once_the_reader_is_done(home: Path, tmp_path: Path) -> None:
    done = run(READER, home=home, tmp_path=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"new", b"")


def test_the_path_of_a_server_from_export_to_its_end(home: Path, tmp_path: Path) -> None:
    """One folder through the commands: what is written, replaced and deleted while parts of it are open."""
    exports = [str(path) for path in small_exports()]
    said, told = sususbot(
        ["init", "--yes", "--channel", "1213800000000000000", "--contact", "@jörg"],
        ["import", *exports],
        ["import", exports[0]],
        ["index"],
        ["chat", "--once", "who broke the printer?", "--why"],
        ["build"],
        ["consent", "list"],
        ["dump", "all.jsonl.gz"],
        ["forget", "Mika", "--yes"],
        ["doctor"],
        ["purge", "--yes"],
        home=home,
        tmp_path=tmp_path,
    )
    assert "sususbot: " in said
    assert any(ord(sign) > 0xFFFF for sign in said), "no emoji came through, so the console was not tried"
    assert "is forgotten" in told
    assert "@jörg" in (home / "PRIVACY.md").read_text(encoding="utf-8")
    with gzip.open(home / "all.jsonl.gz") as lines:
        assert len(lines.readlines()) > 300
    assert list((home / "data").iterdir()) == []


async def test_ctrl_break_ends_the_bot_as_ctrl_c_does(
    server: StandIn, place: Place, home: Path, tmp_path: Path
) -> None:
    # By words alone: the encoder is loaded and used above.
    settings = {
        "DISCORD_TOKEN": place.world.token, "CHANNEL_ID": str(place.general.id), "METRICS_PORT": "0",
        "EMBEDDING_MODEL": "none", "SUMMARIZER": "off",
    }  # fmt: skip
    arguments = (server.http_url, server.gateway_url, "bot")
    async with running("-c", BOT, *arguments, home=home, tmp_path=tmp_path, **settings) as process:
        await server.wait_for(lambda: server.connected == 1, 60)
        server.say(place.general, place.ada, f"{server.world.bot.mention} hello")
        await server.wait_for(lambda: server.sent(place.general))
        second = await asyncio.to_thread(run, BOT, *arguments, home=home, tmp_path=tmp_path, **settings)
        assert second.returncode == 1
        assert b"another bot runs on" in second.stderr
        process.send_signal(like_windows.CTRL_BREAK)
        assert process.stderr is not None
        told = await process.stderr.read()
        assert (await process.wait(), b"Traceback" in told) == (0, False), told.decode()


async def test_ctrl_break_ends_the_page_as_ctrl_c_does(home: Path, tmp_path: Path) -> None:
    arguments = ("-m", "sususbot", "web")
    async with running(*arguments, home=home, tmp_path=tmp_path, WEB_PORT="0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert (await process.stdout.readline()).startswith(b"http://127.0.0.1:")
        process.send_signal(like_windows.CTRL_BREAK)
        told = await process.stderr.read()
        assert (await process.wait(), b"Traceback" in told) == (0, False), told.decode()


@asynccontextmanager
async def running(
    *arguments: str, home: Path, tmp_path: Path, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=home,
        env=environment(tmp_path, **settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(600):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_a_program_without_a_console_speaks_into_the_void(home: Path, tmp_path: Path) -> None:
    """pythonw, which the Task Scheduler starts, has no streams."""
    code = "import sys; sys.stdin = sys.stdout = sys.stderr = None\nfrom sususbot.cli.main import main\nmain()"
    assert run(code, "doctor", home=home, tmp_path=tmp_path).returncode == 0
