"""Every sentence that may end a command says what to do next: after a colon, as `what is wrong: what to do`."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from sususbot import errors

PACKAGE: Final = Path(errors.__file__).parent
OURS: Final = {
    name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, errors.SususError)
}
TEXTS: Final = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
EVERYTHING: Final = "\n".join(text for path, text in TEXTS.items() if path.name != "errors.py")
SPEAKERS: Final = [path for path, text in TEXTS.items() if "from sususbot.errors import" in text]
# It is told what is missing, and makes its sentence itself.
SPEAKING: Final = OURS - {"MissingExtra"}
# Whose step is in what they are made of, or who is told to another part of the program and not to a user.
WITHOUT: Final = {
    # Whoever catches these puts them into a sentence about the file and its line.
    "cli/answers_file.py": 4,
    # The step, or the nearest name, is in what is put in.
    "cli/people.py": 1,
    "cli/training.py": 1,
    "env_file.py": 3,
    "memory/chroma_index.py": 1,
    "model/transformers.py": 2,
    "training/hardware.py": 1,
    # A reply that fails is given by recall; a measure that cannot be made is left out.
    "evaluation/scores.py": 1,
    "memory/summarizer/bart.py": 1,
    "memory/summarizer/checked.py": 1,
    "model/llamacpp.py": 1,
    "model/llamacpp_engine.py": 1,
    "model/scripted.py": 1,
}


def sentences(path: Path) -> Iterator[str]:
    """What errors of ours are made of in a file, as far as it stands there."""
    for node in ast.walk(ast.parse(TEXTS[path])):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text)), *_]) if name in SPEAKING:
                yield text
            case ast.Call(func=ast.Name(id=name), args=[ast.JoinedStr(values=parts), *_]) if name in SPEAKING:
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


@pytest.mark.parametrize("path", SPEAKERS, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_sentence_has_its_next_step(path: Path) -> None:
    without = [text for text in sentences(path) if ": " not in text]
    allowed = WITHOUT.get(path.relative_to(PACKAGE).as_posix(), 0)
    assert len(without) <= allowed, without


def test_the_tree_on_top_of_the_file_names_every_error() -> None:
    tree = inspect.getdoc(errors) or ""
    assert [name for name in sorted(OURS) if name not in tree.replace("(", " ").split()] == []


@pytest.mark.parametrize("name", sorted(name for name in OURS if not getattr(errors, name).__subclasses__()))
def test_every_error_is_used_and_says_what_it_means(name: str) -> None:
    assert inspect.getdoc(getattr(errors, name))
    assert len(re.findall(rf"\b{name}\b", EVERYTHING)) > 0
