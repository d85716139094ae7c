"""The project's own sources as data: each file parsed once, and what tests about the house ask of it.

Nothing is imported or run. A file is known by its path; `name_of` is how tests call it.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "src" / "sususbot"
_NOT_OURS: Final = {"__pycache__", "sususbot.egg-info"}
# What settings are called where they are read.
_SETTINGS: Final = re.compile(r"(settings|\bnew|\bits)$")


@dataclass(slots=True)
class Source:
    """What stands in a file. `names` are those that are read; what `except` or `suppress` waits for is `caught`."""

    docstring: str
    lines: int
    imports: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    caught: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    """What the module defines for itself: names at its top level that begin with one underscore."""
    strings: set[str] = field(default_factory=set)
    rooms: set[str] = field(default_factory=set)
    """Beginnings of module names that are put together while the program runs: `sususbot.web.`"""
    read_settings: set[str] = field(default_factory=set)
    functions: list[int] = field(default_factory=list)
    """How many lines each has."""


def files(folder: str, ending: str = ".py") -> list[Path]:
    """Files below a folder, without what Python and the package's installation leave."""
    found = sorted((ROOT / folder).rglob(f"*{ending}"))
    return [path for path in found if not _NOT_OURS & set(path.parts)]


def name_of(path: Path) -> str:
    """A module of the package by its dotted name, everything else by its path."""
    if PACKAGE in path.parents:
        return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    return path.relative_to(ROOT).as_posix()


@cache
def source(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    found = Source(ast.get_docstring(tree) or "", text.count("\n"))
    for node in _walked(tree, found.caught):
        _note(node, found)
    found.own = {name for statement in tree.body for name in _defined(statement) if re.match(r"_[^_]", name)}
    return found


def _defined(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
    return []


def _walked(node: ast.AST, caught: set[str]) -> Iterator[ast.AST]:
    """All of a tree but the names of what is caught, which go into `caught`."""
    waiting = [node]
    while waiting:
        for inner in ast.iter_child_nodes(waiting.pop()):
            if isinstance(inner, ast.ExceptHandler):
                waiting.append(ast.Module(inner.body, []))
                caught |= _names(inner.type)
            elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "suppress":
                caught |= _names(inner)
            else:
                yield inner
                waiting.append(inner)


def _names(node: ast.AST | None) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)} if node is not None else set()


def _note(node: ast.AST, found: Source) -> None:
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            found.names.add(name)
        case ast.Constant(value=str(text)):
            found.strings |= {text, *text.split()}
        case ast.Import(names=aliases):
            found.imports |= {alias.name for alias in aliases}
        case ast.ImportFrom(module=str(module), names=aliases):
            found.imports |= {module, *(f"{module}.{alias.name}" for alias in aliases)}
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]) if text.startswith("sususbot."):
            found.rooms.add(text)
        case ast.Attribute(value=owner, attr=name) if isinstance(owner, ast.Name | ast.Attribute):
            called = owner.id if isinstance(owner, ast.Name) else owner.attr
            if _SETTINGS.search(called):
                found.read_settings.add(name)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            found.functions.append((node.end_lineno or node.lineno) - node.lineno + 1)
        case _:
            pass
