"""The archive as it was: the same as one that never heard what came later, and the archive itself is left alone."""

from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.feedback import Rated
from sususbot.archive.links import Found
from sususbot.archive.past import copy_until
from sususbot.errors import ArchiveError
from sususbot.memory import terms
from sususbot.memory.indexing import index
from sususbot.messages import REPLY_TYPE, Author, Channel
from tests.archive.making import GARDEN, GUILD, KITCHEN, MIA, NOON, TOM, filled, found, message, raw, snapshot
from tests.memory.chat import WordEmbedder
from tests.support.consents import refuse

EVE = Author(5, "eve", "Eve")
SHED = Channel(22, GUILD.id, "shed")
AT = NOON + 10_000
EARLIER = (
    message(1, "the kettle boils", MIA),
    message(2, "then pour the tea", TOM),
    message(8, "roses need water", TOM, channel=GARDEN),
    message(9, "a last word on tea", MIA),
)
LATER = (
    message(10, "kettle number two", TOM),
    message(11, "the shed is open", EVE, channel=SHED),
    message(12, "indeed the kettle", MIA, type=REPLY_TYPE, reply_to=1),
    message(13, "more roses", TOM, channel=GARDEN),
)
DERIVED = ("terms", "vectors", "links", "pieces", "summaries", "summary_messages", "mentions", "heard")


@pytest.fixture
def whole(archive: Archive) -> Archive:
    """All that was ever said, and what is made of it."""
    archive.add_channel(GUILD, SHED, origin="export", seen_at=NOON)
    filled(archive, *EARLIER, *LATER)
    remembered(archive)
    archive.links.use_linker("test")
    archive.links.put([Found(2, "then pour the tea", 1, 0.5), Found(12, "indeed the kettle", 1, 0.5)])
    archive.summaries.cut(KITCHEN.id, [0, 2, 10], kept=9)
    for span, text, of in zip(
        archive.summaries.spans(KITCHEN.id),
        ("tea is poured", "kettles again"),
        (((1, "the kettle boils"),), ((9, "a last word on tea"), (10, "kettle number two"))),
        strict=True,
    ):
        assert archive.summaries.put(span.id, text, "test", of)
    for id_ in (9, 12):
        archive.mentions.take(id_, KITCHEN.id)
    archive.mentions.hear(KITCHEN.id, 12)
    return archive


def remembered(archive: Archive) -> None:
    terms.read(archive)
    index(archive, WordEmbedder())


def test_it_is_the_archive_that_never_heard_what_came_later(whole: Archive, tmp_path: Path) -> None:
    with Archive(tmp_path / "never") as never:
        filled(never, *EARLIER)
        remembered(never)
        counts, words = never.counts(), found(never, "kettle", "roses", "shed")
    with copy_until(whole, tmp_path / "past", AT) as past:
        assert past.check() == []
        assert past.counts() == counts
        assert found(past, "kettle", "roses", "shed") == words == [1, 8]
    left, expected = snapshot(tmp_path / "past"), snapshot(tmp_path / "never")
    assert {**left, "author_names": []} == {**expected, "author_names": []}


def test_what_hangs_on_it_is_gone_and_the_rest_is_kept(whole: Archive, tmp_path: Path) -> None:
    copy_until(whole, tmp_path / "past", AT).close()
    rows = {table: len(raw(tmp_path / "past", f"SELECT * FROM {table}")) for table in DERIVED}
    assert rows == {
        "terms": 4,
        "vectors": 4,
        "links": 1,
        "pieces": 1,
        "summaries": 1,
        "summary_messages": 1,
        "mentions": 1,
        "heard": 0,
    }


def test_replies_that_came_later_do_not_count_yet(whole: Archive, tmp_path: Path) -> None:
    assert whole.standings.of([1])[1].engagement == 1
    with copy_until(whole, tmp_path / "past", AT) as past:
        assert past.standings.of([1])[1].engagement == 0


def test_what_the_owner_pinned_or_thought_later_is_gone(whole: Archive, tmp_path: Path) -> None:
    for id_, at in ((1, AT - 1), (2, AT)):
        assert whole.lore.pin(id_, at=at)
        whole.feedback.put(Rated(at, 1, "what boils?", "the kettle", "recall", of=(id_,)))
    with copy_until(whole, tmp_path / "past", AT) as past:
        assert past.lore.pinned() == {1: AT - 1}
        assert [rated.at for rated in past.feedback.all()] == [AT - 1]
        assert past.check() == []
    assert len(raw(tmp_path / "past", "SELECT * FROM feedback_messages")) == 1


def test_the_archive_itself_is_left_alone(whole: Archive, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    with copy_until(whole, tmp_path / "past", AT) as past:
        past.delete([1], at=NOON)
        assert 1 in whole.messages([1])
    assert snapshot(tmp_path) == before
    assert whole.check() == []


def test_who_said_no_later_is_not_in_it_either(whole: Archive, tmp_path: Path) -> None:
    refuse(whole, TOM)
    with copy_until(whole, tmp_path / "past", AT) as past:
        assert not past.consents.answers(TOM.id).learn
        assert past.remembered([1, 2, 8, 9]) == {1, 9}


def test_nothing_may_be_left_of_a_moment_before_all(whole: Archive, tmp_path: Path) -> None:
    with copy_until(whole, tmp_path / "past", NOON) as past:
        assert (past.counts().messages, past.counts().authors, past.check()) == (0, 0, [])


def test_a_folder_that_cannot_be_made_is_told(whole: Archive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ArchiveError, match="cannot be used as data folder"):
        copy_until(whole, tmp_path / "file", AT)
