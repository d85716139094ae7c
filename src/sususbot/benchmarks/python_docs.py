"""General text that every Python carries: the docstrings of its standard library and the language's reference.

Some two megabytes of English about one thing, in an order that is always the same: what a small base can read before it
hears a server for the first time, with nothing to fetch.
"""

import ast
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics
from typing import Final

# Shorter ones say little but the name again.
_SHORTEST: Final = 40
# Characters of a text: a longer one is divided between paragraphs, so that it fits into a row.
_LONGEST: Final = 4000
# The reference of the debugger is made of its docstrings.
_IN_REFERENCE: Final = frozenset({"pdb.py", "bdb.py"})
_LEFT_OUT: Final = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test"})


def texts(*, reference: bool = True) -> list[str]:
    """All of it, each text once; without `reference` the docstrings alone, and of these none that the reference has."""
    whole = [text for path, text in _docstrings() if reference or path.name not in _IN_REFERENCE]
    whole += topics.values() if reference else ()
    return list(dict.fromkeys(part for text in whole for part in _parts(text) if len(part) >= _SHORTEST))


@cache
def _docstrings() -> tuple[tuple[Path, str], ...]:
    """Of each module of the library; reading them takes seconds."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = [path for path in sorted(library.rglob("*.py")) if _LEFT_OUT.isdisjoint(path.relative_to(library).parts)]
    return tuple((path, text) for path in paths for text in _of_module(path))


def _of_module(path: Path) -> Iterator[str]:
    try:
        waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
    except (SyntaxError, ValueError):
        # Some are there to be converted, or are templates.
        return
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
            waiting += reversed(node.body)


def _parts(text: str) -> Iterator[str]:
    part = ""
    for paragraph in text.split("\n\n"):
        if part and len(part) + len(paragraph) > _LONGEST:
            yield part.strip()
            part = ""
        part = f"{part}\n\n{paragraph}" if part else paragraph
    yield part.strip()
