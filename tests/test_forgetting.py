"""Taking words away everywhere: every room of the data folder, to the byte; and going on after any end."""

import gzip
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sususbot.archive.archive import Archive
from sususbot.artifacts import FILES, LINKER, MODELS, ROOMS
from sususbot.errors import ArchiveLocked, VectorStoreError
from sususbot.forgetting import Forgetting, Gone, left_by, purge, purgeable, told
from sususbot.linking.network import shipped
from sususbot.log_content import MARK
from sususbot.memory.indexing import index
from sususbot.messages import Attachment, Author, Message
from tests.archive.making import NOON, TOM, filled, message
from tests.memory.chat import WordEmbedder
from tests.memory.chroma_server import chroma_server
from tests.support.ports import own_port
from tests.support.systems import link

AT = NOON + 99
HER_ID = 348_486_555_679_065_097
HER = Author(HER_ID, "zanzibari", "Zänzi the Elder")
WORDS = [f"qx{number}zyzzyva{number * 7919 % 9973}" for number in range(60)]


def said(number: int) -> Message:
    word = WORDS[number]
    file = Attachment(number, f"{word}.png", 1, f"https://cdn.example/{word}")
    return message(number + 1, f"well {word} it is", HER, attachments=(file,) if number % 9 == 0 else ())


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path) as archive:
        filled(
            archive, *(said(number) for number in range(60)), *(message(100 + n, f"tea {n}", TOM) for n in range(60))
        )
        filled(archive, message(300, f"hi <@{HER_ID}>", TOM, mentions=(HER_ID,)), fetched_at=NOON + 1)
        index(archive, WordEmbedder())
        yield archive


def corpus(folder: Path, name: str, authors: list[int] | None, text: str = "tom: tea\n") -> Path:
    """A corpus as `build` leaves it, as far as erasing looks at it."""
    home = folder / "corpora" / name
    home.mkdir(parents=True)
    (home / "train.jsonl").write_text(text, encoding="utf-8")
    if authors is not None:
        (home / "manifest.json").write_text(
            json.dumps({"authors": {str(id_): 9.0 for id_ in authors}}), encoding="utf-8"
        )
    return home


def everything(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def assert_nothing_left(folder: Path) -> None:
    left = everything(folder)
    for text in (*WORDS, *(word[3:] for word in WORDS), HER.name, HER.display_name, "nzi the Elder", "anzibari"):
        assert text.encode() not in left, text


def test_nothing_of_the_forgotten_is_left_in_any_room(archive: Archive, tmp_path: Path) -> None:
    with_her = corpus(tmp_path, "with-her", [TOM.id, HER_ID], f"x: {WORDS[3]}\n")
    unreadable = corpus(tmp_path, "unreadable", None, "x: y\n")
    named = corpus(tmp_path, "named", [TOM.id], '{"text": "tom: hi Z\\u00e4nzi the Elder"}\n')
    without = corpus(tmp_path, "without", [TOM.id])
    begun = tmp_path / "corpora" / ".main.new"
    begun.mkdir()
    for room in ("reports", "bench/x", "runs/one/adapter", "models", "logs", "demo", "exports"):
        (tmp_path / room).mkdir(parents=True)
    (tmp_path / "reports" / "page.html").write_text(WORDS[1], encoding="utf-8")
    (tmp_path / "bench" / "x" / "archive.db").write_text(WORDS[2], encoding="utf-8")
    (tmp_path / "archive.db.tmp").write_text(WORDS[4], encoding="utf-8")
    (tmp_path / "logs" / "bot.log").write_text(f"answered {HER.display_name}: {WORDS[5]}", encoding="utf-8")
    (tmp_path / "logs" / "words.log").write_text(f"asked {MARK} {WORDS[8]}", encoding="utf-8")
    (tmp_path / "logs" / "words.log.1").write_text(f"asked {MARK} {WORDS[9]}", encoding="utf-8")
    (tmp_path / "logs" / "other.log").write_text("answered Tom, asked (9 characters)", encoding="utf-8")
    (tmp_path / "dump.jsonl").write_text(f'{{"author": "{HER_ID}", "content": "{WORDS[6]}"}}', encoding="utf-8")
    (tmp_path / "exports" / "chat.json.gz").write_bytes(gzip.compress(f'{{"id": "{HER_ID}"}}'.encode()))
    with zipfile.ZipFile(tmp_path / "exports" / "package.zip", "w") as package:
        package.writestr("account/user.json", f'{{"id": "{HER_ID}"}}')
    run = tmp_path / "runs" / "one"
    (run / "manifest.json").write_text(json.dumps({"authors": {str(HER_ID): 1, "2": 1}}), encoding="utf-8")
    (run / "adapter" / "adapter.safetensors").write_bytes(b"weights")
    (run / "samples.txt").write_text(f"{HER.name}: {WORDS[7]}", encoding="utf-8")
    (tmp_path / "models" / "base.gguf").write_bytes(b"weights")

    work = Forgetting(archive, tmp_path)
    foretold = work.about(HER_ID)
    gone = work.forget(HER_ID, at=AT)

    assert gone.messages == 60
    assert list(gone.files) == foretold
    assert set(gone.files) == {
        "reports", "bench", "corpora/.main.new", "corpora/with-her", "corpora/unreadable", "corpora/named",
        "archive.db.tmp", "logs/bot.log", "logs/words.log", "logs/words.log.1", "dump.jsonl",
        "exports/chat.json.gz", "exports/package.zip",
        "runs/one/samples.txt",
    }  # fmt: skip
    assert [path.exists() for path in (with_her, unreadable, named, begun, without)] == [False] * 4 + [True]
    kept = ("logs/other.log", "models/base.gguf", "runs/one/manifest.json", "runs/one/adapter/adapter.safetensors")
    assert all((tmp_path / name).is_file() for name in kept)
    assert_nothing_left(tmp_path)
    assert archive.erasure.unfinished() == []
    assert archive.check() == []
    assert next(told(gone)) == "60 messages lost their words"
    assert gone.steps == ["sususbot build", "sususbot analyze"]
    assert work.forget(HER_ID, at=AT + 1) == Gone()


def test_what_a_running_bot_holds_is_left_to_it(archive: Archive, tmp_path: Path) -> None:
    for name in ("bot.lock", "sessions.json"):
        (tmp_path / name).write_text(str(HER_ID), encoding="utf-8")
    assert Forgetting(archive, tmp_path).forget(HER_ID, at=AT).files == ()
    assert (tmp_path / "bot.lock").exists()
    assert (tmp_path / "sessions.json").exists()


@pytest.mark.parametrize("last", ["files", "words", "finish"])
def test_whatever_ends_it_the_next_command_goes_on(
    archive: Archive, tmp_path: Path, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus(tmp_path, "main", [HER_ID], WORDS[3])
    corpus(tmp_path, "other", [TOM.id], f"hi @{HER.display_name}")

    def end(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        target, name = {
            "files": ("sususbot.forgetting", "delete"),
            "words": (archive.erasure, "carry_out"),
            "finish": (archive.erasure, "finish"),
        }[last]
        if isinstance(target, str):
            during.setattr(f"{target}.{name}", end)
        else:
            during.setattr(target, name, end)
        with pytest.raises(KeyboardInterrupt):
            Forgetting(archive, tmp_path).forget(HER_ID, at=AT)
    # From the first moment nothing of theirs is used or taken in.
    assert archive.consents.may_learn([HER_ID]) == set()
    assert all(one.author.id != HER_ID for one in archive.window(20, limit=100))
    assert filled(archive, message(500, "late", HER)).withheld == 1
    with Archive(tmp_path) as later:
        Forgetting(later, tmp_path).resume(at=AT)
        assert later.erasure.unfinished() == []
    assert not (tmp_path / "corpora" / "main").exists()
    assert not (tmp_path / "corpora" / "other").exists()
    assert_nothing_left(tmp_path)


def test_a_full_no_takes_words_and_corpora_but_leaves_the_name(archive: Archive, tmp_path: Path) -> None:
    with_her = corpus(tmp_path, "main", [HER_ID])
    archive.consents.say(HER_ID, by="member", way="dm", at=1, learn=False, remember=False)
    gone = Forgetting(archive, tmp_path).resume(at=AT)
    assert gone == Gone(60, ("corpora/main",))
    assert not with_her.exists()
    left = everything(tmp_path)
    assert not any(word.encode() in left for word in WORDS)
    assert archive.names()[HER_ID] == {HER.name, HER.display_name}
    assert Forgetting(archive, tmp_path).resume(at=AT) == Gone()


def test_the_own_linker_goes_with_the_consent_of_anyone_who_taught_it(archive: Archive, tmp_path: Path) -> None:
    work = Forgetting(archive, tmp_path)
    linker = tmp_path / LINKER
    shipped().save(linker, teachers=np.array([TOM.id, HER_ID]))
    assert work.resume(at=AT) == Gone()
    archive.consents.say(HER_ID, by="owner", way="x", at=1, learn=False)
    gone = work.resume(at=AT)
    assert (gone, gone.steps) == (Gone(0, (LINKER,)), ["sususbot index --fit-links"])
    shipped().save(linker, teachers=np.array([TOM.id]))
    assert LINKER not in work.forget(HER_ID, at=AT).files
    assert work.about(TOM.id) == [LINKER]
    assert work.forget(TOM.id, at=AT).files == (LINKER,)
    # One of an earlier version does not say who taught it.
    shipped().save(linker)
    assert work.resume(at=AT) == Gone(0, (LINKER,))
    assert not linker.exists()


def test_a_corpus_goes_with_the_consent_of_anyone_in_it(archive: Archive, tmp_path: Path) -> None:
    work = Forgetting(archive, tmp_path)
    corpus(tmp_path, "both", [HER_ID, TOM.id])
    corpus(tmp_path, "tom", [TOM.id])
    assert work.resume(at=AT) == Gone()
    archive.consents.say(HER_ID, by="owner", way="x", at=1, learn=False)
    assert work.resume(at=AT) == Gone(0, ("corpora/both",))
    assert archive.erasure.erased() == {}
    archive.consents.set_mode("opt-in")
    assert work.resume(at=AT) == Gone(0, ("corpora/tom",))


def test_what_is_past_its_time_goes_from_what_was_made_of_it(archive: Archive, tmp_path: Path) -> None:
    corpus(tmp_path, "main", [TOM.id])
    for room in ("reports", "logs"):
        (tmp_path / room).mkdir()
    (tmp_path / "logs" / "bot.log").write_text("answered message 9", encoding="utf-8")
    (tmp_path / "logs" / "bot.log.1").write_text(f"asked {MARK} {WORDS[3]}", encoding="utf-8")
    work = Forgetting(archive, tmp_path)
    assert work.expire(NOON) == Gone()
    assert work.expire(NOON + 31_000) == Gone(30, ("corpora/main", "reports", "logs/bot.log.1"))
    left = everything(tmp_path)
    assert [word.encode() in left for word in WORDS] == [False] * 30 + [True] * 30


@pytest.mark.parametrize("room", ["archive", "files"])
def test_what_was_made_of_expired_words_goes_with_the_next_command_where_this_one_ends(
    archive: Archive, tmp_path: Path, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus(tmp_path, "main", [TOM.id])
    (tmp_path / "chroma").mkdir()

    def end(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    work = Forgetting(archive, tmp_path)
    with monkeypatch.context() as during:
        if room == "archive":
            during.setattr("sususbot.archive.database.Database.rewrite", end)
        else:
            during.setattr("sususbot.forgetting.delete", end)
        with pytest.raises(KeyboardInterrupt):
            work.expire(NOON + 31_000)
    assert work.expire(NOON + 31_000) == Gone(0, ("corpora/main", "chroma"))
    corpus(tmp_path, "main", [TOM.id])
    assert work.expire(NOON + 31_000) == Gone()


def test_what_a_running_bot_erased_goes_from_corpora_too(archive: Archive, tmp_path: Path) -> None:
    corpus(tmp_path, "main", [TOM.id])
    assert len(archive.erasure.expire(NOON + 31_000)) == 30
    assert Forgetting(archive, tmp_path).expire(NOON + 31_000) == Gone(0, ("corpora/main",))


def test_rooms_that_lie_elsewhere_lose_what_is_in_them_and_stay_where_they_are(
    archive: Archive, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for room in ("models", "corpora", "reports", "logs"):
        (elsewhere / room).mkdir()
        link(tmp_path / room, elsewhere / room, folder=True)
    (elsewhere / "models" / "base.gguf").write_bytes(b"weights")
    corpus(tmp_path, "main", [HER_ID])
    (elsewhere / "reports" / "page.html").write_text(WORDS[1], encoding="utf-8")
    (elsewhere / "logs" / "bot.log").write_text(f"answered {HER.display_name}: {WORDS[5]}", encoding="utf-8")
    link(elsewhere / "logs" / "again", elsewhere / "logs", folder=True)
    gone = Forgetting(archive, tmp_path).forget(HER_ID, at=AT)
    assert set(gone.files) == {"corpora/main", "reports", "logs/bot.log"}
    assert all((tmp_path / room).is_symlink() for room in ("models", "corpora", "reports", "logs"))
    assert [path.name for path in sorted(elsewhere.rglob("*")) if path.is_file()] == ["base.gguf"]
    assert_nothing_left(tmp_path)


# -- Chroma


def test_the_chroma_folder_goes_as_a_whole_since_it_keeps_what_it_deletes(archive: Archive, tmp_path: Path) -> None:
    pytest.importorskip("chromadb", reason="Chroma is not installed")
    from sususbot.memory.chroma_index import chroma_index

    store = chroma_index(64, str(tmp_path / "chroma"), None)
    store.synchronise(archive.vectors.load())
    her_vector = WordEmbedder().embed([f"{HER.display_name}: {said(5).rendered}"])[0]
    assert len(store) == 121
    store.close()
    gone = Forgetting(archive, tmp_path).forget(HER_ID, at=AT)
    assert gone.files == ("chroma",)
    assert her_vector.tobytes() not in everything(tmp_path)
    assert_nothing_left(tmp_path)
    again = chroma_index(64, str(tmp_path / "chroma"), None)
    again.synchronise(archive.vectors.load())
    # The mention lost its name and waits for a new vector.
    assert len(again) == 60
    again.close()


def test_a_chroma_server_finds_them_no_more(archive: Archive, tmp_path: Path) -> None:
    pytest.importorskip("chromadb", reason="Chroma is not installed")
    from sususbot.memory.chroma_index import chroma_index

    data, served = tmp_path / "data", tmp_path / "served"
    archive.close()
    data.mkdir()
    for path in tmp_path.glob("archive.db*"):
        shutil.move(path, data)
    with Archive(data) as archive, chroma_server(served, own_port()) as url:
        store = chroma_index(64, "", url)
        store.synchronise(archive.vectors.load())
        hers = [said(number).id for number in range(60)]
        query = WordEmbedder().embed(["tea"])[0]
        assert len(store.cosines(query, hers)) == 60
        Forgetting(archive, data, chroma_url=url).forget(HER_ID, at=AT)
        assert store.cosines(query, hers) == {}
        assert len(store.cosines(query, [100, 101])) == 2
        store.close()
    with Archive(data) as archive, pytest.raises(VectorStoreError, match="does not answer"):
        Forgetting(archive, data, chroma_url="http://127.0.0.1:9").forget(TOM.id, at=AT)
    with Archive(data) as archive:
        assert archive.erasure.unfinished() == [TOM.id]


# -- the end of everything


def test_purge_deletes_what_is_ours_and_nothing_else(archive: Archive, tmp_path: Path) -> None:
    archive.close()
    for room in ("corpora/a", "runs/b", "reports", "chroma", "bench", "demo", "logs", "models", "mine"):
        (tmp_path / room).mkdir(parents=True)
        (tmp_path / room / "file").write_text("x", encoding="utf-8")
    (tmp_path / "archive.db-wal").write_bytes(b"")
    (tmp_path / "x.tmp").write_text("x", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    assert purge(tmp_path) == [
        "archive.db", "archive.db-wal", "corpora", "runs", "reports", "chroma", "bench", "demo", "logs", "x.tmp"
    ]  # fmt: skip
    assert left_by(tmp_path) == ["mine/", "models/", "notes.txt"]
    assert purgeable(tmp_path) == []
    assert purge(tmp_path) == []


def test_purge_takes_every_kind_of_file_that_the_program_writes_but_bases(archive: Archive, tmp_path: Path) -> None:
    archive.close()
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "file").write_text("x", encoding="utf-8")
    for name in FILES:
        (tmp_path / name.format("8080")).write_text("x", encoding="utf-8")
    purge(tmp_path)
    assert left_by(tmp_path) == [f"{MODELS}/"]


def test_purge_touches_nothing_while_another_program_uses_the_archive(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    with pytest.raises(ArchiveLocked, match="stop the bot"):
        purge(tmp_path)
    assert (tmp_path / "reports").is_dir()
    assert archive.counts().messages == 121
    archive.close()
    assert "archive.db" in purge(tmp_path)


def test_purge_deletes_an_archive_that_is_broken(tmp_path: Path) -> None:
    (tmp_path / "archive.db").write_bytes(b"no database at all" * 100)
    assert purge(tmp_path) == ["archive.db"]
