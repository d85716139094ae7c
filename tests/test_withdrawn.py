"""What was deleted or edited on Discord leaves what was made of it before: corpora, reports, a Chroma folder."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.consents import Statement
from sususbot.artifacts import BOT_LOCK
from sususbot.file_lock import hold
from sususbot.forgetting import Forgetting, Gone
from sususbot.messages import DISCORD_EPOCH_MS
from sususbot.sources.dump_lines import dump_lines
from sususbot.sources.ingest import ingest
from tests.archive.making import MIA, NOON, TOM, filled, message
from tests.test_forgetting import corpus

AT = NOON + 99
HERS, HIS = message(1, "the boiler hums"), message(2, "so it does", TOM)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path) as archive:
        filled(archive, HERS, HIS, message(3, "tea"))
        yield archive


def of(folder: Path, name: str, *ids: int) -> Path:
    return corpus(folder, name, [MIA.id, TOM.id], "".join(f'{{"turns":[{{"message_ids":[{id_}]}}]}}\n' for id_ in ids))


def report(folder: Path, *authors: int) -> None:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"authors": authors}), encoding="utf-8")
    (folder / "page.html").write_text("x", encoding="utf-8")


def test_a_deletion_takes_along_what_holds_the_message_and_nothing_else(archive: Archive, tmp_path: Path) -> None:
    with_it, without, numbers = of(tmp_path, "with", 11, HERS.id), of(tmp_path, "without", HIS.id), tmp_path / "reports"
    report(numbers, MIA.id)
    report(numbers / "eval-a")
    report(numbers / "eval-a.examples", MIA.id)
    report(numbers / "eval-b.examples", TOM.id)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "copy.db").write_bytes(b"x")
    with Archive(tmp_path) as bot:
        bot.delete([HERS.id], at=AT)
    gone = Forgetting(archive, tmp_path).resume(at=AT)
    assert sorted(gone.files) == [
        "bench/copy.db", "corpora/with", "reports/eval-a.examples", "reports/manifest.json", "reports/page.html",
    ]  # fmt: skip
    assert gone.steps == ["sususbot build", "sususbot eval", "sususbot analyze"]
    assert (with_it.exists(), without.exists()) == (False, True)
    assert (numbers / "eval-a" / "page.html").exists()
    assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()


def test_an_edit_counts_as_its_old_words_being_deleted(archive: Archive, tmp_path: Path) -> None:
    of(tmp_path, "with", HIS.id)
    of(tmp_path, "without", HERS.id)
    # The same words seen once more, and other names in them, are no edit.
    filled(archive, HERS, replace(HIS, rendered="so it does!"), fetched_at=NOON + 1)
    assert Forgetting(archive, tmp_path).drop_withdrawn() == Gone()
    filled(archive, replace(HIS, content="no", rendered="no", edited_at=AT), fetched_at=NOON + 2)
    assert Forgetting(archive, tmp_path).drop_withdrawn().files == ("corpora/with",)


def test_what_was_ended_between_goes_with_the_next_command(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = of(tmp_path, "with", HERS.id)
    archive.delete([HERS.id], at=AT)

    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr("sususbot.forgetting.delete", ended)
        with pytest.raises(KeyboardInterrupt):
            Forgetting(archive, tmp_path).resume(at=AT)
    assert held.exists()
    with Archive(tmp_path) as later:
        assert Forgetting(later, tmp_path).resume(at=AT).files == ("corpora/with",)


def test_what_is_older_than_a_message_is_not_even_read(archive: Archive, tmp_path: Path) -> None:
    """Most of what is deleted was said a moment ago, and a corpus is large."""
    new = replace(HERS, id=(now_ms() + 3 * 86_400_000 - DISCORD_EPOCH_MS) << 22)
    filled(archive, new)
    held = of(tmp_path, "main", new.id)
    archive.delete([new.id], at=AT)
    assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()
    archive.delete([HERS.id], at=AT)
    (held / "train.jsonl").write_text(f'{{"message_ids": [4, {HERS.id}]}}', encoding="utf-8")
    for path in held.iterdir():
        os.utime(path, (NOON / 1000, NOON / 1000))
    assert Forgetting(archive, tmp_path).resume(at=AT).files == ("corpora/main",)


def test_a_running_bot_keeps_its_index_until_it_ends(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "chroma").mkdir()
    archive.delete([HERS.id], at=AT)
    with (tmp_path / BOT_LOCK).open("a+b") as lock:
        hold(lock)
        assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()
    assert Forgetting(archive, tmp_path).resume(at=AT).files == ("chroma",)
    (tmp_path / "chroma").mkdir()
    assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()


HER_NO = Statement(MIA.id, "member", "/opt-out", AT, remember=False)


def say_here(archive: Archive, folder: Path) -> None:
    assert Forgetting(archive, folder).write_down([HER_NO]) == 1


def bring_by_dump(archive: Archive, folder: Path) -> None:
    with Archive(folder / "elsewhere") as elsewhere:
        elsewhere.consents.add([HER_NO])
        (folder / "dump.jsonl").write_bytes(b"".join(dump_lines(elsewhere)))
    assert not ingest(archive, folder / "dump.jsonl").faults


def take_silence_for_a_no(archive: Archive, _: Path) -> None:
    archive.consents.set_mode("opt-in")


@pytest.mark.parametrize("refuse", [say_here, bring_by_dump, take_silence_for_a_no])
def test_who_says_no_to_being_remembered_leaves_it_at_once_whatever_ends_the_program(
    archive: Archive, tmp_path: Path, refuse: Callable[[Archive, Path], None]
) -> None:
    (tmp_path / "chroma").mkdir()
    archive.delete([HIS.id], at=AT)
    refuse(archive, tmp_path)
    with (tmp_path / BOT_LOCK).open("a+b") as lock:
        hold(lock)
        assert Forgetting(archive, tmp_path).resume(at=AT).files == ("chroma",)


def test_one_message_is_forgotten_with_its_vector(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "chroma").mkdir()
    work = Forgetting(archive, tmp_path)
    assert work.repeating(HERS.id) == ["chroma"]
    assert work.unsay(HERS.id, at=AT).files == ("chroma",)
