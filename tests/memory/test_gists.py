"""What stands between a model and what is shown: folding, checking, choosing lines, and what a chat model is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.errors import BackendFailed, ModelError
from sususbot.memory.summarizer.chat import Chat
from sususbot.memory.summarizer.checked import checked, shortened
from sususbot.memory.summarizer.extractive import Extractive
from sususbot.memory.summarizer.folds import folded
from sususbot.memory.summarizer.summarizer import Said
from sususbot.model.backend import Deadline
from sususbot.model.scripted import Scripted

MIA_AND_TOM = [Said("mia", "the ferry leaves at 9pm from Haven"), Said("tom", "i hate that ferry")]
SAID = st.builds(
    Said, st.sampled_from(["mia", "tom"]), st.text(st.sampled_from("ab é "), min_size=1, max_size=60).map(str.strip)
).filter(lambda one: bool(one.text))


def letters(said: list[Said]) -> int:
    return sum(len(one.line.encode()) + 1 for one in said)


@given(st.lists(SAID, max_size=8), st.integers(12, 80))
def test_folding_leaves_nothing_out_and_no_group_too_long(said: list[Said], limit: int) -> None:
    groups = folded(said, lambda lines: letters(list(lines)), limit)
    assert all(group and letters(group) <= limit for group in groups)
    kept = [(one.speaker, letter) for group in groups for one in group for letter in one.text if letter != " "]
    assert kept == [(one.speaker, letter) for one in said for letter in one.text if letter != " "]


@given(st.lists(SAID, max_size=8))
def test_what_fits_is_one_group_as_it_was(said: list[Said]) -> None:
    assert folded(said, lambda lines: letters(list(lines)), 10_000) == ([said] if said else [])


def test_a_long_line_is_split_between_words() -> None:
    groups = folded([Said("mia", "one two three four five six")], lambda lines: letters(list(lines)), 20)
    assert [one.text for group in groups for one in group] == ["one two three", "four five six"]


def test_a_model_that_cannot_read_even_a_name_is_refused() -> None:
    with pytest.raises(BackendFailed, match="choose another"):
        folded([Said("mia", "hello")], lambda lines: letters(list(lines)), 3)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Mia's ferry leaves Haven at 9.", "Mia's ferry leaves Haven at 9."),
        ("Mia takes the ferry. CNN.com will feature photos in a weekly Travel gallery.", "Mia takes the ferry."),
        ("Bob hates it. Tom hates the ferry.", "Tom hates the ferry."),
        ("Tom pays 40 for it. Tom is sad.", "Tom is sad."),
        ("The ferry leaves late.", "mia and tom talked: The ferry leaves late."),
        ("Talking about the ferry with tom.\nmia is late", "Talking about the ferry with tom. mia is late"),
        ("I think tom\u202e hates\x00 it", "I think tom hates it"),
    ],
)
def test_what_nobody_said_is_left_out_and_somebody_is_named(raw: str, shown: str) -> None:
    assert checked(raw, MIA_AND_TOM) == shown


@pytest.mark.parametrize("raw", ["", " \n", "…", "Bob Jones left for Paris."])
def test_where_nothing_holds_there_is_no_summary(raw: str) -> None:
    with pytest.raises(BackendFailed):
        checked(raw, MIA_AND_TOM)


def test_many_speakers_are_not_all_listed() -> None:
    said = [Said(f"m{number}", "the ferry") for number in range(9)]
    assert checked("the ferry", said) == "m0, m1, m2, m3, m4 and others talked: the ferry"


@given(st.text(), st.integers(10, 50))
def test_a_cut_shows(text: str, longest: int) -> None:
    short = shortened(text, longest)
    assert len(short) <= longest
    assert short == text or short.endswith(" …")


def chosen(*lines: str) -> list[str]:
    said = [Said(*line.split(": ", 1)) for line in lines]
    return Extractive().summarize(said, Deadline(9)).split("\n")


def test_the_telling_lines_are_chosen_in_their_order() -> None:
    assert chosen(
        "mia: hey",
        "mia: shall we meet at the harbour on saturday at 9",
        "tom: lol",
        "tom: saturday works, but the harbour is closed until noon",
        "mia: hm ok then",
    ) == [
        "mia: shall we meet at the harbour on saturday at 9",
        "tom: saturday works, but the harbour is closed until noon",
    ]


def test_lines_that_say_nothing_are_not_chosen_beside_one_that_does() -> None:
    assert chosen("mia: lol", "tom: [link]", "mia: the oven is on fire", "tom: ok", "tom: what") == [
        "mia: the oven is on fire"
    ]


def test_a_long_line_is_shown_as_cut() -> None:
    line = chosen("mia: " + "kettle " * 100)[0]
    assert line.startswith("mia: kettle")
    assert line.endswith(" …")
    assert len(line) <= 160


def test_the_chat_model_is_shown_examples_the_lines_and_where_to_go_on() -> None:
    backend = Scripted([" tom hates the ferry that mia takes"])
    gist = Chat(backend.generate, backend.count_tokens).summarize(MIA_AND_TOM, Deadline(9))
    request = backend.requests[0]
    assert gist == "tom hates the ferry that mia takes"
    assert request.prompt.endswith("\n\nmia: the ferry leaves at 9pm from Haven\ntom: i hate that ferry\nIn short:")
    assert request.prompt.count("In short:") == 3
    assert (request.stop, request.sampling.temperature) == (("\n",), 0.0)


def test_a_chat_model_that_fails_or_repeats_an_example_gives_no_summary() -> None:
    backend = Scripted(["Zebedee looked for the ladder."], fail_at={1})
    chat = Chat(backend.generate, backend.count_tokens)
    for _ in range(2):
        with pytest.raises(ModelError):
            chat.summarize(MIA_AND_TOM, Deadline(9))


def test_talk_that_is_far_too_long_is_refused() -> None:
    backend = Scripted(["tom"])
    chat = Chat(backend.generate, backend.count_tokens, context_tokens=160)
    with pytest.raises(BackendFailed, match="too long"):
        chat.summarize([Said("tom", "word " * 2000)], Deadline(9))
