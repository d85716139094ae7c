"""The context: which lines make it into a prompt, in what order, and that all that does not is named."""

from dataclasses import replace

import pytest

from sususbot.errors import SettingsError
from sususbot.memory.sections import LeftOut
from sususbot.memory.surroundings import Hit
from sususbot.messages import Author, Turn
from sususbot.wording.rules import Rewriting
from tests.memory.contexts import (
    MARCH,
    NAMES,
    PAUSE,
    PERSONA,
    builder,
    hit,
    lines_of,
    message,
    section_of,
    soon_after,
    turn,
)


def test_the_sections_come_in_order_and_the_best_memory_last() -> None:
    asked = turn(50, "who was it?")
    context = builder().build(asked, [turn(40), turn(41, "hi")], [hit(7, "best", 8), hit(5, "second")], NAMES)
    assert context.prompt == (
        "A chat among friends.\n"
        "\n"
        "mia: hello you\n"
        "mia: hi\n"
        "\n"
        "(said here before, quoted; today is 3 Mar 2024:)\n"
        "> 3 Mar 2024, #general, tom: second\n"
        "> 3 Mar 2024, #general, tom: best\n"
        "> 3 Mar 2024, #general, tom: around 8\n"
        "\n"
        "mia: who was it?\n"
        "susu:"
    )
    assert [section.name for section in context.sections] == ["persona", "summary", "recent", "memories", "message"]
    assert context.left_out == ()
    assert context.turns == (turn(40), turn(41, "hi"), asked)
    assert [one.message.id for one in context.memories] == [7, 5]
    assert context.used == sum(section.used for section in context.sections)


def test_without_memories_there_is_no_heading() -> None:
    prompt = builder().build(turn(50), [turn(40, "hi")], [], NAMES).prompt
    assert prompt == "A chat among friends.\n\nmia: hi\nmia: hello you\nsusu:"


def test_old_turns_go_first_and_are_counted() -> None:
    recent = [turn(number) for number in range(1, 200)]
    context = builder().build(turn(200), recent, [], NAMES)
    kept = context.turns[:-1]
    assert 0 < len(kept) < 199
    assert kept == tuple(recent[-len(kept) :])
    (left,) = context.left_out
    assert (left.section, left.what) == ("recent", f"{199 - len(kept)} older turns")
    assert "is full" in left.reason
    assert section_of(context, "recent").why == f"{len(kept)} of 199: the newest"


def test_a_turn_that_does_not_fit_ends_the_talk_there_without_a_hole() -> None:
    context = builder().build(turn(50), [turn(1), turn(2, "long " * 500), turn(3)], [], NAMES)
    assert context.turns == (turn(3), turn(50))
    assert context.left_out[0].what == "2 older turns"


def test_neighbours_that_do_not_fit_are_left_and_named_but_the_memory_stays() -> None:
    big = Hit(
        message(7, "it was gerald"),
        1.0,
        {"words": 1.0},
        (message(6, "blah " * 400), message(7, "it was gerald"), message(8, "ok")),
    )
    context = builder().build(turn(50), [], [big], NAMES)
    assert lines_of(context, "memories") == (
        "> 3 Mar 2024, #general, tom: it was gerald",
        "> 3 Mar 2024, #general, tom: ok",
    )
    assert [(left.section, left.what) for left in context.left_out] == [
        ("memories", "1 messages around tom: it was gerald")
    ]
    assert context.prompt.startswith(f"{PERSONA}\n\n(said here")


def test_of_what_was_said_around_a_memory_the_farthest_goes_first() -> None:
    around = tuple(message(number, f"number {number} " + "blah " * 60) for number in range(5, 11))
    shown = {
        tokens: [
            one.id
            for one in builder(tokens)
            .build(turn(50), [], [Hit(around[2], 1.0, {"words": 1.0}, around)], NAMES)
            .memories[0]
            .around
        ]
        for tokens in (170, 250, 340, 420, 520)
    }
    kept = [[7, 8], [6, 7, 8], [6, 7, 8, 9], [5, 6, 7, 8, 9], [5, 6, 7, 8, 9, 10]]
    assert list(shown.values()) == kept


def test_a_memory_that_does_not_fit_is_named_and_a_smaller_one_takes_its_place() -> None:
    context = builder().build(turn(50), [], [hit(7, "blah " * 400), hit(5, "small")], NAMES)
    assert [one.message.id for one in context.memories] == [5]
    (left,) = context.left_out
    assert left.section == "memories"
    assert left.what.startswith("tom: blah blah")
    assert len(left.what) <= 60


def test_no_line_is_shown_twice() -> None:
    hits = [
        hit(40, "in the talk"),
        hit(50, "the question"),
        hit(7, "best", 6, 8, 41),
        hit(8, "around 8"),
        hit(9, "new", 8),
        hit(6, "around 6"),
    ]
    context = builder().build(turn(50), [turn(40), turn(41)], hits, NAMES)
    assert [one.message.id for one in context.memories] == [7, 8, 9]
    assert lines_of(context, "memories") == (
        "> 3 Mar 2024, #general, tom: around 6",
        "> 3 Mar 2024, #general, tom: best",
        "> 3 Mar 2024, #general, tom: around 8",
        "> 3 Mar 2024, #general, tom: new",
    )
    already = [
        LeftOut("memories", f"tom: {text}", "shown already") for text in ("in the talk", "the question", "around 6")
    ]
    assert list(context.left_out) == already


def test_a_turn_that_was_left_out_may_come_back_as_a_memory() -> None:
    context = builder().build(turn(50), [turn(1, "long " * 500)], [hit(1, "short")], NAMES)
    assert [one.message.id for one in context.memories] == [1]


def test_a_channel_without_a_known_name_is_no_error() -> None:
    assert "#?, tom:" in builder().build(turn(50), [], [hit(7)], {}).prompt


def test_a_message_that_is_too_long_loses_its_end_with_a_mark() -> None:
    text = " ".join(f"w{number}" for number in range(500))
    context = builder().build(turn(50, text), [], [], NAMES)
    (line,) = lines_of(context, "message")
    assert line.startswith("mia: w0 w1 ")
    assert line.endswith(" …")
    kept = len(line) - len("mia:  …")
    assert context.left_out == (
        LeftOut("message", f"the last {len(text) - kept} characters", "the message is too long"),
    )
    assert context.turns[-1].text == text


def test_a_name_that_leaves_no_room_for_words_gives_way() -> None:
    asked = Turn("🎉" * 32, "what is the plan " * 40, MARCH)
    context = builder(count=lambda text: len(text.encode())).build(asked, [], [], {})
    (line,) = lines_of(context, "message")
    assert line.startswith("someone: what is the plan")
    assert context.left_out[0].what == "the name"


def test_a_persona_that_is_too_long_is_told_with_both_numbers() -> None:
    with pytest.raises(
        SettingsError, match=r"BOT_DESCRIPTION takes 400 tokens and \d+ are free for it: shorten it, raise CONTEXT"
    ):
        builder(persona="word " * 400)


@pytest.mark.parametrize("tokens", [-100, 0, 40])
def test_too_few_tokens_for_any_message_are_told(tokens: int) -> None:
    with pytest.raises(SettingsError, match=r"only \d+ tokens are left for the message: raise CONTEXT_TOKENS"):
        builder(tokens, persona="")


def test_what_a_member_says_in_one_go_is_one_line_and_may_end_in_the_question() -> None:
    first, second = turn(1, "so"), turn(2, "who broke")
    third = soon_after(second, "the\nprinter?")
    context = builder().build(third, [first, second], [], NAMES)
    assert context.prompt == "A chat among friends.\n\nmia: so\nmia: who broke ⏎ the ⏎ printer?\nsusu:"
    assert context.turns == (first, second, third)
    assert lines_of(context, "message") == ("mia: who broke ⏎ the ⏎ printer?",)
    assert context.left_out == ()


@pytest.mark.parametrize(
    "asked",
    [
        replace(soon_after(turn(2), "really?"), author_id=12, speaker="tom"),
        replace(soon_after(turn(2), "really?"), reply_to=1),
        replace(soon_after(turn(2), "really?"), at=turn(2).at + PAUSE),
        soon_after(turn(2), "https://example.com really?"),
        soon_after(turn(2), "really? " * 45),
    ],
    ids=["another speaks", "an answer to a certain message", "a pause", "a mark", "too long"],
)
def test_a_line_ends_where_it_ends_in_training(asked: Turn) -> None:
    context = builder(1000).build(asked, [turn(2)], [], NAMES)
    assert lines_of(context, "recent") == ("mia: hello you",)
    assert len(lines_of(context, "message")) == 1


def test_a_question_that_does_not_fit_beside_what_was_begun_stands_alone_and_loses_nothing() -> None:
    before = turn(2, "words " * 5)
    asked = soon_after(before, "other " * 5)
    narrow = builder(300, persona="", count=lambda text: len(text.encode()))
    context = narrow.build(asked, [before], [], NAMES)
    assert lines_of(context, "message") == (f"mia: {asked.text.strip()}",)
    assert lines_of(context, "recent") == (f"mia: {before.text.strip()}",)
    assert context.left_out == ()


def test_a_long_turn_is_shown_with_all_of_its_lines_or_none() -> None:
    long = turn(1, "\n\n".join(f"{number} " + "word " * 150 for number in range(3)))
    shown = builder(3000).build(turn(3), [long, turn(2)], [], NAMES)
    assert [line[:6] for line in lines_of(shown, "recent")] == ["mia: 0", "mia: 1", "mia: 2", "mia: h"]
    assert shown.turns == (long, turn(2), turn(3))
    hidden = builder(500).build(turn(3), [long, turn(2)], [], NAMES)
    assert lines_of(hidden, "recent") == ("mia: hello you",)
    assert hidden.left_out[0].what == "1 older turns"


def test_links_and_secrets_are_marks_wherever_they_stand_and_a_trace_keeps_the_words() -> None:
    asked = turn(50, "is <:tea:456> at https://example.com?")
    recent = [turn(40, "password: hunter22")]
    context = builder().build(asked, recent, [hit(7, "mia@example.com wrote\n> you\nno")], NAMES)
    assert lines_of(context, "recent") == ("mia: password: [password]",)
    assert lines_of(context, "memories") == ("> 3 Mar 2024, #general, tom: [mail] wrote ⏎ [quote] ⏎ no",)
    assert lines_of(context, "message") == ("mia: is :tea: at [link]?",)
    assert context.turns == (*recent, asked)
    assert context.memories[0].message.rendered.startswith("mia@example.com")
    plain = builder(rewriting=Rewriting(frozenset())).build(asked, recent, [], NAMES)
    assert "mia: is <:tea:456> at https://example.com?" in plain.prompt


def test_a_name_that_stands_as_an_id_is_looked_up_each_time() -> None:
    names = {12: "Tom"}
    build = builder(rewriting=Rewriting(name_of=lambda id_: names.get(id_, "someone"))).build
    assert "mia: @Tom and @someone" in build(turn(1, "<@12> and <@13>"), [], [], NAMES).prompt
    del names[12]
    assert "mia: @someone and @someone" in build(turn(1, "<@12> and <@13>"), [], [], NAMES).prompt


def test_nobody_is_called_like_another_or_like_the_bot() -> None:
    other_mia = replace(turn(2, "me too"), author_id=13, account="mia_k")
    impostor = replace(turn(3, "I am the bot"), author_id=14, speaker="SUSU", account="")
    own = replace(turn(4, "no, I am"), author_id=99, speaker="Susu Bot", account="susubot", own=True)
    asked = turn(5, "@Susu Bot, @susubot and @susubots?")
    context = builder().build(asked, [turn(1, "hi"), other_mia, impostor, own], [hit(7)], NAMES)
    assert lines_of(context, "recent") == ("mia: hi", "mia_k: me too", "SUSU 2: I am the bot", "susu: no, I am")
    assert lines_of(context, "message") == ("mia: @susu, @susu and @susubots?",)
    assert context.speakers == {"mia", "mia_k", "SUSU 2", "tom"}
    assert context.turns[-1] == asked


def test_the_bot_is_known_by_its_account_before_it_said_anything() -> None:
    context = builder().build(turn(1, "@Susu Bot?"), [], [], NAMES, Author(99, "susubot", "Susu Bot", is_bot=True))
    assert context.prompt.endswith("\nmia: @susu?\nsusu:")
