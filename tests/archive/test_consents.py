"""Who agreed to what: the order of what is said and read never matters, and a member's own word always wins."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.archive.consents import PURPOSES, Mode, Permissions, Statement
from tests.archive.making import KITCHEN, MIA, NOON, SUSU, TOM, filled, found, message, raw
from tests.support.consents import agree, refuse

ANSWER = st.none() | st.booleans()
STATEMENTS = st.builds(
    Statement,
    author_id=st.sampled_from([MIA.id, TOM.id]),
    by=st.sampled_from(["member", "owner"]),
    way=st.sampled_from(["asked", "file"]),
    at=st.integers(1, 4),
    learn=ANSWER,
    remember=ANSWER,
    quote=ANSWER,
)
MODES: tuple[Mode, ...] = ("opt-out", "opt-in", "all")


def holding(statements: Sequence[Statement], author_id: int, mode: Mode) -> Permissions:
    """What must hold, said the long way round."""
    answers = []
    for purpose in PURPOSES:
        mine = [one for one in statements if one.author_id == author_id and getattr(one, purpose) is not None]
        own = [one for one in mine if one.by == "member"] or mine
        last = [one for one in own if one.at == max(other.at for other in own)]
        answers.append(all(getattr(one, purpose) for one in last) if last else mode != "opt-in")
    learn, remember, quote = answers
    return Permissions(learn, remember, remember and quote)


@settings(max_examples=30, deadline=None)
@given(
    said=st.lists(STATEMENTS, max_size=7).flatmap(lambda said: st.tuples(st.just(said), st.permutations(said))),
    mode=st.sampled_from(MODES),
    batches=st.booleans(),
)
def test_what_holds_does_not_depend_on_the_order(
    said: tuple[list[Statement], list[Statement]], mode: Mode, batches: bool
) -> None:
    statements, order = said
    with TemporaryDirectory() as folder, Archive(Path(folder)) as archive:
        filled(archive, message(1), message(2, author=TOM))
        archive.consents.set_mode(mode)
        if batches:
            archive.consents.add(order)
        else:
            for statement in order:
                archive.consents.add([statement])
        for author in (MIA, TOM):
            holds = holding(statements, author.id, mode)
            assert archive.consents.answers(author.id) == holds == archive.consents.all_answers()[author.id]
            assert (archive.consents.may_learn([author.id]) == {author.id}) == holds.learn
            assert (archive.consents.may_quote([author.id]) == {author.id}) == holds.quote
            said_by = {1: MIA, 2: TOM}
            shown = [id_ for id_ in found(archive, "hello") if said_by[id_] is author]
            assert bool(shown) == holds.remember
        assert archive.consents.add(order) == 0


@pytest.mark.parametrize("member_first", [True, False])
@pytest.mark.parametrize("owner_later", [True, False])
def test_a_members_own_word_wins_over_the_owners_in_any_order(
    archive: Archive, member_first: bool, owner_later: bool
) -> None:
    words = [
        Statement(MIA.id, "member", "told me", NOON, learn=False, remember=True, quote=False),
        Statement(MIA.id, "owner", "guess", NOON + (1 if owner_later else -1), learn=True, remember=False, quote=True),
    ]
    for word in words if member_first else reversed(words):
        archive.consents.add([word])
    assert archive.consents.answers(MIA.id) == Permissions(False, True, False)
    assert {purpose: one.by for purpose, one in archive.consents.decided()[MIA.id].items()} == dict.fromkeys(
        PURPOSES, "member"
    )


def test_what_a_member_was_silent_about_is_the_owners_and_then_the_modes(archive: Archive) -> None:
    archive.consents.set_mode("opt-in")
    archive.consents.say(MIA.id, by="member", way="dm", at=1, learn=True)
    archive.consents.say(MIA.id, by="owner", way="guess", at=2, learn=False, remember=True)
    assert archive.consents.answers(MIA.id) == Permissions(True, True, False)
    decided = archive.consents.decided()[MIA.id]
    assert {purpose: (one.by, one.way) for purpose, one in decided.items()} == {
        "learn": ("member", "dm"),
        "remember": ("owner", "guess"),
    }
    assert archive.consents.answers(777) == Permissions(False, False, False)


@settings(max_examples=30, deadline=None)
@given(st.lists(STATEMENTS, max_size=6))
def test_the_word_that_is_shown_is_the_one_that_holds(statements: list[Statement]) -> None:
    with TemporaryDirectory() as folder, Archive(Path(folder)) as archive:
        archive.consents.add(statements)
        for author_id, decided in archive.consents.decided().items():
            holds = archive.consents.answers(author_id)
            for purpose, statement in decided.items():
                if purpose != "quote" or holds.remember:
                    assert getattr(statement, purpose) == getattr(holds, purpose)


@pytest.mark.parametrize(("mode", "silence"), [("opt-out", [1, 2]), ("all", [1, 2]), ("opt-in", [])])
def test_the_mode_says_what_silence_means_and_a_no_always_wins(
    archive: Archive, mode: Mode, silence: list[int]
) -> None:
    filled(archive, message(1), message(2, author=TOM), message(3, author=SUSU))
    archive.consents.set_mode(mode)
    assert archive.consents.mode == mode
    assert found(archive, "hello") == silence
    assert [m.id for m in archive.window(KITCHEN.id, limit=9)] == silence
    refuse(archive, MIA)
    agree(archive, TOM)
    assert found(archive, "hello") == [2]
    archive.consents.set_mode("all")
    assert found(archive, "hello") == [2]


def test_mode_and_answers_hold_at_once_in_a_program_that_has_the_archive_open(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(1), message(2, author=TOM))
    with Archive(tmp_path) as running:
        assert found(running, "hello") == [1, 2]
        archive.consents.set_mode("opt-in")
        assert running.consents.mode == "opt-in"
        assert found(running, "hello") == []
        agree(archive, TOM)
        assert found(running, "hello") == [2]
        assert running.consents.answers(TOM.id) == Permissions(True, True, True)
        refuse(archive, TOM)
        assert found(running, "hello") == []
        assert running.window(KITCHEN.id, limit=9) == []
        (one,) = running.messages([1]).values()
        assert running.around(one, reach=5) == []


def test_who_is_not_remembered_has_no_vector(archive: Archive) -> None:
    archive.vectors.use_embedder("small")
    filled(archive, message(1), message(2, author=TOM))

    def embed() -> None:
        pending = archive.vectors.pending(9)
        archive.vectors.put(pending, np.ones((len(pending), 4), np.float32))

    embed()
    archive.consents.say(MIA.id, by="member", way="dm", at=1, remember=False)
    assert archive.vectors.without([1, 2]) == [1]
    assert archive.vectors.count_pending() == 0
    agree(archive, MIA)
    embed()
    assert archive.vectors.without([1, 2]) == []
    archive.consents.say(MIA.id, by="member", way="dm", at=1 << 40, remember=True)
    archive.consents.set_mode("opt-in")
    assert archive.vectors.without([1, 2]) == [2]


def test_to_be_quoted_is_to_be_remembered(archive: Archive) -> None:
    filled(archive, message(1), message(2, author=TOM))
    archive.consents.say(MIA.id, by="member", way="dm", at=1, remember=False, quote=True)
    archive.consents.say(TOM.id, by="member", way="dm", at=1, quote=False)
    assert archive.consents.may_quote([MIA.id, TOM.id]) == set()
    assert found(archive, "hello") == [2]


def test_a_full_no_is_a_no_to_learning_and_to_remembering(archive: Archive) -> None:
    filled(archive, message(1), message(2, author=TOM))
    archive.consents.say(TOM.id, by="owner", way="x", at=1, learn=False)
    assert archive.consents.refused() == []
    no = Statement(MIA.id, "member", "dm", 5, learn=False, remember=False)
    assert archive.consents.would_refuse([no]) == [MIA.id]
    # Asking what would be changes nothing.
    assert archive.consents.statements() == [Statement(TOM.id, "owner", "x", 1, learn=False)]
    assert archive.consents.answers(MIA.id) == Permissions(True, True, True)
    archive.consents.add([no])
    assert archive.consents.refused() == [MIA.id]
    archive.consents.set_mode("opt-in")
    assert archive.consents.refused() == [MIA.id]


def test_every_statement_is_kept_with_its_date_and_way(archive: Archive, tmp_path: Path) -> None:
    said = [
        Statement(MIA.id, "owner", "guess", 3, learn=True),
        Statement(MIA.id, "member", "told me in #kitchen", 2, learn=False, quote=True),
    ]
    assert archive.consents.add(said) == 2
    assert archive.consents.statements() == sorted(said, key=lambda one: one.at)
    assert raw(tmp_path, "SELECT count(*) FROM consents") == [(2,)]
