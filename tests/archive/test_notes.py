"""A note is lore and no talk: found and shown like what was said, and nowhere as if it had been said in the channel."""

from pathlib import Path

from sususbot.archive.archive import Archive
from sususbot.corpus.clean import Verdict, clean
from sususbot.memory.indexing import index
from sususbot.memory.linking_pass import LivePass
from sususbot.memory.long_term import LongTerm
from sususbot.memory.own_links import network_of
from sususbot.memory.short_term import ShortTerm
from sususbot.memory.vector_index import ExactIndex
from sususbot.messages import NOTE_TYPE
from sususbot.sources.dump_lines import dump_lines
from sususbot.sources.ingest import ingest
from tests.archive.making import KITCHEN, MIA, NOON, TOM, filled, found, message
from tests.memory.chat import WordEmbedder
from tests.support.links import chains

NOTE = message(5, "the printer is called Gerald", TOM, type=NOTE_TYPE, pinned=True)
TALK = [message(number, f"talk of tea and bread {number}", (MIA, TOM)[number % 2]) for number in (3, 4, 6, 7)]


def test_a_note_is_found_and_stands_alone(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, *TALK, NOTE)
        network, linker = network_of(tmp_path)
        archive.links.use_linker(linker)
        LivePass(archive, network).link_new([one.id for one in (*TALK, NOTE)])
        embedder = WordEmbedder()
        index(archive, embedder)
        memory = LongTerm(archive, embedder, ExactIndex(embedder.dimensions))
        assert found(archive, "gerald") == [5]
        (best, *others) = memory.search("what is the printer called?", limit=5).hits
        assert (best.message, best.around) == (NOTE, (NOTE,))
        assert all(NOTE not in hit.around for hit in others)
        assert archive.around(TALK[1], reach=1) == TALK[:3]
        assert archive.links.count_pending() == 0
        assert 5 not in {id_ for id_, _, _ in chains(archive)}
        assert archive.check() == []


def test_a_note_is_no_part_of_the_talk(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, *TALK, NOTE)
        assert archive.window(KITCHEN.id, limit=9) == TALK
        assert [turn.message_id for turn in ShortTerm(archive, window=9).recent(KITCHEN.id)] == [3, 4, 6, 7]
        assert archive.ids(KITCHEN.id, 0, 99) == [3, 4, 6, 7]
        assert archive.messages([5]) == {5: NOTE}


def test_a_note_is_its_member_s(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, *TALK, NOTE)
        archive.consents.say(TOM.id, by="member", way="slash", at=NOON, remember=False)
        assert found(archive, "gerald") == []
        assert archive.around(NOTE, reach=2) == []
        assert archive.remembered([4, 5, 99]) == {4}
        archive.consents.say(TOM.id, by="member", way="slash", at=NOON + 1, remember=True)
        assert found(archive, "gerald") == [5]
        archive.erase(TOM.id, at=NOON)
        assert archive.messages([5]) == {}
        assert archive.ids_of(TOM.id) == [3, 5, 7]
        assert archive.check() == []


def test_a_note_comes_back_from_a_dump(tmp_path: Path) -> None:
    with Archive(tmp_path / "data") as archive:
        filled(archive, *TALK, NOTE)
        dump = b"".join(dump_lines(archive))
    (tmp_path / "dump.jsonl").write_bytes(dump)
    with Archive(tmp_path / "copy") as archive:
        ingest(archive, tmp_path / "dump.jsonl")
        assert archive.messages([5]) == {5: NOTE}
        assert b"".join(dump_lines(archive)) == dump


def test_what_a_program_leaves_for_the_next(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        assert archive.facts.get("paused") is None
        archive.facts.put("paused", "until tea")
        archive.facts.put("paused", "until bread")
    with Archive(tmp_path) as archive:
        assert archive.facts.get("paused") == "until bread"
        archive.facts.put("paused", None)
        assert archive.facts.get("paused") is None


def test_a_note_is_nothing_to_learn_from() -> None:
    assert [one.verdict for one in clean([NOTE])] == [Verdict.VANISHED]
