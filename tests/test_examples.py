"""Every block of commands in README and tutorial, run as it stands, in its order, in one folder; what it shows, too.

A block without an entry here fails. What is added to a command so that it takes seconds, or what is done in its place,
stands beside it. `make` is asked what it would do, and what that comes to is run as any other command: environments are
made where this suite itself is set up.
"""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from sususbot import env_file
from sususbot.artifacts import DEMO
from tests.cli.terminal import typed_at
from tests.docs_reading import ROOT, Block, blocks, read
from tests.docs_scene import QUESTION, Scene, scene
from tests.support.shown import demo_in

# Blocks that are no commands: drawings, by their headings.
_DRAWINGS: Final = {"The tree"}
# Where a block leaves out lines of a reply's why.
LEFT_OUT: Final = "  | …"


def as_it_stands(at: Scene, command: str) -> str:
    """The program, as it is written."""
    return adding()(at, command)


def adding(*more: str, code: int = 0) -> Callable[[Scene, str], str]:
    """The program, with options that make it small; `code` is how it ends."""

    def run(at: Scene, command: str) -> str:
        done = at.sususbot(*shlex.split(command)[1:], *more)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def asked(at: Scene, command: str) -> str:
    """An owner at a terminal, who answers. The bot was invited before: Discord is asked by the next command."""
    answers = [
        ("Token (not shown)", at.discord.world.token),
        ("Channel ID", str(at.channel.id)),
        ("Server ID", str(at.discord.world.guild_id)),
        ("opt-in or all", "opt-out"),
        ("Days until words are erased", ""),
        ("Whom members turn to", "@lou"),
        ("The bot's name", ""),
        ("Is the bot on your server now?", "n"),
    ]
    code, shown = typed_at(*shlex.split(command)[1:], folder=at.folder, answers=answers, **at.environment)
    assert code == 0, shown
    assert at.discord.world.token not in shown
    assert f"client_id={at.discord.world.application_id}" in shown
    assert env_file.load(at.folder / ".env").channel_id == at.channel.id
    return shown


def live(at: Scene, _command: str) -> str:
    """The bot as a process of its own: mentioned, it answers; told to stop, it ends well."""
    said = at.mentioned()
    assert "printer" in said
    return said


def made(comes_to: str) -> Callable[[Scene, str], str]:
    """What `make` would run, without running it, sets up and ends in this."""

    def run(_at: Scene, command: str) -> str:
        if shutil.which("make") is None:
            pytest.skip("there is no make here")
        told = subprocess.run(
            [*shlex.split(command, comments=True), "-n", "--no-print-directory"],
            cwd=ROOT, capture_output=True, encoding="utf-8", check=True, timeout=60,
        ).stdout  # fmt: skip
        assert "tools/environment.py" in told
        assert re.search(rf"{comes_to}\b", told.splitlines()[-1]), told
        return ""

    return run


def entered(_at: Scene, command: str) -> str:
    """The environment of this suite, entered by a shell: the program is there."""
    if not (Path(sys.prefix) / "bin" / "activate").is_file():
        pytest.skip("these tests run in no environment of their own")
    there = command.replace(".venv", shlex.quote(sys.prefix))
    done = subprocess.run(["bash", "-ec", f"{there}; command -v sususbot"], capture_output=True, check=False)
    assert done.returncode == 0
    return ""


# A command as it stands in the documents -> how it is run here.
COMMANDS: Final[dict[str, Callable[[Scene, str], str]]] = {
    "make install": made("set up. Next:  source .venv/bin/activate"),
    "make demo": made("/sususbot demo"),
    "make test": made("/python -m pytest"),
    "source .venv/bin/activate": entered,
    "sususbot init": asked,
    "sususbot doctor --online": as_it_stands,
    "sususbot backfill": as_it_stands,
    "sususbot analyze": as_it_stands,
    "sususbot index": as_it_stands,
    # Nobody types: it ends at once.
    "sususbot chat": as_it_stands,
    f'sususbot chat --once "{QUESTION}" --why': as_it_stands,
    # Its model takes minutes, and has tests of its own.
    f'sususbot demo --once "{QUESTION}" --why': adding("--epochs", "0"),
    "sususbot bot": live,
    "sususbot models download --use": as_it_stands,
    "sususbot build --show 3": as_it_stands,
    "sususbot train --plan": adding("--cpu"),
    "sususbot train": adding("--cpu"),
    "sususbot export": as_it_stands,
    "sususbot eval": adding("--replies", "10", "--measure", "language"),
}


def set_in_env(at: Scene, block: Block) -> None:
    """Lines for `.env`, written there; each is a setting that is known, and the file still reads."""
    values = dict(line.split("=", 1) for line in block.text.splitlines() if "=" in line)
    assert values, block
    env_file.set_values(
        at.folder / ".env", {name.lower(): value.split(" #")[0].strip() for name, value in values.items()}
    )
    env_file.load(at.folder / ".env")


def run_commands(at: Scene, block: Block) -> None:
    """Each line, once: what was done before is not done again."""
    for line in block.text.splitlines():
        command = re.sub(r"\s+#.*", "", line.strip())
        if command and command not in at.done:
            assert command in COMMANDS, f"{block}: no entry for  {command}"
            at.done[command] = COMMANDS[command](at, command)


def compare(at: Scene, block: Block) -> None:
    """A command says what is shown, figures as exact as processors agree on them; what it leaves out is marked."""
    command, *shown = block.text.rstrip().splitlines()
    said = COMMANDS[command.removeprefix("$ ")](at, command.removeprefix("$ ")).splitlines()
    left_out = True
    for line in shown:
        if line == LEFT_OUT:
            left_out = True
            continue
        found = next((number for number, one in enumerate(said) if alike(one, line)), None)
        assert found is not None, f"{block}: it does not say  {line}"
        assert left_out or not found, f"{block}: before  {line}  it says more: mark that by  {LEFT_OUT}"
        # What comes before a reply's why (stages, progress) goes another way, and is no part of it.
        said, left_out = said[found + 1 :], not line.startswith("  |")


def alike(said: str, shown: str) -> bool:
    numbers = re.compile(r"\d+\.\d+")
    exact = numbers.sub("#", said).strip() == numbers.sub("#", shown).strip()
    pairs = zip(numbers.findall(said), numbers.findall(shown), strict=exact)
    return exact and all(abs(float(one) - float(other)) <= 0.05 + 0.03 * float(one) for one, other in pairs)


def steps(document: str) -> Iterator[Block]:
    """The blocks of a document; the commands in the first cells of README's table of five are one, too."""
    for block in blocks(document):
        if block.heading not in _DRAWINGS:
            yield block


def five() -> Block:
    """README's table of what makes a bot of one's own server, as a block."""
    commands = re.findall(r"^\| \d \| `([^`]+)` \|", read("README.md"), re.MULTILINE)
    assert len(commands) == 5
    return Block("README.md", "Your own server, in five", "sh", "\n".join(commands), 0)


@pytest.mark.skipif(
    sys.platform == "win32", reason="a pseudo-terminal and signals; Windows' blocks are parsed elsewhere"
)
def test_every_block_of_readme_and_tutorial_runs(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with scene(tmp_path) as at:
        demo_in(at.folder / "data" / DEMO, tmp_path_factory)
        run_commands(at, five())
        for document in ("README.md", "docs/tutorial.md"):
            for block in steps(document):
                match block.language:
                    case "sh":
                        run_commands(at, block)
                    case "ini":
                        set_in_env(at, block)
                    case "console":
                        compare(at, block)
                    case other:
                        raise AssertionError(f"{block}: a block of the kind {other!r} is run by nobody")
