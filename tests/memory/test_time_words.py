"""What span of time a question speaks of, on any day and in any zone."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.memory.time_words import Span, span_of

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
# A Wednesday.
ASKED = "2023-07-12 15:30"


def ms(time: str, zone: tzinfo = UTC) -> int:
    return int(datetime.fromisoformat(time).replace(tzinfo=zone).timestamp() * 1000)


def days(first: str, end: str, zone: tzinfo = UTC) -> Span:
    return Span(ms(first, zone), ms(end, zone))


@pytest.mark.parametrize(
    ("text", "asked", "first", "end"),
    [
        ("what did I do yesterday?", ASKED, "2023-07-11", "2023-07-12"),
        ("the day before yesterday", ASKED, "2023-07-10", "2023-07-11"),
        ("plans TONIGHT", ASKED, "2023-07-12", "2023-07-13"),
        ("last night", ASKED, "2023-07-11 18:00", "2023-07-12 06:00"),
        ("last week", ASKED, "2023-07-03", "2023-07-10"),
        ("last weekend", ASKED, "2023-07-07", "2023-07-10"),
        ("last month", "2024-01-31", "2023-12-01", "2024-01-01"),
        ("last year", "2024-02-29", "2023-01-01", "2024-01-01"),
        ("this year", "2024-01-01", "2024-01-01", "2024-01-02"),
        ("this week", ASKED, "2023-07-10", "2023-07-13"),
        ("last summer", ASKED, "2022-06-01", "2022-09-01"),
        ("last summer", "2024-01-05", "2023-06-01", "2023-09-01"),
        ("in the summer", ASKED, "2023-06-01", "2023-09-01"),
        ("last winter", "2024-01-05", "2022-12-01", "2023-03-01"),
        ("during the winter", "2024-01-05", "2023-12-01", "2024-03-01"),
        ("summer of 2021", ASKED, "2021-06-01", "2021-09-01"),
        ("in May", "2023-04-10", "2022-05-01", "2022-06-01"),
        ("in may", "2023-05-01", "2023-05-01", "2023-06-01"),
        ("in May 2030", ASKED, "2030-05-01", "2030-06-01"),
        ("in sept. 2021", ASKED, "2021-09-01", "2021-10-01"),
        ("since december", "2024-01-01", "2023-12-01", "2024-01-01"),
        ("on 2022-02-03", ASKED, "2022-02-03", "2022-02-04"),
        ("on 31 December", "2024-01-01", "2023-12-31", "2024-01-01"),
        ("the 1st of July, 2021", ASKED, "2021-07-01", "2021-07-02"),
        ("on July 4th 1969", ASKED, "1969-07-04", "1969-07-05"),
        ("March 3rd", ASKED, "2023-03-03", "2023-03-04"),
        ("on 29 February", "2023-07-01", "2020-02-29", "2020-03-01"),
        ("on 29 February", "2024-02-01", "2020-02-29", "2020-03-01"),
        ("february 29", "2024-02-29", "2024-02-29", "2024-03-01"),
        ("two days ago", ASKED, "2023-07-10", "2023-07-11"),
        ("two weeks ago", ASKED, "2023-06-24", "2023-07-03"),
        ("a couple of weeks ago", ASKED, "2023-06-24", "2023-07-03"),
        ("back in 1968", ASKED, "1968-01-01", "1969-01-01"),
        ("in 2019", ASKED, "2019-01-01", "2020-01-01"),
        # The day is none, the month is.
        ("31 June 2023", ASKED, "2023-06-01", "2023-07-01"),
    ],
)  # fmt: skip
def test_a_phrase_is_a_span(text: str, asked: str, first: str, end: str) -> None:
    assert span_of(text, ms(asked), UTC) == days(first, end)


@pytest.mark.parametrize(
    "text",
    [
        "", "?!", "who may come?", "31 June", "on 2023-13-45", "2023-02-29", "30 february", "the lastest week",
        "a marching band", "yesterdays", "room 2019", "in 20190", "0 may", "summertime",
    ],
)  # fmt: skip
def test_what_names_no_time_is_no_span(text: str) -> None:
    assert span_of(text, ms(ASKED), UTC) is None


@pytest.mark.parametrize(
    ("text", "asked", "zone", "hours"),
    [
        # A day is 23 or 25 hours long where the clock is changed.
        ("yesterday", "2023-03-27 09:00", BERLIN, 23),
        ("yesterday", "2023-10-30 00:00", BERLIN, 25),
        ("yesterday", "2023-03-13 23:59", NEW_YORK, 23),
        ("on November 5", "2023-11-20 12:00", NEW_YORK, 25),
        ("last week", "2023-03-27 01:00", BERLIN, 167),
        ("in march 2023", "2023-07-01 01:00", BERLIN, 31 * 24 - 1),
    ],
)
def test_days_begin_and_end_at_the_midnights_of_the_zone(text: str, asked: str, zone: ZoneInfo, hours: int) -> None:
    span = span_of(text, ms(asked, zone), zone)
    assert span is not None
    assert span.end - span.first == hours * 3_600_000
    for time in span:
        assert datetime.fromtimestamp(time / 1000, zone).strftime("%H:%M") == "00:00"


def test_the_same_moment_is_another_day_elsewhere() -> None:
    asked = ms("2024-01-01 02:00", BERLIN)
    assert span_of("this year", asked, BERLIN) == days("2024-01-01", "2024-01-02", BERLIN)
    assert span_of("this year", asked, NEW_YORK) == days("2023-01-01", "2024-01-01", NEW_YORK)


def test_by_itself_days_are_those_of_this_machine() -> None:
    asked = datetime(2023, 7, 12, 15, 30)
    span = span_of("on 5 January", int(asked.timestamp() * 1000))
    assert span is not None
    # Winter's midnight, asked in summer.
    assert [datetime.fromtimestamp(time / 1000).isoformat() for time in span] == [
        "2023-01-05T00:00:00",
        "2023-01-06T00:00:00",
    ]


@given(
    st.lists(st.sampled_from("last this in may march 29 february 31 2023 1900 ago 999 years a summer of the".split()))
    .map(" ".join)
    .flatmap(lambda text: st.just(text) | st.text().map(lambda more: text + more)),
    st.sampled_from([-(10**13), -1, 0, 951_782_400_000, 1_700_000_000_000, 253_402_000_000_000, 10**18, -(10**18)]),
    st.sampled_from([None, UTC, BERLIN]),
)
def test_no_text_and_no_moment_is_an_error(text: str, now: int, zone: tzinfo | None) -> None:
    span = span_of(text, now, zone)
    assert span is None or span.first < span.end
