"""The data folder's rooms: what may be called how, on every system that it may be moved to."""

import pytest

from sususbot.artifacts import LONGEST_NAME, is_name


@pytest.mark.parametrize(
    "name", ["winter", "winter 2", "größer", "v1.2+b", "con-tinued", "comrade", "x" * LONGEST_NAME]
)
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", ".hidden", "a/b", "..\\up", "c:", "run:2", "what?", "a*b", 'say "x"', "a|b", "<new>", "a\nb"),
        *("ends.", "ends ", "con", "NUL", "aux.json", "Com1", "lpt9.old.txt", "x" * (LONGEST_NAME + 1)),
    ],
)
def test_no_names(name: str) -> None:
    assert not is_name(name)
