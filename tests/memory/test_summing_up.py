"""What leaves the window: cut into pieces that stay, summed up once in the background, and gone with its words."""

import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.memory.short_term import ShortTerm
from sususbot.memory.summarizer.extractive import Extractive
from sususbot.memory.summarizer.summarizer import Said
from sususbot.memory.summary import Summary
from sususbot.messages import Author, Message
from sususbot.model.backend import Deadline
from tests.memory.chat import BEGIN, EVE, MIA, ROBOT, TOM, Chat
from tests.memory.summing_up import PATIENCE, Held, Joiner, gist, memory, numbered, recent, say
from tests.support.consents import agree, refuse

# -- the window


def test_the_window_grows_by_an_interval_and_steps_back(archive: Archive, chat: Chat) -> None:
    sizes = []
    with memory(archive, window=20, interval=5) as short_term:
        for number in range(1, 41):
            say(chat, short_term, f"number {number}")
            asked = archive.newest()
            assert asked is not None
            sizes.append(len(short_term.recent(1, before=asked)))
            assert recent(short_term)[-1] == f"number {number}"
    assert sizes == [*range(25), *(20, 21, 22, 23, 24) * 3]


def test_every_message_is_in_the_window_or_in_one_piece(archive: Archive, chat: Chat) -> None:
    joiner = Joiner()
    with memory(archive, joiner) as short_term:
        for number in range(1, 11):
            say(chat, short_term, f"number {number}")
            shown = recent(short_term)
            folded = [text for line in gist(short_term) for text in line.split("mia: ")[1:]]
            assert [text.strip() for text in folded] + shown == numbered(1, number)
    assert joiner.texts == numbered(1, 6)


def test_a_summary_is_of_the_last_pieces_with_their_times(archive: Archive, chat: Chat) -> None:
    with memory(archive, Joiner(), kept=2) as short_term:
        said = say(chat, short_term, *numbered(1, 11))
        assert short_term.summary(1) == Summary(
            text="14 Nov 2023, 22:14, mia: number 3 mia: number 4\n14 Nov 2023, 22:15, mia: number 5 mia: number 6",
            by="joiner",
            first_at=said[2].created_at,
            last_at=said[5].created_at,
            messages=4,
        )
    assert said[0].created_at == BEGIN + 30_000


def test_channels_do_not_mix(archive: Archive, chat: Chat) -> None:
    with memory(archive, Joiner()) as short_term:
        for number in range(1, 7):
            say(chat, short_term, f"here {number}")
            say(chat, short_term, f"there {number}", channel=2)
        assert gist(short_term) == ["mia: here 1 mia: here 2"]
        other = short_term.summary(2)
    assert other is not None
    assert "here 1 mia: there 2" in other.text


def test_before_a_message_both_are_as_they_were_then(archive: Archive, chat: Chat) -> None:
    with memory(archive, Joiner()) as short_term:
        said = say(chat, short_term, *numbered(1, 6))
        then = recent(short_term, before=said[-1].id), gist(short_term, before=said[-1].id)
        say(chat, short_term, *numbered(7, 9))
        assert (recent(short_term, before=said[-1].id), gist(short_term, before=said[-1].id)) == then
        assert then == (numbered(3, 5), ["mia: number 1 mia: number 2"])


def test_without_summaries_the_window_is_as_long_as_it_is(archive: Archive, chat: Chat) -> None:
    for text in numbered(1, 9):
        chat.say(MIA, text)
    short_term = ShortTerm(archive, window=4)
    assert recent(short_term) == numbered(6, 9)
    assert short_term.summary(1) is None


def test_nothing_said_before_is_no_summary(archive: Archive, chat: Chat) -> None:
    with memory(archive, Joiner()) as short_term:
        say(chat, short_term, *numbered(1, 5))
        assert short_term.summary(1) is None
        assert short_term.summary(7) is None


def test_speakers_have_the_names_of_a_prompt_and_texts_are_rewritten(archive: Archive, chat: Chat) -> None:
    joiner = Joiner()
    twin = Author(21, "mia_two", "mia")
    with memory(archive, joiner, window=1, interval=4, own_id=ROBOT.id) as short_term:
        say(chat, short_term, "look at https://example.org/secret\nnow", author=MIA)
        say(chat, short_term, "tom: i never said that", author=twin)
        say(chat, short_term, "hello @dice", author=TOM)
        say(chat, short_term, "hello", author=ROBOT)
        say(chat, short_term, "the", "end")
    assert joiner.seen == [
        [
            Said("mia", "look at [link] ⏎ now"),
            Said("mia_two", "tom: i never said that"),
            Said("tom", "hello @susu"),
            Said("susu", "hello"),
        ]
    ]


def test_other_bots_are_in_no_piece(archive: Archive, chat: Chat) -> None:
    joiner = Joiner()
    with memory(archive, joiner, window=1) as short_term:
        say(chat, short_term, "one", "two")
        say(chat, short_term, "beep", author=ROBOT)
        say(chat, short_term, "three", "four")
    assert joiner.texts == ["one", "two"]


# -- what changes


@pytest.mark.parametrize("settled", [True, False], ids=["told", "not told"])
def test_an_edit_shows_at_once_and_its_piece_is_made_anew(archive: Archive, chat: Chat, settled: bool) -> None:
    joiner = Joiner()
    with memory(archive, joiner) as short_term:
        said = say(chat, short_term, *numbered(1, 8))
        chat.edit(said[0], "teapot boils")
        if settled:
            short_term.changed([said[0].id])
            assert short_term.settle(PATIENCE)
            assert gist(short_term) == ["mia: teapot boils mia: number 2", "mia: number 3 mia: number 4"]
            assert joiner.texts[-2:] == ["teapot boils", "number 2"]
        assert "number 1" not in " ".join(gist(short_term))
        assert "teapot" in " ".join(gist(short_term))


def test_a_deleted_message_leaves_window_and_summary(archive: Archive, chat: Chat) -> None:
    joiner = Joiner()
    with memory(archive, joiner) as short_term:
        said = say(chat, short_term, *numbered(1, 8))
        for gone in (said[0], said[5], said[6]):
            chat.delete(gone)
            short_term.changed([gone.id])
        assert short_term.settle(PATIENCE)
        # The window is never shorter than it should be; what it shows may stand in a piece as well.
        assert recent(short_term) == ["number 4", "number 5", "number 8"]
        assert gist(short_term) == ["mia: number 2", "mia: number 3 mia: number 4"]
    assert joiner.seen.count([Said("mia", "number 3"), Said("mia", "number 4")]) == 1


def test_a_piece_of_which_nothing_is_left_is_gone(archive: Archive, chat: Chat) -> None:
    with memory(archive, Joiner()) as short_term:
        said = say(chat, short_term, *numbered(1, 8))
        archive.delete([one.id for one in said[:2]], at=chat.now)
        short_term.changed([one.id for one in said[:2]])
        assert short_term.settle(PATIENCE)
        assert gist(short_term) == ["mia: number 3 mia: number 4"]


def test_pieces_stay_where_they_are_whatever_comes_and_goes(archive: Archive, chat: Chat) -> None:
    with memory(archive, kept=9) as short_term:
        said = say(chat, short_term, *numbered(1, 10))
        before = archive.summaries.spans(1)
        chat.delete(said[1])
        chat.edit(said[2], "else")
        say(chat, short_term, *numbered(11, 14))
        assert archive.summaries.spans(1)[: len(before)] == before


def test_who_says_no_is_out_of_the_summary_at_once_and_back_after_a_yes(archive: Archive, chat: Chat) -> None:
    with memory(archive, Joiner()) as short_term:
        for number in range(1, 5):
            say(chat, short_term, f"mine {number}", author=MIA)
            say(chat, short_term, f"eves {number}", author=EVE)
        assert "eves" in " ".join(gist(short_term))
        refuse(archive, EVE)
        assert not any("eve" in line for line in [*gist(short_term), *recent(short_term)])
        assert archive.summaries.made(1) == {}
        agree(archive, EVE)
        short_term.start()
        assert short_term.settle(PATIENCE)
        assert "eves" in " ".join(gist(short_term))


def test_a_summary_that_ends_after_a_no_is_not_kept(archive: Archive, chat: Chat) -> None:
    held = Held()
    with memory(archive, held) as short_term:
        for number in range(1, 7):
            short_term.changed([chat.say(EVE, f"eves {number}").id])
        assert held.began.wait(PATIENCE)
        refuse(archive, EVE)
        held.released.set()
        assert short_term.settle(PATIENCE)
        assert archive.summaries.made(1) == {}


def test_after_an_erasure_no_byte_of_the_words_is_left(archive: Archive, chat: Chat, tmp_path: Path) -> None:
    words = [f"zq{number}xj" for number in range(12)]
    with memory(archive, Joiner()) as short_term:
        for word in words:
            say(chat, short_term, f"the word is {word}", author=EVE)
            say(chat, short_term, "is it", author=MIA)
        made = " ".join(one.text for one in archive.summaries.made(1).values())
        assert any(word in made for word in words)
        archive.erase(EVE.id, at=chat.now)
        archive.erasure.finish([EVE.id], at=chat.now)
        short_term.changed(archive.erasure.tombstones(EVE.id))
        assert short_term.settle(PATIENCE)
        assert "eve" not in " ".join([*gist(short_term), *recent(short_term)])
        assert archive.check() == []
    left = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert [word for word in words if word[1:].encode() in left] == []


@pytest.mark.parametrize("how", ["edit", "delete", "expire"])
def test_words_that_go_are_in_no_file_any_more(archive: Archive, chat: Chat, tmp_path: Path, how: str) -> None:
    with memory(archive, Joiner(), window=1) as short_term:
        gone = say(chat, short_term, "the word is zq77xj", "is it")[0]
        say(chat, short_term, "the", "end")
        assert "zq77xj" in gist(short_term)[0]
        if how == "edit":
            chat.edit(gone, "another")
        elif how == "delete":
            chat.delete(gone)
        else:
            archive.erasure.expire(gone.created_at + 1)
    left = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert b"q77xj" not in left


def test_a_channel_can_begin_anew(archive: Archive, chat: Chat) -> None:
    with memory(archive, Joiner()) as short_term:
        said = say(chat, short_term, *numbered(1, 9))
        say(chat, short_term, *numbered(1, 9), channel=2)
        short_term.forget(1)
        assert (recent(short_term), gist(short_term)) == ([], [])
        assert len(short_term.recent(2)) >= 4
        say(chat, short_term, *numbered(10, 16))
        assert recent(short_term) == numbered(12, 16)
        assert gist(short_term) == ["mia: number 10 mia: number 11"]
        assert recent(short_term, before=said[5].id) == []
    assert recent(ShortTerm(archive, window=4)) == numbered(13, 16)


# -- catching up


def test_it_goes_on_after_a_restart_without_making_anything_again(archive: Archive, chat: Chat) -> None:
    with memory(archive, Joiner()) as short_term:
        say(chat, short_term, *numbered(1, 9))
        before = recent(short_term), short_term.summary(1)
    joiner = Joiner()
    with memory(archive, joiner) as short_term:
        assert (recent(short_term), short_term.summary(1)) == before
        short_term.start()
        assert short_term.settle(PATIENCE)
        assert (recent(short_term), short_term.summary(1)) == before
    assert joiner.seen == []


def test_at_the_start_a_history_is_caught_up_with_newest_first_and_only_what_will_be_shown(
    archive: Archive, chat: Chat
) -> None:
    for text in numbered(1, 60):
        chat.say(TOM, text, channel=2)
    for text in numbered(1, 60):
        chat.say(MIA, text)
    joiner = Joiner()
    with memory(archive, joiner) as short_term:
        assert recent(short_term) == numbered(58, 60)
        short_term.start()
        assert short_term.settle(PATIENCE)
        assert gist(short_term) == [
            "mia: number 51 mia: number 52",
            "mia: number 53 mia: number 54",
            "mia: number 55 mia: number 56",
        ]
    # By turns, so that no channel waits for all of another.
    assert [said[0].line for said in joiner.seen] == [
        f"{name}: number {number}" for number in (55, 53, 51) for name in ("mia", "tom")
    ]


def test_a_history_that_comes_later_is_cut_anew(archive: Archive, chat: Chat) -> None:
    early = [chat.say(MIA, f"early {number}") for number in range(1, 5)]
    missing = Chat(archive)
    missing.now, missing._next_id = chat.now, chat._next_id
    chat._next_id += 1000
    with memory(archive, Joiner()) as short_term:
        short_term.changed([early[0].id])
        say(chat, short_term, *numbered(1, 6))
        assert gist(short_term)[1:] == ["mia: early 3 mia: early 4", "mia: number 1 mia: number 2"]
        for number in range(1, 31):
            missing.say(TOM, f"missing {number}")
        # Nothing of what is now the middle of a history is shown as if it were its end.
        assert gist(short_term) == []
        say(chat, short_term, "number 7")
        assert recent(short_term) == numbered(4, 7)
        assert gist(short_term) == [
            "tom: missing 28 tom: missing 29",
            "tom: missing 30 mia: number 1",
            "mia: number 2 mia: number 3",
        ]


# -- whatever happens

ACTIONS = st.lists(
    st.tuples(st.sampled_from(["say", "say", "say", "edit", "delete", "no", "yes"]), st.integers(0, 10_000)),
    max_size=40,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS)
def test_whatever_happens_nothing_is_invisible_and_nothing_stale_is_shown(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]]
) -> None:
    with Archive(tmp_path_factory.mktemp("data")) as archive:
        chat, said = Chat(archive), list[Message]()
        with memory(archive, Joiner(), kept=99) as short_term:
            for number, (action, choice) in enumerate(actions):
                one = said[choice % len(said)] if said else None
                if action == "say":
                    said.append(chat.say((MIA, EVE)[choice % 2], f"w{number}w"))
                elif action in ("no", "yes"):
                    archive.consents.say(
                        EVE.id, by="member", way="asked", at=number, remember=action == "yes", learn=True
                    )
                elif one is not None and one.id in archive.messages([one.id]):
                    if action == "edit":
                        chat.edit(one, f"w{number}w")
                    else:
                        chat.delete(one)
                short_term.changed([message.id for message in said])
                assert short_term.settle(PATIENCE)
                there = [message.rendered for message in archive.window(1, limit=1000)]
                window = recent(short_term)
                shown = [word for line in gist(short_term) for word in line.split() if word.startswith("w")]
                assert window == there[-len(window) :] if window else not there
                assert len(window) >= min(3, len(there))
                assert set(shown) | set(window) == set(there)
                assert len(shown) == len(set(shown))


def test_extractive_needs_no_thread(archive: Archive, chat: Chat) -> None:
    with memory(archive) as short_term:
        say(chat, short_term, *numbered(1, 6))
        assert gist(short_term) == [
            Extractive().summarize([Said("mia", "number 1"), Said("mia", "number 2")], Deadline(9))
        ]
    assert not [thread for thread in threading.enumerate() if thread.name == "summaries"]
