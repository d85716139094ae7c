"""What of summary, turns and memories is shown where not all of it fits, and what says the same twice."""

from collections.abc import Sequence
from dataclasses import replace

from sususbot.memory.summary import Summary
from sususbot.messages import Turn
from tests.memory.contexts import (
    ANA,
    EVE,
    MARCH,
    NAMES,
    PAUSE,
    PERSONA,
    builder,
    count_words,
    hit,
    lines_of,
    section_of,
    soon_after,
    turn,
)


def summary(*lines: str, note: str | None = None) -> Summary:
    return Summary("\n".join(lines), "bart", MARCH - PAUSE, MARCH, 15, note)


def test_the_summary_stands_between_persona_and_talk() -> None:
    gist = summary("3 Mar 2024, 14:05, mia and tom planned a party.", "ana brings https://example.com tea")
    context = builder().build(turn(50, "so?"), [turn(40)], [hit(7)], NAMES, None, gist)
    assert context.prompt.startswith(
        "A chat among friends.\n"
        "\n"
        "(earlier, in short:)\n"
        "> 3 Mar 2024, 14:05, mia and tom planned a party.\n"
        "> ana brings [link] tea\n"
        "\n"
        "mia: hello you\n"
        "\n"
        "(said here before, quoted; today is 3 Mar 2024:)\n"
    )
    assert context.summary == gist
    assert section_of(context, "summary").why == "15 messages before the recent ones, by bart"
    late = builder().build(turn(50), [], [], NAMES, None, summary("a party", note="bart was late"))
    assert section_of(late, "summary").why.endswith("by bart (bart was late)")


def test_of_a_summary_that_is_too_long_the_oldest_lines_go() -> None:
    context = builder().build(turn(50), [], [], NAMES, None, summary(*(f"line {n} " + "x " * 20 for n in range(9))))
    kept = lines_of(context, "summary")
    assert 0 < len(kept) < 9
    assert kept[-1].startswith("> line 8 ")
    (left,) = context.left_out
    assert (left.section, left.what) == ("summary", f"its {9 - len(kept)} oldest lines")


def test_of_a_single_long_line_the_first_sentences_stay() -> None:
    text = "3 Mar 2024, tom: First it was this. Then tea! " + "blah " * 60 + "and that."
    context = builder().build(turn(50), [], [], NAMES, None, summary(text))
    assert lines_of(context, "summary") == ("> 3 Mar 2024, tom: First it was this. Then tea!",)
    assert [(left.section, left.what) for left in context.left_out] == [
        ("summary", "all but its newest line's beginning")
    ]
    nothing = builder().build(turn(50), [], [], NAMES, None, summary("blah " * 90))
    assert (lines_of(nothing, "summary"), nothing.summary) == ((), None)
    assert nothing.prompt == builder().build(turn(50), [], [], NAMES).prompt
    assert [left.what for left in nothing.left_out] == ["all of it"]


def test_an_empty_summary_is_none() -> None:
    assert builder().build(turn(50), [], [], NAMES, None, summary("", " ")).prompt.startswith(f"{PERSONA}\n\nmia:")


def test_the_turns_that_matter_are_kept_in_their_order_and_the_newest_fill_up() -> None:
    recent = [turn(number, f"number {number} " + "words " * 20) for number in range(1, 21)]
    matters = {2: 0.9, 5: 0.4, 19: 0.005}

    def relevance(turns: Sequence[Turn], _asked: Turn) -> list[float]:
        return [matters.get(one.message_id or 0, 0.0) for one in turns]

    context = builder(500, relevance=relevance).build(turn(50), recent, [], NAMES)
    kept = [one.message_id for one in context.turns[:-1]]
    assert kept[:2] == [2, 5]
    assert kept[2:] == list(range(23 - len(kept), 21))
    assert context.relevance[:2] == (0.9, 0.4)
    (left,) = context.left_out
    assert left.what == f"{20 - len(kept)} turns"
    assert left.reason.endswith("other conversations, or the least relevant")
    assert section_of(context, "recent").why == (
        f"{len(kept)} of 20: 2 that the message may go on from, then the newest"
    )


def test_what_stands_side_by_side_once_others_are_left_out_is_told_as_one() -> None:
    first = turn(1, "who broke")
    between = replace(turn(1, "long " * 300), message_id=2, author_id=12, speaker="tom")
    then = replace(soon_after(first, "the printer"), message_id=3)
    asked = replace(soon_after(then, "and why?"), message_id=4)
    context = builder(300, relevance=lambda turns, _: [0.5] * len(turns)).build(
        asked, [first, between, then], [], NAMES
    )
    assert context.turns == (first, then, asked)
    assert lines_of(context, "message") == ("mia: who broke ⏎ the printer ⏎ and why?",)


def test_where_all_turns_fit_none_is_weighed() -> None:
    def relevance(_turns: Sequence[Turn], _asked: Turn) -> list[float]:
        raise AssertionError("asked for nothing")

    context = builder(relevance=relevance).build(turn(50), [turn(1), turn(2)], [], NAMES)
    assert context.turns == (turn(1), turn(2), turn(50))
    assert context.relevance == ()


def test_memories_take_what_others_leave_and_others_what_memories_do_not_need() -> None:
    hits = [hit(number, f"number {number} " + "words " * 12) for number in range(100, 130)]
    few = builder(500).build(turn(50, "tom?"), [turn(1)], hits, NAMES)
    many = builder(500).build(turn(50, "tom?"), [turn(n, "words " * 12) for n in range(1, 60)], hits, NAMES)
    assert len(few.memories) > 1.5 * len(many.memories) > 0
    without = builder(500).build(turn(50), [turn(n, "words " * 12) for n in range(1, 60)], [], NAMES)
    assert len(without.turns) > len(many.turns)
    assert all(count_words(one.prompt) <= 500 for one in (few, many, without))


def test_no_member_floods_the_memories() -> None:
    flood = [hit(number, f"obey me {number}", author=EVE) for number in range(100, 108)]
    hits = [*flood, hit(90, "gerald did", author=ANA), hit(91, "with a spoon")]
    context = builder(900).build(turn(50, "who did it?"), [], hits, NAMES)
    assert [one.message.id for one in context.memories] == [100, 101, 102, 90, 91]
    assert {left.reason for left in context.left_out} == {"3 memories of one member are enough"}
    asked_for = builder(900).build(turn(50, "what did Eve say?"), [], hits, NAMES)
    assert len(asked_for.memories) == 10
    alone = builder(900).build(turn(50, "who did it?"), [], flood, NAMES)
    assert len(alone.memories) == 8


def test_what_says_the_same_is_told_once() -> None:
    hits = [hit(7, "The printer, again!"), hit(8, "the printer again"), hit(9, "tea is ready"), hit(10, "in the talk")]
    gist = summary("3 Mar 2024, 14:05, tom: it was Gerald, with a spoon")
    context = builder(900).build(
        turn(50), [turn(1, "tea is READY")], [*hits, hit(11, "it was gerald with a spoon")], NAMES, None, gist
    )
    assert [one.message.id for one in context.memories] == [7, 10]
    assert [left.reason for left in context.left_out] == [
        "the same words are shown already",
        "the same words are shown already",
        "the summary says it",
    ]


def test_hits_of_one_neighbourhood_are_one_passage_in_its_order() -> None:
    hits = [hit(20, "best", 19, 21), hit(5, "elsewhere"), hit(22, "second", 21, 23), hit(18, "third", 19)]
    context = builder(900).build(turn(50, "tom?"), [], hits, NAMES)
    words = [line.rpartition(": ")[2] for line in lines_of(context, "memories")]
    assert words == ["elsewhere", "third", "around 19", "best", "around 21", "second", "around 23"]


def test_the_same_question_asked_before_is_worth_what_was_answered_then() -> None:
    asked = turn(50, "who broke the printer?")
    context = builder(900).build(
        asked, [], [hit(7, "Who broke the printer", 8), hit(10, "who broke the printer")], NAMES
    )
    assert [one.message.id for one in context.memories] == [7]
    assert lines_of(context, "memories")[-1].endswith("tom: around 8")
