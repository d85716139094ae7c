"""The values: times, names and dates."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.messages import Author, day, iso_ms, joined_names


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-03T10:00:00+00:00",
        "2024-03-03T10:00:00Z",
        "2024-03-03T10:00:00",
        "2024-03-03T15:30:00+05:30",
        "2024-03-03T02:00:00.000-08:00",
        "2024-03-03T10:00:00.0000000+00:00",
    ],
)
def test_one_moment_is_one_number_however_it_is_written(text: str) -> None:
    assert iso_ms(text) == 1_709_460_000_000


def test_fractions_of_a_second_are_kept_to_the_millisecond() -> None:
    assert iso_ms("2024-03-03T10:00:00.123+00:00") == 1_709_460_000_123
    assert iso_ms("2024-03-03T10:00:00.1239999+00:00") == 1_709_460_000_124
    assert iso_ms("1969-12-31T23:59:59.999+00:00") == -1


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_time_survives_to_the_millisecond(moment: datetime) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert abs(iso_ms(moment.isoformat()) - (moment - epoch).total_seconds() * 1000) <= 0.51


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01T00:00:00Z", "2024-03-03T10:00:00+99:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        iso_ms(text)


def test_a_date_is_written_as_people_write_it() -> None:
    assert day(1_709_460_000_000) == "3 Mar 2024"
    assert day(-1) == "31 Dec 1969"


def test_names_are_joined_as_a_sentence_has_them() -> None:
    assert [joined_names(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_values_are_compared_by_content() -> None:
    assert Author(1, "mia", "Mia") == Author(1, "mia", "Mia")
    assert len({Author(1, "mia", "Mia"), Author(1, "mia", "Mia"), Author(1, "mia", "M")}) == 2
