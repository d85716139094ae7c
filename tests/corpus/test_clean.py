"""Each rule: what it does, what it must leave, that it can be switched off, and that all it does is counted."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.corpus.clean import ALL, ALWAYS, RULES, Cleaned, People, Verdict, clean, rules_without
from sususbot.corpus.tally import Tally
from sususbot.errors import SettingsError
from sususbot.messages import Attachment, Message
from sususbot.wording import rewriting
from tests.corpus.talk import GARDEN, MIA, MINUTE, SECOND, SUSU, TOM, message, one_cleaned, talk

FILE = Attachment(1, "cat.png", 9, "https://example.com/cat.png")
# A text each rule changes, and what it makes of it.
CHANGED = {
    "zalgo": ("h\u0301\u0302\u0303\u0304e\u0301\u0302\u0303llo", "hello"),
    "code": ("try this:\n```py\nfor x in y:\n    print(x)\n```\nok?", "try this:\n[code]\nok?"),
    "quotes": ("> will you come\nyes", "[quote]\nyes"),
    "mentions": ("<@1> and <@!2> in <#20>, <@&5> at <t:17:R>", "@Mia and @someone in #a channel, @a role at (a time)"),
    "emoji": ("<:tea:123> <a:dance:456>", ":tea: :dance:"),
    "links": ("look https://example.com/a?b=(c) and [here](https://example.com)!", "look [link] and here!"),
    "secrets": ("password: hunter2", "password: [password]"),
    "personal": ("mia@example.com is me", "[mail] is me"),
    "emotes": ("😂😂😂😂😂😂 noooooooooooo :tea: :tea: :tea: :tea: :tea:", "😂😂😂 noooooo :tea: :tea: :tea:"),
}  # fmt: skip


@pytest.mark.parametrize("rule", CHANGED)
def test_a_rule_changes_and_says_so(rule: str) -> None:
    before, after = CHANGED[rule]
    people = People({1: "Mia"})
    cleaned = next(clean([message(0, MIA, before)], ALL, people))
    assert (cleaned.text, cleaned.rules, cleaned.verdict) == (after, (rule,), Verdict.KEPT)
    assert next(clean([message(0, MIA, before)], ALL - {rule}, people)).text == before


def test_every_rule_is_tested_here() -> None:
    dropping = {"system", "bots", "empty", "attachments", "commands", "duplicates"}
    assert set(CHANGED) | dropping | {"long"} == set(RULES)


@pytest.mark.parametrize(
    "text",
    [
        "ça va, naïve Việt Nam, नमस्ते, สวัสดี",
        "is `npm install` enough?",
        "a > b and 3>2",
        "->",
        ":) :D :tea: 👍👍👍",
        "hmmm... what?! ...",
        "[mia] (not a link) [1](2)",
        "@mia hi",
        "haha",
        "a\nb\nc",
    ],
)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    assert one_cleaned(text) == Cleaned(one_cleaned(text).message, (text,))


@pytest.mark.parametrize(
    ("one", "rule", "verdict"),
    [
        (message(0, MIA, "Mia joined", type=7), "system", Verdict.VANISHED),
        (message(0, SUSU, "I am a bot"), "bots", Verdict.VANISHED),
        (message(0, MIA, "  "), "empty", Verdict.VANISHED),
        (message(0, MIA, "", attachments=(FILE,)), "attachments", Verdict.CUT),
        (message(0, MIA, "!play despacito"), "commands", Verdict.VANISHED),
        (message(0, MIA, "/imagine a cat"), "commands", Verdict.VANISHED),
        (message(0, MIA, "https://example.com/cat"), "links", Verdict.CUT),
        (message(0, MIA, "<https://example.com/cat> !"), "links", Verdict.CUT),
        (message(0, MIA, "```\nx = 1\ny = 2\n```"), "code", Verdict.CUT),
        (message(0, MIA, "> only quoted"), "quotes", Verdict.CUT),
    ],
)
def test_a_rule_drops_and_says_how(one: Message, rule: str, verdict: Verdict) -> None:
    cleaned = next(clean([one]))
    assert (cleaned.parts, cleaned.rules[-1], cleaned.verdict) == ((), rule, verdict)


def test_indented_code_needs_no_fence() -> None:
    code = "so:\n    for x in y:\n        print(x)\n\n    }\n}\nright?"
    assert one_cleaned(code).text == "so:\n[code]\n}\nright?"
    assert one_cleaned("a list:\n    one line only\nfine").rules == ()


@pytest.mark.parametrize(
    "text", ["(" * 4000, "\n    " * 1000, "> " * 2000, "http://" * 600, ":a:" * 1300, "<@1" * 1300, "[a](" * 1000]
)
def test_the_longest_message_takes_no_time_that_one_would_notice(text: str) -> None:
    begun = time.process_time()
    one_cleaned(text)
    # Milliseconds when it is linear; a pattern that backtracks without end would take minutes.
    assert time.process_time() - begun < 2


def test_what_is_redacted_stays_where_it_stood() -> None:
    assert one_cleaned("mia@example.com").text == "[mail]"
    assert one_cleaned("mia@example.com").marked


@pytest.mark.parametrize(
    "text",
    ["/shrug", "/s", "!!!", "/usr/bin/env node", "! important", "?what", "-yet :)", ".env is missing", "$5 each"],
)
def test_what_only_looks_like_a_command_stays(text: str) -> None:
    assert one_cleaned(text).verdict is Verdict.KEPT


def test_other_prefixes_are_commands_when_a_bot_answers_at_once() -> None:
    asked = message(0, MIA, "?rank me")
    assert [one.verdict for one in clean([asked, message(2 * SECOND, SUSU, "you are 3rd")])] == [Verdict.VANISHED] * 2
    late = clean([asked, message(MINUTE, SUSU, "good morning")])
    assert next(late).verdict is Verdict.KEPT
    elsewhere = clean([asked, message(2 * SECOND, SUSU, "you are 3rd", channel=GARDEN)])
    assert next(elsewhere).verdict is Verdict.KEPT


def test_duplicates() -> None:
    long = "the meeting is tomorrow at the usual place, everybody bring something to eat please, thanks"
    said = talk((MIA, long), (TOM, "ok"), (MIA, long.upper()), (TOM, long), *[(TOM, "lol")] * 5, (MIA, "lol"))
    verdicts = [one.verdict is Verdict.KEPT for one in clean(said)]
    # Again by its author, pasted by another; from the fourth "lol" of one member in a row it is a flood.
    assert verdicts == [True, True, False, False, True, True, True, False, False, True]
    assert all(one.verdict is Verdict.KEPT for one in clean(said, ALL - {"duplicates"}))
    other_place = [message(0, MIA, long), message(MINUTE, MIA, long, channel=GARDEN)]
    assert all(one.verdict is Verdict.KEPT for one in clean(other_place))
    next_week = [message(0, MIA, long), message(7 * 24 * 60 * MINUTE, MIA, long)]
    assert all(one.verdict is Verdict.KEPT for one in clean(next_week))


def test_a_long_message_is_split_and_nothing_of_it_is_lost() -> None:
    text = "\n\n".join(f"Paragraph {number}. " + "words and more words, " * 12 for number in range(9))
    cleaned = one_cleaned(text)
    assert cleaned.rules == ("long",)
    assert all(0 < len(part) <= rewriting.LONGEST for part in cleaned.parts)
    assert "".join("".join(cleaned.parts).split()) == "".join(text.split())
    assert all(part.startswith("Paragraph") for part in cleaned.parts)


@given(st.text(alphabet="ab .,\n", max_size=400), st.integers(5, 50))
def test_splitting_keeps_every_letter(text: str, longest: int) -> None:
    parts = rewriting.split(text, longest)
    assert all(len(part) <= longest for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@given(st.text(max_size=200))
def test_whatever_is_written_can_be_cleaned_and_is_clean_then(text: str) -> None:
    once = one_cleaned(text)
    assert (once.parts == ()) is (once.verdict is not Verdict.KEPT)
    for part in once.parts:
        again = one_cleaned(part)
        assert again.parts in ((), (part,)), again


def test_names_of_those_not_to_be_learned_of_are_gone() -> None:
    people = People({1: "Mia", 2: "Tom", 3: "Tom_K", 4: "Alex"}, unnamed={2: {"Tom", "tommy", "Alex"}})
    said = message(0, MIA, "@Tom and @Tom_K, once @tommy, <@2>?", mentions=(2, 3))
    assert next(clean([said], ALL, people)).text == "@someone and @Tom_K, once @someone, @someone?"
    # Without an id, and with the rule off; but another Alex is not him.
    bare = message(0, MIA, "@Tom, @tommy and @Alex")
    assert next(clean([bare], ALL - {"mentions"}, people)).text == "@someone, @someone and @Alex"
    meant = message(0, MIA, "@Alex", mentions=(2,))
    assert next(clean([meant], ALL, people)).text == "@someone"


def test_a_marked_line_says_so() -> None:
    assert one_cleaned("see https://example.com").marked
    assert not one_cleaned("I wrote [link] myself").marked


def test_rules_are_switched_off_by_name() -> None:
    assert rules_without(["links", "emoji"]) == ALL - {"links", "emoji"}
    with pytest.raises(SettingsError, match="linsk is no rule"):
        rules_without(["linsk"])
    for rule in ALWAYS:
        with pytest.raises(SettingsError, match="cannot be switched off"):
            rules_without([rule])


def test_all_is_counted_whatever_the_order() -> None:
    said = [
        *(
            message(number * MINUTE, MIA, f"mail {number}@example.com https://example.com/{number}")
            for number in range(20)
        ),
        message(30 * MINUTE, SUSU, "beep"),
        message(31 * MINUTE, TOM, "https://example.com"),
        message(32 * MINUTE, TOM, "hello"),
    ]
    whole, second = Tally(), Tally()
    cleaned = list(whole.count(clean(said)))
    for one in [*cleaned[1::3], *cleaned[::3], *cleaned[2::3]]:
        second.add(one)
    for tally in (whole, second):
        assert tally.messages == 23
        assert tally.verdicts == {Verdict.KEPT: 21, Verdict.VANISHED: 1, Verdict.CUT: 1}
        assert (tally.rules["personal"].changed, tally.rules["bots"].dropped, tally.rules["links"].dropped) == (
            20,
            1,
            1,
        )
        assert tally.changed == 20
    assert whole.rules["personal"].examples == second.rules["personal"].examples
    assert len(whole.rules["personal"].examples) == 5


def test_examples_show_no_secret_and_nobody_who_may_not_be_quoted() -> None:
    said = [
        message(0, MIA, "password: hunter2 https://example.com"),
        message(MINUTE, TOM, "see https://example.com/tom"),
    ]
    tally = Tally(quotable={MIA.id})
    for one in clean(said):
        tally.add(one)
    shown = [example for count in tally.rules.values() for example in count.examples]
    assert shown
    assert not any("hunter2" in example.before + example.after or "see" in example.before for example in shown)
