"""The settings of each backend, as an owner writes them: it answers, or one sentence says what is wrong."""

import json
from pathlib import Path

import pytest

from tests.cli.community import HER_ID, HER_NAME, write_export, write_run
from tests.model.conftest import server_url as server_url
from tests.model.conftest import tiny_model as tiny_model
from tests.support import tiny_hf
from tests.support.commands import refusal, run_here
from tests.support.llama_server import KEY

QUIET = {"EMBEDDER": "static", "SUMMARIZER": "off"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("community")
    assert run_here("import", str(write_export(folder)), folder=folder).returncode == 0
    return folder


def test_transformers_answers_with_base_and_adapter(filled: Path) -> None:
    base, adapter = tiny_hf.write_base(filled / "base"), tiny_hf.write_adapter(filled / "adapter")
    settings = {"BACKEND": "transformers", "BASE_MODEL": str(base), "ADAPTER_PATH": str(adapter), **QUIET}
    limits = {"REPLY_DEADLINE": "60", "MAX_NEW_TOKENS": "12", "DRY_MULTIPLIER": "0.8", "SEED": "1"}
    done = run_here("chat", "--once", "hi", "--json", folder=filled, **settings, **limits)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["backend"] == "transformers", told
    assert told["reply"]


def test_a_server_answers(filled: Path, server_url: str) -> None:
    settings = {"BACKEND": "openai", "OPENAI_BASE_URL": f"{server_url}/v1", "OPENAI_API_KEY": KEY, **QUIET}
    done = run_here("chat", "--once", "hi", "--json", folder=filled, **settings, MAX_NEW_TOKENS="12", SEED="1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["backend"] == "openai"


@pytest.mark.parametrize("backend", ["transformers", "openai"])
def test_an_adapter_that_learned_from_who_said_no_is_refused(tmp_path: Path, backend: str) -> None:
    assert run_here("import", str(write_export(tmp_path)), folder=tmp_path).returncode == 0
    run = write_run(tmp_path / "data", [HER_ID, 102]).parent
    peft = tiny_hf.write_adapter(run / "adapter")
    settings = {
        "transformers": {"BASE_MODEL": str(tiny_hf.write_base(tmp_path / "base")), "ADAPTER_PATH": str(peft)},
        "openai": {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_ADAPTER": run.name},
    }[backend]
    assert run_here("forget", HER_NAME, "--yes", folder=tmp_path).returncode == 0
    done = run_here("chat", "--once", "hi", folder=tmp_path, BACKEND=backend, **settings, **QUIET)
    assert done.returncode == 1
    assert refusal(done.stderr) == (
        "the adapter of run first is stale: it learned from 1 member who may not be learned from any more: "
        "train it anew, or insist with --allow-stale"
    )


def test_a_gguf_adapter_is_not_for_transformers(filled: Path) -> None:
    base = tiny_hf.write_base(filled / "base")
    (filled / "adapter.gguf").write_bytes(b"GGUF")
    settings = {"BACKEND": "transformers", "BASE_MODEL": str(base), "ADAPTER_PATH": "adapter.gguf", **QUIET}
    done = run_here("chat", "--once", "hi", folder=filled, **settings)
    assert done.returncode == 1
    assert "wants ADAPTER_PATH to be the adapter's folder" in refusal(done.stderr)
