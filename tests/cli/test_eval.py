"""`sususbot eval` as its user meets it: what it says and keeps, what it refuses, and when it ends with 1."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sususbot.archive.archive import Archive
from sususbot.artifacts import BENCH, MANIFEST, REPORTS, RUNS
from sususbot.cli import evaluating
from sususbot.cli.main import Place
from sususbot.evaluation import store
from sususbot.evaluation.evaluation import Example, Spoken
from tests.evaluation.reports import report_of
from tests.model.conftest import tiny_model as tiny_model
from tests.support import tiny_gguf
from tests.support.commands import refusal, run_here
from tests.support.kettle import small_exports
from tests.training import tiny

# The sample community is small: with so much kept apart there are 12 replies to measure on. By words alone: making a
# table of vectors anew for each test takes half a minute.
APART = {"VALID_SHARE": "0.15", "EMBEDDER": "minilm", "EMBEDDING_MODEL": "missing", "SUMMARIZER": "off"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    assert run_here("import", *map(str, small_exports()), folder=folder).returncode == 0
    assert run_here("build", folder=folder, **APART).returncode == 0
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "here"))


def evaluated(folder: Path, *arguments: str, **settings: str) -> Any:
    done = run_here("eval", *arguments, "--json", folder=folder, **{**APART, **settings})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_bot_without_a_model(folder: Path) -> None:
    done = run_here("eval", "--measure", "relevance", "--measure", "voice", "--name", "first", folder=folder, **APART)
    assert done.returncode == 0, done.stderr
    assert "of cases; chance is 10 %" in " ".join(done.stdout.split())
    assert "Voice: does it sound like you?" in done.stdout
    kept = store.folder_of(folder / "data", "first")
    shown = store.examples_of(folder / "data", "first")
    assert f"report:  data/{REPORTS}/{shown.name}/{store.PAGE}" in done.stderr.replace("\\", "/")
    assert (kept / store.PAGE).read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len(json.loads((shown / MANIFEST).read_bytes())["authors"]) > 3
    assert json.loads((kept / MANIFEST).read_bytes())["authors"] == []
    # The copy of the archive that it was measured over is gone.
    assert list((folder / "data" / BENCH).iterdir()) == []

    again = evaluated(folder, "--measure", "relevance", "--name", "second")
    first = json.loads((kept / store.REPORT).read_bytes())
    assert again["systems"]["bot"]["relevance"] == first["systems"]["bot"]["relevance"]
    assert again["exchanges"] == first["exchanges"]

    listed = run_here("eval", "--list", folder=folder)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["first", "second"]
    compared = run_here("eval", "--compare", "first", "second", folder=folder)
    assert "first/bot is better in nothing" in compared.stdout
    assert "too few to tell" in compared.stdout
    figures = json.loads(run_here("eval", "--compare", "first/bot", "bot", "--json", folder=folder).stdout)
    assert {one["section"] for one in figures["figures"]} == {"relevance"}


def test_an_adapter_beside_its_base_through_llama_cpp(folder: Path, tiny_model: Path) -> None:
    adapter = tiny_gguf.write_adapter(folder / "adapter.gguf")
    settings = {"BACKEND": "llamacpp", "MODEL_PATH": str(tiny_model), "ADAPTER_PATH": str(adapter)}
    done = run_here(
        "eval", "--measure", "language", "--name", "a", folder=folder, **APART, **settings, EVAL_BEATS_BASE="false"
    )
    assert done.returncode == 0, done.stderr
    report = store.load(folder / "data", "a")
    assert list(report.systems) == ["bot", "base", "recall"]
    bot, base, recall = (report.systems[name]["language"] for name in report.systems)
    assert bot.figures["bits_per_byte"].value != base.figures["bits_per_byte"].value
    assert "recall does not tell how likely a text is" in recall.notes[0]
    assert report.settings["systems"]["bot"]["adapter"].endswith("adapter.gguf")
    assert report.settings["systems"]["base"]["adapter"] is None
    # Nothing that this adapter says is of this server.
    worse, better = sorted(
        ("bot", "base"), key=lambda name: -report.systems[name]["language"].figures["bits_per_byte"].value
    )
    compared = run_here("eval", "--compare", worse, better, folder=folder)
    assert f"a/{worse} is better in nothing" in compared.stdout


def test_what_is_not_good_enough_ends_with_1_and_is_kept(folder: Path) -> None:
    done = run_here("eval", "--measure", "relevance", "--name", "bad", folder=folder, **APART, EVAL_MIN_RELEVANCE="1")
    assert done.returncode == 1
    assert "EVAL_MIN_RELEVANCE is 100.0%" in refusal(done.stderr)
    assert store.names(folder / "data") == ["bad"]


def test_a_system_that_cannot_be_measured_ends_with_1_and_the_others_are_kept(folder: Path) -> None:
    (folder / "junk.gguf").write_bytes(b"GGUF and nothing else")
    dead = {"BACKEND": "llamacpp", "MODEL_PATH": "junk.gguf"}
    arguments = ("bot", "recall", "--measure", "relevance", "--name", "dead")
    done = run_here("eval", *arguments, folder=folder, **APART, **dead, EVAL_MIN_RELEVANCE="0.01")
    assert done.returncode == 1
    assert refusal(done.stderr).startswith("bot is not whole: relevance not measured: ")
    report = store.load(folder / "data", "dead")
    assert report.systems["recall"]["relevance"].figures
    # One report that cannot be read hides no other.
    odd = store.folder_of(folder / "data", "odd")
    odd.mkdir()
    (odd / store.REPORT).write_text("{", encoding="utf-8")
    listed = run_here("eval", "--list", folder=folder)
    assert (listed.returncode, [line.split()[0] for line in listed.stdout.splitlines()]) == (0, ["dead"])
    assert "cannot be read" in listed.stderr


def test_words_that_are_taken_away_during_an_evaluation_are_not_kept(folder: Path, tmp_path: Path) -> None:
    data, said = folder / "data", Example((), Spoken("Ana", "hello"), {"bot": "hi"})
    with Archive(data) as archive:
        archive.copy_to(tmp_path / "past")
        with Archive(tmp_path / "past") as past:
            report = report_of({"bot": {}}, examples=(said,))
            evaluating.keep(Place(data, None, debug=False), report, past, archive)
            assert store.load(data, "winter").examples == (said,)
            # One message is enough: what a system said may be made of any.
            some = next(message for message in archive.history())
            archive.delete([some.id], at=1)
            evaluating.keep(Place(data, None, debug=False), report, past, archive)
            assert store.load(data, "winter").examples == ()


def test_somebody_who_says_no_during_an_evaluation_is_not_shown(folder: Path, tmp_path: Path) -> None:
    data, said = folder / "data", Example((), Spoken("Ana", "hello"), {"bot": "hi"})
    with Archive(data) as archive:
        archive.copy_to(tmp_path / "past")
        with Archive(tmp_path / "past") as past:
            author = next(iter(past.consents.may_quote(past.authors())))
            archive.consents.say(author, by="member", way="told", at=1, quote=False)
            evaluating.keep(Place(data, None, debug=False), report_of({"bot": {}}, examples=(said,)), past, archive)
    assert store.load(data, "winter").examples == ()
    assert b"hello" not in b"".join(path.read_bytes() for path in (data / REPORTS).rglob("*") if path.is_file())


def test_a_training_that_is_measured_at_its_end(folder: Path) -> None:
    tiny.base(folder / "base")
    how = {
        "TRAINING_PERMISSION_CONFIRMED": "true", "EPOCHS": "1", "TOKENS_PER_STEP": "1024", "PACK_TOKENS": "1024",
        "LEARNING_RATE": "0.003", "CONTEXT_TOKENS": "512", "MAX_NEW_TOKENS": "4", "EVAL_MIN_VOICE": "1",
        # One attack of each kind.
        "EVAL_ATTACKS": "9", "EVAL_REPLIES": "10", **APART,
    }  # fmt: skip
    done = run_here("train", "--base", "base", "--cpu", "--eval", folder=folder, **how)
    assert done.returncode == 1
    assert refusal(done.stderr).startswith("run:default is not good enough: ")
    assert "EVAL_MIN_VOICE is 100.0%" in refusal(done.stderr)
    assert (folder / "data" / RUNS / "default" / "adapter").is_dir()
    said = json.loads((folder / "data" / RUNS / "default" / MANIFEST).read_bytes())
    assert (said["measured"], said["verdict"]) == (True, "refused")
    report = store.load(folder / "data", "default")
    assert list(report.systems) == ["run:default", "base"]
    mine, its = (sections["language"].figures["bits_per_byte"].value for sections in report.systems.values())
    assert mine < its

    # What was learned of what is kept apart cannot be measured on it.
    manifest = folder / "data" / RUNS / "default" / MANIFEST
    manifest.write_text(
        json.dumps({**json.loads(manifest.read_bytes()), "learned_until": 4_000_000_000_000}), encoding="utf-8"
    )
    refused = run_here("eval", "run:default", folder=folder, **how)
    assert "learned what was said until" in refusal(refused.stderr)
    # Who said no since must not be measured either.
    author = next(iter(json.loads(manifest.read_bytes())["authors"]))
    assert run_here("consent", "set", author, "--learn", "no", folder=folder).returncode == 0
    assert run_here("build", folder=folder, **APART).returncode == 0
    assert "is stale" in refusal(run_here("eval", "run:default", folder=folder, **how).stderr)


@pytest.mark.parametrize(
    ("arguments", "settings", "next_step"),
    [
        (["parrot"], {}, "name bot, base, recall, remote or run:NAME"),
        (["base"], {}, "set BACKEND first"),
        (["run:winter"], {}, "run  sususbot train  first"),
        (["run:../winter"], {}, "run  sususbot train  first"),
        (["remote"], {}, "needs OPENAI_BASE_URL"),
        (["bot"], {"BACKEND": "llamacpp", "MODEL_PATH": "missing.gguf"}, "nothing could be measured"),
        (["--corpus", "other"], {}, "run  sususbot build"),
        (["--compare", "a", "b"], {}, "make one with  sususbot eval"),
        ([], {"BACKEND": "llamacpp"}, "needs MODEL_PATH"),
    ],
)
def test_what_can_be_wrong(built: Path, arguments: Sequence[str], settings: dict[str, str], next_step: str) -> None:
    done = run_here("eval", *arguments, folder=built, **APART, **settings)
    assert done.returncode == 1
    assert next_step in refusal(done.stderr)
    assert store.names(built / "data") == []


def test_a_corpus_that_keeps_nothing_apart(folder: Path) -> None:
    assert run_here("build", folder=folder, **{**APART, "VALID_SHARE": "0"}).returncode == 0
    assert "set VALID_SHARE above 0" in refusal(run_here("eval", folder=folder, **APART).stderr)
    allowed = {**APART, "TRAINING_PERMISSION_CONFIRMED": "true"}
    assert "leave --eval away" in refusal(run_here("train", "--eval", folder=folder, **allowed).stderr)


def test_other_chat_and_canaries_are_read_from_files(folder: Path) -> None:
    (folder / "other.txt").write_text("\n".join(f"quite another way to say {word}" for word in "abcdefgh"), "utf-8")
    (folder / "canaries").write_bytes(b"\xff\xfe\x00")
    few = run_here("eval", "--measure", "voice", "--other", "other.txt", folder=folder, **APART)
    assert "too few to tell voices apart" in refusal(few.stderr)
    assert store.names(folder / "data") == []
    exported = evaluated(folder, "--measure", "voice", "--other", str(small_exports()[0]))
    assert "attributed" in exported["systems"]["bot"]["voice"]["figures"]
    refused = run_here("eval", "--canaries", "canaries", folder=folder, **APART)
    assert "is no text in UTF-8" in refusal(refused.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--list", "bot"],
        ["--list", "--compare", "a", "b"],
        ["--compare", "a", "b", "--measure", "voice"],
        ["--name", "../x"],
        ["--name", ".x"],
        ["--corpus", "a/b"],
        ["--replies", "3"],
        ["--measure", "beauty"],
        ["--other", "missing.json"],
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    assert run_here("eval", *arguments, folder=tmp_path).returncode == 2
