"""Options that no other test types: each does what `--help` says (`tests/test_house.py` holds that all are typed)."""

import asyncio
import json
import os
import shutil
import sys
from html import escape
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from sususbot.archive.archive import Archive
from sususbot.evaluation import store
from tests.cli.community import write_export, write_run
from tests.support.commands import refusal, run, run_here
from tests.support.hub import stand_in_hub
from tests.support.kettle import small_exports
from tests.web.browsing import serving

FILE = "Mistral-7B-v0.3.Q4_K_M.gguf"
# By words alone: what these tests look at needs no vectors.
LIGHT = {"EMBEDDER": "minilm", "EMBEDDING_MODEL": "missing", "SUMMARIZER": "off", "VALID_SHARE": "0.15"}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system itself opens pages")


def opener(folder: Path) -> tuple[Path, Path]:
    """A program under the name that Linux opens pages by, and the pipe into which it says what it was to open."""
    program, pipe = folder / "bin" / "xdg-open", folder / "opened"
    program.parent.mkdir()
    os.mkfifo(pipe)
    program.write_text(f'#!/bin/sh\necho "$1" > "{pipe}"\n', encoding="utf-8")
    program.chmod(0o755)
    return program, pipe


async def opened(pipe: Path) -> str:
    async with asyncio.timeout(120):
        return (await asyncio.to_thread(pipe.read_text, "utf-8")).strip()


@LINUX
async def test_the_page_is_opened_in_a_browser_stale_adapters_or_not(tmp_path: Path) -> None:
    program, pipe = opener(tmp_path)
    async with serving(tmp_path, "--open", "--allow-stale", BROWSER=f"{program} %s") as served:
        leads_on = Path(url2pathname(urlsplit(await opened(pipe)).path))
        assert escape(served.link) in leads_on.read_text(encoding="utf-8")
        assert leads_on.stat().st_mode & 0o077 == 0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    assert run_here("import", *map(str, small_exports()), folder=folder).returncode == 0
    assert run_here("build", folder=folder, **LIGHT).returncode == 0
    return folder


@LINUX
async def test_a_report_on_cases_of_another_seed_is_opened(built: Path, tmp_path: Path) -> None:
    program, pipe = opener(tmp_path)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    arguments = ("eval", "--measure", "relevance", "--seed", "7", "--name", "seventh", "--open")
    waiting = asyncio.create_task(opened(pipe))
    # A process of its own: what it opens outlives it.
    done = await asyncio.to_thread(run, *arguments, folder=built, PATH=path, **LIGHT)
    assert done.returncode == 0, done.stderr
    assert Path(await waiting) == store.page_of((built / "data").resolve(), "seventh")
    assert store.load(built / "data", "seventh").seed == 7


def test_a_stale_adapter_is_measured_where_its_owner_insists(built: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(built, tmp_path / "here"))
    with Archive(folder / "data") as archive:
        someone = next(iter(archive.authors()))
    for command in (("consent", "set", str(someone), "--learn", "no"), ("build",)):
        assert run_here(*command, folder=folder, **LIGHT).returncode == 0
    adapter = write_run(folder / "data", [someone])
    how = {"BACKEND": "llamacpp", "MODEL_PATH": "no.gguf", "ADAPTER_PATH": str(adapter), **LIGHT}
    arguments = ("eval", "bot", "--measure", "relevance")
    assert "is stale" in refusal(run_here(*arguments, folder=folder, **how).stderr)
    insisted = run_here(*arguments, "--allow-stale", folder=folder, **how)
    assert "used all the same" in insisted.stderr
    assert "is stale" not in refusal(insisted.stderr)


def test_too_few_replies_to_learn_links_from_are_told(built: Path) -> None:
    done = run_here("index", "--fit-links", folder=built, **LIGHT)
    assert done.returncode == 1
    assert "replies" in refusal(done.stderr)


def test_a_model_that_came_is_written_into_the_settings(tmp_path: Path) -> None:
    with stand_in_hub() as hub:
        hub.put("QuantFactory/Mistral-7B-v0.3-GGUF", {FILE: b"GGUF" * 1000})
        done = run_here("models", "download", "mistral-7b-q4_k_m", "--use", folder=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    assert f"now in .env:  BACKEND=llamacpp  MODEL_PATH=data/models/{FILE}" in done.stderr
    settings = (tmp_path / ".env").read_text(encoding="utf-8")
    assert "BACKEND=llamacpp\n" in settings
    assert f"MODEL_PATH=data/models/{FILE}\n" in settings


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["segmentation", "--irc", "other.json"], "holds no annotated logs"),
        (["links", "--irc", "other.json"], "holds no annotated logs"),
        (["memory", "--locomo", "other.json", "--haystack", "kitchen.json"], "is no LoCoMo file"),
        (["train", "--no-trl", "--export", "other.json"], "is in none of the formats"),
    ],
)
def test_a_benchmarks_file_of_another_kind_is_told(tmp_path: Path, arguments: list[str], told: str) -> None:
    write_export(tmp_path)
    (tmp_path / "other.json").write_text("hello", encoding="utf-8")
    done = run_here("bench", *arguments, folder=tmp_path)
    assert done.returncode == 1
    assert told in refusal(done.stderr)


def test_a_short_soak_has_the_mentions_and_kills_it_was_asked_for(tmp_path: Path) -> None:
    soak = ("bench", "soak", "--mentions", "100", "--restarts", "1", "--seed", "3", "--json")
    done = run_here(*soak, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)["metrics"]
    assert (metrics["mentions"], metrics["restarts"]) == (100, 1)
    assert (metrics["answered_twice"], metrics["lost_silently"]) == (0, 0)
