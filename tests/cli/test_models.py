"""`sususbot models` as its user has it: what is there, what comes, what goes, and what is refused."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.model.bases import KNOWN
from tests.support.commands import refusal, run_here
from tests.support.hub import StandInHub, stand_in_hub
from tests.support.systems import SHELL

FILE = "Mistral-7B-v0.3.Q4_K_M.gguf"
BASE = {"config.json": b"{}", "model.safetensors": b"weights"}


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with stand_in_hub() as server:
        server.put("QuantFactory/Mistral-7B-v0.3-GGUF", {FILE: b"GGUF" * 1000})
        server.put("mistralai/Mistral-7B-v0.3", BASE)
        yield server


@pytest.fixture(autouse=True)
def _no_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same machine for all tests: one without a card."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_anything_it_says_what_fits_this_machine(tmp_path: Path) -> None:
    done = run_here("models", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("in data/models:  none yet\n")
    assert "mistral-7b-q4_k_m      4.4 GB" in done.stdout
    assert done.stdout.count("<- smallest") + done.stdout.count("<- for this machine") == 1
    assert "no graphics card was found" in done.stderr
    told = json.loads(run_here("models", "--json", folder=tmp_path).stdout)
    assert (told["card"], told["default"], told["on_disk"]) == (None, "mistral-7b-q4_k_m", [])
    assert [known["name"] for known in told["known"]] == [known.name for known in KNOWN]


@SHELL
def test_the_card_decides_what_comes(hub: StandInHub, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 2080 Ti, 11264'\n", encoding="utf-8")
    tool.chmod(0o755)
    told = json.loads(run_here("models", "--json", folder=tmp_path).stdout)
    usable = told["card"].pop("usable")
    assert told["card"] == {"name": "GeForce RTX 2080 Ti", "gb": 11.0}
    assert told["default"] == "mistral-7b-q6_k"
    done = run_here("models", "download", folder=tmp_path, HF_ENDPOINT=hub.url)
    unused = "" if usable else " (which the installed llama.cpp leaves alone: docs/serving.md)"
    assert f"GeForce RTX 2080 Ti, 11 GB{unused}: taking mistral-7b-q6_k" in done.stderr
    # This hub has only the smallest.
    assert "has no file Mistral-7B-v0.3.Q6_K.gguf: choose one of Mistral-7B-v0.3.Q4_K_M.gguf" in refusal(done.stderr)


def test_the_default_comes_from_where_it_is_and_is_listed_with_what_uses_it(hub: StandInHub, tmp_path: Path) -> None:
    done = run_here("models", "download", folder=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    assert "the hub does not give MaziyarPanahi/Mistral-7B-v0.3-GGUF: taking QuantFactory" in done.stderr
    assert f"data/models/{FILE}  0.0 GB, whole and checked" in done.stdout
    assert f"next, in .env:  BACKEND=llamacpp  MODEL_PATH=data/models/{FILE}" in done.stderr
    settings = {"BACKEND": "llamacpp", "MODEL_PATH": f"data/models/{FILE}"}
    again = run_here("models", "download", "Q4_K_M", folder=tmp_path, HF_ENDPOINT=hub.url, **settings)
    assert "was there, and is what the hub has" in again.stdout
    assert "next" not in again.stderr
    shown = run_here("models", folder=tmp_path, **settings).stdout
    assert f"{FILE}        0.0 GB  for llama.cpp; used by MODEL_PATH" in shown


def test_what_came_is_used_from_then_on_where_that_is_wished(hub: StandInHub, tmp_path: Path) -> None:
    assert run_here("init", "--yes", "--contact", "@lou", folder=tmp_path).returncode == 0
    before = (tmp_path / ".env").read_text(encoding="utf-8")
    done = run_here("models", "download", "--use", folder=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    assert "now in .env:  BACKEND=llamacpp" in done.stderr
    after = (tmp_path / ".env").read_text(encoding="utf-8")
    changed = before.replace("\nBACKEND=recall\n", "\nBACKEND=llamacpp\n")
    # Without a card nothing was named before.
    assert after == changed.replace("\n#MODEL_PATH=", "\nMODEL_PATH=data/models/Mistral-7B-v0.3.Q4_K_M.gguf")
    again = run_here("init", "--yes", folder=tmp_path)
    assert again.returncode == 0
    assert (tmp_path / ".env").read_text(encoding="utf-8") == after


def test_what_came_is_told_as_json(hub: StandInHub, tmp_path: Path) -> None:
    done = run_here("models", "download", "mistral-7b", "--json", folder=tmp_path, HF_ENDPOINT=hub.url)
    told = json.loads(done.stdout)
    assert told["settings"] == {"BASE_MODEL": "data/models/Mistral-7B-v0.3"}
    assert (told["kind"], told["repo"], told["was_there"]) == ("folder", "mistralai/Mistral-7B-v0.3", False)
    assert {path.name for path in (tmp_path / told["path"]).iterdir()} == set(BASE)


def test_a_base_that_settings_or_runs_need_stays_unless_somebody_insists(hub: StandInHub, tmp_path: Path) -> None:
    for name in ("Q4_K_M", "mistral-7b"):
        run_here("models", "download", name, folder=tmp_path, HF_ENDPOINT=hub.url)
    manifest = tmp_path / "data" / "runs" / "winter" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    folder = tmp_path / "data" / "models" / "Mistral-7B-v0.3"
    manifest.write_text(json.dumps({"base": {"name": "x", "folder": str(folder.resolve())}}), encoding="utf-8")
    (manifest.parent.parent / "broken").mkdir()
    (manifest.parent.parent / "broken" / "manifest.json").write_text("{", encoding="utf-8")
    used = run_here("models", "remove", FILE, folder=tmp_path, MODEL_PATH=f"data/models/{FILE}")
    assert used.returncode == 1
    assert refusal(used.stderr) == f"{FILE} is what MODEL_PATH names: change that first, or say  --yes"
    needed = run_here("models", "remove", folder.name, folder=tmp_path)
    assert "the run winter learned on Mistral-7B-v0.3, and going on" in refusal(needed.stderr)
    assert folder.is_dir()
    assert "to train on; used by run winter" in run_here("models", folder=tmp_path).stdout
    told = run_here("models", "remove", folder.name, "--yes", "--json", folder=tmp_path)
    assert json.loads(told.stdout) == {"removed": ["Mistral-7B-v0.3"], "bytes": 9}
    assert run_here("models", "remove", FILE, folder=tmp_path).stdout == f"removed {FILE}, 0.0 GB\n"
    assert list((tmp_path / "data" / "models").iterdir()) == []


def test_what_came_so_far_is_listed_and_can_be_removed(tmp_path: Path) -> None:
    part = tmp_path / "data" / "models" / f"{FILE}.0123456789ab.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x")
    assert f"{FILE}        0.0 GB  so far: download it again to go on" in run_here("models", folder=tmp_path).stdout
    assert run_here("models", "remove", FILE, folder=tmp_path).returncode == 0
    assert not part.exists()


@pytest.mark.parametrize("name", ["nothing", "../archive.db", "", "static-all-MiniLM-L6-v2.npz"])
def test_only_bases_are_removed(name: str, tmp_path: Path) -> None:
    models = tmp_path / "data" / "models"
    models.mkdir(parents=True)
    (models / "static-all-MiniLM-L6-v2.npz").write_bytes(b"x")
    (tmp_path / "data" / "archive.db").write_bytes(b"x")
    done = run_here("models", "remove", name, folder=tmp_path)
    assert refusal(done.stderr).startswith(f"there is no base model {name}")
    assert len(list((tmp_path / "data").rglob("*"))) == 3


def test_what_settings_name_elsewhere_is_shown(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"x")
    shown = run_here("models", folder=tmp_path, MODEL_PATH="mine.gguf", ADAPTER_PATH="gone.gguf").stdout
    assert "MODEL_PATH=mine.gguf  0.0 GB" in shown
    assert "ADAPTER_PATH=gone.gguf  is not there" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("download", "kettle"), "kettle is no base that is known here: choose one of mistral-7b-q4_k_m"),
        (("download", "tea/kettle"), "the hub has no model tea/kettle"),
        (("download", "a/b/c"), "a/b/c is no name of a model on a hub"),
    ],
)
def test_wrong_names_are_told_in_a_sentence(
    hub: StandInHub, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = run_here("models", *arguments, folder=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 1
    assert refusal(done.stderr).startswith(told)


def test_without_a_network_the_sentence_names_the_setting(tmp_path: Path) -> None:
    done = run_here("models", "download", folder=tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert refusal(done.stderr).startswith("http://127.0.0.1:9 cannot be reached (")
    assert refusal(done.stderr).endswith("check the network, or HF_ENDPOINT")


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no such rights")
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(hub: StandInHub, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    done = run_here("models", "download", folder=tmp_path, HF_ENDPOINT=hub.url)
    assert "cannot be written to" in refusal(done.stderr)


def test_hub_and_token_may_stand_in_the_settings_file(hub: StandInHub, tmp_path: Path) -> None:
    hub.put("tea/kettle", {"k.gguf": b"GGUF"}, gated=True)
    hub.token = "hf_right"
    (tmp_path / ".env").write_text(f"HF_ENDPOINT={hub.url}\nHF_TOKEN=hf_right\n", encoding="utf-8")
    done = run_here("models", "download", "tea/kettle", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "models" / "k.gguf").read_bytes() == b"GGUF"
