"""Which base fits which card, what the folder of models holds, and which cards a machine says it has."""

import os
from pathlib import Path

import pytest

from sususbot.model import bases
from sususbot.model.cards import Card, find_cards
from tests.support.systems import SHELL, link

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("gigabytes", "name"),
    [
        (None, "mistral-7b-q4_k_m"),
        (4, "mistral-7b-q4_k_m"),
        (8, "mistral-7b-q4_k_m"),
        (9, "mistral-7b-q5_k_m"),
        (11.8, "mistral-7b-q6_k"),
        (12.9, "mistral-7b-q8_0"),
        (143, "mistral-7b-q8_0"),
    ],
)
def test_the_default_leaves_room_for_context_and_desktop(gigabytes: float | None, name: str) -> None:
    assert bases.default_for(None if gigabytes is None else int(gigabytes * GB)).name == name


@pytest.mark.parametrize(
    ("text", "repo", "file"),
    [
        ("mistral-7b", "mistralai/Mistral-7B-v0.3", None),
        ("Q6_K", "MaziyarPanahi/Mistral-7B-v0.3-GGUF", "Mistral-7B-v0.3.Q6_K.gguf"),
        ("MISTRAL-7B-q4_k_m", "MaziyarPanahi/Mistral-7B-v0.3-GGUF", "Mistral-7B-v0.3.Q4_K_M.gguf"),
        ("tea/kettle", "tea/kettle", None),
        ("tea/kettle:", "tea/kettle", None),
        ("tea/kettle:Q4_K_M", "tea/kettle", "Q4_K_M"),
        ("https://huggingface.co/tea/kettle", "tea/kettle", None),
        ("https://huggingface.co/tea/kettle/tree/main", "tea/kettle", None),
        ("https://hf-mirror.com/tea/kettle/resolve/main/a/k.gguf?download=true", "tea/kettle", "a/k.gguf"),
        ("https://huggingface.co/tea/kettle/blob/main/k.gguf", "tea/kettle", "k.gguf"),
    ],
)
def test_a_base_is_named_in_many_ways(text: str, repo: str, file: str | None) -> None:
    repos, wanted = bases.parse(text)
    assert (repos[0], wanted) == (repo, file)


def test_known_bases_have_names_of_their_own_and_grow() -> None:
    names = [known.name for known in bases.KNOWN]
    assert len(set(names)) == len(names)
    assert [known.size for known in bases.KNOWN] == sorted(known.size for known in bases.KNOWN)


def test_bases_are_found_and_what_is_none_is_not(tmp_path: Path) -> None:
    (tmp_path / "Whole.gguf").write_bytes(b"x" * 10)
    (tmp_path / "Cut.gguf.0123456789ab.part").write_bytes(b"x" * 5)
    (tmp_path / "static-MiniLM.npz").write_bytes(b"x")
    for name in ("Base", "Begun.5e1f0c0ffee0.part", "mine"):
        (tmp_path / name).mkdir()
    (tmp_path / "Base" / "config.json").write_bytes(b"{}")
    (tmp_path / "Base" / "model.safetensors").write_bytes(b"x" * 20)
    (tmp_path / "Begun.5e1f0c0ffee0.part" / "model.safetensors.00.part").write_bytes(b"x" * 7)
    found = list(bases.on_disk(tmp_path))
    assert [(base.name, base.kind, base.size, base.whole) for base in found] == [
        ("Base", "folder", 22, True),
        ("Begun", "folder", 7, False),
        ("Cut.gguf", "gguf", 5, False),
        ("Whole.gguf", "gguf", 10, True),
    ]
    for base in found:
        bases.remove(base)
    assert {path.name for path in tmp_path.iterdir()} == {"static-MiniLM.npz", "mine"}


def test_a_folder_that_is_a_link_is_removed_without_what_it_leads_to(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.json").write_bytes(b"{}")
    models = tmp_path / "models"
    models.mkdir()
    link(models / "Base", elsewhere, folder=True)
    (base,) = bases.on_disk(models)
    bases.remove(base)
    assert not list(models.iterdir())
    assert (elsewhere / "config.json").exists()


def test_a_machine_without_models_has_none(tmp_path: Path) -> None:
    assert list(bases.on_disk(tmp_path / "none")) == []


@SHELL
@pytest.mark.parametrize(
    ("script", "cards"),
    [
        ("echo 'NVIDIA GeForce RTX 2080 Ti, 11264'", [("GeForce RTX 2080 Ti", 11264)]),
        ("echo 'NVIDIA T4, 15360'; echo 'NVIDIA A10, 23028'", [("A10", 23028), ("T4", 15360)]),
        ("echo 'NVIDIA GB10, [N/A]'", []),
        ("echo 'NVIDIA-SMI has failed'; exit 9", []),
        ("exit 0", []),
    ],
)
def test_cards_are_those_that_nvidias_tool_names(
    script: str, cards: list[tuple[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    found = find_cards()
    assert found[: len(cards)] == [Card(name, mebibytes << 20, found[0].usable) for name, mebibytes in cards]
