"""Does the time per message stay the same from a small server's history to a million messages?

The large history is made of the given exports: each copy lies later in time, under other ids, and every text is new:
half of one message and half of another, with some words changed into words of their own, so that the vocabulary
grows as it does with real chat and nothing is a duplicate. Both sizes are written the same way, and each command runs
as a user runs it, in a process of its own whose children are counted too.
"""

import gzip
import itertools
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple
from zlib import crc32

import orjson
import psutil  # type: ignore[import-untyped]

from sususbot.benchmarks.importing import BARE, import_bare
from sususbot.benchmarks.report import Metrics, Result, in_new_process
from sususbot.messages import iso_ms

Json = dict[str, Any]

STAGES: Final = {"import": ["import"], "analyze": ["analyze", "--json"], "build": ["build", "--json"]}
_MILLION: Final = 1_000_000
_SMALL_RUNS: Final = 3
# So few messages of each file that what is measured is the start of the program.
_FEW: Final = 20
_SAMPLED_EVERY_S: Final = 0.05
_MEGABYTE: Final = 1_000_000
_WORD: Final = re.compile(r"[^\W\d_]{4,}")
# One word in so many is another word in each copy: a tenfold history has about twice the vocabulary.
_CHANGED: Final = 8
# Copies begin on the same hour of the same weekday.
_WEEK_MS: Final = 7 * 86_400_000


class Run(NamedTuple):
    """One command: seconds from start to end, of them on a processor, and the most memory it and its children held."""

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


def bench_scale(
    exports: Sequence[Path],
    stages: Sequence[str],
    told: Callable[[str], None],
    *,
    large: int = _MILLION,
    scratch: Path | None = None,
) -> Result:
    """Each stage on the exports as they are and on a million messages made of them, all below `scratch`."""
    metrics: Metrics = {}
    with tempfile.TemporaryDirectory(dir=scratch) as aside:
        folder = Path(aside)
        sizes = {}
        for name, count in (("few", None), ("67k", None), ("1m", large)):
            told(f"writing {name}")
            # In another process: what a child has on its account begins with its parent's memory.
            sizes[name] = in_new_process(write_history, exports, folder / name, count, _FEW if name == "few" else None)
        runs = {name: [_run_all(folder, name, stages, told)] for name in sizes}
        for name in ("few", "67k"):
            runs[name] += [_run_all(folder, name, stages, told) for _ in range(_SMALL_RUNS - 1)]
        for stage in stages:
            metrics |= _metrics(stage, runs, sizes)
        bare = in_new_process(import_bare, sorted((folder / "67k").iterdir()), folder)
    return Result(
        "scale",
        {"messages_67k": sizes["67k"], "messages_1m": sizes["1m"], **metrics},
        {"import_messages_per_s_67k": bare.messages / bare.seconds, "import_peak_rss_mb": bare.peak_rss_mb},
        "the exports as they are, and a million messages made of them; growth of the time per message without start-up",
        BARE,
    )


def _metrics(stage: str, runs: dict[str, list[dict[str, Run]]], sizes: dict[str, int]) -> Metrics:
    def middle(name: str, what: Callable[[Run], float]) -> float:
        return median(what(run[stage]) for run in runs[name])

    def growth(what: Callable[[Run], float]) -> float:
        start, small, large = (middle(name, what) for name in ("few", "67k", "1m"))
        return (large - start) / sizes["1m"] / ((small - start) / sizes["67k"]) - 1

    return {
        f"{stage}_messages_per_s_67k": sizes["67k"] / middle("67k", lambda run: run.seconds),
        f"{stage}_messages_per_s_1m": sizes["1m"] / middle("1m", lambda run: run.seconds),
        f"{stage}_seconds_1m": middle("1m", lambda run: run.seconds),
        f"{stage}_growth": growth(lambda run: run.seconds),
        # The same on a machine that has other things to do.
        f"{stage}_cpu_growth": growth(lambda run: run.cpu_seconds),
        f"{stage}_peak_rss_mb": max(run[stage].peak_rss_mb for run in runs["1m"]),
    }


def _run_all(folder: Path, name: str, stages: Sequence[str], told: Callable[[str], None]) -> dict[str, Run]:
    """The stages one after another on one archive; import is always the first."""
    done: dict[str, Run] = {}
    with tempfile.TemporaryDirectory(dir=folder) as data:
        for stage in ["import", *(stage for stage in stages if stage != "import")]:
            told(f"{stage} of {name}")
            files = [str(path) for path in sorted((folder / name).iterdir())] if stage == "import" else []
            command = [sys.executable, "-m", "sususbot", "--data", data, *STAGES[stage], *files]
            # So few messages give no corpus, and that is no failure here.
            done[stage] = run_measured(command, must=name != "few")
    return done


def run_measured(command: Sequence[str], *, must: bool = True) -> Run:
    """Run a program to its end. Raises CalledProcessError when it fails though it `must` not."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        watch = _Watch(process.pid)
        processor_seconds, peak = _waited_for(process)
        seconds = time.perf_counter() - begun
        seen = watch.stop()
        if must and process.returncode:
            errors.seek(0)
            raise subprocess.CalledProcessError(process.returncode, command, stderr=errors.read().decode())
    return Run(seconds, max(processor_seconds, seen.processor_seconds), max(peak, seen.peak_bytes) / _MEGABYTE)


def _waited_for(process: "subprocess.Popen[bytes]") -> tuple[float, int]:
    """Seconds of the processor and most bytes of the process itself, as the system counted; Windows forgets them."""
    if sys.platform == "win32":
        process.wait()
        return 0.0, 0
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    # Kilobytes on Linux, bytes on macOS.
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass
class _Seen:
    processor_seconds: float = 0.0
    peak_bytes: int = 0


class _Watch:
    """Adds up the memory of a process and its children while they run, and their time."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen = _Seen()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> _Seen:
        self._over.set()
        self._thread.join()
        return self._seen

    def _look(self) -> None:
        while not self._over.wait(_SAMPLED_EVERY_S):
            seconds, held = _of_family(self._pid)
            self._seen = _Seen(max(self._seen.processor_seconds, seconds), max(self._seen.peak_bytes, held))


def _of_family(pid: int) -> tuple[float, int]:
    """Seconds of the processor and bytes that a process and those that it started take now; nothing once it ended."""
    seconds, held = 0.0, 0
    with suppress(psutil.Error):
        first = psutil.Process(pid)
        for one in (first, *first.children(recursive=True)):
            with suppress(psutil.Error):
                times = one.cpu_times()
                seconds, held = seconds + times.user + times.system, held + one.memory_info().rss
    return seconds, held


def write_history(exports: Sequence[Path], folder: Path, count: int | None, few: int | None = None) -> int:
    """The exports, repeated until they hold `count` messages, in files of the same channels. Gives how many it wrote.

    `few`: no more than so many of each.
    """
    folder.mkdir()
    roots = [orjson.loads(_text(path)) for path in exports]
    for root in roots:
        root["messages"] = root["messages"][:few]
    given = sum(len(root["messages"]) for root in roots)
    written = 0
    for number, root in enumerate(roots):
        share = len(root["messages"]) if count is None else round(count * len(root["messages"]) / given)
        if number == len(roots) - 1 and count is not None:
            share = count - written
        _write(root, folder / f"{number}.json.gz", share)
        written += share
    return written


def _text(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _write(root: Json, path: Path, share: int) -> None:
    head, end = orjson.dumps({**root, "messages": [], "messageCount": share}, option=orjson.OPT_INDENT_2).split(
        b"[]", 1
    )
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(head + b"[")
        for number, item in enumerate(itertools.islice(_copies(root["messages"]), share)):
            out.write((b",\n" if number else b"\n") + orjson.dumps(item, option=orjson.OPT_INDENT_2))
        out.write(b"\n]" + end)


def _copies(messages: list[Json]) -> Iterator[Json]:
    """The messages, and then again and again others like them."""
    yield from messages
    first, last = iso_ms(messages[0]["timestamp"]), iso_ms(messages[-1]["timestamp"])
    span = (last - first) // _WEEK_MS * _WEEK_MS + _WEEK_MS
    for copy in itertools.count(1):
        for place, item in enumerate(messages):
            other = messages[(place * 31 + copy * 7919) % len(messages)]
            yield _shifted(item, other, copy, copy * span)


def _shifted(item: Json, other: Json, copy: int, shift: int) -> Json:
    moment = iso_ms(item["timestamp"]) + shift
    days, ms = divmod(moment, 86_400_000)
    year_day = time.gmtime(days * 86_400)
    stamp = (
        f"{year_day.tm_year}-{year_day.tm_mon:02}-{year_day.tm_mday:02}"
        f"T{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}+00:00"
    )
    shifted = {**item, "id": _later(item["id"], shift), "timestamp": stamp, "timestampEdited": None}
    shifted["content"] = other_words(spliced(item["content"], other["content"]), copy)
    if item.get("reference"):
        shifted["reference"] = {**item["reference"], "messageId": _later(item["reference"]["messageId"], shift)}
    return shifted


def _later(id_: str, shift: int) -> str:
    return str(int(id_) + (shift << 22))


def spliced(text: str, other: str) -> str:
    words, others = text.split(" "), other.split(" ")
    return " ".join(words[: (len(words) + 1) // 2] + others[len(others) // 2 :])


def other_words(text: str, copy: int) -> str:
    def changed(found: re.Match[str]) -> str:
        word = found[0]
        if crc32(f"{copy}{word.lower()}".encode()) % _CHANGED:
            return word
        at = copy % len(word)
        return word[at:] + word[:at] + chr(97 + copy % 26)

    return _WORD.sub(changed, text)
