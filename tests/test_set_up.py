"""What `make` does before anything is installed: the environment, what it says where that fails, the Makefile itself.

No network is asked. Where an environment is made, it is an empty one.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from sususbot.model.cards import CUDA_DRIVERS
from sususbot.training import hardware
from tests.support.tools import tool

ROOT: Final = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("[Errno 30] Read-only file system: '/opt/x/.venv'", "nothing may be written"),
        (
            "The environment was not created because ensurepip is not\navailable.  On Debian …",
            "cannot make virtual environments",
        ),
        (
            "ProxyError('Cannot connect to proxy.', NewConnectionError('Connection refused'))",
            "the proxy did not answer",
        ),
        ("Tunnel connection failed: 407 Proxy Authentication Required", "the proxy wants a name"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))", "a certificate"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "is not the one that is pinned"),
        (
            "NewConnectionError('Failed to establish a new connection: Temporary failure in name resolution')\n"
            "ERROR: No matching distribution found for aiohttp==3.14.5",
            "no packages could be fetched",
        ),
        ("ERROR: No matching distribution found for xllamacpp==2026.10 (from versions: none)", "is not to be had"),
    ],
)
def test_what_pip_says_becomes_a_sentence(said: str, told: str) -> None:
    sentence = tool("environment").reason(said)
    assert told in sentence
    assert ": " in sentence, "what is wrong, then what to do"
    assert "\n" not in sentence
    assert "{" not in sentence


def test_what_nobody_foresaw_has_no_sentence() -> None:
    assert tool("environment").reason("ERROR: something quite new") is None


@pytest.mark.parametrize(
    ("driver", "build"), [(None, "+cpu"), (470, "/whl/cpu"), (550, "/whl/cu126"), (580, "/whl/cu130")]
)
def test_torch_is_the_build_for_the_driver(driver: int | None, build: str) -> None:
    tries = tool("environment").torch_builds(driver, None, "linux")
    assert tries[0][-1].endswith(build)
    assert tries[-1] == [tool("environment").TORCH], "where its own index cannot be reached, any build does"


def test_an_index_that_is_named_is_the_only_one() -> None:
    ((*_, index),) = tool("environment").torch_builds(580, "https://mirror/torch", "linux")
    assert index == "https://mirror/torch"


def test_set_up_and_training_know_the_same_drivers() -> None:
    known = {build: CUDA_DRIVERS[family] for family, build in hardware._WHEELS.items()}
    assert known == tool("environment").DRIVERS
    assert hardware._ON_WHEELS == tool("environment").INDEX


def set_up(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in a copy, where pip has nowhere to ask."""
    command = [sys.executable, str(folder / "tools" / "environment.py"), "run"]
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "TORCH_INDEX": folder.as_uri()}
    environment.pop("PIP_FIND_LINKS", None)
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)


def test_a_set_up_that_was_cut_short_is_begun_anew_and_one_that_fails_says_why(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "requirements.txt", "tools/environment.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    half = tmp_path / ".venv" / "half a package"
    half.mkdir(parents=True)
    (tmp_path / ".venv" / "set-up.begun").touch()
    done = set_up(tmp_path)
    first, *_, last = done.stderr.splitlines()
    assert done.returncode == 1
    assert first == "an earlier set-up was cut short: making .venv anew"
    assert last.startswith("set-up: a package is not to be had for Python")
    assert not half.exists()
    # What is whole may be built upon, and what is done is done.
    assert not (tmp_path / ".venv" / "set-up.begun").exists()
    python = os.path.realpath(Path(tmp_path, ".venv", *tool("environment")._PYTHON.parts[-2:]))
    pinned = b"\0".join((tmp_path / name).read_bytes() for name in ("pyproject.toml", "requirements.txt"))
    stamp = {"folder": str(tmp_path), "python": python, "run": hashlib.sha256(pinned).hexdigest()}
    (tmp_path / ".venv" / "set-up.json").write_text(json.dumps(stamp), encoding="utf-8")
    done = set_up(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_set_up_needs_nothing_that_is_not_there_yet() -> None:
    text = (ROOT / "tools" / "environment.py").read_text(encoding="utf-8")
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported <= sys.stdlib_module_names


def test_make_has_no_syntax_newer_than_what_macos_has() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    newer = r"^\.ONESHELL|^\S+\s*!=|\$\((?:file|guile|let|intcmp) |^\S+\s*:::=|^undefine|&:"
    assert not re.search(newer, text, re.MULTILINE)


def test_make_knows_the_commands_that_the_documents_name() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z-]+)*:(?!=)", text, re.MULTILINE))
    named = set()
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        named |= set(re.findall(r"(?:`|^    )make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "check", "docs", "requirements"} <= targets
    assert named <= targets
