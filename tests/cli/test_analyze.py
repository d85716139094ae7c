"""`sususbot analyze` as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sususbot.analysis.page import SECTIONS
from sususbot.errors import installing
from tests.analysis import teahouse
from tests.support.commands import environment, refusal
from tests.support.commands import run_here as run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    teahouse.built(tmp_path / "data").close()
    return tmp_path


def test_terminal_and_page(folder: Path) -> None:
    done = run("analyze", "--timezone", "Europe/Berlin", folder=folder)
    assert done.returncode == 0
    assert done.stdout.startswith("Tea <i>house</i>\n- 293 messages of 7 members in 2 channels")
    for title in (
        "Over time", "Hours of the week, Europe/Berlin", "Channels", "Members", "Lengths in tokens", "Emoji",
        "Reactions and replies", "Who answers whom", "Words of their own", "Languages", "Duplicates and spam",
        "What cleaning would do", "Conversations", "What training would take",
    ):  # fmt: skip
        assert f"\n{title}" in done.stdout
    assert "(1 who said no)" in done.stdout
    assert "zebra" not in done.stdout
    assert "\x1b" not in done.stdout
    pytest.importorskip("matplotlib", reason="the extra `analyze` is not installed")
    page = folder / "data" / "reports" / "analysis.html"
    assert f"page:  {Path('data/reports/analysis.html')}" in done.stderr
    assert all(f'<section id="{section}">' in page.read_text(encoding="utf-8") for section, _ in SECTIONS)
    assert sorted(path.name for path in page.parent.iterdir()) == ["analysis.html", "manifest.json"]


def test_a_page_goes_with_the_consent_of_anyone_it_may_quote(folder: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `analyze` is not installed")
    page = folder / "data" / "reports" / "analysis.html"
    run("analyze", folder=folder)
    run("consent", "set", "kim", "--no-learn", folder=folder)
    assert page.is_file()
    done = run("consent", "set", "tom", "--no-quote", folder=folder)
    assert not page.exists()
    assert "deleted: reports" in done.stderr
    assert "to make again what is needed:  sususbot analyze" in done.stderr
    run("analyze", folder=folder)
    run("consent", "list", folder=folder, CONSENT="opt-in")
    assert not page.exists()


def test_json_is_the_whole_and_alone_on_stdout(folder: Path) -> None:
    done = run("analyze", "--timezone", "UTC", "--json", "--html", "elsewhere/page.html", folder=folder)
    values = json.loads(done.stdout)
    assert list(values) == [
        "overview", "volume", "week", "channels", "authors", "lengths", "reactions", "answers", "emoji", "words",
        "languages", "duplicates", "spam", "cleaning", "conversations", "training",
    ]  # fmt: skip
    assert values["overview"]["written"] == 293
    # Who refused everything lost the words already when the archive was opened, and still counts.
    assert values["authors"]["refused"] == {"members": 1, "messages": 0, "tokens": 0}
    assert values["authors"]["rows"][0]["id"] == "2"
    assert len(values["week"]["hours"]) == 7
    again = run("analyze", "--timezone", "UTC", "--json", "--html", "elsewhere/again.html", folder=folder)
    assert again.stdout == done.stdout
    pytest.importorskip("matplotlib", reason="the extra `analyze` is not installed")
    pages = [(folder / "elsewhere" / name).read_bytes() for name in ("page.html", "again.html")]
    assert pages[0] == pages[1]


def test_settings_reach_it(folder: Path) -> None:
    done = run("analyze", "--json", folder=folder, CONSENT="opt-in", CLEAN_OFF="duplicates,commands")
    values = json.loads(done.stdout)
    assert values["authors"]["consent"] == "opt-in"
    rules = {rule["name"]: rule for rule in values["cleaning"]["rules"]}
    assert rules["commands"]["dropped"] == rules["duplicates"]["dropped"] == 0


def test_without_the_extra_all_but_the_page_is_there(folder: Path) -> None:
    """A process in which matplotlib cannot be imported, as where it is not installed."""
    code = "import sys; sys.modules['matplotlib'] = None; from sususbot.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "analyze", "--json"],
        cwd=folder, env=environment({}), capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert json.loads(done.stdout)["overview"]["authors"] == 7
    assert "no page was made: the HTML report needs packages that are not installed" in done.stderr
    assert installing("analyze") in done.stderr
    assert not (folder / "data" / "reports").exists()


def test_what_goes_wrong_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    done = run("analyze", "--timezone", "Nowhere", folder=folder)
    assert done.returncode == 1
    assert "there is no time zone Nowhere" in refusal(done.stderr)
    done = run("--data", "empty", "analyze", folder=folder)
    assert done.returncode == 1
    assert f"the archive in {folder / 'empty'} is empty" in refusal(done.stderr)
    pytest.importorskip("matplotlib", reason="the extra `analyze` is not installed")
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    done = run("analyze", "--html", os.fspath(Path("file") / "page.html"), folder=folder)
    assert done.returncode == 1
    assert "the page cannot be written" in refusal(done.stderr)
