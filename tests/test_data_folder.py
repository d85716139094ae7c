"""The data folder's rooms: what may be called how, on every system that it may be moved to, and that all are known."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from sususbot import artifacts
from sususbot.archive.archive import FILE_NAME
from sususbot.artifacts import LONGEST_NAME, is_name
from tests.support.sources import files, name_of


@pytest.mark.parametrize(
    "name", ["winter", "winter 2", "größer", "v1.2+b", "con-tinued", "comrade", "x" * LONGEST_NAME]
)
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", ".hidden", "a/b", "..\\up", "c:", "run:2", "what?", "a*b", 'say "x"', "a|b", "<new>", "a\nb"),
        *("ends.", "ends ", "con", "NUL", "aux.json", "Com1", "lpt9.old.txt", "x" * (LONGEST_NAME + 1)),
    ],
)
def test_no_names(name: str) -> None:
    assert not is_name(name)


def below_data() -> Iterator[tuple[str, ast.expr]]:
    """What the program joins to a data folder: `data / X`, each with its module."""
    for path in files("src"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                left = node.left
                name = left.id if isinstance(left, ast.Name) else getattr(left, "attr", "")
                if name.strip("_") == "data":
                    yield name_of(path), node.right


def value_of(module: str, joined: ast.expr) -> Any:
    """A constant's value; a text that is written where it is used has none."""
    name = joined.attr if isinstance(joined, ast.Attribute) else getattr(joined, "id", "")
    shared = {**vars(artifacts), "FILE_NAME": FILE_NAME}
    return shared[name] if name in shared else getattr(import_module(f"sususbot.{module}"), name, None)


def test_whatever_lies_in_a_data_folder_stands_in_the_list_that_purge_goes_by() -> None:
    joined = list(below_data())
    assert len(joined) > 40
    for module, right in joined:
        value = value_of(module, right)
        assert value is not None, f"{module}: {ast.unparse(right)} is no name of artifacts"
        assert Path(value).parts[0] in {*artifacts.ROOMS, *artifacts.FILES, FILE_NAME}, f"{module}: {value}"
