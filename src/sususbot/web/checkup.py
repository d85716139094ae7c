"""What the doctor finds, by a process of its own: it loads torch and prepares the card, which would stay with the page.

It reads the settings as the next command would, not as they were when the page began. Blocks for seconds.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from sususbot.doctor.findings import Finding
from sususbot.errors import WebError

_SECONDS: Final = 180


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


def examine(data: Path, env: Path, *, online: bool) -> Checkup:
    """Raises WebError where the doctor itself could not be asked."""
    command = [sys.executable, "-m", "sususbot", "--data", str(data), *(["--env", str(env)] if env.is_file() else [])]
    try:
        done = subprocess.run(
            [*command, "doctor", "--json", *(["--online"] if online else [])],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        findings = orjson.loads(done.stdout)["findings"]
        return Checkup(tuple(Finding(**one) for one in findings))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise WebError(
            f"the doctor gave no answer ({type(error).__name__}): run  sususbot doctor  in a terminal"
        ) from error
