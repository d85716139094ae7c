"""OpenMP's library for llama.cpp: the system's, torch's, or none."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from sususbot.model.openmp import LIBRARY, ready

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems bring it")


def torchs() -> Path:
    torch = find_spec("torch")
    assert torch is not None
    assert torch.submodule_search_locations is not None
    return Path(torch.submodule_search_locations[0], "lib")


def test_torchs_copy_is_taken_where_the_system_has_none(tmp_path: Path) -> None:
    copy = torchs() / LIBRARY
    if not copy.exists():
        pytest.skip("this build of torch has none by that name")
    # A name that no system has, in a folder that looks like torch, in a process of its own: what is loaded stays.
    there = tmp_path / "torch"
    (there / "lib").mkdir(parents=True)
    (there / "__init__.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    (there / "lib" / "libgomp-of-a-test.so").symlink_to(copy)
    code = "import sys; from sususbot.model.openmp import ready; sys.path.insert(0, sys.argv[1])"
    code += "; print(ready(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(tmp_path), "libgomp-of-a-test.so"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == str(there / "lib" / "libgomp-of-a-test.so")


def test_a_library_that_nobody_has_is_not_found() -> None:
    assert ready("libof-a-test-that-nobody-has.so.1") is None
