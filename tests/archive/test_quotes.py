"""A no to one purpose: what others quote of a member is read without their words for it, and with them after a yes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.feedback import Rated
from sususbot.archive.links import Found
from sususbot.archive.terms import Read, Unread
from sususbot.archive.vectors import Pending
from sususbot.messages import Message
from tests.archive.making import KITCHEN, MIA, NOON, OTHER_BOT, SUSU, TOM, filled, message, raw

HERS = "the samovar whistles"
SAID = (
    message(1, HERS, MIA),
    message(2, f"> {HERS}\nso it does", TOM, reply_to=1),
    message(3, f"as you said:\n>>> {HERS}", TOM, mentions=(MIA.id,)),
    message(4, "> mine\nand mine alone", TOM),
    message(5, "whistling -> tea", TOM, reply_to=1),
    message(6, "beep", OTHER_BOT),
    message(7, "> beep\nindeed", TOM, reply_to=6, mentions=(SUSU.id,)),
)
WHOLE = {one.id: one.rendered for one in SAID if one.author == TOM}
WITHOUT = WHOLE | {2: "> …\nso it does", 3: "as you said:\n> …"}
QUOTING = [2, 3]


@pytest.fixture(autouse=True)
def talk(archive: Archive) -> None:
    filled(archive, *SAID)
    archive.add([message(8, "hi", SUSU)], source=archive.add_source("gateway", "bot"), fetched_at=NOON)


def answer(archive: Archive, at: int = 1, **answers: bool) -> None:
    archive.consents.say(MIA.id, by="member", way="dm", at=at, **answers)


def toms(messages: list[Message]) -> dict[int, str]:
    assert all(one.rendered == one.content for one in messages)
    return {one.id: one.rendered for one in messages if one.author == TOM}


def remembered(archive: Archive) -> list[dict[int, str]]:
    """Tom's words by every way to read what may be remembered."""
    ids = list(WHOLE)
    return [
        toms(archive.window(KITCHEN.id, limit=99, own_id=SUSU.id)),
        toms(list(archive.messages(ids).values())),
        toms(archive.around(archive.messages([4])[4], reach=99)),
        {one.id: one.text for one in archive.vectors.pending(99, ids)},
        {one.id: one.text for one in archive.terms.pending(99, ids)},
        {one.id: one.text for one in archive.links.pending(99, ids)},
    ]


def learnable(archive: Archive) -> dict[int, str]:
    return toms(list(archive.history()))


def quotable(archive: Archive) -> dict[int, str]:
    return archive.consents.quotable(WHOLE)


def test_who_said_nothing_is_quoted_as_they_are(archive: Archive) -> None:
    assert remembered(archive) == [WHOLE] * 6
    assert learnable(archive) == quotable(archive) == WHOLE


def test_a_no_to_being_remembered_takes_the_quotes_from_every_reader_and_a_yes_gives_them_back(
    archive: Archive, tmp_path: Path
) -> None:
    answer(archive, remember=False)
    assert remembered(archive) == [WITHOUT] * 6
    assert quotable(archive) == WITHOUT
    assert learnable(archive) == WHOLE
    assert raw(tmp_path, "SELECT rendered FROM messages WHERE id = 2") == [(WHOLE[2],)]
    answer(archive, at=2, remember=True)
    assert remembered(archive) == [WHOLE] * 6
    assert quotable(archive) == WHOLE


def test_a_no_to_being_quoted_or_learned_from_holds_for_that_alone(archive: Archive) -> None:
    answer(archive, quote=False)
    assert quotable(archive) == WITHOUT
    assert remembered(archive) == [WHOLE] * 6
    assert learnable(archive) == WHOLE
    answer(archive, at=2, quote=True, learn=False)
    assert quotable(archive) == WHOLE
    assert learnable(archive) == WITHOUT


def test_silence_is_a_no_where_it_says_so_but_a_bot_refuses_nothing(archive: Archive) -> None:
    archive.consents.set_mode("opt-in")
    archive.consents.say(TOM.id, by="member", way="dm", at=1, learn=True, remember=True, quote=True)
    assert remembered(archive) == [WITHOUT] * 6
    assert learnable(archive) == quotable(archive) == WITHOUT
    answer(archive, learn=True, remember=True, quote=True)
    assert remembered(archive) == [WHOLE] * 6
    assert learnable(archive) == quotable(archive) == WHOLE


def test_a_line_that_was_deleted_since_is_not_quoted_either(archive: Archive) -> None:
    archive.delete([1], at=NOON)
    answer(archive, remember=False)
    assert archive.messages([2])[2].rendered == WITHOUT[2]


# -- what was made of them


def made_of_all(archive: Archive) -> None:
    """Vectors, terms and links of all that Tom said, as it may be read now, and a summary of it."""
    ids = list(WHOLE)
    vectors: list[Pending] = archive.vectors.pending(99, ids)
    archive.vectors.put(vectors, np.ones((len(vectors), 4), np.float32))
    unread: list[Unread] = archive.terms.pending(99, ids)
    archive.terms.put(Read(one, 0, np.ones(1, np.uint32)) for one in unread)
    archive.links.put([Found(one.id, one.text, None, 1.0) for one in archive.links.pending(99, ids)])
    archive.summaries.cut(KITCHEN.id, [1, 2, 4], kept=9)
    words = {one.id: one.rendered for one in archive.messages(ids).values()}
    for span, of in zip(archive.summaries.spans(KITCHEN.id), ([2], [4]), strict=True):
        assert archive.summaries.put(span.id, "a samovar", "bart", [(id_, words[id_]) for id_ in of])


def waiting(archive: Archive) -> list[list[int]]:
    ids = list(WHOLE)
    return [
        [one.id for one in archive.vectors.pending(99, ids)],
        [one.id for one in archive.terms.pending(99, ids)],
        [one.id for one in archive.links.pending(99, ids)],
    ]


def summed_up(archive: Archive) -> list[set[int]]:
    return [set(made.of) for made in archive.summaries.made(KITCHEN.id).values()]


def change(archive: Archive, way: str, *, yes: bool, at: int) -> None:
    if way == "an answer":
        answer(archive, at=at, remember=yes)
    else:
        archive.consents.set_mode("opt-out" if yes else "opt-in")


@pytest.mark.parametrize("way", ["an answer", "what silence means"])
def test_what_was_made_of_a_quote_is_made_anew_after_each_change(archive: Archive, way: str) -> None:
    archive.consents.say(TOM.id, by="member", way="dm", at=1, learn=True, remember=True, quote=True)
    made_of_all(archive)
    assert waiting(archive) == [[]] * 3
    for at, yes in enumerate((False, True), start=1):
        change(archive, way, yes=yes, at=at)
        assert waiting(archive) == [QUOTING] * 3
        assert summed_up(archive) == [{4}]
        archive.summaries.uncut(KITCHEN.id)
        made_of_all(archive)
        assert waiting(archive) == [[]] * 3


def test_an_answer_that_changes_nothing_for_memory_drops_nothing(archive: Archive) -> None:
    made_of_all(archive)
    answer(archive, learn=False, quote=False)
    answer(archive, at=2, remember=True)
    assert waiting(archive) == [[]] * 3
    assert summed_up(archive) == [{2}, {4}]


def test_a_summary_of_a_quote_that_was_read_before_the_no_is_not_kept(archive: Archive) -> None:
    archive.summaries.cut(KITCHEN.id, [1, 2], kept=9)
    (span,) = archive.summaries.spans(KITCHEN.id)
    answer(archive, remember=False)
    assert not archive.summaries.put(span.id, HERS, "bart", [(2, WHOLE[2])])
    assert archive.summaries.put(span.id, "so it does", "bart", [(2, WITHOUT[2])])


LATE = message(20, "the boiler hums", MIA)
EARLIER = message(21, "> the boiler hums\nit does", TOM, reply_to=LATE.id)
BESIDE = message(22, "> the kettle\nthe kettle", TOM, reply_to=23)


def made_of(archive: Archive, *ids: int) -> None:
    """A vector, terms and a link of each of these, one summary, and a thumb for what was said of the first."""
    pending = archive.vectors.pending(99, ids)
    archive.vectors.put(pending, np.ones((len(pending), 4), np.float32))
    archive.terms.put(Read(one, 0, np.ones(1, np.uint32)) for one in archive.terms.pending(99, ids))
    archive.links.put([Found(one.id, one.text, None, 1.0) for one in archive.links.pending(99, ids)])
    for id_ in ids:
        archive.summaries.cut(KITCHEN.id, [id_ - 1, id_], kept=9)
        words = archive.messages([id_])[id_].rendered
        assert archive.summaries.put(archive.summaries.spans(KITCHEN.id)[-1].id, words, "bart", [(id_, words)])
    archive.feedback.put(Rated(NOON + 1, 1, "what hums?", "the boiler", "recall", of=ids[:1]))


def arrives(archive: Archive) -> None:
    filled(archive, LATE)


def is_known_as_a_reply(archive: Archive) -> None:
    """What comes by a package has its words, and what it replies to is not told."""
    archive.add([EARLIER], source=archive.add_source("api", "tea house"), fetched_at=NOON + 1)


@pytest.mark.parametrize("known", [arrives, is_known_as_a_reply])
def test_what_was_made_of_a_quote_goes_when_whose_it_is_becomes_known(
    archive: Archive, known: Callable[[Archive], None]
) -> None:
    answer(archive, remember=False)
    reply = EARLIER
    if known is is_known_as_a_reply:
        filled(archive, LATE)
        reply = replace(EARLIER, reply_to=None)
    archive.add([reply, BESIDE], source=archive.add_source("package", "tom.zip"), fetched_at=NOON)
    made_of(archive, EARLIER.id, BESIDE.id)
    archive.withdrawn.index_gone()
    known(archive)
    assert archive.withdrawn.index_due() == "unused"
    assert [one.id for one in archive.vectors.pending(99, [21, 22])] == [21]
    assert [one.id for one in archive.terms.pending(99, [21, 22])] == [21]
    assert [(one.id, one.text) for one in archive.links.pending(99, [21, 22])] == [(21, "> …\nit does")]
    assert summed_up(archive) == [{22}]
    assert [one.said for one in archive.feedback.all()] == [""]


def test_a_quote_of_who_agrees_stays_as_it_was_read(archive: Archive) -> None:
    archive.consents.say(TOM.id, by="member", way="dm", at=1, quote=False)
    archive.consents.say(404, by="member", way="dm", at=1, remember=False)
    filled(archive, EARLIER)
    made_of(archive, EARLIER.id)
    archive.withdrawn.index_gone()
    arrives(archive)
    assert archive.withdrawn.index_due() is None
    assert not archive.vectors.pending(99, [21])
    assert not archive.links.pending(99, [21])
    assert summed_up(archive) == [{21}]
    assert [one.said for one in archive.feedback.all()] == ["the boiler"]


def test_the_words_beside_a_thumb_go_with_the_quote_they_were_made_of(archive: Archive) -> None:
    rated = [Rated(NOON + at, 1, "what whistles?", HERS, "recall", of=(at,)) for at in (2, 4)]
    for one in rated:
        archive.feedback.put(one)
    answer(archive, quote=False)
    assert [one.said for one in archive.feedback.all()] == [HERS, HERS]
    answer(archive, at=2, remember=False)
    assert [one.said for one in archive.feedback.all()] == ["", HERS]
