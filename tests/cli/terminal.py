"""A terminal with somebody at it, who waits for each question before they answer."""

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.commands import environment

_PATIENCE: Final = 120.0


def typed_at(
    *arguments: str,
    folder: Path,
    answers: Sequence[tuple[str, str]],
    program: Sequence[str] = ("-m", "sususbot"),
    **settings: str,
) -> tuple[int, str]:
    """Exit code and all that was shown; `answers` are (end of a question, what is typed) in their order.

    `program` is what Python is given to run. Where it waits for what nobody types, it is ended.
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
        # Without a terminal of its own, a question for a password would be asked at the tester's.
        start_new_session=True,
    )
    os.close(its)
    shown, seen, waiting = b"", 0, list(answers)
    try:
        while select.select([ours], [], [], _PATIENCE)[0] and (chunk := os.read(ours, 4096)):
            shown += chunk
            while waiting and (at := shown.find(waiting[0][0].encode(), seen)) >= 0:
                seen = at + len(waiting[0][0].encode())
                os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
    except OSError:
        # Linux: the other side was closed.
        pass
    finally:
        os.close(ours)
    try:
        return process.wait(60), shown.decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(), shown.decode(errors="replace")
