"""Whose words went into an adapter, and when it is not to be used any more."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.training.runs import Run, complaint, run_of, runs, stale
from tests.archive.making import MIA, TOM, filled, message
from tests.support.consents import agree, refuse


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path) as archive:
        filled(archive, message(1), message(2, author=TOM))
        yield archive


def run(data: Path, name: str, manifest: object | None) -> Path:
    """A run's folder with an adapter, deep down; gives the adapter."""
    adapter = data / "runs" / name / "checkpoints" / "step-10" / "adapter.safetensors"
    adapter.parent.mkdir(parents=True)
    adapter.write_bytes(b"x")
    if manifest is not None:
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        (data / "runs" / name / "manifest.json").write_text(text, encoding="utf-8")
    return adapter


def names(data: Path, archive: Archive) -> dict[str, set[int] | None]:
    return {one.name: None if gone is None else set(gone) for one, gone in stale(data, archive.consents)}


def test_a_run_is_stale_with_the_first_no_of_anyone_it_learned_from(archive: Archive, tmp_path: Path) -> None:
    run(tmp_path, "both", {"authors": {"1": 5, "2": 7.5}})
    run(tmp_path, "tom", {"authors": {"2": 7.5}})
    run(tmp_path, "nobody", {"authors": {}})
    assert names(tmp_path, archive) == {}
    archive.consents.say(MIA.id, by="owner", way="x", at=1, learn=False)
    assert names(tmp_path, archive) == {"both": {1}}
    refuse(archive, TOM)
    assert names(tmp_path, archive) == {"both": {1, 2}, "tom": {2}}
    agree(archive, TOM, MIA)
    assert names(tmp_path, archive) == {}
    archive.erase(MIA.id, at=1)
    assert names(tmp_path, archive) == {"both": {1}}
    archive.consents.set_mode("opt-in")
    assert names(tmp_path, archive) == {"both": {1}}


@pytest.mark.parametrize("manifest", ["{", "[]", {"author": {}}, {"authors": {"mia": 1}}, {"authors": 3}, None])
def test_an_adapter_that_does_not_say_whose_it_is_counts_as_stale(
    archive: Archive, tmp_path: Path, manifest: object | None
) -> None:
    adapter = run(tmp_path, "unclear", manifest)
    assert names(tmp_path, archive) == {"unclear": None}
    found = run_of(adapter, tmp_path)
    assert found is not None
    assert complaint(found, archive.consents) == (
        "the run unclear does not say whose words its adapter learned: train it anew, or insist with --allow-stale"
    )
    adapter.unlink()
    # Begun only: there is nothing to refuse.
    assert names(tmp_path, archive) == {}


def test_a_run_is_found_from_its_adapter_wherever_it_lies(archive: Archive, tmp_path: Path) -> None:
    adapter = run(tmp_path, "both", {"authors": {"1": 5, "2": 7.5}})
    found = run_of(adapter, tmp_path)
    assert found == Run(tmp_path.resolve() / "runs" / "both", frozenset({1, 2}))
    assert complaint(found, archive.consents) is None
    moved = tmp_path / "elsewhere"
    (tmp_path / "runs" / "both").rename(moved)
    refuse(archive, MIA, TOM)
    again = run_of(moved / adapter.relative_to(tmp_path / "runs" / "both"), tmp_path)
    assert again is not None
    assert "learned from 2 members" in str(complaint(again, archive.consents))
    stranger = tmp_path / "downloads" / "adapter.gguf"
    stranger.parent.mkdir()
    stranger.write_bytes(b"x")
    assert run_of(stranger, tmp_path) is None
    # Another program's manifest says nothing about whose words were learned.
    stranger.with_name("manifest.json").write_text('{"name": "web page"}', encoding="utf-8")
    assert run_of(stranger, tmp_path) is None


def test_where_nothing_was_trained(tmp_path: Path) -> None:
    assert runs(tmp_path) == []
