"""What is handed to strangers is whole: pins and their hashes, the wheel, licences, the container.

Nothing here asks a network or builds an environment: files are read by the same parsers that pip and engines use, and
the wheel is built from a copy.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sususbot
from tests.support.commands import run_here
from tests.support.tools import tool

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "src" / "sususbot"
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
# What the markers of our dependencies ask about.
SYSTEMS: Final = (
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
)


@cache
def project() -> dict[str, Any]:
    read: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(read["project"])


@cache
def pins(name: str) -> tuple[tuple[Requirement, int], ...]:
    """Each pinned requirement with the number of its hashes, as pip reads the file."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found = []
    for line in lines:
        requirement, *hashes = re.split(r"\s+--hash=", line)
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), line
        found.append((Requirement(requirement), len(hashes)))
    return tuple(found)


def environments() -> list[dict[str, str]]:
    return [
        {**system, "python_version": python, "python_full_version": f"{python}.1", "extra": ""}
        for python, system in product(PYTHONS, SYSTEMS)
    ]


def asked(extras: tuple[str, ...]) -> list[Requirement]:
    """What pyproject asks for with these extras, ours among them followed."""
    listed = [Requirement(line) for line in project()["dependencies"]]
    waiting, seen = list(extras), set()
    while waiting:
        extra = waiting.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for line in project()["optional-dependencies"][extra]:
            requirement = Requirement(line)
            if requirement.name == "sususbot":
                waiting.extend(requirement.extras)
            else:
                listed.append(requirement)
    return listed


def missing(wanted: Requirement, environment: dict[str, str], files: tuple[str, ...]) -> str | None:
    """Why what is pinned for this environment does not satisfy a requirement; none where it does."""
    if wanted.marker is not None and not wanted.marker.evaluate(environment):
        return None
    if canonicalize_name(wanted.name) == "torch" or tool("requirements")._torchs(canonicalize_name(wanted.name)):
        return None
    there = [
        pin
        for file in files
        for pin, _ in pins(file)
        if canonicalize_name(pin.name) == canonicalize_name(wanted.name)
        and (pin.marker is None or pin.marker.evaluate(environment))
    ]
    where = f"on {environment['sys_platform']} with Python {environment['python_version']}"
    if len(there) != 1:
        return f"{wanted.name} is pinned {len(there)} times {where}"
    (pinned,) = there[0].specifier
    return (
        None if wanted.specifier.contains(pinned.version, prereleases=True) else f"{there[0]} is not {wanted} {where}"
    )


USED: Final = ("requirements.txt",)
TESTED: Final = ("requirements.txt", "requirements-dev.txt")


@pytest.mark.parametrize("name", TESTED)
def test_every_package_is_pinned_by_version_and_hash(name: str) -> None:
    for pin, hashes in pins(name):
        assert [each.operator for each in pin.specifier] == ["=="], pin
        assert pin.url is None
        assert hashes > 0, pin


@pytest.mark.parametrize("name", TESTED)
def test_no_pin_names_an_index_or_torch(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"^\s*--(?!hash)|https?://", text, re.MULTILINE)
    assert not [pin for pin, _ in pins(name) if tool("requirements")._torchs(pin.name)]


@pytest.mark.parametrize(("extras", "files"), [(("run",), USED), (("dev", "all"), TESTED)], ids=["user", "tests"])
def test_what_pyproject_asks_for_is_pinned_in_range(extras: tuple[str, ...], files: tuple[str, ...]) -> None:
    chosen = tool("requirements").EXTRAS if extras == ("run",) else extras
    wrong = {missing(wanted, environment, files) for wanted in asked(chosen) for environment in environments()}
    assert wrong == {None}


def test_what_the_pinned_packages_need_is_pinned_too() -> None:
    here = {**environments()[0], "python_version": PYTHONS[-1], "python_full_version": f"{PYTHONS[-1]}.1"}
    needed = {line for pin, _ in pins("requirements.txt") for line in _requires(pin) if "extra ==" not in line}
    assert len(needed) > 100
    assert {missing(Requirement(line), here, USED) for line in needed} == {None}


def _requires(pin: Requirement) -> list[str]:
    """What a pinned package needs, where exactly that version is installed here."""
    try:
        same = pin.specifier.contains(version(pin.name))
    except PackageNotFoundError:
        return []
    return requires(pin.name) or [] if same else []


def test_the_pins_are_what_the_tests_run_with() -> None:
    here = [pin for pin, _ in pins("requirements.txt") if pin.marker is None or pin.marker.evaluate()]
    assert len(here) > 100
    assert {pin.name: version(pin.name) for pin in here if not pin.specifier.contains(version(pin.name))} == {}


def test_one_torch_is_named_everywhere() -> None:
    named = {tool("environment").TORCH, tool("requirements").TORCH}
    named |= {f"torch=={each}" for each in re.findall(r"^ARG TORCH=(.*)$", _containerfile(), re.MULTILINE)}
    assert len(named) == 1
    (wanted,) = [Requirement(each) for each in project()["optional-dependencies"]["embed"] if each.startswith("torch")]
    (one,) = Requirement(named.pop()).specifier
    assert wanted.specifier.contains(one.version)


def test_the_version_is_said_once() -> None:
    assert sususbot.__version__ == project()["version"] == "1.0.0"


# -- the wheel -------------------------------------------------------------------------------------------------------


def test_the_wheel_holds_all_that_the_program_reads(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGE, copy / "src" / "sususbot", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    code = "from setuptools import build_meta; print(build_meta.build_wheel('..'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]) as wheel:
        held = {name for name in wheel.namelist() if not name.startswith("sususbot-")}
        assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
    there = {
        path.relative_to(copy / "src").as_posix() for path in (copy / "src" / "sususbot").rglob("*") if path.is_file()
    }
    assert held == there


# -- licences --------------------------------------------------------------------------------------------------------


def test_every_licence_goes_with_this_ones() -> None:
    assert tool("licences").problems(tool("licences").packages()) == []


def test_the_page_of_licences_is_what_is_pinned() -> None:
    licences = tool("licences")
    assert licences.PAGE.read_text(encoding="utf-8") == licences.page(licences.packages()), "run  make docs"
    assert {each.name for each in licences.packages()} == {pin.name for pin, _ in pins("requirements.txt")}


@pytest.mark.parametrize(
    ("expression", "goes"),
    [
        ("MIT", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND AGPL-3.0-or-later", False),
        ("(GPL-2.0-only OR Proprietary) AND MIT", False),
        ("unknown", False),
    ],
)
def test_a_licence_that_takes_more_is_found(expression: str, goes: bool) -> None:
    assert tool("licences").goes(expression) is goes


# -- the container ---------------------------------------------------------------------------------------------------


def _containerfile() -> str:
    return (ROOT / "Containerfile").read_text(encoding="utf-8")


@cache
def stages() -> dict[str, list[tuple[str, str]]]:
    """Instruction and words, by stage; what stands before the first one under the name of none."""
    text = re.sub(r"^#.*\n", "", _containerfile(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {"": []}
    stage = ""
    for line in filter(str.strip, text.splitlines()):
        instruction, _, rest = line.strip().partition(" ")
        assert instruction in KNOWN, line
        if instruction == "FROM":
            stage = rest.split(" AS ")[1]
            found[stage] = []
        found[stage].append((instruction, rest.strip()))
    return found


KNOWN: Final = frozenset("ARG CMD COPY ENTRYPOINT ENV FROM HEALTHCHECK RUN STOPSIGNAL USER VOLUME WORKDIR".split())


def words(stage: str, instruction: str) -> list[str]:
    return [rest for each, rest in stages()[stage] if each == instruction]


def test_the_images_are_for_processors_and_for_cards() -> None:
    assert list(stages())[-2:] == ["cuda", "cpu"], "the last is what is built when none is named"
    assert [words(each, "FROM") for each in ("cuda", "cpu")] == [["runtime AS cuda"], ["runtime AS cpu"]]
    assert words("torch", "ARG")[1].endswith("/whl/cpu")
    assert words("packages-cuda", "ARG")[1].rsplit("/", 1)[1] in tool("environment")._NAMES


def test_the_container_runs_as_nobody_and_keeps_its_data() -> None:
    (user,) = words("runtime", "USER")
    assert user.split(":")[0] not in ("0", "root")
    assert f"--uid {user.split(':')[0]}" in " ".join(words("runtime", "RUN"))
    assert words("runtime", "VOLUME") == words("runtime", "WORKDIR") == ["/data"]
    assert [each for each, _ in stages()["cpu"] + stages()["cuda"] if each in ("USER", "RUN")] == []


def test_commands_follow_each_other_in_the_containers_volume(tmp_path: Path) -> None:
    """The folder stands for the volume: what the container calls is called in it, and finds what `init` wrote."""
    (entry,) = words("runtime", "ENTRYPOINT")
    program, *options = (word.replace("/data", str(tmp_path)) for word in json.loads(entry))
    assert program == "sususbot"
    for command in (
        ["init", "--yes", "--token", "MTIz.abc.def-ghi", "--channel", "1213800000000000000"],
        ["import", str(PACKAGE / "sample" / "general.json")],
        ["consent", "list"],
    ):
        done = run_here(*options, *command, folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / ".env").exists()


def test_the_container_is_asked_for_the_bots_health() -> None:
    port = sususbot_settings().model_fields["metrics_port"].default
    assert f"http://127.0.0.1:{port}/health" in words("runtime", "HEALTHCHECK")[0]


def sususbot_settings() -> Any:
    from sususbot.settings import Settings

    return Settings


def test_only_what_is_pinned_gets_into_the_image() -> None:
    installs = [rest for stage in stages().values() for each, rest in stage if each == "RUN" and "pip install" in rest]
    assert len(installs) == 5
    for line in installs:
        assert any(mark in line for mark in ("--require-hashes", "torch==${TORCH}", "${llama}", " /build")), line


def test_docker_which_reads_another_file_lets_in_the_same() -> None:
    assert (ROOT / ".dockerignore").read_bytes() == (ROOT / ".containerignore").read_bytes()


def test_what_is_copied_is_let_in_and_nothing_of_the_owners() -> None:
    lines = (ROOT / ".containerignore").read_text(encoding="utf-8").split("\n")
    assert next(line for line in lines if line and not line.startswith("#")) == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        name
        for stage in stages()
        for line in words(stage, "COPY")
        if "--from=" not in line
        for name in line.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_the_compose_file_runs_that_image() -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["sususbot"]
    assert service["build"]["target"] in stages()
    assert service["volumes"] == ["sususbot:/data"]
    assert set(compose["volumes"]) == {"sususbot"}
    assert (
        int(service["stop_grace_period"].removesuffix("s")) > sususbot_settings().model_fields["reply_deadline"].default
    )
