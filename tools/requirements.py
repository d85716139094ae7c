"""Makes requirements.txt and requirements-dev.txt from pyproject.toml: every version pinned, every file by its hash.

    python tools/requirements.py              keeps what is pinned and adds what is missing;  make requirements  does
    python tools/requirements.py --upgrade    takes the newest of everything

The work is uv's (`pip install uv`); it asks the package index, so no test runs this: tests/test_packaging.py holds what
was made against pyproject.toml. Nothing is installed here.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
# What `make demo` installs; the other file holds what tests and ChromaDB need beyond it.
EXTRAS: Final = ("analyze", "embed", "eval", "offline", "tokens", "train", "web")
MORE: Final = ("dev",)
TORCH: Final = "torch==2.13.0"
# For no system that the program runs on.
_FOREIGN: Final = ("httpx2-jsfetch",)

_HEAD: Final = """\
# Made by  make requirements  from pyproject.toml; not edited by hand. {what}
# For Linux and Windows, Python 3.11 to 3.14, each file by its hash:  pip install --require-hashes -r {name}
"""
_TORCH: Final = f"""\
#
# {TORCH} is installed before it and is not in it, nor are the NVIDIA libraries that it brings: each of its
# builds (for processors, for CUDA 12, for CUDA 13) lies in another index, as another file with another hash, and
# which one is right depends on the card and its driver. `make` and setup.ps1 choose; docs/install.md says how by hand.
"""


def main(arguments: list[str]) -> None:
    """Writes both files."""
    upgrade = ["--upgrade"] if "--upgrade" in arguments else []
    first = _without_torch(_compiled(EXTRAS, ROOT / "requirements.txt", upgrade))
    head = _HEAD.format(what="What a user runs.", name="requirements.txt") + _TORCH
    _write(ROOT / "requirements.txt", head, first)

    pinned = {_name(block) for block in first}
    more = _compiled((*EXTRAS, *MORE), ROOT / "requirements-dev.txt", upgrade, ROOT / "requirements.txt")
    head = _HEAD.format(what="What tests need beyond requirements.txt.", name="requirements-dev.txt")
    _write(ROOT / "requirements-dev.txt", head, [block for block in _without_torch(more) if _name(block) not in pinned])


def _compiled(extras: Iterable[str], kept: Path, upgrade: list[str], *held: Path) -> list[str]:
    """One block of lines for each pinned package; what the kept file pins stays."""
    with tempfile.TemporaryDirectory() as folder:
        made, torch = Path(folder, "made.txt"), Path(folder, "torch.txt")
        made.write_text(kept.read_text(encoding="utf-8") if kept.exists() else "", encoding="utf-8")
        torch.write_text(TORCH, encoding="utf-8")
        command = [
            *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", *upgrade),
            *("--universal", "--python-version", "3.11", "--generate-hashes", "--annotation-style", "line"),
            *("--no-header", "--no-emit-index-url", "--no-emit-find-links", "--output-file", str(made)),
            *(part for extra in extras for part in ("--extra", extra)),
            *(part for file in (torch, *held) for part in ("--constraint", str(file))),
        ]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            sys.exit(
                "requirements: uv could not pin them, for the reason above: mend pyproject.toml, or  pip install uv"
            )
        return list(_blocks(made.read_text(encoding="utf-8")))


def _blocks(text: str) -> Iterator[str]:
    return (block.strip() for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE) if "==" in block)


def _name(block: str) -> str:
    return block.split("==", 1)[0]


def _without_torch(blocks: Iterable[str]) -> list[str]:
    return [block for block in blocks if not _torchs(_name(block)) and _name(block) not in _FOREIGN]


def _torchs(name: str) -> bool:
    return name in ("torch", "triton") or (name.startswith(("nvidia-", "cuda-")) and name != "nvidia-ml-py")


def _write(path: Path, head: str, blocks: Iterable[str]) -> None:
    # A constraint's file is a temporary one: who asked for a package is said without it.
    lines = [re.sub(r"-c [^\s,]+, |, -c [^\s,]+", "", block) for block in blocks]
    path.write_text(head + "\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
