"""`sususbot forget`, as an owner uses it: everything of a member is gone from every file, also after a kill."""

import json
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.cli.folder import open_archive
from sususbot.cli.main import Place
from sususbot.memory.indexing import index
from tests.archive.making import snapshot
from tests.cli.community import (
    HER_ID,
    HER_NAME,
    HER_NICKNAME,
    KILLED,
    kill,
    left_of_her,
    started,
    write_export,
    write_run,
)
from tests.memory.chat import WordEmbedder
from tests.support.commands import refusal, run, run_here
from tests.support.ready import Ready, Running
from tests.support.ready import ready as ready_to_run

KILLS = 20


def test_everything_of_a_member_is_gone_from_every_file(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run_here("import", str(write_export(tmp_path)), folder=tmp_path).returncode == 0
    way = ("--by", "member", "--way", "told me a secret")
    assert run_here("consent", "set", HER_NAME, "yes", *way, folder=tmp_path).returncode == 0
    for command in (["build"], ["analyze"], ["dump", "data/all.jsonl"]):
        assert run_here(*command, folder=tmp_path).returncode == 0, command
    write_run(data, [HER_ID, 102])
    (data / "train.jsonl.tmp").write_text("qx1zyzzyva", encoding="utf-8")
    assert len(left_of_her(data)) > 80
    # Another program has the archive open, and read her words from it.
    with Archive(data) as bot:
        index(bot, WordEmbedder())
        assert bot.window(20, limit=9)
        done = run("forget", f"@{HER_NICKNAME}", "--yes", "--json", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert left_of_her(data) == []
        assert all(one.author.id != HER_ID for one in bot.window(20, limit=99))
    report = json.loads(done.stdout)
    assert report["messages"] == 80
    assert {"corpora/default", "reports", "all.jsonl", "train.jsonl.tmp"} <= set(report["deleted"])
    assert report["next"] == ["sususbot build", "sususbot analyze"]
    assert report["stale_adapters"] == [{"run": "first", "members": 1}]
    # Later imports leave her out; all is made again without her.
    again = run_here("import", str(write_export(tmp_path)), folder=tmp_path)
    assert again.returncode == 0
    for command in (["build"], ["analyze"]):
        assert run_here(*command, folder=tmp_path).returncode == 0, command
    assert left_of_her(data) == []
    with Archive(data) as archive:
        assert archive.check() == []


def test_what_will_go_is_shown_and_nothing_goes_unasked(tmp_path: Path) -> None:
    run_here("import", str(write_export(tmp_path)), folder=tmp_path)
    (tmp_path / "data" / "reports").mkdir()
    done = run_here("forget", "zanzi", folder=tmp_path)
    assert refusal(done.stderr) == (f"nobody in the archive is called zanzi: did you mean {HER_NICKNAME} ({HER_ID})?")
    done = run_here("forget", HER_NAME, folder=tmp_path)
    assert done.returncode == 2
    assert f"{HER_NICKNAME} ({HER_ID}): 80 messages lose their words, and these are deleted:\n  reports" in done.stderr
    assert "--yes" in done.stderr
    assert len(left_of_her(tmp_path / "data")) > 80
    assert (tmp_path / "data" / "reports").is_dir()


def test_a_stale_adapter_is_named_and_refused_unless_the_owner_insists(tmp_path: Path) -> None:
    run_here("import", str(write_export(tmp_path)), folder=tmp_path)
    adapter = write_run(tmp_path / "data", [HER_ID, 102])
    base = tmp_path / "base.gguf"
    base.write_bytes(b"GGUF")
    settings = {"BACKEND": "llamacpp", "MODEL_PATH": str(base), "ADAPTER_PATH": str(adapter)}
    assert "is stale" not in run_here("chat", "--once", "hi", folder=tmp_path, **settings).stderr
    done = run_here("forget", HER_NAME, "--yes", folder=tmp_path)
    assert "stale: the adapter of run first learned from 1 who may not be learned from any more" in done.stderr
    sentence = (
        "the adapter of run first is stale: it learned from 1 member who may not be learned from any more: "
        "train it anew, or insist with --allow-stale"
    )
    for command in (["chat", "--once", "hi"], ["bot"]):
        done = run_here(*command, folder=tmp_path, DISCORD_TOKEN="x", CHANNEL_ID="1", **settings)
        assert (done.returncode, refusal(done.stderr)) == (1, sentence)
    insisted = run_here("chat", "--once", "hi", "--allow-stale", folder=tmp_path, **settings)
    assert "used all the same" in insisted.stderr
    # Now it fails, if at all, because the file is no model.
    assert "stale: it learned" not in insisted.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data folder to be copied: an archive, a corpus and reports that hold her."""
    folder = tmp_path_factory.mktemp("filled")
    assert run_here("import", str(write_export(folder)), folder=folder).returncode == 0
    assert run_here("build", folder=folder).returncode == 0
    for name in ("reports/page.html", "bench/old/archive.db", "notes.tmp"):
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("qx1zyzzyva", encoding="utf-8")
    return folder


def copied(filled: Path, folder: Path) -> Path:
    shutil.copytree(filled / "data", folder / "data")
    return folder


def erased(data: Path) -> dict[str, list[tuple[object, ...]]]:
    """What an archive holds, whenever its tombstones were made."""
    state = snapshot(data)
    state["messages"] = [(*row[:6], row[6] is not None, *row[7:]) for row in state["messages"]]
    return state


@pytest.fixture(scope="module")
def ready() -> Iterator[Ready]:
    with ready_to_run() as waiting:
        yield waiting


def until_erasing(ready: Ready, folder: Path) -> Running:
    """The command, from the moment on in which it says that it begins."""
    told = folder.with_suffix(".told")
    process = ready.begin("forget", HER_NAME, "--yes", folder=folder, errors=told)
    while not told.read_text(encoding="utf-8").startswith("erasing"):
        # It may say so, and end, between the look at the file and the look at the process.
        assert process.poll() is None or told.read_text(encoding="utf-8").startswith("erasing")
    return process


def test_killed_at_any_instant_the_next_command_finishes_it(
    ready: Ready, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = copied(filled, tmp_path / "clean")
    process = until_erasing(ready, clean)
    begun = time.monotonic()
    assert process.wait() == 0
    seconds = time.monotonic() - begun
    expected = erased(clean / "data")
    there = sorted(path.relative_to(clean) for path in clean.rglob("*") if not path.name.endswith(("-wal", "-shm")))
    untouched = sorted(left_of_her(filled / "data"))
    chance = random.Random(20)
    killed = number = 0
    # More than KILLS only where a held-up machine let most of them come too late or too early.
    while number < KILLS or (killed < 3 and number < 10 * KILLS):
        number += 1
        folder = copied(filled, tmp_path / str(number))
        process = until_erasing(ready, folder)
        timer = threading.Timer(chance.uniform(0, seconds), process.kill)
        timer.start()
        begun = time.monotonic()
        code = process.wait()
        timer.cancel()
        if code == 0:
            seconds = time.monotonic() - begun
        # Whatever command comes next opens the archive so.
        monkeypatch.chdir(folder)
        with open_archive(Place(Path("data"), None, debug=False)) as archive:
            assert archive.erasure.unfinished() == []
            assert archive.check() == []
            if not archive.erasure.forgotten([HER_ID]):
                # Killed between what it said and what it did first.
                assert sorted(left_of_her(folder / "data")) == untouched
                # A whole run that went on while its clock stood still tells too few.
                seconds *= 2
                continue
        # Of kills that count, something had begun.
        killed += code == KILLED
        assert left_of_her(folder / "data") == [], number
        assert erased(folder / "data") == expected, number
        files = {path.relative_to(folder) for path in folder.rglob("*") if not path.name.endswith(("-wal", "-shm"))}
        assert sorted(files) == there, number
    assert killed >= 3


def test_a_kill_before_the_first_line_leaves_all_or_nothing_begun(filled: Path, tmp_path: Path) -> None:
    folder = copied(filled, tmp_path / "x")
    process = started("forget", HER_NAME, "--yes", folder=folder)
    kill(process)
    done = run_here("consent", "list", "--json", folder=folder)
    assert done.returncode == 0
    state = next(row for row in json.loads(done.stdout)["members"] if row["id"] == str(HER_ID))["state"]
    assert (state == "forgotten") == (left_of_her(folder / "data") == [])
