"""A corpus is there whole or not at all: as it was built, whatever fails, is forgotten or stops meanwhile."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive, now_ms
from sususbot.corpus import manifest as manifests
from sususbot.corpus.build import build
from sususbot.corpus.tokens import Estimate
from sususbot.errors import CorpusChanged, CorpusEmpty, CorpusMissing, CorpusNotWritten
from sususbot.forgetting import Forgetting
from tests.corpus.talk import HOUR, LEO, MIA, NOON, RECIPE, TOM, archive_of, small_talk, talk


def test_a_corpus_is_loaded_only_as_it_was_built(tmp_path: Path) -> None:
    folder = tmp_path / "corpora" / "c"
    with archive_of(tmp_path, small_talk()) as archive:
        built = build(archive, folder, RECIPE, Estimate())
    corpus = manifests.load(folder)
    assert corpus.manifest == built.corpus.manifest
    assert len(list(corpus.train())) == corpus.manifest["files"]["train.jsonl"]["samples"]
    train = (folder / "train.jsonl").read_bytes()
    (folder / "train.jsonl").write_bytes(train.replace(b"tea", b"tee", 1))
    (folder / "valid.jsonl").unlink()
    with pytest.raises(CorpusChanged, match=r"train\.jsonl has other content; valid\.jsonl is missing"):
        manifests.load(folder)
    (folder / "train.jsonl").write_bytes(train + b"\n")
    with pytest.raises(CorpusChanged, match="bytes instead of"):
        manifests.load(folder)
    (folder / "manifest.json").write_bytes(b"{")
    with pytest.raises(CorpusChanged, match="is no manifest"):
        manifests.load(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(CorpusMissing, match="sususbot build"):
        manifests.load(folder)


def test_a_build_that_fails_leaves_the_old_corpus_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "corpora" / "c"

    class Full(Estimate):
        def count(self, texts: Sequence[str]) -> list[int]:
            if len(texts) > 1:
                raise OSError("no space left")
            return super().count(texts)

    with archive_of(tmp_path, small_talk()) as archive:
        before = build(archive, folder, RECIPE, Estimate()).corpus.manifest
        with pytest.raises(CorpusNotWritten, match="no space left"):
            build(archive, folder, RECIPE, Full())
        with pytest.raises(CorpusEmpty):
            build(archive, folder, replace(RECIPE, persona=frozenset({77})), Estimate())
        with manifests.Writer(folder) as writer:
            writer.add("train.jsonl", next(manifests.load(folder).train()))
    assert manifests.load(folder).manifest == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["c"]


def expired(archive: Archive, folder: Path) -> None:
    Forgetting(archive, folder).expire(NOON + 2)


def unsaid(archive: Archive, folder: Path) -> None:
    Forgetting(archive, folder).unsay(next(archive.history()).id, at=NOON)


def forgotten(archive: Archive, folder: Path) -> None:
    Forgetting(archive, folder).forget(LEO.id, at=NOON)


def begun(archive: Archive, _folder: Path) -> None:
    archive.erasure.begin(LEO.id, at=NOON)


def begun_before(archive: Archive, folder: Path) -> None:
    """Put on record before the build, and carried out during it."""
    Forgetting(archive, folder).resume(at=NOON)


@pytest.mark.parametrize("taken", [expired, unsaid, forgotten, begun, begun_before])
def test_a_build_during_which_something_was_forgotten_is_refused(
    tmp_path: Path, taken: Callable[[Archive, Path], None]
) -> None:
    """What it gathered before may stand in lines of others, which no manifest tells."""
    folder = tmp_path / "corpora" / "c"
    said = [*small_talk(), *talk((MIA, f"ask @{LEO.display_name}"), (TOM, "I will"), start=-HOUR)]
    with archive_of(tmp_path, said) as archive, Archive(tmp_path) as other:
        if taken is begun_before:
            archive.erasure.begin(LEO.id, at=NOON)
        with pytest.raises(CorpusNotWritten, match=r"something was forgotten meanwhile.* run  sususbot build  again"):
            build(archive, folder, RECIPE, Estimate(), lambda _done: taken(other, tmp_path))
        assert list(folder.parent.iterdir()) == []
        Forgetting(archive, tmp_path).resume(at=NOON)
        build(archive, folder, RECIPE, Estimate())


def deleted(archive: Archive, folder: Path) -> None:
    """And looked for at once by a bot, which finds no corpus that holds it."""
    archive.delete([next(archive.history()).id], at=now_ms())
    Forgetting(archive, folder).drop_withdrawn()


def deleted_long_ago(archive: Archive, folder: Path) -> None:
    """By somebody else's clock, as a dump tells of it."""
    archive.delete([next(archive.history()).id], at=NOON)
    Forgetting(archive, folder).drop_withdrawn()


def edited(archive: Archive, folder: Path) -> None:
    message = next(archive.history())
    source = archive.add_source("gateway", "live")
    archive.add([replace(message, content="no", rendered="no", edited_at=NOON)], source=source, fetched_at=now_ms())
    Forgetting(archive, folder).drop_withdrawn()


@pytest.mark.parametrize("taken_back", [deleted, deleted_long_ago, edited])
def test_a_build_of_what_was_taken_back_on_discord_meanwhile_is_refused(
    tmp_path: Path, taken_back: Callable[[Archive, Path], None]
) -> None:
    folder = tmp_path / "corpora" / "c"
    with archive_of(tmp_path, small_talk()) as archive, Archive(tmp_path) as other:
        with pytest.raises(CorpusNotWritten, match=r"deleted on Discord.* run  sususbot build  again"):
            build(archive, folder, RECIPE, Estimate(), lambda _done: taken_back(other, tmp_path))
        assert list(folder.parent.iterdir()) == []
        build(archive, folder, RECIPE, Estimate())


def void(_: object) -> None:
    """For a callback whose answer nobody wants."""


def test_a_build_goes_on_where_what_was_taken_back_is_not_in_it(tmp_path: Path) -> None:
    """Or none would ever end on a busy server."""
    folder = tmp_path / "corpora" / "c"
    with archive_of(tmp_path, small_talk()) as archive, Archive(tmp_path) as other:
        build(archive, folder, RECIPE, Estimate(), lambda _done: void(other.delete([1], at=now_ms())))
    assert manifests.load(folder).manifest["own_name"] == "susu"


def test_a_stop_between_two_renames_leaves_no_corpus_rather_than_a_mixed_one(tmp_path: Path) -> None:
    folder = tmp_path / "corpora" / "c"
    with archive_of(tmp_path, small_talk()) as archive:
        build(archive, folder, RECIPE, Estimate())
    program = (
        "import os, sys, pathlib\n"
        "from pathlib import Path\n"
        "from sususbot.archive.archive import Archive\n"
        "from sususbot.corpus.build import build\n"
        "from sususbot.corpus.recipe import Recipe\n"
        "from sususbot.corpus.tokens import Estimate\n"
        "moves = iter(range(99))\n"
        "replace = Path.replace\n"
        "def dying(path, target):\n"
        "    if next(moves) == int(sys.argv[2]):\n"
        "        os._exit(9)\n"
        "    return replace(path, target)\n"
        "Path.replace = dying\n"
        "data = Path(sys.argv[1])\n"
        "build(Archive(data), data / 'corpora' / 'c', Recipe('other', 'Other text.'), Estimate())\n"
    )
    for moves in range(3):
        done = subprocess.run([sys.executable, "-c", program, str(tmp_path), str(moves)], check=False)
        assert done.returncode == 9
        with pytest.raises(CorpusMissing):
            manifests.load(folder)
    with archive_of(tmp_path, []) as archive:
        build(archive, folder, RECIPE, Estimate())
    assert manifests.load(folder).manifest["own_name"] == "susu"
    assert [path.name for path in folder.parent.iterdir()] == ["c"]
