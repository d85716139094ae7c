"""What the owner pinned: kept whatever is imported, gone with its words, preferred by search. Leafing through it."""

from pathlib import Path

from sususbot.archive.archive import Archive
from sususbot.archive.browsing import Holdings, Wanted
from sususbot.memory.indexing import index
from sususbot.memory.long_term import LongTerm
from sususbot.memory.vector_index import ExactIndex
from sususbot.messages import DISCORD_EPOCH_MS, NOTE_TYPE, Message
from sususbot.sources.dump_lines import dump_lines
from sususbot.sources.ingest import ingest
from tests.archive.making import GARDEN, KITCHEN, MIA, NOON, SUSU, TOM, filled, message, raw
from tests.memory.chat import WordEmbedder


def test_a_pin_outlives_every_import(archive: Archive) -> None:
    filled(archive, message(1, "the printer is called Gerald", pinned=True), message(2, "tea"))
    assert archive.lore.pin(1, at=5)
    assert archive.lore.pin(2, at=6)
    filled(archive, message(1, "the printer was called Gerald", edited_at=NOON + 1), fetched_at=NOON + 9)
    assert archive.lore.pinned() == {2: 6, 1: 5}
    assert archive.lore.pin(2, at=9)
    assert archive.lore.pinned([2]) == {2: 6}
    assert archive.lore.unpin(1)
    assert not archive.lore.unpin(1)
    assert archive.lore.pinned() == {2: 6}
    assert archive.check() == []


def test_a_pin_goes_with_a_dump_into_another_archive(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(1, "tea"), message(2, "rain", TOM), message(3, "moon"))
    for id_ in (3, 1, 2):
        archive.lore.pin(id_, at=id_ + 4)
    archive.consents.say(TOM.id, by="member", way="slash", at=NOON, remember=False)
    lines = list(dump_lines(archive))
    (tmp_path / "dump.jsonl").write_bytes(b"".join(lines))
    with Archive(tmp_path / "copy") as copy:
        for _ in range(2):
            assert not ingest(copy, tmp_path / "dump.jsonl").faults
            assert copy.lore.pinned() == {3: 7, 1: 5}
            assert list(dump_lines(copy)) == lines


def test_a_pin_goes_to_the_real_message_of_one_that_had_no_id(archive: Archive) -> None:
    at = DISCORD_EPOCH_MS + 1000
    made = Message(1000 << 22, KITCHEN.id, MIA, at, "tea is at four", "tea is at four")
    archive.add([made], source=archive.add_source("csv", "old.csv"), fetched_at=NOON)
    assert archive.lore.pin(made.id, at=5)
    real = Message(made.id + 7, KITCHEN.id, MIA, at, "tea is at four", "tea is at four")
    filled(archive, real)
    assert archive.lore.pinned() == {real.id: 5}


def test_a_pin_goes_with_the_words_and_waits_for_a_yes(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(1, "tea"), message(2, "rain", TOM), message(3, "moon", TOM))
    for id_ in (1, 2, 3):
        archive.lore.pin(id_, at=5)
    archive.delete([3], at=NOON)
    archive.consents.say(TOM.id, by="member", way="slash", at=NOON, remember=False)
    assert archive.lore.pinned() == {1: 5}
    assert not archive.lore.pin(2, at=6)
    archive.consents.say(TOM.id, by="member", way="slash", at=NOON + 1, remember=True)
    assert set(archive.lore.pinned()) == {1, 2}
    archive.erase(TOM.id, at=NOON + 2)
    assert raw(tmp_path, "SELECT message_id FROM lore") == [(1,)]


def test_what_is_no_memory_cannot_be_pinned(archive: Archive) -> None:
    filled(archive, message(1, "beep", SUSU), message(2, "joined", type=7), message(3, ""))
    assert [archive.lore.pin(id_, at=5) for id_ in (1, 2, 3, 99)] == [False] * 4


def test_search_prefers_what_is_pinned_and_finds_it_only_where_it_may_be_seen(archive: Archive) -> None:
    words = "tea rain moon shoe lamp bread river cloud stone glass".split()
    talk = [message(n, f"the printer {words[n % 10]} {words[n // 10 % 10]} {words[-n % 7]}") for n in range(1, 60)]
    filled(archive, *talk, message(70, "printer ink is in the shed", TOM, channel=GARDEN))
    embedder = WordEmbedder()
    index(archive, embedder)
    memory = LongTerm(archive, embedder, ExactIndex(embedder.dimensions))
    before = [hit.message.id for hit in memory.search("printer tea bread", limit=60).hits]
    chosen = before[8]
    archive.lore.pin(chosen, at=5)
    archive.lore.pin(70, at=6)
    hits = memory.search("printer tea bread", limit=60).hits
    after = [hit.message.id for hit in hits]
    assert after.index(chosen) < 8
    pinned = hits[after.index(chosen)]
    assert pinned.parts["lore"] > 0
    assert abs(pinned.score - sum(pinned.parts.values())) < 1e-6
    assert all("lore" not in hit.parts for hit in hits if hit.message.id not in (chosen, 70))
    assert 70 not in [hit.message.id for hit in memory.search("ink", limit=60, audience=frozenset([KITCHEN.id])).hits]
    archive.lore.unpin(chosen)
    archive.lore.unpin(70)
    assert [hit.message.id for hit in memory.search("printer tea bread", limit=60).hits] == before
    memory.close()


def test_pages_go_both_ways_and_miss_nothing(archive: Archive) -> None:
    said = [message(n, f"tea {n}", (MIA, TOM)[n % 2], channel=(KITCHEN, GARDEN)[n % 3 == 0]) for n in range(1, 30)]
    filled(archive, *said, message(40, "Gerald", type=NOTE_TYPE, pinned=True))
    browsing = archive.browsing
    seen: list[int] = []
    while page := browsing.page(Wanted(channel_id=KITCHEN.id), limit=4, before=seen[-1] if seen else None):
        seen += page
    kitchen = [one.id for one in said if one.channel_id == KITCHEN.id]
    assert seen == [40, *reversed(kitchen)]
    assert browsing.count(Wanted(channel_id=KITCHEN.id)) == len(seen)
    assert browsing.page(Wanted(channel_id=KITCHEN.id), limit=3, after=kitchen[4]) == kitchen[5:8][::-1]
    assert browsing.page(Wanted(author_id=TOM.id, first=NOON + 10_000, end=NOON + 14_000), limit=9) == [13, 11]
    assert browsing.page(Wanted(notes=True), limit=9) == [40]
    archive.lore.pin(7, at=5)
    assert browsing.page(Wanted(lore=True), limit=9) == [7]
    archive.consents.say(TOM.id, by="member", way="slash", at=NOON, remember=False)
    assert browsing.page(Wanted(author_id=TOM.id), limit=9) == []
    assert [row[0] for row in browsing.speakers()] == [MIA.id]
    assert sum(count for *_, count in browsing.places()) == browsing.count(Wanted())


def test_every_message_is_held_for_one_reason(archive: Archive) -> None:
    filled(
        archive,
        *(message(n, f"tea {n}") for n in (1, 2, 3)),
        *(message(n, "rain", TOM) for n in (4, 5)),
        message(6, "beep", SUSU),
        message(7, "joined", type=7),
        message(8, ""),
        message(9, "gone"),
    )
    index(archive, WordEmbedder())
    filled(archive, message(2, "tea, with milk", edited_at=NOON + 5), fetched_at=NOON + 9)
    archive.delete([9], at=NOON)
    archive.consents.say(TOM.id, by="member", way="slash", at=NOON, remember=False)
    held = archive.browsing.holdings()
    assert held == Holdings(
        messages=9, remembered=3, refused=2, members=1, bots=1, system=1, wordless=1, deleted=1, withheld=0,
        without_vector=1, without_terms=3, without_link=3, edited=1,
    )  # fmt: skip
    assert held.without_vector == archive.vectors.count_pending()
    assert archive.browsing.waiting(5) == [2]
    assert archive.browsing.older(NOON + 3500) == 3
    archive.erase(TOM.id, at=NOON)
    assert archive.browsing.holdings().withheld == 2
