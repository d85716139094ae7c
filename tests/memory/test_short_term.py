"""Recent turns: the last messages of a channel as they stand in the archive now."""

import pytest

from sususbot.archive.archive import Archive
from sususbot.memory.short_term import ShortTerm
from sususbot.messages import Turn
from tests.memory.chat import EVE, MIA, ROBOT, TOM, Chat
from tests.support.consents import refuse


def texts(turns: list[Turn]) -> list[str]:
    return [turn.text for turn in turns]


def test_it_gives_the_last_turns_of_one_channel_oldest_first(archive: Archive, chat: Chat) -> None:
    for number in range(6):
        chat.say(MIA, f"here {number}")
        chat.say(TOM, f"there {number}", channel=2)
    short_term = ShortTerm(archive, window=3)
    assert texts(short_term.recent(1)) == ["here 3", "here 4", "here 5"]
    assert texts(short_term.recent(2)) == ["there 3", "there 4", "there 5"]
    assert short_term.recent(3) == []


def test_a_turn_says_who_spoke_what_when(archive: Archive, chat: Chat) -> None:
    message = chat.say(MIA, "hello\nyou")
    assert ShortTerm(archive, window=3).recent(1) == [
        Turn(
            "mia",
            "hello\nyou",
            message.created_at,
            own=False,
            message_id=message.id,
            author_id=MIA.id,
            account="mia",
            reply_to=None,
        )
    ]


def test_a_turn_says_what_it_answers(archive: Archive, chat: Chat) -> None:
    asked = chat.say(MIA, "tea?")
    chat.say(TOM, "yes", reply_to=asked)
    assert [turn.reply_to for turn in ShortTerm(archive, window=3).recent(1)] == [None, asked.id]


def test_the_bots_account_is_known_once_it_said_something(archive: Archive, chat: Chat) -> None:
    short_term = ShortTerm(archive, window=3)
    assert short_term.own_account is None
    short_term.own_id = ROBOT.id
    assert short_term.own_account is None
    chat.say(ROBOT, "six")
    assert short_term.own_account == ROBOT


def test_the_message_asked_and_all_after_it_can_be_left_out(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "one")
    asked = chat.say(TOM, "two?")
    chat.say(MIA, "three")
    assert texts(ShortTerm(archive, window=5).recent(1, before=asked.id)) == ["one"]


@pytest.mark.parametrize("own", [True, False])
def test_other_bots_are_left_out_but_the_bots_own_lines_belong_to_the_talk(
    archive: Archive, chat: Chat, own: bool
) -> None:
    chat.say(MIA, "roll")
    chat.say(ROBOT, "six")
    turns = ShortTerm(archive, window=5, own_id=ROBOT.id if own else None).recent(1)
    assert [(turn.text, turn.own) for turn in turns] == [("roll", False), ("six", True)][: 1 + own]


def test_members_who_opted_out_do_not_take_a_place_in_the_window(archive: Archive, chat: Chat) -> None:
    chat.say(MIA, "one")
    chat.say(EVE, "not me")
    chat.say(TOM, "two")
    refuse(archive, EVE)
    assert texts(ShortTerm(archive, window=2).recent(1)) == ["one", "two"]


def test_edits_and_deletions_show_at_once(archive: Archive, chat: Chat) -> None:
    edited, deleted = chat.say(MIA, "teh cat"), chat.say(TOM, "oops")
    short_term = ShortTerm(archive, window=5)
    assert texts(short_term.recent(1)) == ["teh cat", "oops"]
    chat.edit(edited, "the cat")
    chat.delete(deleted)
    assert texts(short_term.recent(1)) == ["the cat"]
