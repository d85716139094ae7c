"""Documents are true: trees name every file, links lead on, commands and settings exist, what is made is fresh."""

import re
import runpy
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest

from sususbot.analysis.cost import CARDS, TARGET, tokens_per_s
from sususbot.cli.main import sususbot
from sususbot.model.bases import default_for
from sususbot.settings import Settings
from tests.docs_reading import PACKAGE, ROOT, anchors, blocks, documents, prose, read
from tests.support.powershell import Script

# Words in capitals that are no settings: variables of the system, of make, of git and of tests, SQL, placeholders.
_NOT_OURS: Final = re.compile(
    r"(SUSUSBOT|DEBIAN|CUDA|HTTPS?|NO|PIP|OMP|DCE|SQLITE|XDG|UV|PYTHON|TORCH)_\w+|NAME|FILES?|PRIVACY\.md|"
    r"EVAL_…|DRY_\*|OPENAI_…|WEB_…"
)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(document: str, heading: str) -> list[str]:
    """The paths of the first indented block below a heading."""
    text = read(document).split(heading, 1)[1]
    block = re.search(r"(?:^    .*\n)+", text, re.MULTILINE)
    assert block is not None
    folder, paths = "", []
    for line in block.group().splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip()) - 4) // 2
        folder = name if depth == 0 and name.endswith("/") else folder if depth else ""
        paths.append(name if depth == 0 else f"{folder}{name}")
    return paths


def test_the_architecture_names_every_file() -> None:
    named = {path for path in tree("docs/architecture.md", "## Every file") if path.endswith(".py")}
    there = {str(path.relative_to(PACKAGE).as_posix()) for path in PACKAGE.rglob("*.py")}
    assert named == {path for path in there if not path.endswith(("__init__.py", "__main__.py"))}


def test_the_readme_names_every_room() -> None:
    named = {path for path in tree("README.md", "## The tree") if path.startswith("src/sususbot/")}
    rooms = {f"{path.name}/" for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    files = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert named - {"src/sususbot/"} == {f"src/sususbot/{name}" for name in rooms | files}


def test_the_readme_is_read_in_one_go() -> None:
    assert len(read("README.md").splitlines()) <= 200


@pytest.mark.parametrize("document", documents(), ids=_name)
def test_links_lead_somewhere(document: Path) -> None:
    text = prose(document)
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)", text):
        path = document.parent / target if target else document
        assert path.exists(), f"{document.name} links to {target}"
        assert not anchor or anchor in anchors(path), f"{document.name} links to {target}#{anchor}"
    for path in re.findall(r"`((?:docs|tests|deploy|tools)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), f"{document.name} names {path}"


def test_the_changelog_has_what_is_released() -> None:
    released = re.findall(r"^## (\d+\.\d+\.\d+) – \d{4}-\d\d-\d\d$", read("CHANGELOG.md"), re.MULTILINE)
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert released[0] == tomllib.load(file)["project"]["version"]


def test_every_picture_is_shown_somewhere() -> None:
    shown = {path for document in documents() for path in re.findall(r"pictures/([\w-]+\.png)", prose(document))}
    assert shown == {path.name for path in (ROOT / "docs" / "pictures").iterdir()}


def test_every_document_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([\w.]+\.md)", read("docs/README.md")))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_what_is_made_from_the_program_is_fresh() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "reference.py"))["documents"]()
    assert len(made) == 3
    assert [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text] == []


def test_extras_are_added_in_the_folder_of_the_project() -> None:
    """By its name alone an index of packages could give somebody else's."""
    texts = [*documents(), *PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html"), ROOT / "setup.ps1"]
    named = re.compile(r"pip\S* install (?:\S+ )*['\"]?sususbot\b")
    assert [_name(path) for path in texts if named.search(path.read_text(encoding="utf-8"))] == []


# -- commands


def commands(document: Path) -> Iterator[list[str]]:
    """What of a document begins with `sususbot`, as a shell would cut it; a mere name of a command, too."""
    name = _name(document)
    # The first column of that one is what the program says, not what is typed.
    told = (
        re.sub(r"^\| .+? \|", "", prose(document), flags=re.MULTILINE)
        if name.endswith("shooting.md")
        else prose(document)
    )
    lines = [line for block in blocks(name) for line in re.sub(r"\\\n\s*", " ", block.text).splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"\n(?=\S)", " ", told))
    for line in [*lines, *spans]:
        for part in re.split(r"&&|\|", re.sub(r"^\s*[$>] ", "", line)):
            if match := re.match(r"(?:\S*[/\\])?sususbot(?:\.exe)? +(.*)", part.strip()):
                # The end of what another command was given in quotes is none of it.
                yield shlex.split(match[1].rstrip("'") if match[1].count("'") % 2 else match[1], comments=True)


def fault(arguments: list[str]) -> str:
    """What the command line finds wrong with these, without running anything; "" where it is content."""
    context: click.Context = click.Context(sususbot, info_name="sususbot")
    command: click.Command = sususbot
    try:
        while True:
            options, rest, _ = command.make_parser(context).parse_args(arguments)
            _choices(command, options)
            if not isinstance(command, click.Group) or not rest:
                return ""
            name, *arguments = rest
            below = command.get_command(context, name)
            if name.isupper():
                return ""
            if below is None:
                return f"there is no command {name}"
            command, context = below, click.Context(below, info_name=name, parent=context)
    except click.UsageError as error:
        return error.format_message()


def _choices(command: click.Command, options: dict[str, Any]) -> None:
    """Words that must be one of some; placeholders in capitals are none."""
    for parameter in command.params:
        value = options.get(parameter.name or "")
        if isinstance(parameter.type, click.Choice) and isinstance(value, str) and not value.isupper():
            parameter.type.convert(value, parameter, None)


# That one is made from the program; its examples are the program's own.
@pytest.mark.parametrize("document", [path for path in documents() if path.name != "commands.md"], ids=_name)
def test_commands_exist_with_their_options(document: Path) -> None:
    assert [f"{shlex.join(one)}: {what}" for one in commands(document) if (what := fault(one))] == []


def test_commands_that_do_not_exist_are_found() -> None:
    assert fault(["speak"]) == "there is no command speak"
    assert "--loud" in fault(["chat", "--loud"])
    assert "maybe" in fault(["consent", "set", "mia", "maybe"])
    assert fault(["--data", "here", "train", "--size", "tiny", "--from-scratch"]) == ""


def test_what_windows_is_told_can_be_read_by_its_powershell() -> None:
    told = [block for document in documents() for block in blocks(_name(document)) if block.language == "powershell"]
    assert len(told) >= 2
    for block in told:
        script = Script(block.text.encode("ascii"))
        assert (script.faults, script.seven_only) == ([], []), block
        for path in re.findall(r"-File (\S+)", block.text):
            assert (ROOT / path.replace("\\", "/")).is_file(), f"{block} names {path}"


# -- settings


@pytest.mark.parametrize("document", documents(), ids=_name)
def test_settings_that_are_named_exist(document: Path) -> None:
    known = {name.upper() for name in Settings.model_fields}
    named = set(re.findall(r"`#?([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`", prose(document)))
    assert {name for name in named if not _NOT_OURS.fullmatch(name)} - known == set()


# -- figures


def projected(card: str) -> tuple[str, float, float, float, float]:
    """Of a card: the base to talk with; hours to train, best and worst; seconds a reply takes, warm and cold."""
    rates = CARDS[card]
    base = default_for(int(rates.memory_gb * 2**30))
    speed, tokens = tokens_per_s(rates), 3 * 25 * 63_000 / 3600
    write, read_ = 30 * base.size / 1e9 / (0.66 * rates.gb_per_s), 2700 / 53.8 * rates.tflops
    quant = base.name.removeprefix("mistral-7b-").upper()
    return quant, tokens / speed.high, tokens / speed.low, write + 529 / read_, write + 2784 / read_


def test_the_table_of_hardware_is_what_the_arithmetic_gives() -> None:
    rows = re.findall(r"^\| (?:10 to )?(\d+) GB: (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", read("README.md"), re.MULTILINE)
    assert len(rows) == 5
    for gigabytes, names, quants, hours, seconds in rows:
        cards = [name if name in CARDS else f"GeForce RTX {name.removeprefix('RTX ')}" for name in names.split(", ")]
        figures = [projected(card) for card in cards]
        assert set(re.findall(r"Q\w+", quants)) == {figure[0] for figure in figures}
        if gigabytes != "6":
            assert hours == f"{min(one[1] for one in figures):.1f} to {max(one[2] for one in figures):.1f} h"
        assert seconds.startswith(f"{min(one[3] for one in figures):.1f} to {max(one[4] for one in figures):.1f} s")
    quant, best, worst, warm, cold = projected(TARGET)
    assert f"{quant}, {best:.1f} to {worst:.1f} h, {warm:.1f} to {cold:.1f} s" in read("README.md")


def test_lines_of_documents_are_no_longer_than_a_window() -> None:
    for document in documents():
        for number, line in enumerate(read(document).splitlines(), 1):
            assert len(line) <= 125 or line.startswith("|"), f"{document.name}:{number}"
