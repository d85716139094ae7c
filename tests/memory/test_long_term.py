"""Long-term memory: what a score is made of, what comes first, and what is shown around a hit."""

from collections.abc import Sequence

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.vectors import Matrix
from sususbot.memory.embedding import Embedder, MiniLM
from sususbot.memory.indexing import index
from sususbot.memory.long_term import Found, LongTerm, Weights
from sususbot.memory.surroundings import Hit
from sususbot.memory.vector_index import ExactIndex
from sususbot.messages import Message
from tests.memory.chat import DAY, EVE, HOUR, MIA, MINUTE, TOM, Chat, WordEmbedder


class CountingEmbedder(WordEmbedder):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Matrix:
        self.asked.extend(texts)
        return super().embed(texts)


def memory_of(
    archive: Archive, embedder: Embedder | None = None, *, weights: Weights | None = None, neighbours: int = 2
) -> LongTerm:
    embedder = embedder or WordEmbedder()
    index(archive, embedder)
    return LongTerm(archive, embedder, ExactIndex(embedder.dimensions), weights=weights, neighbours=neighbours)


def ids(found: Found) -> list[int]:
    return [hit.message.id for hit in found.hits]


def around(hit: Hit) -> list[int]:
    return [message.id for message in hit.around]


def small_talk(chat: Chat, count: int = 20) -> list[Message]:
    words = "tea rain moon shoe lamp bread river cloud stone glass".split()
    return [chat.say((MIA, TOM)[n % 2], f"{words[n % 10]} {words[n // 2 % 10]} {n}", after=HOUR) for n in range(count)]


def test_a_score_is_the_sum_of_its_parts(archive: Archive, chat: Chat) -> None:
    small_talk(chat)
    chat.say(MIA, "the printer fell into the river", reactions=4, pinned=True, after=DAY)
    chat.say(TOM, "which printer? the blue printer", after=5 * DAY)
    weights = Weights(recency=0.3, engagement=0.4, half_life_days=3.0)
    hits = memory_of(archive, weights=weights).search("printer river", limit=50, now=chat.now + 10_000).hits
    assert len(hits) > 5
    for hit in hits:
        assert hit.score == pytest.approx(sum(hit.parts.values()))
        assert 0.0 <= hit.parts["recency"] <= 0.3
        assert 0.0 <= hit.parts["engagement"] <= 0.4
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_meaning_and_words_count_as_much_as_is_asked(archive: Archive, chat: Chat) -> None:
    small_talk(chat)
    found = [
        memory_of(archive, weights=Weights(semantic=meaning, words=words)).search("moon river", limit=5).hits[0].parts
        for meaning, words in ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0))
    ]
    assert found[0]["meaning"] > 0
    assert found[0]["words"] > 0
    assert (found[1]["meaning"], found[2]["words"]) == (0.0, 0.0)


def test_recency_halves_with_the_half_life(archive: Archive, chat: Chat) -> None:
    old = chat.say(MIA, "a pear tree")
    chat.say(MIA, "a pear pie", after=6 * DAY)
    weights = Weights(recency=0.4, half_life_days=3.0)
    hits = memory_of(archive, weights=weights).search("pear", limit=5, now=chat.now).hits
    recency = {hit.message.id: hit.parts["recency"] for hit in hits}
    assert recency.pop(old.id) == pytest.approx(0.1)
    assert recency.popitem()[1] == pytest.approx(0.4)


def test_a_message_from_the_future_is_merely_recent(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "a pear tree")
    (hit,) = memory_of(archive, weights=Weights(recency=0.4)).search("pear", limit=1, now=chat.now - 1_000_000).hits
    assert hit.parts["recency"] == pytest.approx(0.4)


def test_engagement_counts_reactions_replies_and_pins(archive: Archive, chat: Chat) -> None:
    first = chat.say(MIA, "a pear tree", reactions=1)
    chat.say(TOM, "nice", reply_to=first)
    chat.say(MIA, "a pear pie", pinned=True)
    chat.say(MIA, "a pear jam")
    hits = memory_of(archive, weights=Weights(engagement=1.0)).search("pear", limit=5).hits
    engagement = {hit.message.rendered: hit.parts["engagement"] for hit in hits}
    assert engagement["a pear tree"] == engagement["a pear pie"] == pytest.approx(2 / 5)
    assert engagement["a pear jam"] == 0.0


def test_an_old_strong_match_beats_a_fresh_and_loved_weak_one(archive: Archive, chat: Chat, minilm: MiniLM) -> None:
    lore = chat.say(MIA, "gerald broke the printer with a spoon")
    small_talk(chat)
    chat.say(TOM, "the printer is out of paper", reactions=50, pinned=True, after=900 * DAY)
    memory = memory_of(archive, minilm)
    assert ids(memory.search("how did gerald break the printer?", limit=5, now=chat.now))[0] == lore.id


def test_among_equals_the_newer_and_the_loved_come_first(archive: Archive, chat: Chat) -> None:
    # Each by itself: what is said within half an hour lends its words to its neighbours.
    old = chat.say(MIA, "pear tree one", after=HOUR)
    loved = chat.say(MIA, "pear tree two", reactions=30, after=HOUR)
    new = chat.say(MIA, "pear tree six", after=300 * DAY)
    weights = Weights(recency=0.3, engagement=0.2)
    assert ids(memory_of(archive, weights=weights).search("pear tree", limit=5, now=chat.now)) == [
        new.id,
        loved.id,
        old.id,
    ]


def test_meaning_finds_what_shares_no_word(archive: Archive, chat: Chat, minilm: MiniLM) -> None:
    small_talk(chat)
    wanted = chat.say(TOM, "my dog ate the homework")
    memory = memory_of(archive, minilm)
    assert memory.by_meaning
    assert ids(memory.search("a pet destroyed school papers", limit=1)) == [wanted.id]


def test_by_words_alone_only_words_count(archive: Archive, chat: Chat) -> None:
    wanted = chat.say(TOM, "my dog ate the homework")
    small_talk(chat)
    memory = LongTerm(archive, None, None)
    assert not memory.by_meaning
    assert ids(memory.search("what did the dog eat", limit=3)) == [wanted.id]
    assert memory.search("a pet destroyed school papers", limit=3).hits == []
    assert memory.learn() == 0
    memory.drop_stale([wanted.id])
    memory.close()


@pytest.mark.parametrize(
    "question", ["", "  \n ", "?!", "👍", '"', "AND OR NOT NEAR(", "* ^ - : ( )", "\x00", "'; DROP"]
)
def test_a_question_without_words_is_no_error(archive: Archive, chat: Chat, question: str) -> None:
    small_talk(chat)
    for memory in (LongTerm(archive, None, None), memory_of(archive)):
        memory.search(question, limit=5)
    assert LongTerm(archive, None, None).search("", limit=5).hits == []


def test_a_question_of_common_words_alone_still_finds_them(archive: Archive, chat: Chat) -> None:
    wanted = chat.say(MIA, "who is it")
    assert ids(LongTerm(archive, None, None).search("who is it", limit=3)) == [wanted.id]


def test_equal_lines_are_one_memory(archive: Archive, chat: Chat) -> None:
    for author in (MIA, TOM, EVE, MIA):
        chat.say(author, "Pear  tree" if author is TOM else "pear tree", after=HOUR)
    other = chat.say(MIA, "pear trees", after=HOUR)
    hits = memory_of(archive).search("pear tree", limit=10).hits
    assert len(hits) == 2
    assert other.id in [hit.message.id for hit in hits]


def test_it_reads_on_while_the_best_say_the_same(archive: Archive, chat: Chat) -> None:
    small_talk(chat)
    other = chat.say(TOM, "an old pear tree", after=HOUR)
    for _ in range(10):
        same = chat.say(MIA, "pear tree", after=HOUR)
    assert ids(memory_of(archive, weights=Weights(recency=1.0)).search("pear tree", limit=2)) == [same.id, other.id]


def test_the_vector_of_a_question_is_made_once(archive: Archive, chat: Chat) -> None:
    small_talk(chat)
    embedder = CountingEmbedder()
    memory = memory_of(archive, embedder)
    embedder.asked.clear()
    first = memory.search("moon river", limit=5, now=chat.now).hits
    assert memory.search("moon river", limit=5, now=chat.now).hits == first
    assert embedder.asked == ["moon river"]
    memory.search("What did mia say of the moon?", limit=5, now=chat.now)
    assert embedder.asked[1:] == ["What did say of the moon?", "What did I say of the moon?", "say moon"]


def test_what_the_reader_sees_anyway_is_left_out_also_as_a_neighbour(archive: Archive, chat: Chat) -> None:
    before = chat.say(TOM, "hello all")
    hit = chat.say(MIA, "the pear tree fell")
    seen = chat.say(TOM, "which pear tree?")
    chat.say(MIA, "the old one")
    found = memory_of(archive).search("pear tree", limit=1, exclude={seen.id}).hits
    assert [around(one) for one in found] == [[before.id, hit.id]]


def test_neighbours_reach_as_far_as_asked(archive: Archive, chat: Chat) -> None:
    said = [chat.say((MIA, TOM)[n % 2], "pear tree" if n == 4 else f"line {n}") for n in range(9)]
    (hit,) = memory_of(archive, neighbours=3).search("pear tree", limit=1).hits
    assert around(hit) == [message.id for message in said[1:8]]


def test_neighbours_stop_at_a_silence(archive: Archive, chat: Chat) -> None:
    chat.say(TOM, "long before")
    first = chat.say(TOM, "shortly before", after=11 * MINUTE)
    hit = chat.say(MIA, "pear tree", after=10 * MINUTE)
    last = chat.say(TOM, "shortly after")
    chat.say(TOM, "long after", after=11 * MINUTE)
    chat.say(TOM, "elsewhere", channel=2, after=0)
    assert around(memory_of(archive).search("pear tree", limit=1).hits[0]) == [first.id, hit.id, last.id]


def test_equal_questions_get_equal_answers(archive: Archive, chat: Chat) -> None:
    small_talk(chat, 60)
    memory, again = memory_of(archive), memory_of(archive)
    first = memory.search("moon river glass", limit=20, now=chat.now).hits
    assert first == memory.search("moon river glass", limit=20, now=chat.now).hits
    assert first == again.search("moon river glass", limit=20, now=chat.now).hits


def test_the_limit_holds_and_each_stage_is_timed(archive: Archive, chat: Chat) -> None:
    small_talk(chat, 40)
    found = memory_of(archive).search("moon river glass tea", limit=7)
    assert len(found.hits) == 7
    assert list(found.seconds) == ["embed", "vectors", "words", "rank", "read"]
    assert LongTerm(archive, None, None).search("moon", limit=0).hits == []


def test_floods_and_one_word_lines_do_not_crowd_out_what_was_said(archive: Archive, chat: Chat) -> None:
    told = [
        chat.say(MIA, "the printer fell into the river on sunday", after=HOUR),
        chat.say(TOM, "a printer from the attic works again", after=HOUR),
    ]
    for number in range(200):
        chat.say((MIA, TOM, EVE)[number % 3], "lol", after=HOUR)
        chat.say(
            (MIA, TOM, EVE)[number % 3],
            "buy a cheap new printer today at the big printer shop down in town",
            after=HOUR,
        )
        chat.say(EVE, f"buy a cheap new printer today at the big printer shop down in town {number}", after=HOUR)
        chat.say(EVE, f"buy a printer now at shop {number}", after=HOUR)
        chat.say(TOM, "printer", after=HOUR)
    for memory in (memory_of(archive), LongTerm(archive, None, None)):
        hits = memory.search("what happened to the printer in the river?", limit=5).hits
        assert hits[0].message.id == told[0].id
        said = [hit.message.rendered for hit in hits]
        assert "lol" not in said
        assert sum("big printer shop" in text for text in said) <= 1
        assert sum("now at shop" in text for text in said) <= 1
        assert sum(text == "printer" for text in said) <= 1
        memory.close()
