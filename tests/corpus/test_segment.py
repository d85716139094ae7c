"""Conversations: what hangs together, and what never becomes neighbours. Mistakes seen in others' code first."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.corpus.clean import Cleaned, Verdict, clean
from sususbot.corpus.consent import consented
from sususbot.corpus.segment import Line, Linker, Linking, segment
from sususbot.messages import Attachment, Message
from tests.corpus.talk import (
    ANA,
    GARDEN,
    HOUR,
    LEO,
    MIA,
    MINUTE,
    SECOND,
    SUSU,
    TOM,
    conversations,
    message,
    talk,
    texts,
)

DAY = 24 * HOUR


def test_a_day_and_three_minutes_are_not_three_minutes() -> None:
    said = [message(0, MIA, "see you"), message(DAY + 3 * MINUTE, TOM, "hi there")]
    assert conversations(said) == [["see you"], ["hi there"]]


def test_channels_together_give_what_each_gives_alone() -> None:
    kitchen = talk((MIA, "tea?"), (TOM, "yes"), (MIA, "black?"), every=5 * MINUTE)
    garden = talk((ANA, "roses?"), (LEO, "no"), every=31 * MINUTE, start=MINUTE, channel=GARDEN)
    assert conversations([*kitchen, *garden]) == conversations(kitchen) + conversations(garden)


def test_silence_ends_a_conversation_and_a_short_one_does_not() -> None:
    said = [message(0, MIA, "a"), message(29 * MINUTE, TOM, "b"), message(60 * MINUTE + 1, MIA, "c")]
    assert conversations(said) == [["a", "b"], ["c"]]
    assert conversations(said, Linking(silence_ms=HOUR)) == [["a", "b", "c"]]


def test_a_reply_reference_is_a_link_across_silence_and_crowds() -> None:
    asked = message(0, MIA, "who has the key?")
    crowd = talk(*[(author, f"noise {n}") for n, author in enumerate((TOM, ANA, LEO) * 5)], start=2 * HOUR)
    reply = message(3 * HOUR, TOM, "I have", type=19, reply_to=asked.id)
    assert ["who has the key?", "I have"] in conversations([asked, *crowd, reply])


def test_a_reply_to_what_is_not_here_begins_anew_and_says_so() -> None:
    said = [message(0, MIA, "tea?"), message(SECOND, TOM, "never!", type=19, reply_to=77)]
    first, second = segment(clean(said))
    assert (texts(first), first.cut) == (["tea?"], False)
    assert (texts(second), second.cut) == (["never!"], True)


def test_two_talks_at_once_come_apart_by_mentions() -> None:
    said = [
        message(0, MIA, "how do I boil an egg?"),
        message(10 * SECOND, ANA, "anyone for chess?"),
        message(20 * SECOND, TOM, "@Mia eight minutes", mentions=(1,)),
        message(30 * SECOND, LEO, "@Ana me", mentions=(3,)),
        message(40 * SECOND, MIA, "thanks"),
        message(50 * SECOND, ANA, "great"),
    ]
    # The first two are neighbours in a calm channel; without the rule for calm channels they are not.
    busy = Linking(quiet_speakers=0, learned=False)
    assert conversations(said, busy) == [
        ["how do I boil an egg?", "@Mia eight minutes", "thanks"],
        ["anyone for chess?", "@Ana me", "great"],
    ]


def test_a_name_with_a_colon_is_a_mention() -> None:
    said = talk((MIA, "q1"), (ANA, "q2"), (TOM, "mia: a1"))
    assert conversations(said, Linking(quiet_speakers=0, learned=False)) == [["q1", "mia: a1"], ["q2"]]


def test_an_answer_goes_to_the_line_that_spoke_to_the_writer() -> None:
    linker = Linker()
    lines = [
        Line(1, MIA.id, 0, (TOM.id,)),
        Line(2, MIA.id, 10 * SECOND, (ANA.id,)),
        Line(3, TOM.id, 20 * SECOND, (MIA.id,)),
    ]
    assert [linker.link(line) for line in lines] == [None, 1, 1]


def test_what_was_removed_with_a_cut_never_has_its_neighbours_meet() -> None:
    picture = message(20 * SECOND, TOM, "", attachments=(Attachment(1, "a.png", 1, "u"),))
    said = [message(0, MIA, "good night"), picture, message(40 * SECOND, ANA, "how cute!!")]
    first, second = segment(clean(said))
    assert (texts(first), first.cut) == (["good night"], False)
    assert (texts(second), second.cut) == (["how cute!!"], True)


def test_who_did_not_agree_is_left_out_and_cuts() -> None:
    said = talk((MIA, "shall we?"), (TOM, "secret words"), (MIA, "fine then"))
    first, second = segment(consented(clean(said), {MIA.id}))
    assert (texts(first), texts(second), second.cut) == (["shall we?"], ["fine then"], True)


def test_what_vanishes_does_not_cut() -> None:
    said = [message(0, MIA, "tea?"), message(SECOND, ANA, "Ana joined", type=7), message(2 * SECOND, TOM, "yes")]
    assert conversations(said) == [["tea?", "yes"]]


def test_talk_with_a_bot_is_no_answer_to_whoever_spoke_before() -> None:
    said = [
        message(0, MIA, "I am sad"),
        message(SECOND, SUSU, "I told a joke"),
        message(20 * SECOND, TOM, "@Susu hahaha", mentions=(SUSU.id,)),
        message(30 * SECOND, ANA, "so funny", type=19, reply_to=message(SECOND, SUSU, "").id),
    ]
    assert conversations(said) == [["I am sad"], ["@Susu hahaha"], ["so funny"]]


def test_an_excluded_channel_or_an_empty_stream_gives_nothing() -> None:
    assert conversations([]) == []


_AUTHORS = st.sampled_from([MIA, TOM, ANA, LEO, SUSU])


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    said: list[Message] = []
    at = 0
    for number in range(draw(st.integers(0, 30))):
        at += draw(st.sampled_from([SECOND, 40 * SECOND, 6 * MINUTE, 31 * MINUTE, 25 * HOUR]))
        earlier = draw(st.sampled_from([None, *said])) if said else None
        said.append(
            message(
                at,
                draw(_AUTHORS),
                draw(st.sampled_from([f"line {number}", "", "https://example.com"])),
                reply_to=earlier.id if earlier else None,
                mentions=tuple(draw(st.lists(st.integers(1, 4), max_size=2))),
            )
        )
    return said


@settings(max_examples=75)
@given(histories(), st.sets(st.integers(1, 4)))
def test_what_must_hold_of_every_history(said: list[Message], agreed: set[int]) -> None:
    cleaned: list[Cleaned] = list(consented(clean(said), agreed))
    found = list(segment(cleaned))
    kept = [one.message.id for one in cleaned if one.verdict is Verdict.KEPT]
    assert sorted(line.message.id for one in found for line in one.lines) == sorted(kept)
    for one in found:
        ids = [line.message.id for line in one.lines]
        assert ids == sorted(ids)
        for before, line in zip(one.lines, one.lines[1:], strict=False):
            replied = line.message.reply_to is not None
            gap = line.message.created_at - before.message.created_at
            # Only a reply reference goes across a silence, and no further than a day.
            assert gap <= Linking().silence_ms or any(other.message.reply_to for other in one.lines)
            assert gap <= Linking().reply_ms or not replied
        assert {line.message.author.id for line in one.lines} <= agreed
