"""Adding, editing, deleting: whatever comes in whatever order and however often, the archive is the same."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive, Counts
from sususbot.archive.upsert import Added
from sususbot.errors import ArchiveError
from sususbot.messages import Attachment, Author, Channel, Guild, Message, Reaction
from tests.archive.making import GARDEN, GUILD, KITCHEN, NOON, TOM, filled, found, message, raw, snapshot

FULL = message(
    5,
    "look <@2> 🫖 \x00 «tea»",
    type=19,
    edited_at=NOON + 9000,
    reply_to=4,
    pinned=True,
    mentions=(2, 3),
    reactions=(Reaction("🫖", 3), Reaction(":tea:", 1)),
    attachments=(Attachment(7, "pot.png", 1234, "https://cdn.example/pot.png"),),
)


def test_a_message_comes_back_as_it_went_in(archive: Archive) -> None:
    plain = message(-3, "before Discord", TOM)
    assert filled(archive, FULL, plain) == Added(new=2)
    assert archive.messages([5, -3, 99]) == {5: FULL, -3: plain}
    assert archive.newest() == 5
    assert archive.check() == []


def test_adding_again_changes_nothing(archive: Archive, tmp_path: Path) -> None:
    messages = [FULL, message(1), message(2, author=TOM)]
    assert filled(archive, *messages) == Added(new=3)
    before = snapshot(tmp_path)
    assert filled(archive, *messages) == Added(known=3)
    assert filled(archive, *reversed(messages), *messages) == Added(known=6)
    assert snapshot(tmp_path) == before
    assert archive.check() == []


def test_a_message_twice_in_one_batch_is_one_with_the_later_edit(archive: Archive) -> None:
    edited = message(1, "second", edited_at=NOON)
    assert filled(archive, edited, message(1, "first")) == Added(new=1, known=1)
    assert archive.messages([1]) == {1: edited}
    assert archive.check() == []


@pytest.mark.parametrize("backwards", [False, True])
def test_the_later_edit_wins_in_either_order(archive: Archive, backwards: bool) -> None:
    versions = [
        message(1, "kettle"),
        message(1, "teapot", edited_at=NOON + 1, mentions=(2,)),
        message(1, "samovar", edited_at=NOON + 2, attachments=FULL.attachments),
    ]
    for version in reversed(versions) if backwards else versions:
        filled(archive, version)
    assert archive.messages([1]) == {1: versions[-1]}
    assert [found(archive, word) for word in ("kettle", "teapot", "samovar")] == [[], [], [1]]
    assert archive.check() == []


@pytest.mark.parametrize("backwards", [False, True])
def test_reactions_and_pins_are_those_of_the_latest_look(archive: Archive, backwards: bool) -> None:
    looks = [
        (NOON + 1, message(1, "old words", edited_at=NOON, reactions=(Reaction("🫖", 1),), pinned=True)),
        (NOON + 2, message(1, "old words", edited_at=NOON, reactions=(Reaction("🫖", 2), Reaction("🍰", 1)))),
    ]
    for fetched_at, look in reversed(looks) if backwards else looks:
        filled(archive, look, fetched_at=fetched_at)
    assert archive.messages([1]) == {1: looks[-1][1]}


def test_a_look_that_shows_less_takes_reactions_away(archive: Archive) -> None:
    filled(archive, message(1, reactions=(Reaction("🫖", 1),), pinned=True))
    assert filled(archive, message(1), fetched_at=NOON + 1) == Added(changed=1)
    assert archive.messages([1]) == {1: message(1)}
    assert filled(archive, message(1), fetched_at=NOON + 2) == Added(known=1)


def test_a_deletion_leaves_a_tombstone_without_words(archive: Archive, tmp_path: Path) -> None:
    filled(archive, FULL, message(6, "kettle"), message(7))
    assert archive.delete([5, 6, 99], at=NOON + 50) == 2
    assert archive.delete([5, 6], at=NOON + 60) == 0
    assert archive.messages([5, 6]) == {}
    assert found(archive, "kettle", "tea", "look") == []
    columns = "content, rendered, mentions, reactions, attachments, deleted_at"
    assert (
        raw(tmp_path, f"SELECT {columns} FROM messages WHERE id IN (5, 6)")
        == [("", "", None, None, None, NOON + 50)] * 2
    )
    assert archive.counts() == Counts(messages=3, deleted=2, authors=1, channels=2, vectors=0)
    assert archive.newest() == 7
    assert archive.check() == []


def test_a_deleted_message_stays_deleted_whatever_is_imported(archive: Archive) -> None:
    filled(archive, message(1, "kettle"))
    archive.delete([1], at=NOON)
    edited = message(1, "kettle again", edited_at=NOON + 99, reactions=(Reaction("🫖", 1),))
    assert filled(archive, edited, fetched_at=NOON + 99) == Added(known=1)
    assert archive.messages([1]) == {}
    assert found(archive, "kettle") == []
    assert archive.check() == []


def test_a_message_deleted_before_it_was_known_is_a_tombstone_on_arrival(archive: Archive, tmp_path: Path) -> None:
    assert archive.delete([1], at=NOON + 5) == 0
    assert archive.delete([1], at=NOON + 5) == 0
    filled(archive, message(1, "kettle"), message(2, "kettle"))
    assert list(archive.messages([1, 2])) == [2]
    assert found(archive, "kettle") == [2]
    assert raw(tmp_path, "SELECT rendered, deleted_at FROM messages WHERE id = 1") == [("", NOON + 5)]
    assert archive.check() == []


def test_the_newest_name_is_the_one_seen_last_and_all_are_remembered(archive: Archive, tmp_path: Path) -> None:
    """An export shows today's name under messages of any age."""
    young, old = Author(1, "mia", "Mia"), Author(1, "mia.b", "Mia the Elder")
    filled(archive, message(1, author=young), message(4, author=young), fetched_at=NOON + 1)
    filled(archive, message(1, author=old), fetched_at=NOON + 2)
    filled(archive, message(9, author=young), fetched_at=NOON + 1)
    assert archive.messages([1])[1].author == old
    history = raw(tmp_path, "SELECT display_name, first_at, last_at FROM author_names ORDER BY first_at, display_name")
    assert history == [("Mia", NOON + 1000, NOON + 9000), ("Mia the Elder", NOON + 1000, NOON + 1000)]
    assert archive.counts().authors == 1


def test_a_channel_and_its_guild_have_the_name_they_were_last_given(archive: Archive) -> None:
    assert archive.channels() == [KITCHEN, GARDEN]
    renamed = replace(GARDEN, name="orchard", topic="apples", parent_id=20, type="GuildPublicThread")
    archive.add_channel(Guild(GUILD.id, "Coffee house"), renamed, origin="export", seen_at=NOON + 1)
    archive.add_channel(GUILD, GARDEN, origin="export", seen_at=NOON)
    archive.add_channel(GUILD, GARDEN, origin="csv", seen_at=NOON + 9)
    assert archive.channels() == [KITCHEN, renamed]
    assert archive.guild() == Guild(GUILD.id, "Coffee house")


def test_the_guild_is_the_one_that_most_channels_belong_to(archive: Archive) -> None:
    archive.add_channel(Guild(11, "Elsewhere"), Channel(30, 11, "lonely"), origin="export", seen_at=1)
    assert archive.guild() == GUILD


def test_a_batch_that_fails_leaves_nothing(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(1))
    before = snapshot(tmp_path)
    nowhere = replace(message(3), channel_id=999)
    with pytest.raises(ArchiveError, match="FOREIGN KEY"):
        filled(archive, message(2, author=TOM), nowhere, replace(FULL, id=1))
    assert snapshot(tmp_path) == before
    assert archive.check() == []
    assert filled(archive, message(2)) == Added(new=1)


@pytest.mark.parametrize(
    ("harm", "finding"),
    [
        ("UPDATE messages SET deleted_at = 1 WHERE id = 1", "1 tombstones still hold words"),
        ("UPDATE messages SET author_id = 77 WHERE id = 1", "broken reference"),
        ("INSERT INTO vectors SELECT id, x'00' FROM messages WHERE deleted_at", "1 vectors belong to deleted messages"),
    ],
)
def test_check_finds_what_does_not_hold(archive: Archive, tmp_path: Path, harm: str, finding: str) -> None:
    filled(archive, message(1, "kettle"), message(2, "teapot"))
    archive.delete([2], at=NOON)
    assert archive.check() == []
    raw(tmp_path, harm)
    assert any(finding in sentence for sentence in archive.check())


class Batch(NamedTuple):
    """Some messages (id, edit) as Discord showed them at a time."""

    fetched_at: int
    shown: tuple[tuple[int, int], ...]


class Deletion(NamedTuple):
    ids: tuple[int, ...]


IDS = st.integers(1, 4)
BATCHES = st.builds(Batch, st.integers(1, 4), st.lists(st.tuples(IDS, st.integers(0, 3)), max_size=6).map(tuple))
DELETIONS = st.builds(Deletion, st.lists(IDS, max_size=2).map(tuple))
EVENTS = st.lists(st.one_of(BATCHES, BATCHES, BATCHES, DELETIONS), max_size=6)


def shown(id_: int, edit: int, fetched_at: int) -> Message:
    """A message as Discord shows it: its words depend on the edit, its reactions and names on the time of looking."""
    author = Author(id_ % 2, f"account {id_ % 2}", f"name {fetched_at * 7 % 5}")
    reactions = (Reaction("🫖", fetched_at),) if fetched_at % 2 else ()
    # The last edit takes all words away.
    text = f"version{edit}" if edit < 3 else ""
    return message(
        id_,
        text,
        author,
        edited_at=edit or None,
        mentions=(edit,) if edit else (),
        reactions=reactions,
        pinned=fetched_at % 3 == 0,
    )


def expected(events: list[Batch | Deletion]) -> tuple[dict[int, Message], set[int]]:
    """What is read after these events, in whatever order they came; and the ids that must be tombstones."""
    looks = [(id_, edit, event.fetched_at) for event in events if isinstance(event, Batch) for id_, edit in event.shown]
    deleted = {id_ for event in events if isinstance(event, Deletion) for id_ in event.ids}
    named = {id_ % 2: max(at for other, _, at in looks if other % 2 == id_ % 2) for id_, _, _ in looks}
    messages = {}
    for id_ in {id_ for id_, _, _ in looks}:
        edit = max(edit for other, edit, _ in looks if other == id_)
        latest = max(at for other, _, at in looks if other == id_)
        state = shown(id_, edit, latest)
        messages[id_] = replace(state, author=shown(id_, edit, named[id_ % 2]).author)
    return {id_: m for id_, m in messages.items() if id_ not in deleted}, deleted & set(messages)


@settings(max_examples=40, deadline=None)
@given(EVENTS.flatmap(lambda events: st.tuples(st.just(events), st.permutations(events + events[:2]))))
def test_the_archive_is_the_same_whatever_the_order(
    case: tuple[list[Batch | Deletion], list[Batch | Deletion]],
) -> None:
    events, order = case
    messages, tombstones = expected(events)
    with TemporaryDirectory() as folder, Archive(Path(folder)) as archive:
        for event in order:
            if isinstance(event, Deletion):
                archive.delete(event.ids, at=NOON)
            else:
                filled(archive, *(shown(*look, event.fetched_at) for look in event.shown), fetched_at=event.fetched_at)
        assert archive.messages(range(10)) == messages
        assert archive.counts().deleted == len(tombstones)
        for edit in range(3):
            said = [id_ for id_, m in messages.items() if m.rendered == f"version{edit}"]
            assert found(archive, f"version{edit}") == sorted(said)
        assert archive.check() == []
