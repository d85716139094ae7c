"""Work in a process of its own, killed (SIGKILL) at given instants, until it comes to its end.

Where the system has forks, one process loads what takes long and every other is its fork: a kill costs a moment.
"""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from multiprocessing.connection import Connection
from typing import Any, Final

import pytest

_FORKS: Final = "forkserver" in multiprocessing.get_all_start_methods()
# gguf is for what is exported; this module is where each begins, and takes pytest with it.
_LOADED: Final = ["sususbot.training.jobs", "bitsandbytes", "gguf", "tests.training.learning", __name__]
# Only what hangs takes so long, on however busy a machine.
_PATIENCE: Final = 600.0
# Windows knows one signal for all.
_KILLED: Final = getattr(signal, "SIGKILL", signal.SIGTERM)


@cache
def _ways() -> Any:
    ways = multiprocessing.get_context("forkserver" if _FORKS else "spawn")
    ways.set_forkserver_preload(_LOADED)
    return ways


def run(work: Callable[..., object], *args: object, kill_after: float | None = None) -> float | None:
    """How many seconds the work took; None where it was killed, so many seconds after it began.

    `work` is a function of a module. Raises AssertionError where it failed by itself: its words are on stderr.
    """
    ours, theirs = _ways().Pipe(duplex=False)
    process = _ways().Process(target=_work, args=(theirs, work, args))
    process.start()
    theirs.close()
    try:
        assert ours.poll(_PATIENCE), "the process did not begin"
        ours.recv()
        begun = time.monotonic()
        process.join(_PATIENCE if kill_after is None else kill_after)
        taken = time.monotonic() - begun
        process.kill()
        process.join()
        if process.exitcode == -_KILLED and kill_after is not None:
            return None
        assert process.exitcode == 0, f"{work.__name__} ended with {process.exitcode}"
        return taken
    finally:
        ours.close()
        process.close()


def run_killed(work: Callable[..., object], *args: object, instants: Sequence[float]) -> int:
    """Kill it after each of these, then let it come to its end; gives how often it was killed."""
    killed = 0
    for instant in instants:
        if run(work, *args, kill_after=instant) is not None:
            return killed
        killed += 1
    run(work, *args)
    return killed


def run_to_its_kill(work: Callable[..., object], *args: object) -> None:
    """`work` kills itself where it should not have come so far: at a point in what it does, rather than in time."""
    with pytest.raises(AssertionError, match=f"ended with {-_KILLED}$"):
        run(work, *args)


def _work(begun: Connection, work: Callable[..., object], args: Sequence[object]) -> None:
    import torch

    torch.set_num_threads(1)
    begun.send(None)
    begun.close()
    work(*args)
    sys.stdout.flush()
