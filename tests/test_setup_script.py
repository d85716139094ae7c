"""setup.ps1 and deploy/windows-task.ps1, read by PowerShell's grammar: no machine here can run them.

What a run would find at once is found here: what does not parse, what is not defined, what Windows PowerShell 5.1 does
not know, exit codes that nobody looks at. What is chosen for a card: tests/test_set_up.py, where it can be run.
"""

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.support.powershell import Script
from tests.support.tools import tool

ROOT = Path(__file__).parents[1]
SETUP = ROOT / "setup.ps1"
TASK = ROOT / "deploy" / "windows-task.ps1"
# What Windows PowerShell 5.1 brings of what the scripts call.
_CMDLETS = {
    *("ForEach-Object", "Get-Command", "Get-Date", "Get-ItemProperty", "Join-Path", "New-Object"),
    *("New-ScheduledTask", "New-ScheduledTaskAction", "New-ScheduledTaskPrincipal", "New-ScheduledTaskSettingsSet"),
    *("Get-ScheduledTask", "New-ScheduledTaskTrigger", "New-TimeSpan", "Out-Null", "Out-String", "Remove-Item"),
    *(
        *("Register-ScheduledTask", "Resolve-Path", "Select-String", "Set-Item", "Set-StrictMode", "Split-Path"),
        *("Pop-Location", "Push-Location", "Start-ScheduledTask", "Start-Sleep"),
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
    after = setup.text.split("Invoke-Tool $")[1:]
    assert len(after) == 3
    assert [part for part in after if "$script:Succeeded" not in "\n".join(part.splitlines()[:3])] == []


def test_each_failure_says_what_to_do(script: Script) -> None:
    said = [*script.sentences("Stop-Setup"), *script.sentences("Stop-Script")]
    assert said
    assert [words for words in said if words and not re.search(r"[\w)}\"]: ", words)] == []


def test_bytes_are_those_that_windows_powershell_reads_right(script: Script) -> None:
    # ASCII, or it takes the file for cp1252; the whole line end, or Notepad of older Windows shows one line.
    assert script.text.isascii()
    assert script.text.count("\n") == script.text.count("\r\n") > 50


def test_what_is_installed_is_left_to_the_script_for_all_systems(setup: Script) -> None:
    given = re.findall(r"'(--[a-z]+)'", setup.text[setup.text.index("function Install-Program") :])
    assert "@('tools\\environment.py', $kind, '--look')" in setup.text
    for flag in ("--look", "--cpu", "--anew", "--named"):
        assert flag in given
        assert getattr(tool("environment").Wish.of(["run", flag]), flag.removeprefix("--")) is True
    assert not re.search(r"torch==|\d+\.\d+\.\d+|cu1\d\d", setup.text), "what is installed is said in two places"


def test_nothing_that_it_sets_stays(setup: Script) -> None:
    assert not re.search(r"\$env:\w+\s*=[^=]", setup.text, re.IGNORECASE)
    assert not re.search(r"(?:Set|Remove)-Item[^\n]*Env:(?!\$Name)|Set-Location", setup.text)
    assert re.search(r"finally \{\s+Pop-Location\s+Reset-Environment\s+\}", setup.text)


def test_what_is_said_to_be_next_needs_no_script_that_windows_refuses(setup: Script) -> None:
    assert "activate" not in setup.text.casefold()
    assert setup.text.count(".venv\\Scripts\\sususbot.exe init") == 2


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


def test_the_task_gets_a_whole_path_and_is_looked_at_before_it_is_said_to_run() -> None:
    task = Script.of(TASK)
    text = {function.name: (function.node.text or b"").decode() for function in task.functions}
    assert "Resolve-Path -LiteralPath $Folder" in text["Find-Folder"]
    assert task.text.rindex("$Folder = Find-Folder") < task.text.rindex("Register-Bot")
    assert text["Write-State"].index("$task.State -ne 'Running'") < text["Write-State"].index("runs;")
    assert "Write-Host" not in text["Register-Bot"]


def _strings(literal: str) -> list[str]:
    return re.findall(r"'([^']*)'", literal)
