"""Lines are said again word for word: only of members who may be quoted, however many others say it better."""

from sususbot.archive.archive import Archive
from sususbot.memory.embedding import embedded_text
from sususbot.memory.lines import RememberedLines
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.memory.vector_index import ExactIndex
from sususbot.messages import Turn
from tests.memory.chat import EVE, HOUR, MIA, TOM, Chat, WordEmbedder


def say(archive: Archive, author_id: int, at: int = 1, **answers: bool) -> None:
    archive.consents.say(author_id, by="member", way="dm", at=at, **answers)


def lines(archive: Archive, text: str) -> list[str]:
    asked = Turn("eve", text, 0, author_id=EVE.id)
    return [line.text for line in RememberedLines(LongTerm(archive, None, None)).lines([asked], None)]


def test_who_may_not_be_quoted_is_not_said_again_but_still_remembered(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "who broke the printer?", after=HOUR)
    chat.say(TOM, "gerald broke the printer with a spoon")
    chat.say(MIA, "the printer is a fine machine", after=HOUR)
    say(archive, TOM.id, quote=False)
    assert "gerald broke the printer with a spoon" not in lines(archive, "who broke the printer?")
    # What they said may still be found, and lead to what others answered.
    hits = LongTerm(archive, None, None).search("printer spoon", limit=5).hits
    assert any(hit.message.author == TOM for hit in hits)
    say(archive, TOM.id, at=2, quote=True)
    assert lines(archive, "who broke the printer?")[0] == "gerald broke the printer with a spoon"


def test_a_question_of_one_who_may_not_be_quoted_leads_to_the_answer_of_one_who_may(
    archive: Archive, chat: Chat
) -> None:
    chat.say(MIA, "who broke the printer?", after=HOUR)
    chat.say(TOM, "gerald did, with a spoon")
    say(archive, MIA.id, quote=False)
    assert lines(archive, "who broke the printer?") == ["gerald did, with a spoon"]


def test_the_few_who_may_be_quoted_are_found_behind_many_who_may_not(archive: Archive, chat: Chat) -> None:
    archive.consents.set_mode("opt-in")
    for number in range(60):
        chat.say(TOM, f"the printer is broken number {number}", after=HOUR)
    chat.say(MIA, "a printer of my own, long ago and very far from here it was", after=HOUR)
    say(archive, TOM.id, remember=True)
    say(archive, MIA.id, remember=True, quote=True)
    assert lines(archive, "the printer is broken") == ["a printer of my own, long ago and very far from here it was"]


def test_silence_is_no_quote_where_silence_is_a_no(archive: Archive, chat: Chat) -> None:
    chat.say(TOM, "the printer is a fine machine", after=HOUR)
    assert lines(archive, "printer") == ["the printer is a fine machine"]
    archive.consents.set_mode("opt-in")
    assert lines(archive, "printer") == []
    say(archive, TOM.id, remember=True)
    assert lines(archive, "printer") == []


def test_what_may_not_be_quoted_is_not_said_again_out_of_somebody_elses_answer(archive: Archive, chat: Chat) -> None:
    hers = chat.say(MIA, "the printer is haunted by gerald", after=HOUR)
    chat.say(TOM, "> the printer is haunted by gerald\nthat printer has been cursed all along", reply_to=hers)
    chat.say(EVE, "> the printer is haunted by gerald", reply_to=hers)
    whole = "> the printer is haunted by gerald ⏎ that printer has been cursed all along"
    assert whole in lines(archive, "what about the printer")
    say(archive, MIA.id, quote=False)
    assert lines(archive, "what about the printer") == ["that printer has been cursed all along"]
    say(archive, MIA.id, at=2, quote=True)
    assert whole in lines(archive, "what about the printer")


def test_a_quote_of_one_who_may_not_be_remembered_is_in_no_window_and_leads_nowhere(
    archive: Archive, chat: Chat
) -> None:
    def found() -> list[str]:
        memory = LongTerm(archive, embedder, ExactIndex(embedder.dimensions))
        memory.learn()
        return [hit.message.rendered for hit in memory.search("samovar", limit=5).hits]

    embedder = WordEmbedder()
    hers = chat.say(MIA, "my samovar")
    quoting = chat.say(TOM, "> my samovar\nnice one", reply_to=hers)
    assert quoting.rendered in found()
    say(archive, MIA.id, remember=False)
    assert [turn.text for turn in ShortTerm(archive, window=9).recent(1)] == ["> …\nnice one"]
    embedder.embedded.clear()
    assert not any("samovar" in text for text in found())
    assert embedder.embedded[0] == embedded_text("tom", "> …\nnice one")
    # By words alone it is not found at all: none of hers is left in the index.
    assert LongTerm(archive, None, None).search("samovar", limit=5).hits == []
    say(archive, MIA.id, at=2, remember=True)
    assert quoting.rendered in found()
