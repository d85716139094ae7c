"""Runs `sususbot` as a user does: a process of its own, in an empty folder, with no settings but those given."""

import asyncio
import io
import locale
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from sususbot.cli.main import main

# What a process needs to start on Linux and on Windows, and with how many threads it computes.
_KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "HOME", "USERPROFILE", "LANG", "OMP_NUM_THREADS")
# Beside other tests on a slow machine, an encoder may take longer to load than a member would wait for a reply.
_PATIENT = {"REPLY_DEADLINE": "100"}


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **_PATIENT, **settings}


def run(*arguments: str, folder: Path, typed: str | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """The finished command. `typed` is its standard input; without it there is none."""
    return subprocess.run(
        [sys.executable, "-m", "sususbot", *arguments],
        cwd=folder,
        env=environment(settings),
        input=typed,
        stdin=subprocess.DEVNULL if typed is None else None,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


def run_here(*arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The same within this process: what `run` spends on starting Python a test of many commands need not."""
    out, err = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(chdir(folder))
        stack.enter_context(patch.dict(os.environ, environment(settings), clear=True))
        stack.enter_context(patch.object(sys, "argv", ["sususbot", *arguments]))
        stack.enter_context(patch.object(sys, "stdin", io.StringIO()))
        # As `run` has it, whatever locale the tests are run in: its Python takes C for UTF-8.
        stack.enter_context(patch.object(locale, "getencoding", lambda: "utf-8"))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


async def start_against(
    http_url: str, gateway_url: str, *arguments: str, folder: Path, **settings: str
) -> asyncio.subprocess.Process:
    """A command that runs, whose Discord is at these addresses; what it says comes by its stderr."""
    code = (
        "from sususbot.bot.address import discord_at\n"
        "from sususbot.cli.main import main\n"
        f"with discord_at({http_url!r}, {gateway_url!r}):\n"
        "    main()"
    )
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        *arguments,
        cwd=folder,
        env=environment(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def run_against(
    http_url: str, gateway_url: str, *arguments: str, folder: Path, **settings: str
) -> tuple[int, str]:
    """Exit code and stderr of a command whose Discord is at these addresses."""
    process = await start_against(http_url, gateway_url, *arguments, folder=folder, **settings)
    async with asyncio.timeout(600):
        _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()


def refusal(stderr: str) -> str:
    """The sentence a failed command ends with; there must be one, and no traceback."""
    assert "Traceback" not in stderr, stderr
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("sususbot: "), stderr
    return last.removeprefix("sususbot: ")
