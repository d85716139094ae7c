"""Who is remembered, and for whom: nothing leaves its audience, and what may not be quoted is never found."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.memory.indexing import index
from sususbot.memory.long_term import Found, LongTerm
from sususbot.memory.vector_index import ExactIndex
from tests.memory.chat import EVE, MIA, ROBOT, TOM, Chat, WordEmbedder
from tests.support.consents import refuse

WORDS = ("pear", "tree", "moon", "river", "spoon")
AUTHORS = (MIA, TOM, EVE, ROBOT)
SAID = st.tuples(
    st.sampled_from(AUTHORS),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
    st.integers(1, 4),  # the channel
    st.sampled_from([5, 300, 900]),  # seconds since the message before
)


def memory_of(archive: Archive) -> LongTerm:
    embedder = WordEmbedder()
    index(archive, embedder)
    return LongTerm(archive, embedder, ExactIndex(embedder.dimensions))


def texts(found: Found) -> set[str]:
    """All that a reader would get to see."""
    return {message.rendered for hit in found.hits for message in hit.around}


@settings(max_examples=20, deadline=None)
@given(
    said=st.lists(SAID, min_size=1, max_size=40),
    audience=st.none() | st.frozensets(st.integers(0, 5)),
    question=st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
    limit=st.integers(0, 12),
    by_meaning=st.booleans(),
    excluded=st.sets(st.integers(1001, 1040)),
)
def test_nothing_outside_the_audience_is_ever_shown(
    said: list[tuple[object, str, int, int]],
    audience: frozenset[int] | None,
    question: str,
    limit: int,
    by_meaning: bool,
    excluded: set[int],
) -> None:
    with TemporaryDirectory() as folder, Archive(Path(folder)) as archive:
        chat = Chat(archive)
        for author, text, channel, after in said:
            chat.say(author, text, channel=channel, after=after)  # type: ignore[arg-type]
        refuse(archive, EVE)
        memory = memory_of(archive) if by_meaning else LongTerm(archive, None, None)
        hits = memory.search(question, limit=limit, audience=audience, exclude=excluded).hits
        assert len(hits) <= limit
        for hit in hits:
            assert hit.message in hit.around
            for message in hit.around:
                assert audience is None or message.channel_id in audience
                assert message.channel_id == hit.message.channel_id
                assert message.author not in (EVE, ROBOT)
                assert message.id not in excluded
        assert len({" ".join(hit.message.rendered.split()) for hit in hits}) == len(hits)


def test_an_allowed_channel_is_found_behind_hundreds_of_better_matches_elsewhere(archive: Archive, chat: Chat) -> None:
    wanted = chat.say(MIA, "a moon far away", channel=7)
    for number in range(900):
        chat.say(TOM, f"moon river {number}", channel=1)
    for memory in (memory_of(archive), LongTerm(archive, None, None)):
        hits = memory.search("moon river", limit=3, audience=frozenset({7})).hits
        assert [hit.message.id for hit in hits] == [wanted.id]


def test_bots_and_members_who_opted_out_are_not_found_nor_shown_beside_others(archive: Archive, chat: Chat) -> None:
    chat.say(ROBOT, "the pear rolled a six")
    chat.say(EVE, "the pear is mine")
    chat.say(MIA, "a pear tree")
    chat.say(EVE, "and so is the tree")
    refuse(archive, EVE)
    for memory in (memory_of(archive), LongTerm(archive, None, None)):
        assert texts(memory.search("pear", limit=9)) == {"a pear tree"}


def test_opting_out_holds_at_once_also_for_what_was_indexed_before(archive: Archive, chat: Chat) -> None:
    for number in range(6):
        chat.say(EVE, f"the pear is mine {number}")
    chat.say(MIA, "a pear tree")
    chat.say(TOM, "a spoon of pear jam")
    memory = memory_of(archive)
    refuse(archive, EVE)
    found = memory.search("the pear is mine", limit=2)
    assert texts(found) == {"a pear tree", "a spoon of pear jam"}
    assert len(found.hits) == 2


def test_a_new_message_is_found_once_learnt(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "a pear tree")
    memory = memory_of(archive)
    new = chat.say(TOM, "the spoon bends")
    assert new.id not in {hit.message.id for hit in memory.search("spoon", limit=1).hits}
    assert memory.learn([new.id]) == 1
    assert memory.learn([new.id]) == 0
    (hit,) = memory.search("spoon", limit=1).hits
    assert hit.message.id == new.id
    assert hit.parts["words"] > 0
    assert hit.parts["meaning"] > 0


def test_many_new_messages_are_learnt_some_at_a_time(archive: Archive, chat: Chat) -> None:
    memory = memory_of(archive)
    assert not memory.by_meaning
    for number in range(150):
        chat.say(TOM, f"spoon number {number}")
    learnt = []
    while count := memory.learn():
        learnt.append(count)
    assert sum(learnt) == 150
    assert len(learnt) > 1
    assert memory.by_meaning


def test_an_edit_makes_the_old_words_unfindable(archive: Archive, chat: Chat) -> None:
    message = chat.say(MIA, "my zanzibar plan")
    for number in range(5):
        chat.say(TOM, f"a pear tree {number}")
    memory = memory_of(archive)
    chat.edit(message, "my garden plan")
    memory.drop_stale([message.id])
    hits = {hit.message.id: hit for hit in memory.search("zanzibar garden", limit=9).hits}
    assert message.id not in hits
    assert memory.learn() == 1
    (hit,) = memory.search("garden", limit=1).hits
    assert hit.message.rendered == "my garden plan"
    assert hit.parts["meaning"] > 0
    assert hit.parts["words"] > 0
    assert "my zanzibar plan" not in texts(memory.search("my zanzibar plan", limit=9))


def test_a_deleted_message_is_gone_whether_or_not_the_index_was_told(archive: Archive, chat: Chat) -> None:
    gone = chat.say(MIA, "my zanzibar plan")
    kept = chat.say(TOM, "a pear tree")
    memory = memory_of(archive)
    chat.delete(gone)
    for told in (False, True):
        if told:
            memory.drop_stale([gone.id])
        found = memory.search("my zanzibar plan", limit=9)
        assert {message.id for hit in found.hits for message in hit.around} <= {kept.id}
    assert memory.learn() == 0


def test_dropping_what_is_not_stale_changes_nothing(archive: Archive, chat: Chat) -> None:
    message = chat.say(MIA, "a pear tree")
    memory = memory_of(archive)
    memory.drop_stale([message.id, 5])
    assert memory.search("pear", limit=1).hits[0].parts["meaning"] > 0
