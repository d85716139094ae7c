"""The data folder as it should be, and with everything in it that can be wrong."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sususbot.archive.archive import FILE_NAME, Archive, now_ms
from sususbot.doctor import checks_data
from sususbot.doctor.findings import Finding
from sususbot.env_file import checked
from sususbot.forgetting import Forgetting
from tests.cli.community import HER_ID, write_run

TOM_ID = 102


def states(findings: list[Finding]) -> list[str]:
    return [finding.state for finding in findings]


def changed(data: Path, sql: str) -> None:
    """Something done to the file behind the archive's back."""
    with closing(sqlite3.connect(data / FILE_NAME)) as connection, connection:
        connection.execute(sql)


def test_an_archive_that_is_there_and_current(data: Path) -> None:
    there, finding = checks_data.archive_file(data)
    assert (there, finding.state) == (True, "ok")
    assert not list(data.glob("*-journal"))


def test_an_archive_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    there, finding = checks_data.archive_file(tmp_path)
    assert (there, finding.state) == (False, "skipped")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sql", "state", "told"),
    [
        ("PRAGMA user_version=3", "warning", "older sususbot (schema 3"),
        ("PRAGMA user_version=999", "wrong", "newer sususbot"),
        ("PRAGMA application_id=7", "wrong", "another program"),
    ],
)
def test_an_archive_of_another_age_or_owner_is_left_as_it_is(data: Path, sql: str, state: str, told: str) -> None:
    changed(data, sql)
    there, finding = checks_data.archive_file(data)
    assert (there, finding.state) == (False, state)
    assert told in finding.sentence
    assert checks_data.archive_file(data)[1] == finding


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database, but long enough to be looked at" * 200)
    there, finding = checks_data.archive_file(tmp_path)
    assert (there, finding.state) == (False, "wrong")
    assert finding.step == "move the file away, or choose another --data"


def test_an_archive_proves_itself(data: Path, archive: Archive, tmp_path: Path) -> None:
    (finding,) = checks_data.archive_whole(archive)
    assert finding.sentence.startswith("240 messages (0 deleted) of 3 authors in 1 channel")
    changed(data, "UPDATE messages SET deleted_at = 1 WHERE id = (SELECT min(id) FROM messages)")
    found = checks_data.archive_whole(archive)
    assert states(found) == ["wrong"]
    assert "1 tombstones still hold words" in found[0].sentence
    with closing(Archive(tmp_path / "empty")) as empty:
        assert states(checks_data.archive_whole(empty)) == ["skipped"]


def test_who_was_erased_is_absent_everywhere(data: Path, archive: Archive) -> None:
    forgetting = Forgetting(archive, data)
    assert checks_data.erased(archive, forgetting)[0].sentence == "nobody was erased"
    archive.erasure.begin(HER_ID, at=now_ms())
    (finding,) = checks_data.erased(archive, forgetting)
    assert (finding.state, finding.sentence) == ("wrong", "still to be erased: 1 member")
    forgetting.forget(HER_ID, at=now_ms())
    assert checks_data.erased(archive, forgetting)[0].sentence == "of 1 erased member no word is left"
    assert states(checks_data.archive_whole(archive)) == ["ok"]
    for name in ("reports/old/manifest.json", "corpora/old/train.jsonl", "notes.txt"):
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"authors": [HER_ID]}), encoding="utf-8")
        (finding,) = checks_data.erased(archive, forgetting)
        assert finding.state == "wrong"
        assert finding.sentence.startswith(f"{name} name members who were erased")
        path.unlink()
    # A run's manifest is the record of what its adapter learned.
    write_run(data, [HER_ID])
    assert states(checks_data.erased(archive, forgetting)) == ["ok"]


def test_words_past_their_time(archive: Archive) -> None:
    settings = checked({"retention_days": "10"})
    assert checks_data.overdue(archive, checked({}), now_ms()) == []
    assert states(checks_data.overdue(archive, settings, now_ms())) == ["warning"]
    newest = max(message.created_at for message in archive.history())
    oldest = min(message.created_at for message in archive.history())
    kept = checked({"retention_days": str((newest - oldest) // 86_400_000 + 2)})
    assert checks_data.overdue(archive, kept, newest) == []


def test_consent_as_the_settings_have_it(archive: Archive) -> None:
    assert checks_data.consent(archive, checked({})).sentence == "opt-out: 3 of 3 members may be learned from"
    assert checks_data.consent(archive, checked({"consent": "opt-in"})).state == "warning"


def test_what_has_no_vector(archive: Archive, tmp_path: Path) -> None:
    import numpy as np

    assert checks_data.index(archive).sentence == "search goes by words alone: no message has a vector"
    archive.vectors.use_embedder("test")
    pending = archive.vectors.pending(1000)
    archive.vectors.put(pending[:10], np.ones((10, 4), np.float32))
    assert checks_data.index(archive).sentence == f"{len(pending) - 10} messages have no vector yet"
    archive.vectors.put(pending[10:], np.ones((len(pending) - 10, 4), np.float32))
    assert checks_data.index(archive).state == "ok"
    with closing(Archive(tmp_path / "empty")) as empty:
        assert checks_data.index(empty).state == "skipped"


def test_a_corpus_whole_changed_and_of_who_said_no(data: Path, archive: Archive) -> None:
    assert states(checks_data.corpora(data / "none", archive)) == ["skipped"]
    (finding,) = checks_data.corpora(data, archive)
    assert finding.state == "ok"
    assert "of 3 authors" in finding.sentence
    archive.consents.say(TOM_ID, by="member", way="test", at=now_ms(), learn=False)
    assert states(checks_data.corpora(data, archive)) == ["wrong"]
    assert states(checks_data.corpora(data, None)) == ["ok"]
    with (data / "corpora" / "default" / "train.jsonl").open("ab") as file:
        file.write(b"{}\n")
    (finding,) = checks_data.corpora(data, archive)
    assert "train.jsonl has" in finding.sentence
    assert finding.step == "run  sususbot build  again"


def test_trainings_whole_and_broken(data: Path) -> None:
    assert states(checks_data.trainings(data)) == ["skipped"]
    run = data / "runs" / "winter"
    run.mkdir(parents=True)
    assert "no manifest that can be read" in checks_data.trainings(data)[0].sentence
    manifest = run / "manifest.json"
    manifest.write_text('{"state": "training"}', encoding="utf-8")
    assert states(checks_data.trainings(data)) == ["ok"]
    (finding,) = checks_data.trainings(data, now=manifest.stat().st_mtime + 3600)
    assert (finding.state, finding.step) == ("warning", "sususbot train --name winter --resume")
    manifest.write_text('{"state": "finished"}', encoding="utf-8")
    assert states(checks_data.trainings(data)) == ["wrong"]
    (run / "adapter").mkdir()
    assert states(checks_data.trainings(data)) == ["ok"]


def test_adapters_of_who_said_no(data: Path, archive: Archive) -> None:
    adapter = write_run(data, [HER_ID, TOM_ID])
    assert list(checks_data.stale(data, archive, adapter)) == []
    archive.consents.say(TOM_ID, by="member", way="test", at=now_ms(), learn=False)
    (unused,) = checks_data.stale(data, archive, None)
    assert unused.state == "warning"
    (used,) = checks_data.stale(data, archive, adapter)
    assert used.state == "wrong"
    assert used.sentence.endswith("and ADAPTER_PATH is it")
