"""Lines that would answer: what was answered to a like question before comes first, and nobody outside is quoted."""

from sususbot.archive.archive import Archive
from sususbot.memory.lines import RememberedLines
from sususbot.memory.long_term import LongTerm
from sususbot.messages import Audience, Turn
from tests.memory.chat import DAY, EVE, HOUR, MIA, MINUTE, TOM, Chat


def asked(text: str, message_id: int | None = None) -> Turn:
    return Turn("eve", text, 0, message_id=message_id, author_id=EVE.id)


def lines(archive: Archive, *turns: Turn, audience: Audience = None) -> list[str]:
    source = RememberedLines(LongTerm(archive, None, None))
    return [line.text for line in source.lines(turns, audience)]


def test_a_question_asked_before_is_answered_by_what_followed_it(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "so who broke the printer?", after=HOUR)
    chat.say(TOM, "gerald did, with a spoon")
    chat.say(MIA, "the printer is a fine machine", after=HOUR)
    assert lines(archive, asked("who broke the printer?"))[0] == "gerald did, with a spoon"


def test_a_reply_by_reference_wins_over_the_next_line(archive: Archive, chat: Chat) -> None:
    question = chat.say(MIA, "so who broke the printer?", after=HOUR)
    chat.say(TOM, "pizza time everybody")
    chat.say(EVE, "gerald did, with a spoon", reply_to=question)
    found = lines(archive, asked("who broke the printer?"))
    assert found[0] == "gerald did, with a spoon"
    assert "pizza time everybody" not in found


def test_a_reply_to_something_else_is_no_answer(archive: Archive, chat: Chat) -> None:
    other = chat.say(TOM, "I am hungry as a bear", after=HOUR)
    chat.say(MIA, "so who broke the printer?")
    chat.say(TOM, "then eat some honey", reply_to=other)
    chat.say(EVE, "it was surely gerald")
    assert lines(archive, asked("who broke the printer?"))[0] == "it was surely gerald"


def test_nobody_answers_their_own_question(archive: Archive, chat: Chat) -> None:
    question = chat.say(MIA, "so who broke the printer?", after=HOUR)
    chat.say(MIA, "never mind me then", reply_to=question)
    chat.say(MIA, "nothing to see here")
    assert lines(archive, asked("who broke the printer?")) == ["so who broke the printer?"]


def test_what_comes_two_minutes_later_is_no_answer(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "so who broke the printer?", after=HOUR)
    chat.say(TOM, "good morning to you", after=3 * MINUTE)
    assert lines(archive, asked("who broke the printer?")) == ["so who broke the printer?"]


def test_an_answer_comes_before_a_statement_and_a_statement_before_a_question(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "who broke the printer?", after=HOUR)
    chat.say(TOM, "gerald did, with a spoon")
    chat.say(TOM, "she broke the printer", after=HOUR)
    chat.say(MIA, "she broke this printer?", after=HOUR)
    chat.say(TOM, "the lamp above the printer in the cellar is out of light once more", after=HOUR)
    found = lines(archive, asked("who broke the printer?"))
    assert found.index("gerald did, with a spoon") < found.index("she broke the printer")
    assert found.index("she broke the printer") < found.index("she broke this printer?")


def test_a_name_that_is_addressed_is_taken_off(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "who broke the printer?", after=HOUR)
    chat.say(TOM, "@mia @eve, gerald did it")
    assert lines(archive, asked("who broke the printer?"))[0] == "gerald did it"


def test_only_the_audiences_channels_speak(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "who broke the printer?", channel=2)
    chat.say(TOM, "gerald did, in secret", channel=2)
    chat.say(MIA, "the printer is a fine machine", channel=1)
    question = asked("who broke the printer?")
    assert lines(archive, question, audience=frozenset({1})) == ["the printer is a fine machine"]
    assert lines(archive, question, audience=frozenset()) == []
    assert "gerald did, in secret" in lines(archive, question)


def test_messages_of_the_talk_at_hand_are_no_memories(archive: Archive, chat: Chat) -> None:
    message = chat.say(MIA, "who broke the printer?")
    assert lines(archive, asked("who broke the printer?", message.id)) == []


def test_a_bare_mention_is_answered_by_the_turn_before_it(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "gerald broke the printer", after=HOUR)
    assert lines(archive, asked("tell me of the printer"), asked("")) == ["gerald broke the printer"]
    assert lines(archive, asked(" ")) == []
    assert lines(archive) == []


def test_how_old_a_line_is_counts_from_when_it_was_asked(archive: Archive, chat: Chat) -> None:
    chat.say(TOM, "the tea is in the red box", after=HOUR)
    chat.say(MIA, "the tea is in the blue box", after=60 * DAY)
    source = RememberedLines(LongTerm(archive, None, None))

    def lead(days: float) -> float:
        at = chat.now + round(days * DAY * 1000)
        best, second = source.lines([Turn("eve", "where is the tea?", at, author_id=EVE.id)], None)
        assert best.text == "the tea is in the blue box"
        return best.source.score - second.source.score

    assert lead(1) > lead(30) > lead(600)
