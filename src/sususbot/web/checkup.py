"""What the doctor finds, by a process of its own: it loads torch and prepares the card, which would stay with the page.

It reads the settings as the next command would, not as they were when the page began. That takes seconds and all the
machine's cores, so there is one doctor at a time, for all tabs, and what it found is kept for a minute.
"""

import asyncio
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Final

import orjson

from sususbot.doctor.findings import Finding
from sususbot.errors import WebError

_SECONDS: Final = 180
_KEPT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Checkup:
    """Findings in the doctor's order."""

    findings: tuple[Finding, ...]

    @property
    def summary(self) -> str:
        wrong, warnings = (sum(one.state == state for one in self.findings) for state in ("wrong", "warning"))
        if not wrong and not warnings:
            return f"All is well in {len(self.findings)} checks."
        return f"{wrong} wrong, {warnings} worth a look, in {len(self.findings)} checks."


class Doctor:
    """That of one data folder. Its process ends with the page's."""

    def __init__(self, data: Path, env: Path) -> None:
        self._data = data
        self._env = env
        self._going: asyncio.Task[Checkup] | None = None
        self._asked = False
        self._found: tuple[float, bool, Checkup] | None = None
        self.calls = 0
        """How many processes were started."""

    async def examine(self, *, online: bool, anew: bool = False) -> Checkup:
        """`anew`: what was found a moment ago is not enough. Raises WebError where it could not be asked."""
        while self._going is not None:
            if self._asked == online:
                return await asyncio.shield(self._going)
            await asyncio.wait([self._going])
        if not anew and self._found is not None:
            at, asked, found = self._found
            if asked == online and monotonic() - at < _KEPT_SECONDS:
                return found
        self._asked, self._going = online, asyncio.create_task(self._examine(online=online))
        # Who waited for it may be gone when it fails.
        self._going.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._going)

    async def _examine(self, *, online: bool) -> Checkup:
        self.calls += 1
        try:
            findings = orjson.loads(await _asked(self._data, self._env, online=online))["findings"]
            checkup = Checkup(tuple(Finding(**one) for one in findings))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WebError(
                f"the doctor gave no answer ({type(error).__name__}): run  sususbot doctor  in a terminal"
            ) from error
        finally:
            self._going = None
        self._found = monotonic(), online, checkup
        return checkup


@cache
def doctor_of(data: Path, env: Path) -> Doctor:
    """The one of a data folder."""
    return Doctor(data, env)


async def _asked(data: Path, env: Path, *, online: bool) -> bytes:
    command = [sys.executable, "-m", "sususbot", "--data", str(data), *(["--env", str(env)] if env.is_file() else [])]
    process = await asyncio.create_subprocess_exec(
        *(*command, "doctor", "--json", *(["--online"] if online else [])),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            said, _ = await process.communicate()
        return said
    finally:
        # Too late, or the page ends.
        if process.returncode is None:
            process.kill()
            await process.wait()
