"""The backend `recall`: never an echo, never twice the same, and a sentence when there is nothing to say."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.errors import ArchiveLocked, BackendFailed, NothingToSay
from sususbot.memory.lines import RememberedLines
from sususbot.memory.long_term import LongTerm
from sususbot.messages import Audience, Turn
from sususbot.model.backend import Chunk, Deadline, Request, Sampling, Source
from sususbot.model.recall import Line, Recall
from tests.memory.chat import EVE, HOUR, MIA, TOM, Chat


class Lines:
    """A source that always has these, best first."""

    def __init__(self, *texts: str, author_id: int = TOM.id) -> None:
        self._lines = [
            Line(text, author_id, Source(0, "tom", 0, None, -float(place))) for place, text in enumerate(texts)
        ]

    def lines(self, _turns: Sequence[Turn], _audience: Audience) -> Sequence[Line]:
        return self._lines


class Locked:
    """A source whose archive is locked."""

    def lines(self, _turns: Sequence[Turn], _audience: Audience) -> Sequence[Line]:
        raise ArchiveLocked("in use by another program: stop it")


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    with Archive(tmp_path) as archive:
        yield Chat(archive)


def asking(text: str, *before: str, channel: int = 1, audience: Audience = None, tokens: int = 50) -> Request:
    turns = [Turn("tom", said, 0, author_id=TOM.id) for said in before]
    asked = Turn("eve", text, 0, author_id=EVE.id)
    return Request(
        "",
        (*turns, asked),
        sampling=Sampling(max_new_tokens=tokens),
        audience=audience,
        channel_id=channel,
    )


def chunks(recall: Recall, request: Request) -> list[Chunk]:
    return list(recall.generate(request, Deadline(10)))


def said(recall: Recall, request: Request) -> str:
    return "".join(chunk.text for chunk in chunks(recall, request))


def remembering(chat: Chat) -> Recall:
    return Recall(RememberedLines(LongTerm(chat.archive, None, None)))


def test_a_question_of_old_is_answered_as_of_old(chat: Chat) -> None:
    chat.say(MIA, "who broke the printer?", after=HOUR)
    chat.say(TOM, "gerald did, with a spoon")
    assert said(remembering(chat), asking("who broke the printer?")) == "gerald did, with a spoon"


def test_only_the_audience_is_quoted(chat: Chat) -> None:
    chat.say(MIA, "who broke the printer?", channel=2)
    chat.say(TOM, "gerald did, in secret", channel=2)
    chat.say(MIA, "the printer is a fine machine", channel=1)
    request = asking("who broke the printer?", audience=frozenset({1}))
    assert said(remembering(chat), request) == "the printer is a fine machine"
    with pytest.raises(BackendFailed):
        said(remembering(chat), asking("who broke the printer?", audience=frozenset({3})))


@pytest.mark.parametrize("text", ["Gerald did it", "gerald did it!", "  gerald  DID it. "])
def test_the_words_of_the_question_are_not_said_back(text: str) -> None:
    assert said(Recall(Lines("gerald did it", "no idea")), asking(text)) == "no idea"


def test_the_askers_own_lines_are_not_said_back(chat: Chat) -> None:
    chat.say(EVE, "the printer is my enemy", after=HOUR)
    chat.say(MIA, "the printer is a fine machine", after=HOUR)
    assert said(remembering(chat), asking("the printer")) == "the printer is a fine machine"


@pytest.mark.parametrize("shown", ["gerald did it", "Gerald did it.", "gerald did it\nor so"])
def test_what_stands_in_the_recent_turns_is_not_said_again(shown: str) -> None:
    assert said(Recall(Lines("gerald did it", "no idea")), asking("who?", shown)) == "no idea"


@pytest.mark.parametrize("best", ["gerald did it", "gerald did it\nwith a spoon", "gerald did it. "])
def test_a_channel_never_hears_the_same_line_twice_in_a_row(best: str) -> None:
    recall = Recall(Lines(best, "no idea"))
    assert [said(recall, asking("who?")).strip(". ") for _ in range(3)] == ["gerald did it", "no idea", "gerald did it"]


def test_channels_do_not_know_of_each_other() -> None:
    recall = Recall(Lines("gerald did it", "no idea"))
    assert [said(recall, asking("who?", channel=number)) for number in (1, 2, 1)] == [
        "gerald did it",
        "gerald did it",
        "no idea",
    ]


def test_a_line_that_was_cut_off_in_time_does_not_count_as_said() -> None:
    recall = Recall(Lines("gerald did it", "no idea"))
    deadline = Deadline(10)
    reply = recall.generate(asking("who?"), deadline)
    next(reply)
    deadline.cancel()
    assert [chunk.finish for chunk in reply] == ["cancelled"]
    assert said(recall, asking("who?")) == "gerald did it"


def test_of_a_long_message_the_first_line_is_said() -> None:
    assert said(Recall(Lines("\nfirst line\nsecond line")), asking("who?")) == "first line"


def test_it_streams_words_and_stops_at_the_length() -> None:
    reply = chunks(Recall(Lines("one  two three")), asking("who?", tokens=3))
    assert [chunk.text for chunk in reply] == ["one", " ", " two", ""]
    assert reply[-1].finish == "length"


@pytest.mark.parametrize("source", [Lines(), Lines("", " \n"), Lines("mine", author_id=EVE.id)])
def test_nothing_to_say_is_told_with_the_way_out(source: Lines) -> None:
    with pytest.raises(NothingToSay, match="nothing in the archive answers this: import more history, or set up"):
        said(Recall(source), asking("who?"))


def test_a_fault_of_the_archive_comes_out_as_the_backends() -> None:
    with pytest.raises(BackendFailed, match="in use by another program: stop it"):
        said(Recall(Locked()), asking("who?"))


def test_a_request_without_turns_is_no_error() -> None:
    assert said(Recall(Lines("gerald did it")), Request("", ())) == "gerald did it"


def test_a_reply_names_whose_words_it_is_made_of(chat: Chat) -> None:
    question = chat.say(MIA, "so who broke the printer?", after=HOUR)
    answer = chat.say(TOM, "gerald did\nwith a spoon")
    recall = Recall(RememberedLines(LongTerm(chat.archive, None, None)))
    *_, last = recall.generate(asking("who broke the printer?"), Deadline(10))
    assert last.source is not None
    assert (last.source.message_id, last.source.author) == (answer.id, TOM.display_name)
    assert last.source.answers == question.rendered


def test_replies_at_the_same_time_do_not_say_the_same_line_twice_in_a_row() -> None:
    recall = Recall(Lines("first", "second"))
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: said(recall, asking("who?")), range(64)))
    # Which of two simultaneous replies comes first is open, but each choice excluded the one before it.
    assert abs(replies.count("first") - replies.count("second")) <= 1
