"""A PowerShell script as its grammar sees it: what it defines, calls and reads. Nothing is run, so it needs no Windows.

The grammar is PowerShell 7's where both differ; `seven_only` finds what Windows PowerShell 5.1 does not know.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

# Set by PowerShell itself.
_AUTOMATIC: Final = {
    *("_", "null", "true", "false", "psscriptroot", "lastexitcode"),
    *("erroractionpreference", "psnativecommanduseerroractionpreference"),
}


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    node: Node

    @property
    def parameters(self) -> list[str]:
        return [_bare(found) for one in _all(self.node, "script_parameter") for found in one.children if _named(found)]


class Script:
    def __init__(self, text: bytes) -> None:
        self.text = text.decode("ascii")
        self.root = Parser(Language(tree_sitter_powershell.language())).parse(text).root_node

    @classmethod
    def of(cls, path: Path) -> "Script":
        return cls(path.read_bytes())

    @property
    def faults(self) -> list[str]:
        """Where the grammar has no sense for it, with its line."""
        broken = [node for node in _walk(self.root) if node.is_missing or node.type == "ERROR"]
        return [f"line {node.start_point[0] + 1}: {_text(node)[:60]}" for node in broken]

    @property
    def seven_only(self) -> list[str]:
        return [_text(node) for node in _all(self.root, "pipeline_chain_tail")]

    @property
    def functions(self) -> list[Function]:
        return [Function(_text(_child(node, "function_name")), node) for node in _all(self.root, "function_statement")]

    def called(self, node: Node | None = None) -> list[str]:
        """The names of all commands in it; "&" is one that is chosen when it runs."""
        return [
            "&" if _text(node).startswith("&") else _text(_child(node, "command_name"))
            for node in _all(node or self.root, "command")
        ]

    def unset(self) -> list[str]:
        """Variables that are read where nothing set them: in their function, or in the script outside of functions."""
        inside = {id_ for function in self.functions for id_ in _ids(function.node)}
        outer = _AUTOMATIC | _set_in(self.root, lambda node: node.id not in inside)
        unknown = _read_in(self.root, lambda node: node.id not in inside) - outer
        for function in self.functions:
            unknown |= _read_in(function.node) - _set_in(function.node) - outer
        return sorted(unknown)

    def literal(self, variable: str) -> str:
        """What is assigned to it, as it is written."""
        for node in _all(self.root, "assignment_expression"):
            if _text(node.children[0]).strip() == f"${variable}":
                return _text(node.children[2])
        raise KeyError(variable)

    def sentences(self, command: str) -> list[str]:
        """What a command is told, string by string as written."""
        calls = [node for node in _all(self.root, "command") if _text(node).startswith(f"{command} ")]
        return [" ".join(_text(part) for part in _all(call, "string_literal")) for call in calls]


def _set_in(node: Node, where: Callable[[Node], bool] = lambda _: True) -> set[str]:
    nodes = [one for one in _walk(node) if where(one)]
    assigned = [
        variable
        for one in nodes
        if one.type == "assignment_expression"
        for variable in _all(one.children[0], "variable")
    ]
    named = [
        child for one in nodes if one.type in {"foreach_statement", "script_parameter"} for child in one.children
        if _named(child)
    ]  # fmt: skip
    return {_bare(variable) for variable in [*assigned, *named]}


def _read_in(node: Node, where: Callable[[Node], bool] = lambda _: True) -> set[str]:
    names = {_bare(one) for one in _walk(node) if one.type == "variable" and where(one)}
    return {name for name in names if not name.startswith(("env:", "script:"))}


def _bare(variable: Node) -> str:
    return _text(variable).lstrip("$@").strip("{}").casefold()


def _named(node: Node) -> bool:
    return node.type == "variable"


def _ids(node: Node) -> set[int]:
    return {one.id for one in _walk(node)}


def _child(node: Node, kind: str) -> Node:
    return next(child for child in node.children if child.type == kind)


def _all(node: Node, kind: str) -> Iterator[Node]:
    return (one for one in _walk(node) if one.type == kind)


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _text(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()
