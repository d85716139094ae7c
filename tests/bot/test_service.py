"""In the background: told to systemd, stopped gently by signals, and one bot for one data folder."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sususbot.artifacts import BOT_LOCK
from sususbot.bot.service import Service, alone, signals_to
from sususbot.errors import BotRunning, SettingsError
from sususbot.file_lock import hold
from sususbot.model.scripted import Scripted
from sususbot.standin.server import StandIn
from tests.archive.making import python
from tests.bot.running import PRESSED, answered, bot, echo, replies, until
from tests.standin.conftest import Place

LINUX = pytest.mark.skipif(sys.platform == "win32", reason="systemd and signals as Unix has them")

HOLD = """
import sys
from pathlib import Path
from sususbot.bot.service import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd would listen with."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


@LINUX
async def test_systemd_is_told_of_the_beginning_the_end_and_life_between(ear: socket.socket) -> None:
    service = Service({"NOTIFY_SOCKET": ear.getsockname(), "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())})
    service.ready()
    service.status("all is well")
    watchdog = asyncio.create_task(service.watchdog())
    loop = asyncio.get_running_loop()
    told = [await loop.sock_recv(ear, 100) for _ in range(4)]
    watchdog.cancel()
    service.stopping()
    assert told == [b"READY=1", b"STATUS=all is well", b"WATCHDOG=1", b"WATCHDOG=1"]
    while (last := await loop.sock_recv(ear, 100)) == b"WATCHDOG=1":
        pass
    assert last == b"STOPPING=1"


@LINUX
@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"NOTIFY_SOCKET": "@nobody-listens"}])
def test_without_systemd_nothing_happens(environ: dict[str, str]) -> None:
    Service(environ).ready()


@LINUX
async def test_a_watchdog_of_another_process_is_not_ours(ear: socket.socket) -> None:
    await Service({"NOTIFY_SOCKET": ear.getsockname(), "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}).watchdog()


@LINUX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_asks_and_the_second_insists(number: signal.Signals) -> None:
    asked, insisted = asyncio.Event(), asyncio.Event()
    before = signal.getsignal(number)
    with signals_to(asked.set, insisted.set):
        os.kill(os.getpid(), number)
        await asked.wait()
        assert not insisted.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        await insisted.wait()
    assert signal.getsignal(number) is before


def test_two_bots_do_not_share_a_folder_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    with python(HOLD, tmp_path) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BotRunning, match="another bot runs on"), alone(tmp_path):
            pass
        other.kill()
        other.communicate()
    with alone(tmp_path):
        pass


def test_who_only_looks_whether_a_bot_runs_keeps_none_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sususbot.bot.service._TRIES", 100)
    looking = (tmp_path / BOT_LOCK).open("a+b")
    hold(looking, shared=True)
    done = threading.Timer(0.1, looking.close)
    done.start()
    with alone(tmp_path):
        assert looking.closed
    done.join()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"data.* cannot be written"), alone(tmp_path / "data"):
        pass


async def test_a_second_bot_ends_with_a_sentence(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as made:
        await until(lambda: made.keeper.hearing)
        async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED) as second:
            with pytest.raises(BotRunning):
                await second.task
        await answered(server, server.say(place.general, place.ada, f"{server.world.bot.mention} still there?"))


@LINUX
async def test_a_stop_finishes_the_reply_in_hand_and_leaves_what_comes_then_to_the_next_start(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    script = Scripted(lambda request: f"you said {request.turns[-1].text}", seconds_per_token=0.1)
    me = server.world.bot.mention
    async with bot(server, place.general, tmp_path, [script], pace=PRESSED, signals=True) as made:
        await until(lambda: made.keeper.hearing)
        asked = server.say(place.general, place.ada, f"{me} one two three")
        await until(lambda: script.requests)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: made.metrics.connection["state"] == "stopping")
        late = server.say(place.general, place.bob, f"{me} and me?")
        await made.task
        assert len(replies(server, asked)) == 1
        assert replies(server, late) == []
        assert server.connected == 0
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED):
        await answered(server, late)


@LINUX
async def test_a_second_signal_ends_at_once_and_the_question_is_answered_by_the_next_start(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    script = Scripted(["never to be heard " * 100], seconds_per_token=0.1)
    async with bot(server, place.general, tmp_path, [script], pace=PRESSED, signals=True) as made:
        await until(lambda: made.keeper.hearing)
        asked = server.say(place.general, place.ada, f"{server.world.bot.mention} well?")
        await until(lambda: script.requests)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: made.metrics.connection["state"] == "stopping")
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            await made.task
        assert replies(server, asked) == []
    async with bot(server, place.general, tmp_path, [echo()], pace=PRESSED):
        await answered(server, asked)
