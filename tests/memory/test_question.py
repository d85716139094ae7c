"""What a question asks for: whose words, in which forms, of what kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.memory.question import People, understood
from sususbot.memory.terms import term

NOW = 1_700_000_000_000
MIA, TOM, WILL, KAI, LOU, ALEF, DICE = range(1, 8)
NAMES = {
    MIA: ["mia", "Mia"],
    TOM: ["tom_77", "Tom the Cook"],
    WILL: ["will", "the"],
    KAI: ["Käi", "käi.x"],
    LOU: ["Lou Ann Lee Roy", "🦊"],
    ALEF: ["אלף"],
    DICE: ["x", "7"],
}
PEOPLE = People(NAMES, talkers=[MIA, WILL])


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        ("when did Mia paint the shed?", {MIA}),
        ("what did mia say", {MIA}),
        ("what did tom say", set()),
        ("what did @tom say", {TOM}),
        ("what did Tom say", {TOM}),
        ("Tom the Cook's soup", {TOM}),
        ("what about tom_77", set()),
        ("what about @tom_77", {TOM}),
        ("Mia and Tom", {MIA, TOM}),
        ("Amia Tommy miasma", set()),
        ("is Käi here", {KAI}),
        ("is KÄI here", {KAI}),
        ("is käi here", set()),
        ("is Kai here", set()),
        ("Lou said so", {LOU}),
        ("what does אלף say", {ALEF}),
        # Common words are no names, and neither is a letter.
        ("will the dog bark?", set()),
        ("The dog", set()),
        ("X marks 7", set()),
        ("", set()),
        ("🦊", set()),
    ],
)
def test_who_is_named(text: str, whose: set[int]) -> None:
    assert understood(text, PEOPLE, NOW).named == whose


def test_two_members_of_one_name_are_both_meant() -> None:
    assert understood("Mia?", People({1: ["Mia"], 2: ["mia b"]}), NOW).named == {1, 2}


def test_a_name_that_comes_later_is_known_too() -> None:
    people = People({})
    assert not understood("Mia?", people, NOW).named
    people.add(MIA, "Mia")
    assert understood("Mia?", people, NOW).named == {MIA}


@pytest.mark.parametrize(
    ("text", "plain", "own", "content"),
    [
        ("When did Mia paint?", "When did paint?", "When did I paint?", "paint"),
        ("What is Mia's shed?", "What is shed?", "What is my shed?", "shed"),
        ("What is @Mia’s shed?", "What is shed?", "What is my shed?", "shed"),
        ("who painted?", "who painted?", "who painted?", "painted"),
        ("Mia", "Mia", "I", "mia"),
        ("who is it", "who is it", "who is it", "who is it"),
    ],
)
def test_it_is_compared_as_the_one_asked_about_would_say_it(text: str, plain: str, own: str, content: str) -> None:
    assert understood(text, PEOPLE, NOW).forms == (plain, own, content)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("what day is Mia's birthday?", ["birthday"]),
        ("which year did the shed burn?", ["shed", "burn"]),
        ("what date?", ["date"]),
        ("what made the day?", ["made", "day"]),
    ],
)
def test_what_it_asks_for_is_not_what_it_is_about(text: str, told: list[str]) -> None:
    assert understood(text, PEOPLE, NOW).terms == tuple(map(term, told))


def test_its_terms_are_its_telling_words_each_once() -> None:
    asked = understood("What did Mia paint: the shed, the SHEDS?", PEOPLE, NOW)
    assert asked.terms == (term("paint"), term("shed"))


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("When was it?", (True, False, False)),
        ("what day is it", (True, False, True)),
        ("how long did it last", (True, False, False)),
        ("How many cats?", (False, True, False)),
        ("  which one", (False, False, True)),
        ("in what town", (False, False, True)),
        ("somewhat whenever", (False, False, False)),
        ("tell me what", (False, False, False)),
    ],
)
def test_its_kind(text: str, flags: tuple[bool, bool, bool]) -> None:
    asked = understood(text, PEOPLE, NOW)
    assert (asked.when, asked.many, asked.what) == flags


def test_it_knows_its_time() -> None:
    assert understood("what did Mia do yesterday", PEOPLE, NOW).span is not None
    assert understood("what did Mia do", PEOPLE, NOW).span is None


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["Mia", "'s", "@", ".", "İ", "ß", "\x00", "a", "\ud800"])).map("".join)
)
def test_whatever_is_asked_is_understood(text: str) -> None:
    asked = understood(text, PEOPLE, NOW)
    assert asked.text == text
    assert all(asked.forms) == bool(text)
    assert len(set(asked.terms)) == len(asked.terms)


@given(st.text(max_size=20), st.text(max_size=20))
def test_whatever_a_member_is_called(name: str, more: str) -> None:
    people = People({1: [name]}, talkers=[1])
    assert understood(f"{name} {more}", people, NOW).named <= {1}
