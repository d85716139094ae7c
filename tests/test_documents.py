"""Documents are true: the trees name every file there is, and no file that is not."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "sususbot"


def tree(document: str, heading: str) -> list[str]:
    """The paths of the first indented block below a heading."""
    text = (ROOT / document).read_text(encoding="utf-8").split(heading, 1)[1]
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


def test_links_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
        for path in re.findall(r"`((?:docs|tests)/[\w/.]+)`", document.read_text(encoding="utf-8")):
            assert (ROOT / path).exists(), f"{document.name} names {path}"
