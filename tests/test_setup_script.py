"""setup.ps1 and deploy/windows-task.ps1, read by PowerShell's grammar: no machine here can run them.

What a run would find at once is found here: what does not parse, what is not defined, what Windows PowerShell 5.1 does
not know, exit codes that nobody looks at; and that its tables are the program's.
"""

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest

from sususbot.model.cards import CUDA_DRIVERS
from sususbot.training import hardware
from tests.support.powershell import Script

ROOT = Path(__file__).parents[1]
SETUP = ROOT / "setup.ps1"
TASK = ROOT / "deploy" / "windows-task.ps1"
# What Windows PowerShell 5.1 brings of what the scripts call.
_CMDLETS = {
    *("ForEach-Object", "Get-Command", "Get-Date", "Get-FileHash", "Get-ItemProperty", "Join-Path", "New-Object"),
    *("New-ScheduledTask", "New-ScheduledTaskAction", "New-ScheduledTaskPrincipal", "New-ScheduledTaskSettingsSet"),
    *("Get-ScheduledTask", "New-ScheduledTaskTrigger", "New-TimeSpan", "Out-Null", "Out-String", "Remove-Item"),
    *(
        "Register-ScheduledTask",
        "Resolve-Path",
        "Select-String",
        "Set-Location",
        "Set-StrictMode",
        "Split-Path",
        "Start-ScheduledTask",
    ),
    *("Stop-ScheduledTask", "Test-Path", "Unregister-ScheduledTask", "Where-Object", "Write-Host"),
}
# Where a package lies in an environment on Windows, seen from the project's folder.
_PACKAGES = r".venv\Lib\site-packages" + "\\"


@pytest.fixture(params=[SETUP, TASK], ids=lambda path: path.name)
def script(request: pytest.FixtureRequest) -> Script:
    return Script.of(request.param)


@pytest.fixture
def setup() -> Script:
    return Script.of(SETUP)


def test_it_parses(script: Script) -> None:
    assert script.faults == []


def test_windows_powershell_knows_all_of_it(script: Script) -> None:
    assert script.seven_only == []


@pytest.mark.parametrize("newer", ["$a ? 1 : 2", "$a ?? 1", "$a?.b", "$a ??= 1", "ls && pwd", "ls || pwd"])
def test_what_only_powershell_7_knows_would_be_found(newer: str) -> None:
    script = Script(newer.encode())
    assert script.faults or script.seven_only


def test_every_function_is_called_and_every_command_is_there(script: Script) -> None:
    defined = {function.name for function in script.functions}
    called = set(script.called())
    assert defined <= called
    assert called - defined - {"&"} <= _CMDLETS


def test_every_variable_is_set_before_it_is_read(script: Script) -> None:
    assert script.unset() == []


def test_a_misspelt_variable_would_be_found() -> None:
    assert Script(b"function A { param($B) $C = $B; return $c + $D }\nA 1").unset() == ["d"]


def test_programs_are_run_in_two_places_which_look_at_their_exit_code(setup: Script) -> None:
    running = {function.name: function for function in setup.functions if "&" in setup.called(function.node)}
    assert set(running) == {"Read-Tool", "Invoke-Tool"}
    assert setup.called().count("&") == len(running)
    for function in running.values():
        assert function.node.text is not None
        assert b"$LASTEXITCODE" in function.node.text.partition(b"& $File")[2]


def test_whoever_runs_a_program_in_sight_asks_how_it_went(setup: Script) -> None:
    # Install-Llama leaves it to those who call it.
    (through,) = (function.node.text for function in setup.functions if function.name == "Install-Llama")
    assert through is not None
    after = re.split(r"Invoke-Tool \$|Install-Llama \$", setup.text.replace(through.decode(), ""))[1:]
    assert len(after) == 5
    assert [part for part in after if "$script:Succeeded" not in "\n".join(part.splitlines()[:3])] == []


def test_each_failure_says_what_to_do(script: Script) -> None:
    said = [*script.sentences("Stop-Setup"), *script.sentences("Stop-Script")]
    assert said
    assert [words for words in said if words and not re.search(r"[\w)}\"]: ", words)] == []


def test_bytes_are_those_that_windows_powershell_reads_right(script: Script) -> None:
    # ASCII, or it takes the file for cp1252; the whole line end, or Notepad of older Windows shows one line.
    assert script.text.isascii()
    assert script.text.count("\n") == script.text.count("\r\n") > 50


def test_builds_and_drivers_are_those_that_the_program_names(setup: Script) -> None:
    shared = (ROOT / "tools" / "environment.py").read_text(encoding="utf-8")
    rows = _rows(setup.literal("TorchBuilds"))
    assert [row["Build"] for row in rows] == [hardware._WHEELS[13], hardware._WHEELS[12]]
    for row, family in zip(rows, (13, 12), strict=True):
        assert int(row["Driver"]) >= CUDA_DRIVERS[family]
        assert f'"{row["Build"]}": {CUDA_DRIVERS[family]}' in shared
    index = setup.literal("TorchIndex").strip("'")
    assert index == hardware._ON_WHEELS
    assert f'INDEX: Final = "{index}"' in shared


def test_what_is_installed_is_left_to_the_script_for_all_systems(setup: Script) -> None:
    assert "@('tools\\environment.py', $kind)" in setup.text
    assert "$env:TORCH_INDEX" in setup.text
    assert 'os.environ.get("TORCH_INDEX")' in (ROOT / "tools" / "environment.py").read_text(encoding="utf-8")
    assert not re.search(r"torch==|\d+\.\d+\.\d+", setup.text), "a version is pinned in two places"


@pytest.mark.parametrize(
    ("driver", "capability", "torch", "llama"),
    [
        (580, "7.5", "cu130", "cu132"),
        (577, "7.5", "cu126", "cu128"),
        (552, "7.5", "cu126", ""),
        (552, "8.6", "cu126", "cu128"),
        (591, "12.0", "cu130", "cu132"),
        (591, "9.0", "cu130", "cu128"),
        (580, "6.1", "cu126", "cu128"),
        (572, "12.0", "cpu", "cu128"),
        (512, "", "cpu", ""),
    ],
)
def test_which_builds_a_card_gets(setup: Script, driver: int, capability: str, torch: str, llama: str) -> None:
    """The first row that fits, as Select-TorchBuild and Select-LlamaBuild take it."""
    builds = (
        row["Build"]
        for row in _rows(setup.literal("TorchBuilds"))
        if driver >= int(row["Driver"])
        and (not capability or float(row["Oldest"]) <= float(capability) <= float(row["Newest"]))
    )
    assert next(builds, "cpu") == torch
    engines = (
        row["Build"]
        for row in _rows(setup.literal("LlamaBuilds"))
        if driver >= int(row["Driver"]) and (not row["Cards"] or capability in _strings(row["Cards"]))
    )
    assert next(engines, "") == llama


def test_its_pythons_are_those_of_the_package(setup: Script) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert set(_strings(setup.literal("PythonVersions"))) == set(re.findall(r":: (3\.\d+)\"", project))


def test_the_deepest_package_fits_into_what_it_reserves(setup: Script) -> None:
    files = distribution("torch").files or []
    deepest = max(len(str(file)) for file in files if ".." not in file.parts)
    assert 0 < deepest + len(_PACKAGES) <= int(setup.literal("LongestInside"))
    assert int(setup.literal("LongestPath")) == 259


def test_the_task_runs_the_bot_that_is_there() -> None:
    task = Script.of(TASK)
    assert "'-m sususbot bot'" in task.text
    assert "LOG_FILE" in task.text


def _strings(literal: str) -> list[str]:
    return re.findall(r"'([^']*)'", literal)


def _rows(literal: str) -> list[dict[str, str]]:
    """Rows of a table, such as @{ Build = 'cu130'; Driver = 580 }, values as written but for their quotes."""
    rows = [
        dict(re.findall(r"(\w+) = (@\([^)]*\)|[^;]+?)(?:;| *$)", row)) for row in re.findall(r"@\{ (.*?) \}", literal)
    ]
    return [{name: "" if value == "@()" else value.strip("'") for name, value in row.items()} for row in rows]
