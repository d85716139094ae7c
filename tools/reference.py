"""Makes the reference documents from the program: `docs/commands.md`, `docs/settings.md` and `.env.example`.

    python tools/reference.py          writes them;  make docs  does
    python tools/reference.py --check  names what is not as the program says, and ends with 1

Nothing is said here that the program does not say of itself: commands by their `--help`, settings by `settings.py`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from sususbot.cli.main import COMMANDS, sususbot
from sususbot.env_file import as_written, example
from sususbot.settings import Settings

ROOT: Final = Path(__file__).parents[1]
_WIDTH: Final = 100
_LINKS: Final = 4

_COMMANDS_HEAD: Final = """\
# Commands

Made from the program by `make docs`: each is what `sususbot NAME --help` prints. In the order of the pipeline:
{listed}

For all of them: 0 is done; 1 is failed, and the last line says why and what to do
([troubleshooting](troubleshooting.md)); 2 is wrong usage; 130 is Ctrl-C, after which the same command goes on. What
`--json` asks for comes alone on the standard output, all else on the standard error.
"""
_SETTINGS_HEAD: Final = """\
# Settings

Made from `settings.py` by `make docs`; `.env.example` is the same as a file to copy. They stand in `.env` in the
folder where `sususbot` is called (`--env` names another), or in the environment, which wins. `sususbot init` writes the
file; nearly all may stay as it is. A misspelt name or a wrong value is told at the start, all at once.

{listed}
"""


def documents() -> dict[Path, str]:
    """Each document and the text it must have."""
    return {
        ROOT / "docs" / "commands.md": commands(),
        ROOT / "docs" / "settings.md": settings(),
        ROOT / ".env.example": example(),
    }


def commands() -> str:
    """The help of the program and of all its commands."""
    listed = _listed({name: f"sususbot-{name}" for name in COMMANDS})
    context = _context(sususbot, "sususbot", None)
    sections = [f"## {name}\n\n{_indented(text)}" for name, text in _helps(sususbot, context)]
    return "\n".join([_COMMANDS_HEAD.format(listed=listed), *sections])


def settings() -> str:
    """A table for each heading of `.env.example`."""
    sections = _sections()
    listed = _listed({heading: heading.lower().replace(" ", "-") for heading in sections})
    parts = [_SETTINGS_HEAD.format(listed=listed)]
    for heading, names in sections.items():
        rows = "\n".join(map(_row, names))
        parts.append(f"## {heading}\n\n| setting | if it is not set | what it is |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _listed(anchors: dict[str, str]) -> str:
    """Links to the headings of a page, some a line."""
    links = [f"[{name}](#{anchor})" for name, anchor in anchors.items()]
    return "\n".join(" · ".join(links[at : at + _LINKS]) for at in range(0, len(links), _LINKS))


def _sections() -> dict[str, list[str]]:
    """The settings below their headings, as `.env.example` has them."""
    found: dict[str, list[str]] = {}
    for line in example().splitlines():
        if line.startswith("# ---- "):
            found[line.removeprefix("# ---- ")] = []
        elif line.startswith("#") and "=" in line and not line.startswith("# "):
            [*found.values()][-1].append(line[1:].partition("=")[0].lower())
    return found


def _row(name: str) -> str:
    field = Settings.model_fields[name]
    default = as_written(field.default)
    shown = f"`{_cell(default)}`" if default else ""
    return f"| `{name.upper()}` | {shown} | {_cell(field.description or '')} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """A command's help and that of the commands below it."""
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _helps(below, _context(below, name, context))


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    size: Any = {"terminal_width": _WIDTH, "max_content_width": _WIDTH}
    return click.Context(command, info_name=name, parent=parent, **size, **command.context_settings)


def _indented(text: str) -> str:
    return "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())


def main() -> int:
    """0, or 1 where `--check` found something that is not fresh."""
    stale = [path for path, text in documents().items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)} is not what the program says: run  make docs", file=sys.stderr)
        else:
            path.write_text(documents()[path], encoding="utf-8", newline="\n")
            print(f"wrote {path.relative_to(ROOT)}")
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
