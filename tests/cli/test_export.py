"""`sususbot export` as its user meets it: which run, where to, what next, and what can be wrong."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import gguf
import pytest
from huggingface_hub import constants

from sususbot.archive.archive import Archive
from sususbot.artifacts import MANIFEST, RUNS
from sususbot.training import run_folder
from sususbot.training.base import find_base
from tests.support.commands import refusal, run_here
from tests.support.consents import refuse
from tests.support.kettle import small_exports
from tests.training import tiny

# So many members of the sample community were learned from.
AUTHORS: Final = 2


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive, a base made here, a base from elsewhere, and an adapter trained on each."""
    folder = tmp_path_factory.mktemp("made")
    assert run_here("import", *map(str, small_exports()), folder=folder).returncode == 0
    runs = folder / "data" / RUNS
    tiny.base(folder / "elsewhere", seed=3)
    tiny.base(runs / "small" / "model")
    finished(runs / "small", folder, kind="base")
    for name, base in (("winter", runs / "small" / "model"), ("summer", folder / "elsewhere")):
        tiny.adapter(runs / name / "adapter", base)
        finished(runs / name, folder, kind="lora", base=find_base(str(base)).as_json())
    return folder


def finished(folder: Path, home: Path, **facts: Any) -> None:
    """What a training leaves of itself beside its weights."""
    with Archive(home / "data") as archive:
        authors = dict.fromkeys(sorted(archive.consents.may_learn(archive.authors()))[:AUTHORS], 1.0)
    run_folder.begin(folder, {**facts, "name": folder.name, "authors": authors})
    run_folder.note(folder, state="finished")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "here"))


def changed(folder: Path, name: str, **facts: Any) -> None:
    path = folder / "data" / RUNS / name / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **facts}), encoding="utf-8")


def kind(path: Path) -> str:
    return str(gguf.GGUFReader(path).fields["general.type"].contents())


def test_the_newest_finished_run_is_exported(folder: Path) -> None:
    changed(folder, "winter", changed="2031-01-01T00:00:00+00:00")
    changed(folder, "summer", changed="2032-01-01T00:00:00+00:00", state="stopped")
    done = run_here("export", folder=folder)
    assert done.returncode == 0, done.stderr
    out = Path("data") / RUNS / "winter" / "adapter.gguf"
    assert done.stdout == f"adapter in {out}: 28 tensors, 0.1 MB\n"
    assert "the newest finished run is winter" in done.stderr
    assert f"next:  set ADAPTER_PATH={out}" in done.stderr
    assert kind(folder / out) == "adapter"


def test_a_base_made_here(folder: Path) -> None:
    done = run_here("export", "small", "--quant", "q8_0", "--json", folder=folder)
    out = folder / "data" / RUNS / "small" / "model.gguf"
    assert json.loads(done.stdout) == {
        "path": str(out.relative_to(folder)),
        "kind": "base",
        "tensors": 21,
        "bytes": out.stat().st_size,
    }
    assert f"next:  set MODEL_PATH={out.relative_to(folder)}" in done.stderr
    half = out.stat().st_size
    assert run_here("export", "small", folder=folder).returncode == 0
    assert kind(out) == "model"
    assert out.stat().st_size > 1.5 * half


def test_a_merged_folder(folder: Path) -> None:
    done = run_here("export", "summer", "--merge", folder=folder)
    assert done.returncode == 0, done.stderr
    out = folder / "data" / RUNS / "summer" / "merged"
    assert (out / "model.safetensors").is_file()
    assert "base with the adapter in it in " in done.stdout
    assert "next:  serve it, e.g.  vllm serve " in done.stderr
    again = run_here("export", "summer", "--merge", folder=folder)
    assert "is there already: delete it, or choose another folder" in refusal(again.stderr)
    elsewhere = run_here("export", "summer", "--merge", "other", "--json", folder=folder)
    assert json.loads(elsewhere.stdout)["path"] == "other"
    assert f"other is outside of {Path('data')}, where no  sususbot forget  will find it" in elsewhere.stderr


def test_folders_by_their_path(folder: Path) -> None:
    for source, name in (("elsewhere", "model.gguf"), (f"data/{RUNS}/winter/adapter", "adapter.gguf")):
        assert run_here("export", source, folder=folder).returncode == 0
        assert (folder / source / name).is_file()
    done = run_here("export", "elsewhere", "--out", "there/base.gguf", folder=folder)
    assert (folder / "there" / "base.gguf").is_file()
    # Nobody of the archive is in it.
    assert "careful" not in done.stderr


def test_an_unfinished_run_gives_the_best_so_far(folder: Path) -> None:
    changed(folder, "winter", state="stopped")
    done = run_here("export", "winter", folder=folder)
    assert done.returncode == 0
    assert "the run winter is not finished: this is the best of it so far" in done.stderr


def test_a_stale_adapter_is_refused_unless_its_owner_insists(folder: Path) -> None:
    with Archive(folder / "data") as archive:
        first = min(map(int, json.loads((folder / "data" / RUNS / "winter" / MANIFEST).read_bytes())["authors"]))
        refuse(archive, first)
    for source in ("winter", "small", f"data/{RUNS}/winter/adapter"):
        assert "may not be learned from any more" in refusal(run_here("export", source, folder=folder).stderr)
    assert not list(folder.rglob("*.gguf"))
    done = run_here("export", "winter", "--allow-stale", folder=folder)
    assert done.returncode == 0
    assert "exported all the same: the adapter of run winter is stale" in done.stderr


def test_another_base_than_it_was_trained_on_is_refused(folder: Path) -> None:
    wrong = run_here("export", "winter", "--base", "elsewhere", folder=folder)
    assert "was trained on another base than what is in elsewhere now" in refusal(wrong.stderr)
    by_run = run_here("export", "winter", "--base", "small", folder=folder)
    assert by_run.returncode == 0, by_run.stderr


def test_a_base_that_moved_is_given_anew(folder: Path) -> None:
    manifest = json.loads((folder / "data" / RUNS / "summer" / MANIFEST).read_bytes())
    gone = {**manifest["base"], "folder": "/gone/base", "name": "/gone/base"}
    changed(folder, "summer", base=gone)
    said = refusal(run_here("export", "summer", folder=folder).stderr)
    assert said == "there is no base model at /gone/base (no config.json): give its folder with --base"
    assert run_here("export", "summer", "--base", "elsewhere", folder=folder).returncode == 0
    # Merging needs its weights, too.
    refused = run_here("export", "summer", "--merge", folder=folder)
    assert "there is no base model at /gone/base" in refusal(refused.stderr)


def test_a_base_on_the_hub_without_a_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder / "data" / RUNS / "winter" / "adapter", folder / "adapter")
    config = folder / "adapter" / "adapter_config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_bytes()), "base_model_name_or_path": "some/base"}), encoding="utf-8"
    )
    # What HF_HUB_OFFLINE and HF_HOME set, which the library reads once a process.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    said = refusal(run_here("export", "adapter", folder=folder).stderr)
    assert "the base model some/base is not on this machine and the hub does not give its config.json" in said
    assert "--base" in said


REFUSED: Final = {
    ("nowhere",): "nowhere is neither a run in ",
    ("winter", "--base", "nowhere"): "there is no base model at nowhere",
    (str(Path("data") / RUNS),): "is neither a run",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_is_not_there(folder: Path, arguments: tuple[str, ...]) -> None:
    assert REFUSED[arguments] in refusal(run_here("export", *arguments, folder=folder).stderr)


def test_no_run_at_all(tmp_path: Path) -> None:
    said = refusal(run_here("export", folder=tmp_path).stderr)
    assert "there is no finished run in" in said
    assert "sususbot train" in said


def test_a_run_that_was_only_begun(folder: Path) -> None:
    shutil.rmtree(folder / "data" / RUNS / "winter" / "adapter")
    said = refusal(run_here("export", "winter", folder=folder).stderr)
    assert said == "the run winter has nothing to export yet: go on with  sususbot train --resume"


@pytest.mark.parametrize(
    "arguments",
    [
        ("small", "--merge"),
        ("small", "--base", "elsewhere"),
        ("winter", "--quant", "f16"),
        ("winter", "--merge", "there", "--out", "adapter.gguf"),
        ("winter", "--quant", "q4"),
    ],
)
def test_wrong_usage(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run_here("export", *arguments, folder=folder)
    assert done.returncode == 2
    assert "Usage:" in done.stderr
