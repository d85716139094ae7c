"""`sususbot`: the commands in the order of the pipeline, each loaded only when it is called.

A `SususError` ends a command with one plain sentence on stderr and exit code 1; wrong usage gives 2, Ctrl-C 130.
Anything else is a bug and shows its traceback.
"""

import difflib
import errno
import io
import os
import signal
import sys
import threading
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from sususbot.errors import SususError

# numpy's products are small here. Shared among threads that wait for each other, those of one search take 16 ms where
# something else wants a core, and 0.6 by a single thread. Read once, when numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Command -> where it is, and its line in `--help` (so that help needs to load none of them).
COMMANDS: Final = {
    "init": ("sususbot.cli.initializing:init", "Settings, the notice for members, PRIVACY.md."),
    "doctor": ("sususbot.cli.doctor:doctor", "What is wrong, and what to do about it."),
    "import": ("sususbot.cli.importing:import_", "Export files into the archive."),
    "backfill": ("sususbot.cli.backfilling:backfill", "Channel history through Discord's API into the archive."),
    "analyze": ("sususbot.cli.analyzing:analyze", "What the archive holds: terminal, page, JSON."),
    "index": ("sususbot.cli.indexing:index", "Archive into long-term memory."),
    "build": ("sususbot.cli.building:build", "Archive into a corpus of training samples."),
    "models": ("sususbot.cli.models:models", "Base models: list, download, remove."),
    "train": ("sususbot.cli.training:train", "Corpus into a LoRA adapter, or into a small base."),
    "export": ("sususbot.cli.exporting:export", "Adapter or small base into GGUF."),
    "eval": ("sususbot.cli.evaluating:evaluate", "How good the bot is: relevance, voice, context, leakage."),
    "chat": ("sususbot.cli.chat:chat", "Talk in the terminal."),
    "web": ("sususbot.cli.web:web", "The local page: chat, memory, data, training, health."),
    "bot": ("sususbot.cli.bot:bot", "Run the Discord bot."),
    "dump": ("sususbot.cli.dumping:dump", "Archive into a file of JSON lines."),
    "consent": ("sususbot.cli.consenting:consent", "Who may be learned from, remembered, quoted."),
    "forget": ("sususbot.cli.forgetting:forget", "Erase a person everywhere."),
    "purge": ("sususbot.cli.purging:purge", "Delete all that sususbot keeps."),
    "bench": ("sususbot.cli.bench:bench", "Measure speed and size."),
    "demo": ("sususbot.cli.demo:demo", "The whole path on the sample community."),
}


# What a machine refuses any program, wherever it comes up -> in words, with the next step.
_REFUSALS: Final = {
    errno.ENOSPC: "the disk is full: make room, or choose another place with --data, and run the same command again",
    errno.EDQUOT: "your share of the disk is used up: make room, or choose another place with --data",
    errno.EROFS: "that disk may only be read: choose another place with --data",
    errno.EACCES: "permission is denied: let this program use it, or choose another place with --data",
    errno.EPERM: "that is not permitted: let this program use it, or choose another place with --data",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where this run's data folder and settings are."""

    data: Path
    env: Path | None
    debug: bool


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Of a misspelt one is told which may have been meant."""
        if args[0] not in COMMANDS:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            step = f"did you mean  sususbot {near[0]} ?" if near else "--help  lists all"
            ctx.fail(f"there is no command {args[0]}: {step}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands, in the order of the pipeline"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example:  sususbot import export.json, then  sususbot index, then  sususbot chat",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
    help="The data folder.",
)
@click.option("--env", type=click.Path(path_type=Path), help="The settings file.  [default: .env]")
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
@click.version_option(package_name="sususbot")
@click.pass_context
def sususbot(ctx: click.Context, data: Path, env: Path | None, debug: bool) -> None:
    """A Discord bot that talks like your own server and remembers it."""
    ctx.obj = Place(data, env, debug)


def main() -> None:
    """The program. Exits."""
    _have_streams()
    _speak_utf8()
    _mind_ctrl_break()
    try:
        code = sususbot.main(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        code = exit_.exit_code
    except click.ClickException as error:
        _show(error)
        code = error.exit_code
    except SususError as error:
        if "--debug" in sys.argv:
            raise
        click.echo(f"sususbot: {error}", err=True)
        code = 1
    except (KeyboardInterrupt, click.Abort) as stop:
        said = str(stop) or "stopped; nothing is lost, run the same command again to go on"
        click.echo(f"sususbot: {said}", err=True)
        code = 130
    except OSError as error:
        if error.errno not in _REFUSALS or "--debug" in sys.argv:
            raise
        # Whatever else comes up is a bug; that a disk is full is none.
        where = f"{error.filename}: " if error.filename is not None else ""
        click.echo(f"sususbot: {where}{_REFUSALS[error.errno]}", err=True)
        code = 1
    sys.exit(code or 0)


def _show(error: click.ClickException) -> None:
    """What was typed in a wrong place is quoted, and may be a token that was pasted there."""
    from sususbot.wording import privacy

    told = io.StringIO()
    error.show(told)
    click.echo(privacy.redact(told.getvalue(), privacy.SECRETS).text, nl=False, err=True)


def _have_streams() -> None:
    """A program without a console (pythonw, which the Task Scheduler starts) has none, and speaks all the same."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115  (for good)
            setattr(sys, name, nowhere)


def _mind_ctrl_break() -> None:
    """On Windows a service that is stopped and a window that is closed send it: end as after Ctrl-C."""
    if sys.platform == "win32" and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGBREAK, lambda *_: signal.raise_signal(signal.SIGINT))


def _speak_utf8() -> None:
    """Consoles with another code page (Windows) must not break on a name or an emoji, nor odd bytes on the way in."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
