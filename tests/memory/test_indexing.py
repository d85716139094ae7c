"""Indexing: every message that may be remembered gets its vector once, however often it is interrupted."""

import numpy as np
import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.vectors import Matrix
from sususbot.memory import indexing
from sususbot.memory.indexing import index
from tests.memory.chat import EVE, MIA, ROBOT, TOM, Chat, WordEmbedder
from tests.support.consents import refuse


class Interrupted(Exception):
    """Stands for Ctrl-C."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_BATCH", 4)


def vectors(archive: Archive) -> dict[int, Matrix]:
    return {int(id_): row for ids, _, matrix in archive.vectors.load() for id_, row in zip(ids, matrix, strict=True)}


def fill(chat: Chat) -> None:
    for number in range(10):
        chat.say(MIA if number % 2 else TOM, f"line number {number}")
    chat.say(ROBOT, "beep")
    chat.say(EVE, "not me")
    chat.say(MIA, "")
    refuse(chat.archive, EVE)


def test_it_embeds_what_may_be_remembered_with_the_name_before_it(archive: Archive, chat: Chat) -> None:
    fill(chat)
    embedder = WordEmbedder()
    told: list[tuple[int, int]] = []
    assert index(archive, embedder, lambda done, everything: told.append((done, everything))) == 10
    assert embedder.embedded[:2] == ["tom: line number 0", "mia: line number 1"]
    assert told == [(4, 10), (8, 10), (10, 10)]
    assert len(vectors(archive)) == archive.vectors.count() == 10
    assert archive.vectors.embedder() == "words"
    assert archive.check() == []


def test_a_second_run_embeds_only_what_is_new(archive: Archive, chat: Chat) -> None:
    fill(chat)
    index(archive, WordEmbedder())
    new = chat.say(TOM, "one more")
    embedder = WordEmbedder()
    assert index(archive, embedder) == 1
    assert embedder.embedded == ["tom: one more"]
    assert new.id in vectors(archive)
    assert index(archive, embedder) == 0


def test_a_run_that_was_interrupted_goes_on_and_ends_like_one_that_was_not(archive: Archive, chat: Chat) -> None:
    fill(chat)
    first, second = WordEmbedder(), WordEmbedder()

    def interrupt(done: int, _: int) -> None:
        if done == 8:
            raise Interrupted

    with pytest.raises(Interrupted):
        index(archive, first, interrupt)
    assert archive.vectors.count() == 8
    assert index(archive, second) == 2
    # What was embedded while the last batch was written is embedded again.
    assert len(second.embedded) == 2
    assert len(first.embedded) <= 12
    interrupted = vectors(archive)
    archive.vectors.use_embedder("none")
    index(archive, WordEmbedder())
    whole = vectors(archive)
    assert interrupted.keys() == whole.keys()
    assert all(np.array_equal(interrupted[id_], whole[id_]) for id_ in whole)


def test_an_edit_drops_the_vector_and_it_is_made_again(archive: Archive, chat: Chat) -> None:
    fill(chat)
    edited, kept = chat.say(MIA, "the kettel sings"), chat.say(MIA, "as it was")
    index(archive, WordEmbedder())
    before = vectors(archive)
    chat.edit(edited, "the kettle sings")
    assert edited.id not in vectors(archive)
    embedder = WordEmbedder()
    assert index(archive, embedder) == 1
    assert embedder.embedded == ["mia: the kettle sings"]
    after = vectors(archive)
    assert not np.array_equal(before[edited.id], after[edited.id])
    assert np.array_equal(before[kept.id], after[kept.id])


def test_a_deletion_drops_the_vector_for_good(archive: Archive, chat: Chat) -> None:
    gone = chat.say(MIA, "my secret")
    index(archive, WordEmbedder())
    chat.delete(gone)
    assert index(archive, WordEmbedder()) == 0
    assert archive.vectors.count() == 0


def test_another_embedder_begins_anew(archive: Archive, chat: Chat) -> None:
    fill(chat)
    index(archive, WordEmbedder())
    wider = WordEmbedder("wider", 96)
    assert index(archive, wider) == 10
    assert {row.shape for row in vectors(archive).values()} == {(96,)}
    assert archive.vectors.embedder() == "wider"


def test_an_empty_archive_is_no_work(archive: Archive) -> None:
    assert index(archive, WordEmbedder()) == 0


def test_long_messages_are_written_a_few_at_a_time(
    archive: Archive, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "_CHARACTERS", 100)
    for number in range(3):
        chat.say(MIA, f"{number} " * 40)
        chat.say(TOM, f"short {number}")
    told: list[int] = []
    assert index(archive, WordEmbedder(), lambda done, _: told.append(done)) == 6
    assert told == [3, 4, 5, 6]
    assert len(vectors(archive)) == 6
