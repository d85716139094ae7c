"""Imports and the forgotten: what was taken away stays away, and whom a dump names as forgotten is forgotten here."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.consents import Statement
from sususbot.forgetting import Forgetting
from sususbot.sources.dump_lines import dump_lines
from sususbot.sources.ingest import ingest
from tests.archive.making import GUILD, KITCHEN, NOON, TOM, filled, message
from tests.sources.exports import NOON_MS, imported
from tests.sources.formats import CHAT, KITCHEN_CSV, as_csv, as_export, made
from tests.support.commands import run_here
from tests.test_forgetting import HER, HER_ID, corpus, everything, said

AT = NOON_MS + 1_000_000_000
FIRST = CHAT[0]


def unsaid(archive: Archive, folder: Path) -> None:
    (row,) = [one.id for one in archive.history() if one.content == FIRST.text]
    assert row != FIRST.id
    Forgetting(archive, folder).unsay(row, at=AT)


def forgotten_and_back(archive: Archive, folder: Path) -> None:
    Forgetting(archive, folder).forget(FIRST.author, at=AT)
    archive.consents.say(FIRST.author, by="member", way="dm", at=AT + 1, remember=True)


def deleted_and_back(archive: Archive, folder: Path) -> None:
    """Gone before their no to everything, so that no yes lets it in again."""
    unsaid(archive, folder)
    no, yes = (Statement(FIRST.author, "member", "dm", AT + at, learn=at > 5, remember=at > 5) for at in (5, 6))
    for statement in (no, yes):
        Forgetting(archive, folder).answer([statement], at=AT + 5)


@pytest.mark.parametrize("taken", [unsaid, forgotten_and_back, deleted_and_back])
@pytest.mark.parametrize("again", ["export", "csv"])
def test_a_row_without_id_that_was_taken_away_comes_back_in_no_form(
    tmp_path: Path, taken: Callable[[Archive, Path], None], again: str
) -> None:
    """Neither under the id that an export knows it by, nor under another that is made of what it was edited to."""
    data = tmp_path / "data"
    imported(data, made(tmp_path, as_csv(list(CHAT)), KITCHEN_CSV))
    with Archive(data) as archive:
        taken(archive, data)
    if again == "csv":
        path = made(tmp_path, as_csv([replace(FIRST, text="who has the old kettle"), *CHAT[1:]]), KITCHEN_CSV)
    else:
        path = made(tmp_path, as_export(list(CHAT)), "kitchen.json")
    for _ in range(2):
        imported(data, path)
    assert re.search(rb"the (?:old )?kettle", everything(data)) is None
    with Archive(data) as archive:
        assert {one.content for one in archive.history()} >= {one.text for one in CHAT if one.author != FIRST.author}
        if again == "export":
            assert archive.erasure.tombstones(FIRST.author)[0] == FIRST.id
        dump = made(tmp_path, b"".join(dump_lines(archive)), "dump.jsonl")
    imported(tmp_path / "copy", dump, path)
    assert re.search(rb"the (?:old )?kettle", everything(tmp_path / "copy")) is None


def test_a_row_that_is_being_taken_away_is_so_under_its_real_id_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wish is on record, and something was in the way of it: the import comes before the next try."""
    data = tmp_path / "data"
    imported(data, made(tmp_path, as_csv(list(CHAT)), KITCHEN_CSV))

    def ended(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with Archive(data) as archive:
        with monkeypatch.context() as during:
            during.setattr(archive, "delete", ended)
            with pytest.raises(KeyboardInterrupt):
                unsaid(archive, data)
        ingest(archive, made(tmp_path, as_export(list(CHAT)), "kitchen.json"))
        Forgetting(archive, data).resume(at=AT)
        assert archive.erasure.unsaying() == []
        assert archive.messages([FIRST.id]) == {}
    assert b"the kettle" not in everything(data)


def test_a_yes_after_a_no_to_everything_lets_rows_without_ids_come_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    imported(data, made(tmp_path, as_csv(list(CHAT)), KITCHEN_CSV))
    with Archive(data) as archive:
        for at in (5, 6):
            told = Statement(FIRST.author, "member", "dm", AT + at, learn=at > 5, remember=at > 5)
            Forgetting(archive, data).answer([told], at=AT + 5)
            ingest(archive, made(tmp_path, as_export(list(CHAT)), "kitchen.json"))
        assert archive.messages([FIRST.id])[FIRST.id].content == FIRST.text


# -- whom a dump names as forgotten


def dump_without_her(folder: Path) -> Path:
    """The archive of another machine, on which she is forgotten."""
    with Archive(folder / "other") as archive:
        filled(archive, said(1), message(100, "tea", TOM))
        archive.erase(HER_ID, at=NOON + 9)
        return made(folder, b"".join(dump_lines(archive)), "dump.jsonl")


def with_her(folder: Path) -> Path:
    """A data folder in which she speaks, and in which a corpus and notes know her by name."""
    data = folder / "data"
    with Archive(data) as archive:
        filled(archive, said(1), message(100, "tea", TOM), message(101, f"@{HER.display_name} tea?", TOM))
    corpus(data, "main", [TOM.id], f"tom: hi @{HER.display_name}\n")
    (data / "notes.txt").write_text(f"{HER.name} likes tea", encoding="utf-8")
    return data


def assert_forgotten(data: Path) -> None:
    left = everything(data)
    for name in (HER.name, HER.display_name, "nzi the Elder", "anzibari"):
        assert name.encode() not in left, name
    with Archive(data) as archive:
        assert archive.erasure.forgotten([HER_ID]).keys() == {HER_ID}
        assert archive.erasure.unfinished() == []
        assert archive.check() == []


def test_whom_a_dump_names_as_forgotten_goes_from_files_that_know_her_by_name(tmp_path: Path) -> None:
    data = with_her(tmp_path)
    done = run_here("import", str(dump_without_her(tmp_path)), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "deleted: corpora/main, notes.txt" in done.stderr
    assert_forgotten(data)
    # Once is enough: what is made again is left alone by the same dump.
    corpus(data, "main", [TOM.id])
    assert "deleted" not in run_here("import", str(tmp_path / "dump.jsonl"), folder=tmp_path).stderr


def test_an_import_that_is_ended_after_it_leads_there_with_the_next_command(tmp_path: Path) -> None:
    data, dump = with_her(tmp_path), dump_without_her(tmp_path)

    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    with Archive(data) as archive:
        with pytest.raises(KeyboardInterrupt):
            ingest(archive, dump, ended)
        assert archive.erasure.unfinished() == [HER_ID]
    assert "deleted: corpora/main, notes.txt" in run_here("consent", "list", folder=tmp_path).stderr
    assert_forgotten(data)


def test_who_said_no_to_everything_here_is_forgotten_where_a_dump_says_so(tmp_path: Path) -> None:
    data, dump = with_her(tmp_path), dump_without_her(tmp_path)
    with Archive(data) as archive:
        no = Statement(HER_ID, "member", "dm", NOON + 5, learn=False, remember=False)
        Forgetting(archive, data).answer([no], at=NOON + 5)
        assert archive.names()[HER_ID] == {HER.name, HER.display_name}
    assert run_here("import", str(dump), folder=tmp_path).returncode == 0
    assert_forgotten(data)


def test_who_is_forgotten_here_stays_so_whatever_a_dump_says(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Archive(tmp_path / "other") as archive:
        archive.add_channel(GUILD, KITCHEN, origin="export", seen_at=1)
        archive.erasure.begin(HER_ID, at=NOON, may_return=True)
        dump = made(tmp_path, b"".join(dump_lines(archive)), "dump.jsonl")
    with Archive(data) as archive:
        Forgetting(archive, data).forget(HER_ID, at=NOON)
        ingest(archive, dump)
        assert archive.erasure.forgotten([HER_ID]) == {HER_ID: NOON}
        assert archive.erasure.unfinished() == []
