"""A terminal with somebody at it, who waits for each question before they answer."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.commands import environment


def typed_at(
    *arguments: str,
    folder: Path,
    answers: Sequence[tuple[str, str]],
    program: Sequence[str] = ("-m", "sususbot"),
    **settings: str,
) -> tuple[int, str]:
    """Exit code and all that was shown; `answers` are (end of a question, what is typed) in their order.

    `program` is what Python is given to run.
    """
    import pty

    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env=environment({"TERM": "dumb", **settings}),
        stdin=its,
        stdout=its,
        stderr=its,
        close_fds=True,
    )
    os.close(its)
    shown, seen, waiting = "", 0, list(answers)
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk.decode(errors="replace")
            while waiting and (at := shown.find(waiting[0][0], seen)) >= 0:
                seen = at + len(waiting[0][0])
                os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
    except OSError:
        # Linux: the other side was closed.
        pass
    finally:
        os.close(ours)
    return process.wait(60), shown
