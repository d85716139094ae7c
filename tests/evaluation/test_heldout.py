"""Exchanges: real replies from after the split, read as training and a running bot read them; nobody who said no."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.chat_format import line
from sususbot.corpus.manifest import Corpus
from sususbot.errors import NothingHeldOut
from sususbot.evaluation.ground import Exchange, Ground
from sususbot.evaluation.heldout import Opened, bare_prompt, continuation, exchanges, open_ground, prompt_of
from sususbot.memory.indexing import index
from sususbot.memory.short_term import ShortTerm
from tests.evaluation.making import LEO, SEED, corpus_of, fill, history
from tests.memory.chat import WordEmbedder
from tests.support.consents import refuse


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "data") as archive:
        fill(archive, history())
        yield archive


def chosen(archive: Archive, corpus: Corpus, *, limit: int = 40, seed: int = SEED) -> list[Exchange]:
    return exchanges(corpus, archive, limit=limit, seed=seed)


def test_prompt_and_reply_are_what_training_reads(ground: Ground) -> None:
    """To the letter: the sample's text up to the end of the reply."""
    samples = {
        turn.message_ids[0]: "".join(text for text, _ in sample.pieces(ground.persona)[: 2 * number + 3])
        for sample in ground.corpus.valid()
        for number, turn in enumerate(sample.turns)
    }
    for one in ground.exchanges:
        read = prompt_of(one, ground.persona, ground.own_name) + continuation(one.reply)
        assert read == samples[one.id]
        assert read.startswith(f"{ground.persona}\n\n")


def test_the_bare_prompt_is_the_same_with_nothing_said(ground: Ground) -> None:
    bare = bare_prompt(ground.persona, ground.own_name)
    for one in ground.exchanges[:5]:
        lines = "".join(f"{line(said)}\n" for said in one.said)
        assert prompt_of(one, ground.persona, ground.own_name) == bare.replace("\n\n", f"\n\n{lines}", 1)


def test_every_exchange_comes_after_the_split_and_answers_somebody(ground: Ground) -> None:
    split_at = ground.corpus.manifest["split_at"]
    assert len(ground.exchanges) == 60
    assert len({one.id for one in ground.exchanges}) == 60
    for one in ground.exchanges:
        assert one.at >= split_at
        assert one.reply.strip()
        assert not one.said[-1].own
        assert {turn.speaker for turn in one.said if turn.own} <= {ground.own_name}
        assert one.recent[-1].message_id == one.said[-1].message_id
        assert not one.recent[-1].own
        assert all(turn.own == (turn.author_id == one.author.id) for turn in one.recent)


def test_the_window_is_what_short_term_memory_reads(tmp_path: Path, archive: Archive) -> None:
    reading = ShortTerm(archive, window=20)
    for one in chosen(archive, corpus_of(archive, tmp_path / "corpus"))[:10]:
        asked = one.recent[-1].message_id
        assert asked is not None
        expected = reading.recent(one.channel_id, before=asked + 1)
        assert [turn.message_id for turn in one.recent] == [turn.message_id for turn in expected]
        assert [(turn.text, turn.speaker, turn.account) for turn in one.recent] == [
            (turn.text, turn.speaker, turn.account) for turn in expected
        ]


def test_memory_and_archive_end_at_the_split(ground: Ground) -> None:
    newest = max(one.created_at for one in ground.archive.history())
    assert newest < ground.corpus.manifest["split_at"]
    assert ground.archive.check() == []
    assert ground.long_term.by_meaning
    for one in ground.exchanges[:10]:
        found = ground.long_term.search(one.said[-1].text, limit=20)
        assert found.hits
        assert all(hit.message.created_at <= newest for hit in found.hits)


def test_the_same_seed_gives_the_same_another_gives_others(tmp_path: Path, archive: Archive) -> None:
    corpus = corpus_of(archive, tmp_path / "corpus")
    first = chosen(archive, corpus, limit=20)
    assert chosen(archive, corpus, limit=20) == first
    assert chosen(archive, corpus, limit=20, seed=SEED + 1) != first


def test_they_are_spread_over_time_and_channels(tmp_path: Path, archive: Archive) -> None:
    """Twelve stretches of equally many candidates: each gives one, in the order of time."""
    corpus = corpus_of(archive, tmp_path / "corpus")
    few, every = chosen(archive, corpus, limit=12), [one.id for one in chosen(archive, corpus, limit=1000)]
    stretches = [int(every.index(one.id) * 12 / len(every)) for one in few]
    assert stretches == pytest.approx(list(range(12)), abs=1)
    assert len({one.channel_id for one in few}) == 2


def test_who_said_no_since_is_in_none(tmp_path: Path, archive: Archive) -> None:
    corpus = corpus_of(archive, tmp_path / "corpus")
    before = chosen(archive, corpus, limit=500)
    refuse(archive, LEO)
    after = chosen(archive, corpus, limit=500)
    assert any(LEO.id in {turn.author_id for turn in one.said} for one in before)
    for one in after:
        assert LEO.id not in {one.author.id, *(turn.author_id for turn in (*one.said, *one.recent, *one.earlier))}
    assert len(after) < len(before)


def test_what_was_deleted_since_is_in_none(tmp_path: Path, archive: Archive) -> None:
    corpus = corpus_of(archive, tmp_path / "corpus")
    gone = chosen(archive, corpus, limit=500)[3]
    archive.delete([gone.id], at=1)
    assert gone.id not in {one.id for one in chosen(archive, corpus, limit=500)}


def test_vectors_of_another_embedder_are_not_searched(tmp_path: Path, archive: Archive) -> None:
    index(archive, WordEmbedder())
    corpus = corpus_of(archive, tmp_path / "corpus")
    for name, searched in (("words", True), ("others", False)):
        opened = Opened(WordEmbedder(name))
        with open_ground(corpus, archive, tmp_path / name, limit=20, seed=SEED, opened=opened) as ground:
            assert ground.long_term.by_meaning == searched
            assert ground.embedder is opened.embedder


def test_without_anything_held_out_the_next_step_is_told(tmp_path: Path, archive: Archive) -> None:
    corpus = corpus_of(archive, tmp_path / "corpus", valid_share=0.0)
    with pytest.raises(NothingHeldOut, match=r"set VALID_SHARE above 0 and run  sususbot build"):
        chosen(archive, corpus)
    corpus = corpus_of(archive, tmp_path / "corpus", valid_share=0.02)
    with pytest.raises(NothingHeldOut, match=r"only \d replies .* raise VALID_SHARE"):
        chosen(archive, corpus)
