"""A process of its own for an engine: what is said to it and by it, how it ends, and that it never stays behind."""

import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from sususbot.model.backend import Deadline
from sususbot.model.child import Child, Message

PATIENCE = 30.0
TALKER = """
import os, sys, threading
from sususbot.model.child import Parent

parent = Parent()
done = threading.Event()
kept = []

def hear(message):
    match message["do"]:
        case "echo":
            parent.say({"said": message["text"], "pid": os.getpid()})
        case "print":
            print("printed by Python")
            os.write(1, b"written past Python\\n")
            parent.say({"said": "printed"})
        case "cut":
            os.write(parent._out.fileno(), b'{"text": "the kettle leaks')
            os._exit(3)
        case "raise":
            done.set()
        case "grow":
            kept.append(bytearray(os.urandom(1 << 20) * 64))
            parent.say({"said": "grown"})
        case "leave":
            os._exit(3)

parent.listen(hear)
done.wait()
raise MemoryError("no room for a thought")
"""
STARTER = """
import sys
from sususbot.model.child import Child

child = Child("talker", hear=lambda message: print(message["pid"], flush=True), died=lambda child: None)
child.say({"do": "echo", "text": "hello"})
sys.stdin.read()
"""


@pytest.fixture
def talker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "talker.py").write_text(TALKER, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.fixture
def heard(talker: None) -> "queue.SimpleQueue[Any]":  # noqa: ARG001 - written before anything starts it
    return queue.SimpleQueue()


@pytest.fixture
def child(heard: "queue.SimpleQueue[Any]") -> Iterator[Child]:
    child = Child("talker", hear=heard.put, died=heard.put)
    yield child
    child.stop()


def said(child: Child, heard: "queue.SimpleQueue[Any]", message: Message) -> Message:
    child.say(message)
    answer: Message = heard.get(timeout=PATIENCE)
    return answer


@pytest.mark.parametrize("text", ["hello", "two\nlines\r\n\x00", "🎉 東京", "half a pair: \ud83c", "x" * 300_000])
def test_any_text_goes_both_ways(child: Child, heard: "queue.SimpleQueue[Any]", text: str) -> None:
    assert said(child, heard, {"do": "echo", "text": text}) == {"said": text, "pid": child.pid}


def test_what_libraries_print_is_no_message(child: Child, heard: "queue.SimpleQueue[Any]") -> None:
    assert said(child, heard, {"do": "print"}) == {"said": "printed"}
    child.stop()
    assert set(child.words) == {"written past Python", "printed by Python"}


@pytest.mark.parametrize(("members", "logged"), [(False, "written past Python"), (True, "(19 characters)")])
def test_what_it_prints_once_it_heard_members_is_theirs(
    child: Child, heard: "queue.SimpleQueue[Any]", caplog: pytest.LogCaptureFixture, members: bool, logged: str
) -> None:
    """An engine says why it does not load, and of a prompt where it parts from the one before."""
    caplog.set_level(logging.DEBUG, "sususbot")
    child.heard_members = members
    said(child, heard, {"do": "print"})
    child.stop()
    assert f"talker: {logged}" in caplog.messages
    assert ("talker: written past Python" in caplog.messages) is not members


def test_what_is_cut_off_from_a_message_is_not_logged(
    child: Child, heard: "queue.SimpleQueue[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "sususbot")
    child.say({"do": "cut", "text": "the kettle leaks"})
    assert heard.get(timeout=PATIENCE) is child
    assert "(29 characters)" in caplog.text
    assert "kettle" not in caplog.text


def test_it_minds_no_signal_that_ends_its_parent_but_its_parents_end(
    child: Child, heard: "queue.SimpleQueue[Any]"
) -> None:
    said(child, heard, {"do": "echo", "text": "it runs"})
    if sys.platform != "win32":
        os.kill(child.pid, signal.SIGINT)
        os.kill(child.pid, signal.SIGTERM)
    assert said(child, heard, {"do": "echo", "text": "still"})["said"] == "still"
    assert child.ended is None
    child.stop()
    assert heard.get(timeout=PATIENCE) is child
    assert child.ended == "it ended"
    child.say({"do": "echo", "text": "nobody hears this"})
    child.stop()


@pytest.mark.parametrize(
    ("message", "how"),
    [
        ({"do": "raise"}, "it ended with 'MemoryError: no room for a thought'"),
        ({"do": "leave"}, "it ended with exit code 3"),
    ],
)
def test_it_is_told_how_it_died(child: Child, heard: "queue.SimpleQueue[Any]", message: Message, how: str) -> None:
    child.say(message)
    assert heard.get(timeout=PATIENCE) is child
    assert child.ended == how


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process for a while")
def test_who_talks_to_one_that_hangs_is_not_kept_waiting(child: Child, heard: "queue.SimpleQueue[Any]") -> None:
    """A pipe holds 64 KB. What was said is heard once it wakes, in its order."""
    said(child, heard, {"do": "echo", "text": "it runs"})
    os.kill(child.pid, signal.SIGSTOP)
    texts = [f"{number}{'x' * 100_000}" for number in range(5)]
    begun = time.monotonic()
    for text in texts:
        child.say({"do": "echo", "text": text})
    assert time.monotonic() - begun < 10
    os.kill(child.pid, signal.SIGCONT)
    assert [heard.get(timeout=PATIENCE)["said"] for _ in texts] == texts


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process for a while")
def test_one_that_hangs_is_ended_all_the_same(
    child: Child, heard: "queue.SimpleQueue[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sususbot.model.child._STOP_SECONDS", 0.2)
    said(child, heard, {"do": "echo", "text": "it runs"})
    os.kill(child.pid, signal.SIGSTOP)
    child.say({"do": "echo", "text": "x" * 300_000})
    begun = time.monotonic()
    child.stop()
    assert time.monotonic() - begun < 30
    assert child.ended == "it was killed, by somebody or for want of memory"


def test_its_memory_is_told_as_it_is_now(child: Child, heard: "queue.SimpleQueue[Any]") -> None:
    said(child, heard, {"do": "echo", "text": "it runs"})
    before = child.memory
    assert before > 0
    said(child, heard, {"do": "grow"})
    assert child.memory > before + 60_000_000
    child.stop()
    assert child.memory == 0


@pytest.mark.parametrize("which", ["log", "write", "read"])
def test_one_that_nobody_could_hear_is_not_left_behind(
    talker: None,  # noqa: ARG001 - written before anything starts it
    monkeypatch: pytest.MonkeyPatch,
    which: str,
) -> None:
    start = threading.Thread.start

    def full(thread: threading.Thread) -> None:
        if thread.name.endswith(which):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", full)
    before = children()
    with pytest.raises(RuntimeError, match="can't start"):
        Child("talker", hear=lambda _message: None, died=lambda _child: None)
    assert children() == before


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("name", "how"),
    [("SIGKILL", "it was killed, by somebody or for want of memory"), ("SIGSEGV", "it crashed (SIGSEGV)")],
)
def test_a_signal_that_kills_it_is_named(child: Child, heard: "queue.SimpleQueue[Any]", name: str, how: str) -> None:
    said(child, heard, {"do": "echo", "text": "it runs"})
    os.kill(child.pid, getattr(signal, name))
    assert heard.get(timeout=PATIENCE) is child
    assert child.ended == how


@pytest.mark.skipif(sys.platform != "linux", reason="Linux knows in /proc whether a process runs")
def test_it_ends_with_its_parent_however_that_ends(talker: None, tmp_path: Path) -> None:  # noqa: ARG001
    """The parent is killed; the child, which it can tell nothing any more, ends by itself."""
    parent = subprocess.Popen([sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, 0)
    parent.kill()
    parent.communicate()
    watch = Deadline(PATIENCE)
    while runs(pid):
        assert watch.over() is None, "it stayed behind"
        watch.wait(0.02)


def runs(pid: int) -> bool:
    """Nobody may have waited for it yet: then it is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
