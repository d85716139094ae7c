"""`sususbot demo`: a newcomer's first minute, with a tiny model made on the spot, each stage only once."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sususbot.artifacts import CORPORA, MANIFEST, MODELS, RUNS
from tests.support.commands import environment, refusal, run, run_here

PRINTER = "who broke the printer?"
# Suites run side by side.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
# Every stage, and the command that does it for one's own server.
STAGES = {
    "imported 309 messages": "import export.json",
    "built 56 samples": "build",
    "making a tiny base": "train --from-scratch",
    "training an adapter": "train",
    "wrote both as GGUF": "export",
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """The demo as it is begun, with a model that reads the sample once; and where."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, run_here("demo", "--epochs", "1", folder=folder)


@pytest.fixture
def folder(shown: tuple[Path, "subprocess.CompletedProcess[str]"], tmp_path: Path) -> Path:
    return Path(shutil.copytree(shown[0], tmp_path / "here"))


def test_without_a_terminal_it_shows_the_whole_path_asks_three_questions_and_ends(
    shown: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    _, done = shown
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines[::2]] == ["you"] * 3
    assert all(line.startswith("sususbot: ") for line in lines[1::2])
    stages = [line for line in done.stderr.splitlines() if "yours:  sususbot" in line]
    for stage, command in STAGES.items():
        assert any(line.startswith(stage) and line.endswith(f"sususbot {command}") for line in stages), stages
    tested = [line for line in done.stderr.splitlines() if "smoke test" in line]
    assert len(tested) == 3
    assert all("a model of 0.8 million weights that read 283 messages, through llama.cpp: " in line for line in tested)
    assert "Traceback" not in done.stderr


def test_a_second_run_makes_nothing_anew(folder: Path) -> None:
    again = run("demo", "--once", PRINTER, folder=folder, **ONE_THREAD)
    assert again.returncode == 0
    assert "Percival" in again.stdout
    assert [line.split(",")[0].strip() for line in again.stderr.splitlines()] == ["| smoke test"]


def test_what_an_earlier_run_finished_is_kept_and_the_rest_made(folder: Path) -> None:
    data = folder / "data" / "demo"
    shutil.rmtree(data / CORPORA)
    (data / MODELS / MANIFEST).unlink()
    manifest = data / RUNS / "voice" / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_bytes()), "state": "training"}), encoding="utf-8")
    again = run_here("demo", "--once", PRINTER, "--epochs", "1", folder=folder)
    assert again.returncode == 0, again.stderr
    stages = [line.split()[0] for line in again.stderr.splitlines() if "yours:" in line]
    assert stages == ["built", "training", "wrote"]


def test_a_sample_that_changed_is_learned_anew(folder: Path) -> None:
    data = folder / "data" / "demo"
    for path in (data / MODELS / MANIFEST, *(data / RUNS / name / MANIFEST for name in ("base", "voice"))):
        facts = json.loads(path.read_bytes())
        files = facts["corpus"]["files"] if "files" in facts["corpus"] else facts["corpus"]
        files["train.jsonl"]["sha256"] = "of another sample"
        path.write_text(json.dumps(facts), encoding="utf-8")
    again = run_here("demo", "--once", PRINTER, "--epochs", "1", folder=folder)
    assert again.returncode == 0, again.stderr
    assert "making a tiny base" in again.stderr
    assert "training an adapter" in again.stderr


def test_only_the_sample_needs_no_permission_to_train_on(folder: Path) -> None:
    """The same corpus, by the command for everybody's own."""
    base = folder / "data" / "demo" / RUNS / "base" / "model"
    done = run_here("--data", "data/demo", "train", "--cpu", "--base", str(base), "--name", "mine", folder=folder)
    assert "rule 21" in refusal(done.stderr)
    assert not (folder / "data" / "demo" / RUNS / "mine").exists()


def test_without_the_packages_for_training_it_talks_and_says_what_is_missing(tmp_path: Path) -> None:
    code = "import sys; sys.modules['peft'] = None; from sususbot.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "demo", "--once", PRINTER],
        cwd=tmp_path,
        env=environment(ONE_THREAD),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Percival" in done.stdout
    assert "without a tiny model of its own: making a tiny model needs" in done.stderr
    assert "pip install 'sususbot[train]'" in done.stderr
    assert "smoke test" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_on_a_terminal_it_talks_until_the_input_ends(folder: Path) -> None:
    import pty

    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sususbot", "demo"],
        cwd=folder,
        env=environment({"TERM": "dumb", **ONE_THREAD}),
        stdin=its,
        stdout=its,
        stderr=its,
        close_fds=True,
    )
    os.close(its)
    os.write(ours, f"{PRINTER}\n\x04".encode())
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
            if b"smoke test" in shown:
                os.write(ours, b"\x04")
    except OSError:
        # Linux: the other side was closed.
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert b"sususbot: " in shown
    assert b"smoke test" in shown
