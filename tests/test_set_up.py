"""What `make` does before anything is installed: the environment, what it says where that fails, the Makefile itself.

No network is asked. Where an environment is made, it is an empty one.
"""

import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import venv
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
        ("OSError: [WinError 5] Zugriff verweigert: 'C:\\x\\.venv\\Scripts\\python.exe'", "is held by another program"),
        ("[WinError 32] Der Prozess kann nicht auf die Datei zugreifen", "is held by another program"),
        ("[WinError 112] Es steht nicht genug Speicherplatz zur Verfügung", "the disk is full"),
        ("<urlopen error [WinError 10061] Es konnte keine Verbindung hergestellt werden>", "no packages could be"),
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


# What each card gets: by its driver and what it can compute ("" where an old driver does not tell).
CARDS: Final = [
    ("win32", 580, "7.5", "cu130", "cu132"),
    ("win32", 577, "7.5", "cu126", "cu128"),
    ("win32", 552, "7.5", "cu126", ""),
    ("win32", 552, "8.6", "cu126", "cu128"),
    ("win32", 528, "8.9", "cu126", "cu128"),
    ("win32", 527, "8.9", "cpu", ""),
    ("win32", 591, "12.0", "cu130", "cu132"),
    ("win32", 591, "9.0", "cu130", "cu128"),
    ("win32", 580, "6.1", "cu126", "cu128"),
    ("win32", 572, "12.0", "cpu", "cu128"),
    ("win32", 475, "3.5", "cpu", ""),
    ("win32", 512, "", "cpu", ""),
    ("linux", 580, "", "cu130", "cu128"),
    ("linux", 580, "9.0", "cu130", "cu128"),
    ("linux", 580, "6.1", "cu126", "cu128"),
    ("linux", 579, "8.9", "cu126", "cu128"),
    ("linux", 569, "8.9", "cu126", ""),
    ("linux", 525, "5.0", "cu126", ""),
    ("linux", 524, "8.9", "cpu", ""),
    ("linux", 575, "12.0", "cpu", "cu128"),
    ("linux", 470, "3.5", "cpu", ""),
]


@pytest.mark.parametrize(("system", "driver", "capability", "torch", "llama"), CARDS)
def test_which_builds_a_card_gets(system: str, driver: int, capability: str, torch: str, llama: str) -> None:
    card = tool("environment").card_of(f"{driver}.44, {capability}\r\n" if capability else f"{driver}.44\n")
    assert tool("environment").torch_build(card, system) == torch
    assert tool("environment").llama_build(card, system) == llama


@pytest.mark.parametrize("told", ["", "NVIDIA-SMI has failed", "No devices were found"])
def test_without_a_card_all_is_the_processors(told: str) -> None:
    environment = tool("environment")
    assert environment.card_of(told) is None
    assert (environment.torch_build(None), environment.llama_build(None)) == ("cpu", "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("580.95.05, 9.0", "driver 580: torch for cu130"),
        ("512.15", "install 525 or newer"),
        ("575.10, 12.0", "install 580 or newer"),
        ("475.14, 3.5", "torch has no code for this card"),
    ],
)
def test_what_was_found_is_said_with_what_can_be_done(line: str, said: str) -> None:
    assert said in tool("environment").about_card(tool("environment").card_of(line), "linux")


@pytest.mark.parametrize(("build", "first"), [("cpu", "+cpu"), ("cu126", "/whl/cu126"), ("cu130", "/whl/cu130")])
def test_torch_is_taken_from_where_that_build_lies(build: str, first: str) -> None:
    tries = tool("environment").torch_sources(build, "linux")
    assert tries[0][-1].endswith(first)
    assert tries[-1] == [tool("environment").TORCH], "where its own index cannot be reached, any build does"


def test_on_windows_no_processors_torch_takes_the_place_of_a_cards() -> None:
    assert tool("environment").torch_sources("cu130", "win32") == [
        [tool("environment").TORCH, "--index-url", tool("environment").INDEX + "cu130"]
    ]


def test_an_index_that_is_named_is_the_only_one() -> None:
    ((*_, index),) = tool("environment").torch_sources("https://mirror/torch", "linux")
    assert index == "https://mirror/torch"


def test_set_up_and_training_know_the_same_drivers() -> None:
    known = {build: CUDA_DRIVERS[family] for family, build in hardware._WHEELS.items()}
    rows = tool("environment").TORCH_BUILDS
    assert known == {row.name: row.drivers["linux"] for row in rows}
    assert all(row.drivers["win32"] >= row.drivers["linux"] for row in rows)
    assert hardware._ON_WHEELS == tool("environment").INDEX


def set_up(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run in a copy, where pip has nowhere to ask."""
    command = [sys.executable, str(folder / "tools" / "environment.py"), "run", *flags]
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "TORCH_INDEX": folder.as_uri()}
    environment.pop("PIP_FIND_LINKS", None)
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)


def copied(folder: Path) -> Path:
    for name in ("pyproject.toml", "requirements.txt", "requirements-dev.txt", "tools/environment.py"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize("name", ["in {braces}", "for $5", "one:two"])
def test_a_folder_that_pythons_tools_stumble_over_is_named_before_anything_is_fetched(
    tmp_path: Path, name: str
) -> None:
    done = set_up(copied(tmp_path / name))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.endswith(": rename the folder\n")
    assert not (tmp_path / name / ".venv").exists()


@pytest.mark.parametrize(
    ("whole", "wish", "why"),
    [
        (False, [], "another Python made .venv: making it anew"),
        (True, [], None),
        (True, ["--named"], "another Python made .venv: making it anew"),
        (True, ["--anew"], "making .venv anew, as you said"),
        (True, ["--look"], "torch is for cpu, and cu130 fits: making .venv anew"),
    ],
)
def test_when_an_environment_is_made_anew(tmp_path: Path, whole: bool, wish: list[str], why: str | None) -> None:
    began(copied(tmp_path), {"executable": "/opt/python3.13/bin/python3.13", "version": "3.13.1"}, whole=whole)
    there = tool("environment", tmp_path)
    assert there._unusable(there.Wish.of(["run", *wish]), {"torch": "cu130", "llama": ""}) == why
    if whole and "--look" not in wish:
        assert there._done(there.Wish.of(["run", *wish])) is (why is None)
    assert "for Python 3.13 on this machine" in there.reason("No matching distribution found for x")


def test_what_is_being_changed_is_no_longer_what_was_complete(tmp_path: Path) -> None:
    # What was whole in one version is not after a set-up for another that failed half-way.
    began(copied(tmp_path), {}, whole=True)
    assert set_up(tmp_path).returncode == 0
    requirements = tmp_path / "requirements.txt"
    before = requirements.read_bytes()
    requirements.write_bytes(before + b"# newer\n")
    assert set_up(tmp_path).returncode == 1
    requirements.write_bytes(before)
    assert set_up(tmp_path).returncode == 1


def test_a_set_up_that_is_ended_ends_what_it_started(tmp_path: Path) -> None:
    copied(tmp_path)
    # A tool that tells of no card, and never ends by itself.
    tool_ = tmp_path / "bin" / "nvidia-smi"
    tool_.parent.mkdir()
    tool_.write_text('#!/bin/sh\necho $$ > "$0.pid.new"; mv "$0.pid.new" "$0.pid"; exec sleep 100\n')
    tool_.chmod(0o755)
    command = [sys.executable, str(tmp_path / "tools" / "environment.py"), "run"]
    environment = {**os.environ, "PATH": f"{tool_.parent}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, encoding="utf-8") as ended:
        noted = tool_.with_name("nvidia-smi.pid")
        while not noted.exists():
            assert ended.poll() is None
        ended.terminate()
        _, said = ended.communicate()
    assert (ended.returncode, said) == (130, "set-up: stopped; run the same command again, it begins anew\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)


def began(folder: Path, configured: dict[str, str], *, whole: bool = False) -> None:
    """An environment with pip and nothing else, as if made by another Python."""
    venv.create(folder / ".venv", symlinks=True, with_pip=False)
    noted = folder / ".venv" / "pyvenv.cfg"
    lines = [line for line in noted.read_text().splitlines() if line.partition(" = ")[0] not in configured]
    noted.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in configured.items())]))
    pip = next((folder / ".venv").glob("lib/*/site-packages")) / "pip.py"
    pip.write_text("import sys; sys.exit('install' in sys.argv)")
    python = os.path.realpath(folder / ".venv" / "bin" / "python")
    stamp = {"folder": str(folder), "python": python, "torch": "cpu", "llama": ""}
    if whole:
        pinned = b"\0".join((folder / name).read_bytes() for name in ("pyproject.toml", "requirements.txt"))
        stamp["run"] = hashlib.sha256(pinned).hexdigest()
    (folder / ".venv" / "set-up.json").write_text(json.dumps(stamp), encoding="utf-8")


def test_a_set_up_that_was_cut_short_is_begun_anew_and_one_that_fails_says_why(tmp_path: Path) -> None:
    copied(tmp_path)
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


def test_a_python_that_is_too_old_leaves_the_environment_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = copied(tmp_path) / "tools" / "environment.py"
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    monkeypatch.setattr(sys, "argv", [str(program), "run", "--look"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(program), run_name="__main__")
    assert str(ended.value).startswith(
        "set-up: this is Python 3.10, and sususbot needs 3.11 or newer: call it by another"
    )
    assert not any((tmp_path / ".venv").iterdir())


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
