"""Documents as tests read them: files, headings, blocks, cells, and the sentences of the program beside them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "src" / "sususbot"
_SCRIPTS: Final = (ROOT / "Makefile", ROOT / "setup.ps1", ROOT / "deploy" / "windows-task.ps1")
# Where a sentence of the program has something that differs.
BLANK: Final = "\0"


def documents() -> list[Path]:
    """Every document there is for a reader."""
    return [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/*.md"))]


def read(document: str | Path) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece set apart in a document: its language ("" where it is indented), its heading, its text, its line."""

    document: str
    heading: str
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(document: str) -> Iterator[Block]:
    """Fenced and indented blocks, in the order of the document."""
    heading, kept, begun, fence, language = "", list[str](), 0, "", ""
    for number, line in enumerate([*read(document).splitlines(), ""], 1):
        opens = re.fullmatch(r"(```+)(\S*)", line)
        if fence:
            if line == fence:
                yield Block(document, heading, language, _text(kept), begun)
                kept, fence = [], ""
            else:
                kept.append(line)
        elif line.startswith("    ") or (kept and not line):
            begun = begun if kept else number
            kept.append(line[4:])
        else:
            if kept:
                yield Block(document, heading, "", _text(kept), begun)
                kept = []
            if opens:
                (fence, language), begun = opens.groups(), number + 1
            elif line.startswith("#"):
                heading = line.lstrip("# ")
    if kept:
        yield Block(document, heading, "", _text(kept), begun)


def _text(lines: list[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def prose(document: str | Path) -> str:
    """A document without what stands in fences."""
    return re.sub(r"^```.*?^```$", "", read(document), flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """What a link may name after `#`, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text of the program, with blanks where something differs; the error that it is said by, where one is."""

    text: str
    error: str | None


@cache
def sentences() -> tuple[Sentence, ...]:
    """Every text in the package, and what set-up says."""
    code = [*PACKAGE.rglob("*.py"), *ROOT.glob("tools/*.py")]
    said = [one for path in code for one in _said(ast.parse(path.read_bytes()))]
    return (*said, *(Sentence(_joined(path), None) for path in _SCRIPTS if path.is_file()))


def _joined(script: Path) -> str:
    """A script's text, with strings of several pieces as one."""
    return re.sub(r"""["']\s*\+\s*["']""", "", script.read_text(encoding="utf-8"))


def _said(tree: ast.Module) -> Iterator[Sentence]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call | ast.Tuple):
            # `Error("…")`, or a row of a table that has an error beside its sentence.
            within = [node.func, *node.args] if isinstance(node, ast.Call) else node.elts
            if within and isinstance(within[0], ast.Name):
                yield from (Sentence(_template(part), within[0].id) for part in within[1:] if _is_text(part))
        if _is_text(node):
            yield Sentence(_template(node), None)


def _is_text(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and _is_text(node.left)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _template(node: ast.AST) -> str:
    if isinstance(node, ast.BinOp):
        return _template(node.left) + (_template(node.right) if _is_text(node.right) else BLANK)
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else BLANK for part in parts)
