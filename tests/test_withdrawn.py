"""What was deleted or edited on Discord leaves what was made of it before: corpora, reports, a Chroma folder."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.consents import Statement
from sususbot.artifacts import CHROMA_LOCK
from sususbot.errors import ArchiveLocked
from sususbot.file_lock import hold
from sususbot.forgetting import Forgetting, Gone
from sususbot.messages import DISCORD_EPOCH_MS, Channel
from sususbot.sources.dump_lines import dump_lines
from sususbot.sources.ingest import ingest
from tests.archive.making import GARDEN, GUILD, MIA, NOON, TOM, filled, message, raw
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
    (folder / "analysis.html").write_text("x", encoding="utf-8")


def test_a_deletion_takes_along_what_holds_the_message_and_nothing_else(archive: Archive, tmp_path: Path) -> None:
    with_it, without, numbers = of(tmp_path, "with", 11, HERS.id), of(tmp_path, "without", HIS.id), tmp_path / "reports"
    report(numbers, MIA.id)
    report(numbers / "eval-a")
    report(numbers / "eval-a.examples", MIA.id)
    report(numbers / "eval-b.examples", TOM.id)
    report(numbers / "eval-c")
    (numbers / "eval-c" / "manifest.json").unlink()
    # What the program did not write is not its own to take.
    (numbers / "notes-of-owner.md").write_text("x", encoding="utf-8")
    (numbers / "plots").mkdir()
    with Archive(tmp_path) as bot:
        bot.delete([HERS.id], at=AT)
    gone = Forgetting(archive, tmp_path).resume(at=AT)
    assert sorted(gone.files) == [
        "corpora/with", "reports/analysis.html", "reports/eval-a.examples", "reports/eval-c", "reports/manifest.json",
    ]  # fmt: skip
    assert gone.steps == ["sususbot build", "sususbot eval", "sususbot analyze"]
    assert (with_it.exists(), without.exists()) == (False, True)
    assert sorted(path.name for path in numbers.iterdir()) == [
        "eval-a", "eval-b.examples", "notes-of-owner.md", "plots"
    ]  # fmt: skip
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


def test_a_report_does_not_go_for_what_was_said_after_it(archive: Archive, tmp_path: Path) -> None:
    """Its clock may be some minutes off; all day long members mend what they have just written."""
    late, soon = (
        replace(HERS, id=(now_ms() + minutes * 60_000 - DISCORD_EPOCH_MS) << 22, created_at=NOON) for minutes in (20, 5)
    )
    filled(archive, late, soon)
    report(tmp_path / "reports", MIA.id)
    archive.delete([late.id], at=AT)
    assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()
    archive.delete([soon.id], at=AT)
    assert "reports/analysis.html" in Forgetting(archive, tmp_path).resume(at=AT).files


def test_what_benchmarks_made_of_exports_stays_without_the_message(archive: Archive, tmp_path: Path) -> None:
    bench = tmp_path / "bench"
    for name in ("0123456789ab", "bench-at-work", "bench-killed"):
        with Archive(bench / name) as made:
            filled(made, HERS, HIS)
    (bench / "trl-env").mkdir()
    (bench / "broken").mkdir()
    (bench / "broken" / "archive.db").write_bytes(b"no database at all" * 100)
    (bench / "bench-killed.lock").touch()
    archive.delete([HERS.id], at=AT)
    before = sorted(path.name for path in bench.iterdir())
    with (bench / "bench-at-work.lock").open("a+b") as lock, Archive(bench / "0123456789ab") as opened:
        hold(lock)
        assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()
        assert [*opened.messages([HERS.id, HIS.id])] == [HIS.id]
    assert sorted(path.name for path in bench.iterdir()) == sorted([*before, "bench-at-work.lock"])
    left = {path.parent.name: b"boiler" in path.read_bytes() for path in bench.glob("*/archive.db")}
    assert left == {"0123456789ab": False, "bench-at-work": True, "bench-killed": False, "broken": False}
    assert archive.withdrawn.messages() == {}


def test_an_archive_of_a_newer_program_is_in_nobodys_way(archive: Archive, tmp_path: Path) -> None:
    newer = tmp_path / "bench" / "0123456789ab"
    Archive(newer).close()
    raw(newer, "PRAGMA user_version = 9999")
    archive.delete([HERS.id], at=AT)
    assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()
    # Else a report that is made from now on would go with every command.
    assert archive.withdrawn.messages() == {}
    assert newer.exists()


def test_old_tombstones_of_a_dump_are_nothing_new(archive: Archive, tmp_path: Path) -> None:
    """An archive that is restored beside its reports keeps them."""
    archive.add([HERS], source=archive.add_source("api", "bot"), fetched_at=NOON + 1)
    archive.delete([HERS.id], at=AT)
    dump = tmp_path / "dump.jsonl"
    dump.write_bytes(b"".join(dump_lines(archive)))
    with Archive(tmp_path / "restored") as restored:
        ingest(restored, dump)
        assert (restored.withdrawn.messages(), restored.withdrawn.index_due()) == ({}, None)
    with Archive(tmp_path / "other") as other:
        # Here it had words.
        filled(other, HERS, HIS)
        ingest(other, dump)
        assert other.messages([HERS.id]) == {}
        assert other.withdrawn.messages() == {HERS.id: MIA.id}


def test_only_the_words_of_a_deleted_thread_are_looked_for(archive: Archive) -> None:
    thread = Channel(30, GUILD.id, "roof", "GuildPublicThread", GARDEN.id)
    archive.add_channel(GUILD, thread, origin="api", seen_at=NOON)
    filled(archive, message(50, "in it", channel=thread), message(51, "beside it", channel=GARDEN))
    asked: list[str] = []
    archive._database._connection.set_trace_callback(asked.append)
    assert archive.withdrawn.said_in(thread.id) == [50]
    archive._database._connection.set_trace_callback(None)
    plan = [row[3] for row in archive._database.rows(f"EXPLAIN QUERY PLAN {asked[0]}")]
    assert any(step.startswith("SEARCH messages USING INDEX messages_by_channel") for step in plan), plan
    assert archive.withdrawn.said_in(GARDEN.id) == [50, 51]


def test_whoever_has_the_index_open_keeps_it(archive: Archive, tmp_path: Path) -> None:
    pytest.importorskip("chromadb", reason="Chroma is not installed")
    from sususbot.memory.chroma_index import chroma_index

    archive.delete([HERS.id], at=AT)
    web, chat = (chroma_index(8, str(tmp_path / "chroma"), None) for _ in range(2))
    web.close()
    assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()
    chat.close()
    assert Forgetting(archive, tmp_path).resume(at=AT).files == ("chroma",)


def test_a_worn_index_that_cannot_be_deleted_waits(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows a file that is open is not deleted."""
    (tmp_path / "chroma").mkdir()
    archive.delete([HERS.id], at=AT)

    def in_use(*_: object) -> None:
        raise PermissionError(13, "in use")

    with monkeypatch.context() as during:
        during.setattr(shutil, "rmtree", in_use)
        assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()
        archive.withdrawn.wear_index("now")
        with pytest.raises(ArchiveLocked):
            Forgetting(archive, tmp_path).resume(at=AT)
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
    with (tmp_path / "chroma" / CHROMA_LOCK).open("a+b") as lock:
        hold(lock, shared=True)
        assert Forgetting(archive, tmp_path).resume(at=AT).files == ("chroma",)


def test_one_message_is_forgotten_with_its_vector(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "chroma").mkdir()
    work = Forgetting(archive, tmp_path)
    assert work.repeating(HERS.id) == ["chroma"]
    assert work.unsay(HERS.id, at=AT).files == ("chroma",)
