"""Summing up in the background when it fails, is late, is busy, or ends."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from sususbot.archive.archive import Archive
from sususbot.errors import BackendFailed
from sususbot.memory.folding import Folding
from sususbot.memory.pieces import Pieces
from sususbot.memory.summarizer.summarizer import Said, Summarizer, TooLate
from tests.memory.chat import MIA, Chat
from tests.memory.summing_up import PATIENCE, Failing, Held, Joiner, memory, numbered, recent, say


def test_telling_lines_stand_in_for_a_summary_that_is_not_there_yet(archive: Archive, chat: Chat) -> None:
    held = Held()
    with memory(archive, held) as short_term:
        for text in numbered(1, 6):
            short_term.changed([chat.say(MIA, text).id])
        assert held.began.wait(PATIENCE)
        summary = short_term.summary(1)
        assert summary is not None
        assert (summary.by, summary.note) == ("extractive", "1 of 1 pieces: joiner has not come to it yet")
        assert summary.text == "14 Nov 2023, 22:13, mia: number 1"
        held.released.set()
        assert short_term.settle(PATIENCE)
        summary = short_term.summary(1)
        assert summary is not None
        assert (summary.by, summary.note) == ("joiner", None)


async def test_neither_reader_nor_writer_waits_for_it(archive: Archive, chat: Chat) -> None:
    held = Held()
    with memory(archive, held) as short_term:
        for text in numbered(1, 6):
            short_term.changed([chat.say(MIA, text).id])
        assert await asyncio.to_thread(held.began.wait, PATIENCE)
        short_term.changed([chat.say(MIA, "number 7").id])
        assert recent(short_term)[-1] == "number 7"
        assert short_term.summary(1) is not None
        assert not held.released.is_set()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (lambda: BackendFailed("no luck"), "joiner: no luck"),
        (lambda: ZeroDivisionError("a bug"), "joiner: it broke (ZeroDivisionError)"),
        (lambda: TooLate("a reply goes first"), "joiner: a reply goes first"),
    ],
    ids=["fails", "breaks", "makes way"],
)
def test_what_fails_is_said_and_telling_lines_stand_in(
    archive: Archive, chat: Chat, error: Callable[[], Exception], why: str
) -> None:
    failing = Failing(1, error)
    with memory(archive, failing) as short_term:
        say(chat, short_term, *numbered(1, 8))
        summary = short_term.summary(1)
        assert summary is not None
        assert (summary.by, summary.note) == ("extractive, joiner", f"1 of 2 pieces: {why}")
        assert len(failing.seen) == 2


def test_what_takes_too_long_is_ended_and_said(archive: Archive, chat: Chat) -> None:
    with memory(archive, Held(), seconds=0.02) as short_term:
        say(chat, short_term, *numbered(1, 6))
        summary = short_term.summary(1)
        assert summary is not None
        assert summary.note == "1 of 1 pieces: joiner: it took longer than 0.02 s"


def test_a_summarizer_that_cannot_be_loaded_is_said(archive: Archive, chat: Chat) -> None:
    class Missing(Joiner):
        def load(self) -> None:
            raise BackendFailed("it is broken: fetch it again")

    with memory(archive, Missing()) as short_term:
        say(chat, short_term, *numbered(1, 6))
        summary = short_term.summary(1)
        assert summary is not None
        assert summary.note == "1 of 1 pieces: joiner: it is broken: fetch it again"


def test_where_another_summarizer_was_asked_for_the_summary_says_so(archive: Archive, chat: Chat) -> None:
    with memory(archive, note="bart is not on this machine") as short_term:
        say(chat, short_term, *numbered(1, 6))
        summary = short_term.summary(1)
        assert summary is not None
        assert (summary.by, summary.note) == ("extractive", "bart is not on this machine")
    # Telling lines are read off each time: they stand in no file a second time.
    assert archive.summaries.made(1) == {}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def folding(archive: Archive, summarizer: Summarizer, clock: Clock) -> Iterator[Folding]:
    pieces = Pieces(archive, window=1, interval=1, kept=9)
    pieces.cut(1, own_id=None)
    made = Folding(
        archive,
        summarizer,
        pieces=lambda channel: pieces.talk(channel, before=None, own_id=None).pieces,
        said=lambda piece: [Said("mia", message.rendered) for message in piece.messages],
        seconds=30.0,
        clock=clock,
    )
    with closing(made):
        yield made


def tried(folds: Folding) -> None:
    folds.wake(1)
    assert folds.settle(PATIENCE)


def test_what_fails_is_tried_again_later_but_not_for_ever(archive: Archive, chat: Chat) -> None:
    for text in numbered(1, 3):
        chat.say(MIA, text)
    failing, clock = Failing(), Clock()
    with folding(archive, failing, clock) as folds:
        counts = []
        for minute in (0, 0, 1, 2, 3, 30, 60, 90):
            clock.now = minute * 60.0
            tried(folds)
            counts.append(len(failing.seen))
    assert counts == [1, 1, 2, 2, 3, 3, 3, 3]


def test_after_three_failures_in_a_row_it_rests(archive: Archive, chat: Chat) -> None:
    for text in numbered(1, 7):
        chat.say(MIA, text)
    failing, clock = Failing(3), Clock()
    with folding(archive, failing, clock) as folds:
        tried(folds)
        assert len(failing.seen) == 3
        oldest = Pieces(archive, window=1, interval=1, kept=9).talk(1, before=None, own_id=None).pieces[0]
        assert folds.reason(oldest) == "joiner rests after failing 3 times: no luck"
        clock.now = 599.0
        tried(folds)
        assert len(failing.seen) == 3
        clock.now = 601.0
        tried(folds)
    assert len(archive.summaries.made(1)) == 5


def test_the_channel_that_spoke_last_comes_first(archive: Archive, chat: Chat) -> None:
    held = Held()
    with memory(archive, held, window=1, interval=1) as short_term:
        for channel in (1, 2, 3):
            for number in (1, 2, 3):
                short_term.changed([chat.say(MIA, f"{channel}.{number}", channel=channel).id])
                if channel == 1 and number == 3:
                    assert held.began.wait(PATIENCE)
        held.released.set()
        assert short_term.settle(PATIENCE)
    assert held.texts == ["1.1", "3.1", "2.1"]


def test_closing_ends_what_runs_and_keeps_what_was_made(archive: Archive, chat: Chat) -> None:
    held = Held()
    with memory(archive, held) as short_term:
        for text in numbered(1, 6):
            short_term.changed([chat.say(MIA, text).id])
        assert held.began.wait(PATIENCE)
    assert held.closed == 1
    assert archive.summaries.made(1) == {}
    assert not [thread for thread in threading.enumerate() if thread.name == "summaries"]
    short_term.changed([chat.say(MIA, "after").id])
    assert recent(short_term)[-1] == "after"
