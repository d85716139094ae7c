"""Stop strings in a stream of pieces."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.model.stopping import Stopping

TEXTS = st.text("ab\n", max_size=12)


def shown(pieces: list[str], stops: tuple[str, ...]) -> tuple[str, bool]:
    stopping = Stopping(stops)
    text = "".join(stopping.feed(piece) for piece in pieces) + stopping.rest()
    return text, stopping.found


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=6), st.lists(TEXTS, max_size=3))
def test_the_cut_does_not_depend_on_the_pieces(pieces: list[str], stops: list[str]) -> None:
    characters = [character for piece in pieces for character in piece]
    assert shown(pieces, tuple(stops)) == shown(characters, tuple(stops))


@settings(deadline=None)
@given(TEXTS, TEXTS.filter(bool))
def test_one_stop_string_cuts_where_it_begins(text: str, stop: str) -> None:
    assert shown([text], (stop,)) == (text.partition(stop)[0], stop in text)


def test_only_what_may_begin_a_stop_string_is_held_back() -> None:
    stopping = Stopping(["\nmia:"])
    assert [stopping.feed(piece) for piece in ("hi", " you\n", "mi", "!", "\nmia", ": no")] == [
        "hi",
        " you",
        "",
        "\nmi!",
        "",
        "",
    ]
    assert stopping.found
