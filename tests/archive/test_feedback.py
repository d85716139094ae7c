"""Thumbs stay; the words beside them go with whatever they may hold."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.feedback import Rated, Votes
from sususbot.forgetting import Forgetting
from sususbot.sources.dump_lines import dump_lines
from sususbot.sources.ingest import ingest
from tests.archive.making import MIA, NOON, SUSU, TOM, filled, message, raw
from tests.support.consents import refuse

SAID = (message(1, "the kettle boils", MIA), message(2, "tea?", TOM), message(3, "hello", SUSU))
UP = Rated(NOON, 1, "is there tea?", "the kettle boils", "recall", sampling={"seed": 7}, of=(1, 3))
# What nothing of these members stands in.
OTHER = Rated(NOON + 1, -1, "who is up?", "nobody", "llamacpp", sampling={"temperature": 0.8, "seed": 8}, of=(2,))


@pytest.fixture
def rated(archive: Archive) -> int:
    """A thumb up for what was made of the first and the third message, and one down."""
    filled(archive, *SAID)
    id_ = archive.feedback.put(UP)
    archive.feedback.put(OTHER)
    return id_


def without_words(rated: Rated) -> Rated:
    return replace(rated, asked="", said="")


@pytest.mark.usefixtures("rated")
def test_what_was_kept_comes_back_whole(archive: Archive) -> None:
    assert archive.feedback.all() == [UP, OTHER]


@pytest.mark.usefixtures("rated")
def test_thumbs_are_counted_by_engine_and_adapter(archive: Archive) -> None:
    for adapter, rating in (("second", 1), ("second", 1), ("second", -1)):
        archive.feedback.put(replace(OTHER, adapter=adapter, rating=rating))  # type: ignore[arg-type]
    assert archive.feedback.votes() == [
        Votes("llamacpp", "second", 2, 1),
        Votes("llamacpp", "", 0, 1),
        Votes("recall", "", 1, 0),
    ]


def test_a_thumb_taken_back_leaves_nothing(archive: Archive, rated: int, tmp_path: Path) -> None:
    archive.feedback.take_back(rated)
    assert archive.feedback.all() == [OTHER]
    assert raw(tmp_path, "SELECT count(*) FROM feedback_messages") == [(1,)]


CHANGES: dict[str, Callable[[Archive], object]] = {
    "an edit": lambda archive: filled(archive, message(1, "the pot boils", edited_at=NOON + 1)),
    "a deletion": lambda archive: archive.delete([1], at=NOON),
    "the bot's own line deleted": lambda archive: archive.delete([3], at=NOON),
    "a member forgotten": lambda archive: archive.erase(MIA.id, at=NOON),
    "a no to being remembered": lambda archive: refuse(archive, MIA),
}


@pytest.mark.usefixtures("rated")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_words_go_with_what_they_were_made_of(archive: Archive, change: Callable[[Archive], object]) -> None:
    change(archive)
    assert archive.feedback.all() == [without_words(UP), OTHER]


@pytest.mark.usefixtures("rated")
def test_words_stay_when_a_message_is_only_seen_again(archive: Archive) -> None:
    filled(archive, *SAID, message(4), fetched_at=NOON + 5)
    assert archive.feedback.all() == [UP, OTHER]


@pytest.mark.usefixtures("rated")
def test_words_that_name_a_forgotten_member_go(archive: Archive) -> None:
    archive.feedback.put(replace(OTHER, at=NOON + 2, asked="where is mia?", of=()))
    archive.feedback.put(replace(OTHER, at=NOON + 3, asked="the miasma again", of=()))
    archive.erase(MIA.id, at=NOON)
    assert [one.asked for one in archive.feedback.all()] == ["", "who is up?", "", "the miasma again"]


@pytest.mark.usefixtures("rated")
def test_what_an_adapter_said_goes_with_any_member(archive: Archive) -> None:
    archive.feedback.put(replace(OTHER, at=NOON + 2, adapter="first"))
    archive.erase(MIA.id, at=NOON + 2)
    assert archive.feedback.all()[-1] == without_words(replace(OTHER, at=NOON + 2, adapter="first"))


@pytest.mark.usefixtures("rated")
def test_what_an_adapter_said_between_a_no_and_being_forgotten_goes(archive: Archive) -> None:
    archive.erasure.begin(MIA.id, at=NOON + 1, may_return=True)
    archive.erasure.carry_out(MIA.id)
    archive.feedback.put(replace(OTHER, at=NOON + 2, adapter="first"))
    archive.erase(MIA.id, at=NOON + 3)
    assert archive.feedback.all()[-1] == without_words(replace(OTHER, at=NOON + 2, adapter="first"))


@pytest.mark.usefixtures("rated")
def test_words_past_their_time_go(archive: Archive) -> None:
    archive.erasure.expire(NOON + 1)
    assert archive.feedback.all() == [without_words(UP), OTHER]


@pytest.mark.usefixtures("rated")
def test_of_messages_that_are_gone_already_no_words_are_kept(archive: Archive) -> None:
    archive.delete([1], at=NOON)
    archive.feedback.put(replace(UP, at=NOON + 9))
    archive.feedback.put(replace(UP, at=NOON + 9, of=(99,)))
    assert [one.said for one in archive.feedback.all()[-2:]] == ["", ""]


@pytest.mark.usefixtures("rated")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_thumb_for_what_was_said_before_a_change_keeps_no_words(
    archive: Archive, change: Callable[[Archive], object]
) -> None:
    change(archive)
    archive.feedback.put(replace(UP, rating=-1))
    assert archive.feedback.all()[-2:] == [without_words(replace(UP, rating=-1)), OTHER]


def test_what_was_said_before_somebody_was_erased_may_name_them(archive: Archive) -> None:
    filled(archive, *SAID)
    archive.erase(MIA.id, at=NOON)
    archive.erasure.finish([MIA.id], at=NOON + 5)
    for at in (NOON - 1, NOON + 5, NOON + 6):
        archive.feedback.put(replace(OTHER, at=at))
    assert [one.said for one in archive.feedback.all()] == ["", "", "nobody"]


def test_no_byte_of_the_forgotten_is_left(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(1, "zyzzyva", MIA))
    archive.feedback.put(Rated(NOON, 1, "what zyzzyva?", "a zyzzyva", "recall", of=(1,)))
    archive.erase(MIA.id, at=NOON)
    archive.erasure.finish([MIA.id], at=NOON)
    archive.close()
    assert b"zyzzyva" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.usefixtures("rated")
def test_thumbs_go_with_a_dump_into_another_archive(archive: Archive, tmp_path: Path) -> None:
    lines = list(dump_lines(archive))
    (tmp_path / "dump.jsonl").write_bytes(b"".join(lines))
    with Archive(tmp_path / "copy") as copy:
        for _ in range(2):
            assert not ingest(copy, tmp_path / "dump.jsonl").faults
            assert copy.feedback.all() == [UP, OTHER]
            assert list(dump_lines(copy)) == lines


@pytest.mark.usefixtures("rated")
def test_a_dump_brings_back_what_an_adapter_said_after_somebody_was_erased(archive: Archive, tmp_path: Path) -> None:
    for at in (NOON + 2, NOON + 4):
        archive.feedback.put(replace(OTHER, at=at, adapter="first"))
    archive.erase(MIA.id, at=NOON + 3)
    by_adapter = archive.feedback.all()[-2:]
    assert [one.said for one in by_adapter] == ["", "nobody"]
    (tmp_path / "dump.jsonl").write_bytes(b"".join(dump_lines(archive)))
    with Archive(tmp_path / "copy") as copy:
        assert not ingest(copy, tmp_path / "dump.jsonl").faults
        Forgetting(copy, tmp_path / "copy").resume(at=NOON + 9)
        assert copy.feedback.all()[-2:] == by_adapter


@pytest.mark.usefixtures("rated")
def test_where_somebody_was_erased_since_a_dump_brings_no_words_back(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "dump.jsonl").write_bytes(b"".join(dump_lines(archive)))
    with Archive(tmp_path / "copy") as copy:
        copy.erase(404, at=NOON + 1)
        ingest(copy, tmp_path / "dump.jsonl")
        assert copy.feedback.all() == [without_words(UP), without_words(OTHER)]


@pytest.mark.parametrize("wrong", ['"rating": 2', '"sampling": {"seed": "x"}', '"at": "noon"', '"asked": 3'])
def test_a_broken_thumb_costs_only_itself(archive: Archive, tmp_path: Path, wrong: str) -> None:
    header = '{"kind": "header", "format": "sususbot", "version": 1}\n'
    good = '{"kind": "feedback", "at": 5, "rating": 1, "engine": "recall", "sampling": {}}\n'
    bad = f'{{"kind": "feedback", "at": 6, "rating": 1, "engine": "recall", "sampling": {{}}, {wrong}}}\n'
    (tmp_path / "dump.jsonl").write_text(header + bad + good, encoding="utf-8")
    assert len(ingest(archive, tmp_path / "dump.jsonl").faults) == 1
    assert archive.feedback.all() == [Rated(5, 1, "", "", "recall")]
