"""What docs/operations.md and the unit beside it say is so: commands, settings, signs, metrics, the unit itself."""

import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest

from sususbot.bot import answering, health, limits, logs, metrics
from sususbot.cli.main import COMMANDS
from sususbot.settings import Settings

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "deploy" / "sususbot.service"
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
# Capitals that are no settings: what systemd, others and the reader put there.
_NOT_SETTINGS = {"READY", "REPOSITORY", "REST", "YOU", "YOURPASSWORD", "PRIVACY", "CHANGELOG"} | {
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
}


@pytest.fixture
def unit() -> RawConfigParser:
    parser = RawConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return parser


def test_the_unit_runs_a_command_that_is_there(unit: RawConfigParser) -> None:
    program, *arguments = unit["Service"]["ExecStart"].split()
    assert Path(program).name == "sususbot"
    assert arguments == ["bot"]
    assert "bot" in COMMANDS


def test_the_unit_stops_gently_and_restarts_what_broke(unit: RawConfigParser) -> None:
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"
    # SIGTERM to every process would end the engine in the middle of the reply that is to be finished.
    assert service["KillMode"] == "mixed"
    stop = int(service["TimeoutStopSec"].removesuffix("s"))
    assert stop > Settings.model_fields["reply_deadline"].default + 20
    assert int(unit["Unit"]["StartLimitBurst"]) > 1
    assert service["User"] != "root"


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("there is no systemd here")
    text = UNIT.read_text(encoding="utf-8").replace("/opt/sususbot/.venv/bin/sususbot", sys.executable)
    (tmp_path / UNIT.name).write_text(re.sub("^User=.*", "User=root", text, flags=re.MULTILINE), encoding="utf-8")
    done = subprocess.run([tool, "verify", tmp_path / UNIT.name], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_every_command_of_the_page_is_there() -> None:
    named = set(re.findall(r"(?:`|^    |bin/|:  )sususbot ([a-z]+)", PAGE, re.MULTILINE))
    assert {"bot", "models", "index", "consent"} <= named
    assert named <= set(COMMANDS)


def test_every_setting_of_the_page_is_there() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})(?:=\S*)?`|\b([A-Z]+(?:_[A-Z]+)+)\b", PAGE))
    names = {first or second for first, second in named} - _NOT_SETTINGS
    assert {"LOG_FILE", "QUIET_HOURS", "REPLY_DEADLINE"} <= names
    assert {name.lower() for name in names} <= set(Settings.model_fields)


def test_every_sign_is_explained() -> None:
    shown = set(re.findall(r"^\| (\S+) \| ", PAGE.split("| sign |")[1].split("\n\n")[0], re.MULTILINE))
    own = {reaction for reaction, _ in answering._SIGNS.values()}
    limited = {sign.reaction or "none" for sign in limits.SIGNS.values()}
    assert shown - {"---"} == own | limited


def test_every_metric_of_the_page_is_there() -> None:
    measured = metrics.Metrics()
    health.Health(measured, lambda: 0)
    measured.connection_lost("unreachable")
    # As cli/bot.py has it watched.
    measured.watch("sususbot_log_lines_missing", "", logs.lost)
    there = set(re.findall(r"^# TYPE (\w+)", measured.exposition().decode(), re.MULTILINE))
    named = set(re.findall(r"\bsususbot_\w+", PAGE))
    assert {"sususbot_connected", "sususbot_problems"} <= named
    assert {name.removesuffix("_bucket") for name in named} <= there


def test_the_page_backs_up_an_archive_that_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sususbot.archive.archive import Archive

    (line,) = re.findall(r'^    python -c "(.*)"$', PAGE, re.MULTILINE)
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    with Archive(tmp_path / "data"):
        code: Any = line.replace("/backup/archive.db", str(tmp_path / "archive.db"))
        subprocess.run([sys.executable, "-c", code], check=True)
    with Archive(tmp_path) as copy:
        assert copy.newest() is None
