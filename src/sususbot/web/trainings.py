"""Trainings as processes: started, watched, told to stop, gone on with.

Each is a `sususbot train` that lives on when the page ends; what it says goes to data/logs/train-NAME.log.

A run that trains is found again by what its manifest says of its process, whoever started it. To stop is a wish, as
Ctrl-C is: the step in hand is finished and saved. Blocks: call it in a thread.
"""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final, Literal

import psutil  # type: ignore[import-untyped]

from sususbot.artifacts import LOGS, LONGEST_NAME, RUNS, is_name
from sususbot.errors import RunExists, RunMissing, TrainingError
from sususbot.settings import Settings
from sususbot.web.runs import Run, runs
from sususbot.web.training_wish import Wish, wish_to_resume

How = Literal[
    "starting", "training", "measuring", "stopping", "stopped", "finished", "refused", "not measured", "broken off",
    "failed",
]  # fmt: skip
_PLAN_SECONDS: Final = 120
# A process that began later than its run's last note has only got the same number.
_TOLERANCE: Final = 5.0
_LOG_END: Final = 16_384
_OWN_GROUP: Final[int] = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
_NAME: Final = re.compile(r"\w[\w .+()-]*(?<![ .])")


class Trainings:
    """Those of one data folder. `env` is the settings file, which need not be there."""

    def __init__(self, data: Path, env: Path) -> None:
        self._data = data
        self._env = env
        self._lock = Lock()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._wished: set[str] = set()

    def start(self, wish: Wish) -> None:
        """Raises RunExists and TrainingError; what is wrong beyond that stands in the log a moment later."""
        if not wish.resume:
            _check_name(wish.name)
        with self._lock:
            if self._alive(wish.name):
                raise RunExists(f"{wish.name} is training right now: wait for its end, or choose another name")
            try:
                if not wish.resume and _holds_something(self._data / RUNS / wish.name):
                    raise RunExists(f"there is a run {wish.name} already: resume it, or choose another name")
                self._begin(wish)
            except OSError as error:
                raise TrainingError(
                    f"{wish.name} cannot be started ({error.strerror or error}): choose another name, or look at "
                    f"{self._data / LOGS}"
                ) from error

    def plan(self, wish: Wish) -> tuple[bool, list[str]]:
        """Whether it could begin, and what it would be, in lines."""
        try:
            done = subprocess.run(
                [*self._command(), "train", "--plan", *wish.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment(wish),
                timeout=_PLAN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TrainingError("checking took longer than two minutes: try it in a terminal with --plan") from error
        return done.returncode == 0, _lines(done.stdout)

    def resume(self, name: str, settings: Settings) -> None:
        """Go on with a run by the recipe it began with. Raises RunMissing."""
        run = self._run(name)
        self.start(wish_to_resume(run, settings))

    def stop(self, name: str) -> None:
        """Wish it to end after this step. Raises RunMissing where nothing trains, or it cannot be reached."""
        with self._lock:
            process = self._process(name)
            if process is None:
                raise RunMissing(f"{name} is not training: nothing is to be stopped")
            self._wished.add(name)
        try:
            _interrupt(process)
        except (OSError, psutil.Error) as error:
            raise RunMissing(
                f"{name} cannot be reached from here ({error}): press Ctrl-C where it was started"
            ) from error

    def how(self, run: Run | None, name: str) -> How:
        """How it fares; `run` is None where nothing of it is on disk yet."""
        with self._lock:
            child = self._children.get(name)
            lives = child is not None and child.poll() is None
            trains = run is not None and run.state == "training" and _of_manifest(run) is not None
            finished = run is not None and run.state == "finished"
            measures = run is not None and _unmeasured(run) and _of_manifest(run) is not None
            if lives or trains or measures:
                if name in self._wished:
                    return "stopping"
                # A process does not begin with a run that is finished: what it does then is what comes after.
                return "training" if trains else "measuring" if finished else "starting"
            self._wished.discard(name)
            code = child.returncode if child is not None else 0
        if run is not None and finished:
            return "refused" if run.verdict == "refused" else "not measured" if _unmeasured(run) else "finished"
        if run is None or code:
            return "failed"
        return "stopped" if run.state == "stopped" else "broken off"

    def begun_here(self) -> list[str]:
        """Runs that this page started, whether or not anything of them is on disk."""
        with self._lock:
            return list(self._children)

    def said(self, name: str, most: int = 12) -> list[str]:
        """The last lines of its log, where the page started it."""
        try:
            with self.log_of(name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_END))
                return _lines(file.read())[-most:]
        except OSError:
            return []

    def log_of(self, name: str) -> Path:
        return self._data / LOGS / f"train-{name}.log"

    def _begin(self, wish: Wish) -> None:
        log = self.log_of(wish.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._wished.discard(wish.name)
        with log.open("ab" if wish.resume else "wb") as output:
            self._children[wish.name] = subprocess.Popen(
                [*self._command(), "train", *wish.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(wish),
                # Not ended by what ends the page: a Ctrl-C in its terminal, the terminal's own end.
                start_new_session=True,
                creationflags=_OWN_GROUP,
            )

    def _run(self, name: str) -> Run:
        for run in runs(self._data):
            if run.name == name:
                return run
        raise RunMissing(f"there is no run {name}: begin one")

    def _alive(self, name: str) -> bool:
        return self._process(name) is not None

    def _process(self, name: str) -> psutil.Process | None:
        child = self._children.get(name)
        if child is not None and child.poll() is None:
            with suppress(psutil.Error):
                return psutil.Process(child.pid)
        with suppress(RunMissing):
            run = self._run(name)
            return _of_manifest(run) if run.state == "training" or _unmeasured(run) else None
        return None

    def _command(self) -> list[str]:
        env = ["--env", str(self._env)] if self._env.is_file() else []
        return [sys.executable, "-m", "sususbot", "--data", str(self._data), *env]

    def _environment(self, wish: Wish) -> dict[str, str]:
        return {**os.environ, **wish.settings, "PYTHONUNBUFFERED": "1"}


@cache
def trainings_of(data: Path, env: Path) -> Trainings:
    """The one of a data folder, so that all tabs see the same children."""
    return Trainings(data, env)


def _check_name(name: str) -> None:
    """Every system can store what is called so."""
    if len(name) > LONGEST_NAME:
        raise TrainingError(
            f"the name of a run has at most {LONGEST_NAME} letters, not {len(name)}: choose a shorter one"
        )
    if not (_NAME.fullmatch(name) and is_name(name)):
        raise TrainingError(f"{name or 'nothing'} cannot be the name of a run: use letters, digits, - and _")


def _holds_something(folder: Path) -> bool:
    """Whether a training began there; what failed before left a lock alone."""
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())


def _unmeasured(run: Run) -> bool:
    """Whether it is finished, is to be measured, and was not yet."""
    return run.state == "finished" and run.measured and not run.verdict


def _of_manifest(run: Run) -> psutil.Process | None:
    """The process that a run says trains it, if it is that one and lives."""
    if run.process is None:
        return None
    try:
        process = psutil.Process(run.process)
        noted = datetime.fromisoformat(run.changed).timestamp()
        alive = process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= noted + _TOLERANCE
    except (psutil.Error, ValueError):
        return None
    return process if alive else None


def _interrupt(process: psutil.Process) -> None:
    if sys.platform == "win32":
        # Told to a group, whose number is that of its first process: in an environment of Python the starter's.
        group = process if process.ppid() == os.getpid() else process.parent() or process
        os.kill(group.pid, signal.CTRL_BREAK_EVENT)
    else:
        process.send_signal(signal.SIGINT)


def _lines(raw: bytes) -> list[str]:
    text = raw.decode(errors="replace")
    return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]
