"""`sususbot demo`: a newcomer's first minutes: each stage once and told, then the page or three questions.

Long because all of it looks at one demo, which takes half a minute to make.
"""

import errno
import json
import os
import re
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from unittest.mock import patch

import orjson
import pytest

from sususbot import file_lock, sample
from sususbot.archive.archive import Archive
from sususbot.artifacts import CORPORA, DEMO, MANIFEST, MODELS, REPORTS, RUNS
from sususbot.cli import demo as demo_command
from sususbot.cli import kettle, stages
from sususbot.cli.stages import Stage
from sususbot.errors import ModelError, SettingsError, installing
from sususbot.messages import Channel, Guild
from sususbot.training.metrics import Event, Metrics
from tests.cli.screen import Screen, on_screen
from tests.support.commands import refusal, run, run_here
from tests.support.disk import small_disk
from tests.support.shown import Finished, shown_demo
from tests.web.browsing import CHROMIUM

PRINTER: Final = "who broke the printer?"
# Suites run side by side.
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1"}
# Every stage, and the command that does it for one's own server.
STAGES: Final = {
    "import": "import FILES  (consent set NAME no, forget NAME)",
    "analyze": "analyze",
    "index": "index",
    "build": "build",
    "base": "train --from-scratch",
    "adapter": "train",
    "GGUF": "export",
}
DONE: Final = f"all {len(STAGES)} stages are done already, in data/demo"
_PORT: Final = 8466
_PATIENCE: Final = 120.0
ON_TERMINALS: Final = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """The demo as it is begun, with a model that reads the sample once; and where."""
    return shown_demo(tmp_path_factory)


@pytest.fixture
def folder(shown: tuple[Path, Finished], tmp_path: Path) -> Path:
    return Path(shutil.copytree(shown[0], tmp_path / "hier drüben"))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def made(stderr: str) -> list[str]:
    """The stages that were done, by their names."""
    lines = stderr.splitlines()
    return [
        line.split()[1]
        for line, below in zip(lines, [*lines[1:], ""], strict=True)
        if line[1:2] == "/" and "done already" not in line and "left out" not in line and "not done" not in line
    ]


# -- what is shown


def test_without_a_terminal_it_shows_the_whole_path_asks_three_questions_and_ends(
    shown: tuple[Path, Finished],
) -> None:
    folder, done = shown
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert lines[::2] == [f"you: {one.text}" for one in sample.questions()[:3]]
    assert all(line.startswith("sususbot: ") for line in lines[1::2])
    assert made(done.stderr) == list(STAGES)
    yours = [line.strip() for line in done.stderr.splitlines() if "yours:" in line]
    assert yours == [f"yours:  sususbot {command}" for command in STAGES.values()]
    assert done.stderr.count("smoke test, a model of 1.3 million weights") == 3
    assert "sususbot demo --chat" in done.stderr
    assert f"--env data/{DEMO}/{kettle.ENV} --data data/{DEMO} web" in done.stderr
    assert (folder / "data" / DEMO / kettle.ENV).is_file()
    assert (folder / "data" / DEMO / REPORTS / "analysis.html").is_file()


def test_every_line_fits_a_terminal(shown: tuple[Path, Finished]) -> None:
    assert max(map(len, shown[1].stderr.splitlines())) <= 80


def test_nobody_who_left_or_said_no_is_in_anything_that_was_made(shown: tuple[Path, Finished]) -> None:
    said = [
        phrase for one in sample.people() if one.status in ("erased", "opted_out") for phrase in one.said_only_by_them
    ]
    data = shown[0] / "data" / DEMO
    texts = [path.read_bytes() for room in (CORPORA, REPORTS, MODELS) for path in (data / room).rglob("*.*")]
    assert texts
    assert said
    assert [phrase for phrase in said if any(phrase.encode() in text for text in texts)] == []


def test_a_second_run_makes_nothing_anew(folder: Path) -> None:
    data = folder / "data" / DEMO
    files = [path for path in data.rglob("*") if path.is_file() and not path.name.startswith("archive.db-")]
    before = {path: path.stat().st_mtime_ns for path in files}
    again = run_here("demo", "--once", PRINTER, folder=folder)
    assert again.returncode == 0
    assert "Percival" in again.stdout
    assert again.stderr.splitlines()[0] == DONE
    assert [path.name for path, at in before.items() if path.stat().st_mtime_ns != at] == []


def test_what_everybody_may_not_read_is_not_told_in_general(folder: Path) -> None:
    """Not even asked for, nor a part of it, nor by the tiny model; in one terminal talk, since each start costs."""
    private = [one for one in sample.questions() if one.kind == "private"]
    with Archive(folder / "data" / DEMO) as archive:
        secrets = telling(archive, {id_ for one in private for id_ in one.evidence})
    typed = "".join(f"{one.text}\n" for one in private)
    told = run("demo", "--chat", folder=folder, typed=typed, **ONE_THREAD)
    assert told.returncode == 0
    assert told.stdout.count("sususbot: ") == len(private)
    said = plain(f"{told.stdout}\n{told.stderr}")
    assert len(secrets) > 20
    assert [phrase for phrase in secrets if phrase in said] == []


def telling(archive: Archive, evidence: set[int]) -> set[str]:
    """Every three words in a row of what answers the private questions, but those that stand in the open, too."""
    apart = {room.id for room in sample.channels() if room.private}
    secret = {message.id: message for message in archive.history() if message.channel_id in apart}
    assert evidence <= secret.keys()
    known = plain("\n".join(one.rendered for one in archive.history() if one.channel_id not in apart))
    asked = plain("\n".join(one.text for one in sample.questions()))
    rows = (plain(secret[id_].rendered).split() for id_ in evidence)
    phrases = {" ".join(words[at : at + 3]) for words in rows for at in range(len(words) - 2)}
    return {phrase for phrase in phrases if phrase not in known and phrase not in asked}


def plain(text: str) -> str:
    """Its words alone, however they are set."""
    return " ".join(re.findall(r"[\w'£.]*\w", text.lower()))


def test_what_was_built_holds_nothing_of_private_channels(shown: tuple[Path, Finished]) -> None:
    corpus = shown[0] / "data" / DEMO / CORPORA / "default"
    rows = [orjson.loads(line) for line in (corpus / "train.jsonl").read_bytes().splitlines()]
    assert rows
    assert {row["channel_id"] for row in rows} <= {*sample.public_channels()}


# -- going on


def test_what_an_earlier_run_finished_is_kept_and_the_rest_made(folder: Path) -> None:
    data = folder / "data" / DEMO
    (data / MODELS / MANIFEST).unlink()
    (data / REPORTS / "analysis.html").unlink()
    again = run_here("demo", "--once", PRINTER, "--epochs", "1", folder=folder)
    assert again.returncode == 0, again.stderr
    assert made(again.stderr) == ["analyze", "GGUF"]
    assert again.stderr.count("done already") == len(STAGES) - 2


@ON_TERMINALS
def test_a_training_that_was_stopped_goes_on_where_it_was(folder: Path) -> None:
    voice = folder / "data" / DEMO / RUNS / "voice"
    shutil.rmtree(voice)
    command = ["demo", "--once", PRINTER, "--epochs", "1"]
    with ctrl_c_after(told=2):
        stopped = run_here(*command, folder=folder)
    assert stopped.returncode == 130
    assert "run the same command again" in refusal(stopped.stderr)
    metrics = voice / "metrics.jsonl"
    before = metrics.read_bytes()
    stopped_at = json.loads((voice / MANIFEST).read_bytes())["outcome"]["step"]
    assert run_here(*command, folder=folder).returncode == 0
    steps = [row["step"] for row in map(orjson.loads, metrics.read_bytes().splitlines()) if row["kind"] == "step"]
    assert metrics.read_bytes().startswith(before)
    assert stopped_at < len(steps)
    assert steps == list(range(1, len(steps) + 1))


@contextmanager
def ctrl_c_after(told: int) -> Iterator[None]:
    """Somebody presses Ctrl-C when a training has told so much: from outside it could end before."""
    add, events = Metrics.add, list[Event]()

    def add_and_stop(self: Metrics, event: Event) -> None:
        add(self, event)
        events.append(event)
        if len(events) == told:
            signal.raise_signal(signal.SIGINT)

    with patch.object(Metrics, "add", add_and_stop):
        yield
    assert len(events) >= told


def test_of_another_sample_or_program_nothing_is_kept_but_what_the_demo_did_not_make(tmp_path: Path) -> None:
    assert kettle.prepare(tmp_path) is None
    made = [Path(RUNS, "base"), Path(RUNS, "voice"), Path(CORPORA, "default")]
    mine = [Path(RUNS, "mine"), Path(CORPORA, "mine"), Path(REPORTS, "eval-mine"), Path(MODELS, "base-of-mine")]
    for path in (*made, *mine):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "a file").touch()
    files = [Path(MODELS, "base.gguf"), Path(MODELS, MANIFEST), Path(REPORTS, "analysis.html")]
    for path in files:
        (tmp_path / path).touch()
    assert kettle.prepare(tmp_path) is None
    (tmp_path / kettle.STAMP).write_bytes(orjson.dumps({"sample": "another", "program": "0.9"}))
    assert "another than last time" in str(kettle.prepare(tmp_path))
    assert [path for path in (*made, *files) if (tmp_path / path).exists()] == []
    assert [path for path in mine if not (tmp_path / path / "a file").exists()] == []


def test_what_settings_of_ones_own_erased_here_is_taken_in_anew(folder: Path) -> None:
    """By the command that the demo tells to type nothing is; by another, on the same folder, everything."""
    data = folder / "data" / DEMO
    mine = {"RETENTION_DAYS": "30"}
    (folder / ".env").write_text("RETENTION_DAYS=30\n", encoding="utf-8")
    told = ["--env", f"data/{DEMO}/{kettle.ENV}", "--data", f"data/{DEMO}"]
    assert run_here(*told, "consent", "list", folder=folder).returncode == 0
    assert kettle.prepare(data) is None
    assert "were erased" in run_here(*told, "consent", "list", folder=folder, **mine).stderr
    assert "RETENTION_DAYS" in str(kettle.prepare(data))
    assert not (data / "archive.db").exists()
    assert (data / MODELS / "base.gguf").exists()


def test_who_is_forgotten_stays_so(folder: Path) -> None:
    """Whoever said the oldest messages, too: only what expired comes back."""
    data = folder / "data" / DEMO
    with Archive(data) as archive:
        first = next(iter(archive.history()))
        archive.erase(first.author.id, at=first.created_at)
    assert kettle.prepare(data) is None


def test_silence_means_what_it_does_in_the_sample(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.consents.set_mode("opt-in")
        kettle.claim(archive, tmp_path)
        assert archive.consents.mode == "opt-out"


def test_nobody_elses_messages_are_trained_on_or_deleted(tmp_path: Path) -> None:
    data = tmp_path / "data" / DEMO
    with Archive(data) as archive:
        archive.add_channel(Guild(1, "ours"), Channel(2, 1, "friends"), origin="export", seen_at=0)
    done = run_here("demo", "--once", PRINTER, folder=tmp_path)
    assert done.returncode == 1
    assert "channels that are not the sample's (friends)" in refusal(done.stderr)
    with Archive(data) as archive:
        assert [channel.name for channel in archive.channels()] == ["friends"]


def test_only_the_sample_needs_no_permission_to_train_on(folder: Path) -> None:
    """The same corpus, by the command for everybody's own."""
    base = folder / "data" / DEMO / RUNS / "base" / "model"
    done = run_here("--data", "data/demo", "train", "--cpu", "--base", str(base), "--name", "mine", folder=folder)
    assert "rule 21" in refusal(done.stderr)
    assert not (folder / "data" / DEMO / RUNS / "mine").exists()


# -- what can be missing


def test_a_stage_that_fails_is_one_sentence_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []

    def stage(name: str, error: Exception | None = None, needs: tuple[str, ...] = ()) -> Stage:
        def make() -> str:
            order.append(name)
            if error is not None:
                raise error
            return f"{name} made"

        return Stage(name, "nothing", lambda: False, make, needs)

    full = OSError(errno.ENOSPC, "No space left on device", "corpora/x")
    going = [stage("a"), stage("b", full), stage("c", needs=("b",)), stage("d", ModelError("odd: mend it")), stage("e")]
    stages.go_through(going, tmp_path)
    assert order == ["a", "b", "d", "e"]
    told = [line for line in capsys.readouterr().err.splitlines() if line[1:2] == "/"]
    assert told[1].startswith("2/5 b        not done: it cannot be written to corpora/x")
    assert told[2] == "3/5 c        left out: it needs b"
    assert told[3] == "4/5 d        not done: odd: mend it"
    assert told[4].startswith("5/5 e        e made")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), ModelError("odd: mend it")])
def test_without_the_first_stage_nothing_goes_on(tmp_path: Path, error: Exception) -> None:
    def make() -> str:
        raise error

    with pytest.raises((SettingsError, ModelError), match=r"mend it|make room"):
        stages.go_through([Stage("a", "nothing", lambda: False, make)], tmp_path)


def test_two_demos_are_not_made_in_one_folder(tmp_path: Path) -> None:
    kettle.prepare(tmp_path / "data" / DEMO)
    with (tmp_path / "data" / DEMO / "demo.lock").open("ab") as file:
        file_lock.hold(file)
        done = run_here("demo", "--once", PRINTER, folder=tmp_path)
    assert "another demo is being made" in refusal(done.stderr)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / DEMO).touch()
    done = run_here("demo", "--once", PRINTER, folder=tmp_path)
    assert done.returncode == 1
    assert "the demo's folder data/demo cannot be written" in refusal(done.stderr)


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=600) as disk:
        done = run_here("--data", str(disk.folder), "demo", "--once", PRINTER, folder=tmp_path)
    assert done.returncode == 1
    assert "disk" in refusal(done.stderr)


@ON_TERMINALS
def test_without_packages_for_training_and_page_it_says_what_is_missing_and_answers(folder: Path) -> None:
    data = folder / "data" / DEMO
    for room in (MODELS, RUNS):
        shutil.rmtree(data / room)
    code = "import sys; sys.modules['peft'] = sys.modules['nicegui'] = None; from sususbot.cli.main import main; main()"
    with on_screen("-c", code, "demo", folder=folder, BROWSER="true", **ONE_THREAD) as screen:
        assert screen.end() == 0
    told = " ".join(screen.text.split())
    assert "5/7 base not done: making a tiny model needs packages that are not installed" in told
    assert installing("train") in told
    assert "6/7 adapter left out: it needs base" in told
    assert "without the page: the web page needs packages" in told
    assert "Percival" in told
    assert "smoke test" not in told


# -- terminal and browser


def test_what_is_told_to_be_typed_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also with spaces and marks in its folders, and where a way from here to there is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "my bots" / "sususbot")])
    demo_command.say_how_to_go_on(tmp_path / 'it\'s "here"', None)
    told = [line[17:] for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert {shlex.split(command)[0] for command in told} == {str(Path("my bots", "sususbot"))}
    folder = tmp_path / 'it\'s "here"' / DEMO
    assert shlex.split(told[2])[1:] == ["--env", str(folder / kettle.ENV), "--data", str(folder), "web"]


def test_between_two_drives_there_is_only_the_whole_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_path: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    program = tmp_path / "sususbot"
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(os.path, "relpath", refuse)
    monkeypatch.setattr(sys, "argv", [str(program)])
    demo_command.say_how_to_go_on(Path("data"), None)
    assert f"{program} demo --chat" in capsys.readouterr().err


def test_who_wants_no_tiny_model_is_told_nothing_that_makes_one(capsys: pytest.CaptureFixture[str]) -> None:
    demo_command.say_how_to_go_on(Path("data"), 0)
    told = [line for line in capsys.readouterr().err.splitlines() if " demo " in line]
    assert len(told) == 2
    assert all(line.endswith(" --epochs 0") for line in told)


@pytest.mark.parametrize(("seconds", "told"), [(0.04, "0.0 s"), (99.94, "99.9 s"), (1030, "17.2 min")])
def test_seconds_stand_apart_from_what_happened(
    seconds: float, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    clock = iter((0.0, seconds))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    stage = Stage("base", "sususbot train", lambda: False, lambda: "x" * 57 + " y")
    stages.go_through([stage], tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.endswith(f" {told}") for line in lines)
    assert max(map(len, lines)) <= 80


def answers(screen: Screen) -> int:
    """How many there are; what the tiny model says between them may be any word it read, and its lines begin apart."""
    return sum(line.startswith("sususbot: ") for line in screen.text.splitlines())


@ON_TERMINALS
@pytest.mark.parametrize(("options", "settings"), [([], {}), (["--no-browser"], {"BROWSER": "true"})])
def test_on_a_terminal_without_a_browser_it_asks_by_itself_and_ends(
    folder: Path, options: list[str], settings: dict[str, str]
) -> None:
    with on_screen("-m", "sususbot", "demo", *options, folder=folder, **settings, **ONE_THREAD) as screen:
        assert screen.end() == 0
    assert answers(screen) == 3
    assert screen.text.count("smoke test") == 3


@ON_TERMINALS
def test_on_a_terminal_it_talks_until_the_input_ends_where_that_is_asked_for(folder: Path) -> None:
    with on_screen("-m", "sususbot", "demo", "--chat", folder=folder, **ONE_THREAD) as screen:
        screen.wait_for("you: ")
        screen.type(f"{PRINTER}\n")
        screen.wait_for("smoke test")
        # Before a prompt is there, the end of the input is heard by nobody.
        screen.wait_for("\nyou: ", times=2)
        screen.type("\x04")
        assert screen.end() == 0
    assert "Percival" in screen.text


@ON_TERMINALS
def test_a_browser_that_does_not_start_keeps_nobody_waiting(folder: Path) -> None:
    with on_screen("-m", "sususbot", "demo", folder=folder, BROWSER="false", **ONE_THREAD) as screen:
        assert screen.end() == 0
    assert "no browser came to the page" in screen.text
    assert answers(screen) == 3


@ON_TERMINALS
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here: install the package chromium")
def test_the_page_opens_with_the_bot_in_general(folder: Path) -> None:
    """In a browser that BROWSER names: it writes down what it is told to open, and another one opens that here."""
    from playwright.sync_api import sync_playwright

    private = next(one for one in sample.questions() if one.kind == "private")
    browser = folder / "browser"
    address = folder / "address"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{address}"\n', encoding="utf-8")
    browser.chmod(0o755)
    with (
        occupied(_PORT),
        on_screen("-m", "sususbot", "demo", folder=folder, BROWSER=f"'{browser}' %s", **ONE_THREAD) as screen,
        sync_playwright() as playwright,
    ):
        screen.wait_for("Ctrl-C ends it")
        until(lambda: address.is_file() and address.read_text(encoding="utf-8").endswith("\n"))
        patience = _PATIENCE * 1000
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=patience)
        tab = chromium.new_page()
        tab.set_default_timeout(patience)
        link = next(line for line in screen.text.splitlines() if line.startswith("http://"))
        told = address.read_text(encoding="utf-8").strip()
        assert told.startswith("file://")
        tab.goto(told)
        tab.locator("h1").wait_for()
        assert tab.url == link.partition("?")[0]
        until(lambda: not list((folder / "data" / DEMO).glob("open-*")))
        assert tab.locator("h1").inner_text() == "general"
        tab.get_by_role("button", name=sample.questions()[0].text).click()
        tab.locator(".beside", has_text="smoke test, a model of").wait_for()
        assert "Percival" in tab.locator(".line.own .text").inner_text()
        tab.get_by_label("Message").fill(private.text)
        tab.get_by_label("Message").press("Enter")
        tab.locator(".beside", has_text="smoke test").nth(1).wait_for()
        assert private.answer.strip(".") not in tab.locator(".line.own .text").nth(1).inner_text()
        chromium.close()
        screen.interrupt()
        assert screen.end() == 0


@contextmanager
def occupied(port: int) -> Iterator[None]:
    """Somebody listens there, whoever it is."""
    with socket.socket() as other:
        with suppress(OSError):
            other.bind(("127.0.0.1", port))
            other.listen()
        yield
