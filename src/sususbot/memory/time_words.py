"""When a question speaks of: "last summer", "in May 2023", "two weeks ago", as a span of time.

English words and ISO dates; what is not understood gives no span. Seasons are those of the north, days begin at
midnight where the bot runs.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from typing import Final, NamedTuple

_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH: Final = "|".join(f"{name}|{name[:3]}" for name in _MONTHS) + "|sept"
_SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_NUMBERS: Final = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "a couple of": 2}
_NUMBER: Final = r"\d{1,3}|a couple of|an?|one|two|three|four|five|six"
_YEAR: Final = r"(?:19|20)\d\d"
_DAY: Final = timedelta(days=1)
# From one to the next at most, around 1900 or 2100.
_LEAP_YEARS: Final = 8


class Span(NamedTuple):
    """From `first` until before `end`, ms since 1970."""

    first: int
    end: int


def span_of(text: str, now: int, zone: tzinfo | None = None) -> Span | None:
    """The time a question speaks of, asked at `now` (ms); None where it speaks of none.

    `zone` is where days begin and end; by itself that of this machine.
    """
    try:
        asked = datetime.fromtimestamp(now / 1000, zone).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        return None
    for pattern, reading in _READINGS:
        found = pattern.search(text.lower())
        if found is not None:
            try:
                first, end = reading(found, asked)
                return Span(_ms(first, zone), _ms(end, zone))
            except (ValueError, OverflowError):
                # 31 June, or a year that no calendar has.
                continue
    return None


def _ms(time: datetime, zone: tzinfo | None) -> int:
    # Without a zone midnight is this machine's, in summer as in winter.
    return int((time.replace(tzinfo=zone) if zone is not None else time.replace(tzinfo=None)).timestamp() * 1000)


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def _month_of(name: str) -> int:
    return next(number for number, month in enumerate(_MONTHS, 1) if month.startswith(name[:3]))


def _months_on(time: datetime, months: int) -> datetime:
    years, month = divmod(time.month - 1 + months, 12)
    return _midnight(time).replace(year=time.year + years, month=month + 1, day=1)


def _day(asked: datetime, year: str | None, month: str | int, day: str) -> tuple[datetime, datetime]:
    number = month if isinstance(month, int) else _month_of(month)
    if year:
        first = _midnight(asked).replace(year=int(year), month=number, day=int(day))
        return first, first + _DAY
    for back in range(_LEAP_YEARS + 1):
        # 29 February is not in every year.
        with suppress(ValueError):
            first = _midnight(asked).replace(year=asked.year - back, month=number, day=int(day))
            if first <= asked:
                return first, first + _DAY
    raise ValueError("no such day")


def _month(found: re.Match[str], asked: datetime) -> tuple[datetime, datetime]:
    month, year = _month_of(found["month"]), found.groupdict().get("year")
    first = _midnight(asked).replace(year=int(year) if year else asked.year, month=month, day=1)
    if year is None and first > asked:
        first = first.replace(year=first.year - 1)
    return first, _months_on(first, 1)


def _season(found: re.Match[str], asked: datetime) -> tuple[datetime, datetime]:
    """Of that year; else the one that began last, or with `last` the last one that is over."""
    said = found.groupdict()
    year = int(said["year"]) if said.get("year") else asked.year
    first = _midnight(asked).replace(year=year, month=_SEASONS[said["season"]], day=1)
    if said.get("year") is None:
        if first > asked:
            first = first.replace(year=year - 1)
        if said["which"] == "last" and _months_on(first, 3) > asked:
            first = first.replace(year=first.year - 1)
    return first, _months_on(first, 3)


def _last(found: re.Match[str], asked: datetime) -> tuple[datetime, datetime]:
    today, unit = _midnight(asked), found["unit"]
    if unit == "night":
        return today - timedelta(hours=6), today + timedelta(hours=6)
    if unit in ("week", "weekend"):
        monday = today - timedelta(days=today.weekday())
        return (monday - timedelta(days=7 if unit == "week" else 3)), monday
    if unit == "month":
        return _months_on(today, -1), _months_on(today, 0)
    first = today.replace(year=today.year - 1, month=1, day=1)
    return first, first.replace(year=today.year)


def _this(found: re.Match[str], asked: datetime) -> tuple[datetime, datetime]:
    today, unit = _midnight(asked), found["unit"]
    if unit == "week":
        first = today - timedelta(days=today.weekday())
    elif unit == "month":
        first = today.replace(day=1)
    elif unit == "year":
        first = today.replace(month=1, day=1)
    else:
        first = today
    return first, today + _DAY


def _ago(found: re.Match[str], asked: datetime) -> tuple[datetime, datetime]:
    """About then: a unit to either side of what was said, since people round."""
    count = _NUMBERS.get(found["count"]) or int(found["count"])
    days = {"day": 1, "week": 7, "month": 30, "year": 365}[found["unit"]]
    then = _midnight(asked) - timedelta(days=days * count)
    around = timedelta(days={"day": 0, "week": 4, "month": 20, "year": 183}[found["unit"]])
    return then - around, then + around + _DAY


Reading = Callable[[re.Match[str], datetime], tuple[datetime, datetime]]


def _said(pattern: str, reading: Reading) -> tuple[re.Pattern[str], Reading]:
    return re.compile(rf"\b(?:{pattern})\b"), reading


# The first that fits counts: what says most comes first.
_READINGS: Final = (
    _said(
        rf"(?P<year>{_YEAR})-(?P<month>\d\d)-(?P<day>\d\d)",
        lambda found, asked: _day(asked, found["year"], int(found["month"]), found["day"]),
    ),
    _said(
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<month>{_MONTH})\.?,?(?: (?P<year>{_YEAR}))?",
        lambda found, asked: _day(asked, found["year"], found["month"], found["day"]),
    ),
    _said(
        rf"(?P<month>{_MONTH})\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,? (?P<year>{_YEAR}))?",
        lambda found, asked: _day(asked, found["year"], found["month"], found["day"]),
    ),
    _said(rf"(?P<month>{_MONTH})\.?,? (?:of )?(?P<year>{_YEAR})", _month),
    _said(rf"(?P<season>spring|summer|autumn|fall|winter)(?: of)? (?P<year>{_YEAR})", _season),
    _said(r"(?P<which>last|this|in the|during the) (?P<season>spring|summer|autumn|fall|winter)", _season),
    _said(rf"(?P<count>{_NUMBER}) (?P<unit>day|week|month|year)s? ago", _ago),
    _said(r"last (?P<unit>night|weekend|week|month|year)", _last),
    _said(r"this (?P<unit>week|month|year|morning|evening|afternoon)", _this),
    _said(
        r"(?:the )?day before yesterday",
        lambda _found, asked: (_midnight(asked) - 2 * _DAY, _midnight(asked) - _DAY),
    ),
    _said(r"yesterday", lambda _found, asked: (_midnight(asked) - _DAY, _midnight(asked))),
    _said(r"today|tonight", lambda _found, asked: (_midnight(asked), _midnight(asked) + _DAY)),
    _said(rf"(?:in|during|last|since|around) (?P<month>{_MONTH})", _month),
    _said(
        rf"(?:in|during|back in) (?P<year>{_YEAR})",
        lambda found, asked: (
            _midnight(asked).replace(year=int(found["year"]), month=1, day=1),
            _midnight(asked).replace(year=int(found["year"]) + 1, month=1, day=1),
        ),
    ),
)
