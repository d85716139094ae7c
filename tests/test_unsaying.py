"""One message taken away everywhere; and answers written down with what follows from them."""

from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.consents import Statement
from sususbot.doctor import checks_data
from sususbot.forgetting import Forgetting, Gone
from sususbot.log_content import MARK
from sususbot.memory.indexing import index
from sususbot.memory.long_term import LongTerm
from sususbot.memory.vector_index import ExactIndex
from tests.archive.making import MIA, NOON, TOM, filled, found, message
from tests.memory.chat import WordEmbedder
from tests.test_forgetting import corpus, everything

AT = NOON + 99
ID = 1_284_455_144_334_821_703
SAID = replace(message(99, "the qxjkzyzzyva hides behind the boiler"), id=ID)
ANSWER = replace(message(100, "> the qxjkzyzzyva hides\nno way", TOM, reply_to=ID), id=ID + 1)


def ended(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path)
    filled(archive, *(message(n, f"tea number {n}", (MIA, TOM)[n % 2]) for n in range(1, 40)), SAID, ANSWER)
    return archive


def test_nothing_of_one_message_is_left_and_no_import_brings_it_back(archive: Archive, tmp_path: Path) -> None:
    with archive:
        embedder = WordEmbedder()
        index(archive, embedder)
        memory = LongTerm(archive, embedder, ExactIndex(embedder.dimensions))
        archive.lore.pin(ID, at=AT)
        with_it = corpus(tmp_path, "with-it", [MIA.id], f'{{"message_ids": [5, {ID}], "text": "{SAID.rendered}"}}\n')
        without = corpus(tmp_path, "without", [MIA.id], '{"message_ids": [5]}\n')
        for path, text in (
            ("reports/analysis.html", SAID.rendered),
            ("logs/bot.log", "turns 5"),
            ("logs/words.log", f"said {MARK} {SAID.rendered}"),
            ("dump.jsonl", f'{{"id": "{ID}", "content": "{SAID.rendered}"}}'),
        ):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        work = Forgetting(archive, tmp_path)
        named = work.repeating(ID)
        assert sorted(named) == ["corpora/with-it", "dump.jsonl", "logs/words.log", "reports"]
        gone = work.unsay(ID, at=AT)
        memory.drop_stale([ID])
        assert (gone.messages, sorted(gone.files)) == (1, sorted(named))
        assert not with_it.exists()
        assert without.is_dir()
        assert ID not in {hit.message.id for hit in memory.search("qxjkzyzzyva boiler", limit=9).hits}
        filled(archive, SAID, fetched_at=AT + 1)
        assert archive.messages([ID]) == {}
        assert found(archive, "qxjkzyzzyva") == []
        assert archive.lore.pinned() == {}
        assert archive.messages([ID + 1])[ID + 1].rendered == "> …\nno way"
        assert archive.check() == []
        memory.close()
    assert b"qxjkzyzzyva" not in everything(tmp_path)


def test_what_was_ended_between_is_finished_by_the_next_command(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it ends: before the files, before the archive, before its file is written anew."""
    with archive:
        for owner, step in ((Forgetting, "_remove"), (archive, "delete"), (archive.erasure, "scrub")):
            (tmp_path / "reports").mkdir(exist_ok=True)
            with monkeypatch.context() as during:
                during.setattr(owner, step, ended)
                with pytest.raises(KeyboardInterrupt):
                    Forgetting(archive, tmp_path).unsay(ID, at=AT)
            assert archive.erasure.unsaying() == [ID]
        assert checks_data.erased(archive, Forgetting(archive, tmp_path))[0].state == "wrong"
        (tmp_path / "reports").mkdir(exist_ok=True)
        assert Forgetting(archive, tmp_path).resume(at=AT).files == ("reports",)
        assert archive.erasure.unsaying() == []
        assert archive.messages([ID]) == {}
        assert archive.messages([ID + 1])[ID + 1].rendered == "> …\nno way"
        assert checks_data.erased(archive, Forgetting(archive, tmp_path))[0].state == "ok"
        assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()
    assert b"qxjkzyzzyva" not in everything(tmp_path)


def test_another_program_that_searches_finds_it_no_more(archive: Archive, tmp_path: Path) -> None:
    """A bot that runs has its own words and vectors in memory; what it shows it reads from the archive."""
    embedder = WordEmbedder()
    index(archive, embedder)
    with archive, Archive(tmp_path) as other:
        memory = LongTerm(other, embedder, ExactIndex(embedder.dimensions))
        assert memory.search("qxjkzyzzyva boiler", limit=1).hits[0].message.id == ID
        Forgetting(archive, tmp_path).unsay(ID, at=AT)
        hits = memory.search("qxjkzyzzyva boiler", limit=9).hits
        assert hits
        assert all(ID not in {one.id for one in hit.around} for hit in hits)
        memory.close()


def test_an_answer_takes_away_what_has_no_purpose_any_more(archive: Archive, tmp_path: Path) -> None:
    with archive:
        hers = corpus(tmp_path, "hers", [MIA.id])
        (tmp_path / "chroma").mkdir()
        work = Forgetting(archive, tmp_path)
        quiet = Statement(MIA.id, "owner", "web page", AT, quote=False)
        assert work.answer([quiet], at=AT) == (1, work.drop_reports())
        assert hers.is_dir()
        new, gone = work.answer([Statement(MIA.id, "member", "web page", AT + 1, learn=False, remember=False)], at=AT)
        assert new == 1
        assert sorted(gone.files) == ["chroma", "corpora/hers"]
        assert gone.messages == len(archive.erasure.tombstones(MIA.id))
        assert not hers.exists()
