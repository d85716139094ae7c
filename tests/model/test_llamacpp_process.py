"""llama.cpp's process: killed, hung, short of memory, exchanged, while replies are asked for."""

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]
import pytest

from sususbot.bot.metrics import Metrics
from sususbot.errors import BackendFailed, ModelLoadFailed, ModelNotFound
from sususbot.model.backend import Backend, Deadline, Request, Sampling
from sususbot.model.inference import Inference
from sususbot.model.llamacpp import LlamaCpp
from sususbot.model.scripted import Scripted
from tests.support import tiny_gguf

CONTEXT: Final = 16_384
LINUX: Final = pytest.mark.skipif(sys.platform != "linux", reason="limits and signals as Linux has them")


@pytest.fixture
def backend(tiny_model: Path) -> Iterator[LlamaCpp]:
    with closing(LlamaCpp(tiny_model, context_tokens=CONTEXT, threads=1)) as backend:
        yield backend


def asked(prompt: str, count: int = 14, *, channel: int | None = None) -> Request:
    sampling = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=count)
    return Request(prompt, (), stop=(), sampling=sampling, channel_id=channel)


def text(backend: Backend, request: Request, seconds: float = 30.0) -> str:
    return "".join(chunk.text for chunk in backend.generate(request, Deadline(seconds)))


def pid(backend: LlamaCpp) -> int:
    return int(backend.facts()["pid"])


def kill(backend: LlamaCpp) -> None:
    """As the system does it for want of memory; on Windows, as its Task Manager does."""
    os.kill(pid(backend), getattr(signal, "SIGKILL", signal.SIGTERM))


def test_it_runs_in_a_process_of_its_own(backend: LlamaCpp) -> None:
    facts = backend.facts()
    assert facts["pid"] != os.getpid()
    assert facts["state"] == "running"
    assert facts["model"] == "tiny.gguf"
    assert (facts["adapter"], facts["gpu_layers"], facts["vram_mb"], facts["restarts"]) == ("none", 0, 0, 0)
    assert facts["context_tokens"] == CONTEXT


def test_its_memory_is_told_as_it_is_now(backend: LlamaCpp) -> None:
    """Also in Prometheus' figures, where a leak is seen."""
    metrics = Metrics()
    metrics.watch_engine(backend.facts)

    def figure() -> float:
        found = re.search(r"^sususbot_engine_memory_mb (.+)$", metrics.exposition().decode(), re.MULTILINE)
        assert found is not None
        return float(found[1])

    before = figure()
    # Prompts are kept in main memory for channels that come back.
    for channel in range(4):
        text(backend, asked(f"{channel} fox " * 1000, channel=channel))
    now = psutil.Process(pid(backend)).memory_info().rss / 1e6
    assert now > before + 5
    assert figure() == pytest.approx(now, abs=2)


def test_a_death_halfway_ends_the_reply_at_once_and_the_next_is_made_by_a_new_process(backend: LlamaCpp) -> None:
    first, before = pid(backend), text(backend, asked("eats the quick"))
    chunks = backend.generate(asked("hello", CONTEXT - 100), Deadline(30))
    next(chunks)
    begun = time.monotonic()
    kill(backend)
    with pytest.raises(BackendFailed, match="stopped halfway: it is started again"):
        list(chunks)
    assert time.monotonic() - begun < 10
    assert text(backend, asked("eats the quick")) == before
    assert backend.facts()["restarts"] == 1
    assert pid(backend) != first


def test_a_death_while_nothing_is_asked_is_noticed_before_the_next_question(backend: LlamaCpp) -> None:
    first = pid(backend)
    kill(backend)
    # Whether or not the death is known yet.
    assert text(backend, asked("eats the quick"))
    assert pid(backend) != first


def test_counting_does_not_wait_for_a_new_engine(backend: LlamaCpp) -> None:
    kill(backend)
    begun = time.monotonic()
    for number in range(50):
        try:
            backend.count_tokens(f"never counted before {number}")
        except BackendFailed:
            break
    assert time.monotonic() - begun < 10
    assert text(backend, asked("hello"), 30.0)


def test_a_member_gets_the_fallback_and_the_next_one_the_engine(backend: LlamaCpp) -> None:
    """The bar: within the deadline, and by the engine that was started again."""
    deadline = 30.0

    async def talk() -> None:
        inference = Inference(
            [backend, Scripted(["a line said before"])], canned=["hm."], queue_size=4, deadline_seconds=deadline
        )
        began = asyncio.Event()
        begun = time.monotonic()
        reply = asyncio.create_task(
            inference.submit(lambda: asked("hello", CONTEXT - 100), on_text=lambda _text: began.set())
        )
        await began.wait()
        kill(backend)
        fallen = await reply
        assert fallen.text == "a line said before"
        assert time.monotonic() - begun < deadline
        assert [one.backend for one in fallen.fallbacks] == ["llamacpp"]
        answered = await inference.submit(lambda: asked("eats the quick"))
        assert (answered.backend, answered.fallbacks) == ("llamacpp", ())
        inference.close()

    asyncio.run(talk())


@LINUX
def test_an_engine_that_hangs_is_ended_and_started_again(tiny_model: Path) -> None:
    with closing(LlamaCpp(tiny_model, context_tokens=512, threads=1, hung_seconds=0.5)) as backend:
        first = pid(backend)
        os.kill(first, signal.SIGSTOP)
        assert text(backend, asked("hello"), 0.3) == ""
        deadline = Deadline(20)
        while deadline.over() is None and pid(backend) == first:
            deadline.wait(0.05)
        assert text(backend, asked("hello"))
        assert pid(backend) != first


@LINUX
def test_it_ends_with_its_parent_whatever_ends_that(tiny_model: Path) -> None:
    program = (
        "import sys, threading; from pathlib import Path; from sususbot.model.llamacpp import LlamaCpp\n"
        "backend = LlamaCpp(Path(sys.argv[1]), context_tokens=512, threads=1)\n"
        "print(backend.facts()['pid'], flush=True); threading.Event().wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, tiny_model], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        # The end of the pipe that the child holds, too.
        assert parent.stdout.read() == b""
    deadline = Deadline(10)
    while deadline.over() is None and running(child):
        deadline.wait(0.05)
    assert not running(child)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# -- memory


@pytest.fixture
def short_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python started from here on may have 2,250 MB of addresses.

    llama.cpp takes 500 to 850 without a context, by how much each thread reserves, and 1.34 more for 1,000 tokens of
    the tiny model: 1,600,000 never fit, half of them do with room to work.
    """
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2_250_000_000, 2_250_000_000))"
    (tmp_path / "sitecustomize.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@LINUX
@pytest.mark.usefixtures("short_of_memory")
def test_what_is_too_large_comes_up_smaller_and_says_so(tiny_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked_for = 1_600_000
    with (
        caplog.at_level(logging.WARNING),
        closing(LlamaCpp(tiny_model, context_tokens=asked_for, threads=1)) as backend,
    ):
        assert 512 <= backend.context_tokens < asked_for
        assert backend.facts()["context_tokens"] == backend.context_tokens
        assert "memory ran out" in str(backend.facts()["smaller"])
        assert text(backend, asked("eats the quick"))
        kill(backend)
        tried = len(caplog.records)
        assert text(backend, asked("eats the quick"))
        # What was too large is not tried again.
        assert not [record for record in caplog.records[tried:] if "too small" in record.message]
    assert "main memory is too small for" in caplog.text


def test_a_prompt_for_a_longer_context_loses_its_beginning(tiny_model: Path) -> None:
    """As when the engine died later, for want of memory, and came up smaller than what prompts are made for."""
    with closing(LlamaCpp(tiny_model, context_tokens=512, threads=1)) as backend:
        backend.context_tokens = 4096
        *chunks, last = backend.generate(asked("naps and cake " * 500 + "eats the quick"), Deadline(30))
        assert last.usage is not None
        assert last.usage.prompt <= 512
        assert "".join(chunk.text for chunk in chunks).startswith(" fox eats cake")


# -- adapters


def test_an_adapter_is_exchanged_while_replies_are_made(
    backend: LlamaCpp, tiny_model: Path, tiny_adapter: Path
) -> None:
    plain = text(backend, asked("eats the quick"))
    with closing(LlamaCpp(tiny_model, adapter_path=tiny_adapter, context_tokens=512, threads=1)) as adapted:
        voiced = text(adapted, asked("eats the quick"))
    assert plain != voiced
    said: list[str] = []
    over = threading.Event()

    def keep_asking() -> None:
        while not over.is_set():
            said.append(text(backend, asked("eats the quick")))

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(keep_asking)
        try:
            for path, expected in ((tiny_adapter, voiced), (None, plain), (tiny_adapter, voiced)):
                backend.use_adapter(path)
                assert text(backend, asked("eats the quick")) == expected
                assert backend.facts()["adapter"] == ("none" if path is None else path.name)
        finally:
            over.set()
        # None of them failed.
        asking.result()
    assert set(said) == {plain, voiced}
    assert backend.facts()["restarts"] == 0


def test_the_exchanged_adapter_survives_a_death(backend: LlamaCpp, tiny_adapter: Path) -> None:
    backend.use_adapter(tiny_adapter)
    voiced = text(backend, asked("eats the quick"))
    kill(backend)
    assert text(backend, asked("eats the quick")) == voiced


def test_an_adapter_that_does_not_fit_leaves_the_old_one(backend: LlamaCpp, tiny_adapter: Path, tmp_path: Path) -> None:
    backend.use_adapter(tiny_adapter)
    voiced, first = text(backend, asked("eats the quick")), pid(backend)
    other = tiny_gguf.write_adapter(tmp_path / "wide.gguf", width=2 * tiny_gguf.WIDTH)
    with pytest.raises(ModelLoadFailed, match="made for another model"):
        backend.use_adapter(other)
    with pytest.raises(ModelNotFound, match="no adapter at"):
        backend.use_adapter(tmp_path / "nowhere.gguf")
    assert (text(backend, asked("eats the quick")), pid(backend)) == (voiced, first)
    assert backend.facts()["adapter"] == tiny_adapter.name


@LINUX
def test_where_there_is_no_room_for_two_the_old_one_ends_first(
    tiny_model: Path, tiny_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second engine that would stand beside another has no memory; replies wait for the exchange."""
    with closing(LlamaCpp(tiny_model, context_tokens=200_000, threads=1)) as backend:
        first = pid(backend)
        code = (
            "import os, resource\n"
            f"beside = os.path.exists('/proc/{first}/statm') and open('/proc/{first}/statm').read()[0] != '0'\n"
            "if beside: resource.setrlimit(resource.RLIMIT_AS, (520_000_000, 520_000_000))"
        )
        (tmp_path / "sitecustomize.py").write_text(code, encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        plain = text(backend, asked("eats the quick"))
        with ThreadPoolExecutor(1) as pool:
            exchange = pool.submit(backend.use_adapter, tiny_adapter)
            said = [text(backend, asked("eats the quick")) for _ in range(20)]
            exchange.result()
        assert all(said)
        assert text(backend, asked("eats the quick")) != plain
        assert backend.facts()["context_tokens"] == backend.context_tokens
        assert backend.facts()["restarts"] == 0


# -- slots


def test_each_channel_keeps_its_slot(tiny_model: Path) -> None:
    talks = {channel: f"in channel {channel} " + "the quick fox eats cake " * (30 + channel) for channel in (1, 2, 3)}
    with closing(LlamaCpp(tiny_model, context_tokens=1024, slots=3, threads=1)) as backend:
        assert backend.parallel == 3

        def cached(request: Request) -> float:
            *_, last = backend.generate(request, Deadline(30))
            assert last.usage is not None
            return last.usage.cached / last.usage.prompt

        for channel, talk in talks.items():
            cached(asked(talk, 2, channel=channel))
        shares = [cached(asked(talk + "and more", 2, channel=channel)) for channel, talk in talks.items()]
        assert min(shares) > 0.9


def test_replies_are_made_side_by_side(tiny_model: Path) -> None:
    with closing(LlamaCpp(tiny_model, context_tokens=4096, slots=2, threads=1)) as backend:
        long = backend.generate(asked("hello", 4000, channel=1), Deadline(30))
        next(long)
        # With one slot this would wait for the long one.
        assert text(backend, asked("eats the quick", channel=2))
        assert next(long).finish is None
        long.close()  # type: ignore[attr-defined]
