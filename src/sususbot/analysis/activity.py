"""When and where people write: over time, by weekday and hour, by channel. Times are of one zone, summer time kept."""

import os
from calendar import day_name
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sususbot.analysis.analysis import ChannelRow, Period, Volume, Week
from sususbot.chat_format import one_line
from sususbot.errors import SettingsError
from sususbot.messages import Channel, Message

# Longest span in days that is shown day by day, and week by week; what is longer is shown by months.
BY_DAY: Final = 92
BY_WEEK: Final = 730


class Clock:
    """Times as people in a zone read them. Without a zone it is this machine's own."""

    def __init__(self, zone: str | None = None) -> None:
        """Raises SettingsError for a zone that does not exist."""
        self.name = zone or _local_name()
        self._zone: tzinfo | None = None
        if self.name == _LOCAL:
            return
        try:
            self._zone = ZoneInfo(self.name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SettingsError(
                f"there is no time zone {self.name}: name one as in  --timezone Europe/Berlin  or  UTC"
            ) from error

    def at(self, ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, self._zone)

    def iso(self, ms: int) -> str:
        return self.at(ms).isoformat(timespec="minutes")[:16].replace("T", " ")


_LOCAL: Final = "local time"


def _local_name() -> str:
    """The machine's zone by its name where the system tells, so that summer and winter are each right."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if not named:
        link = Path("/etc/localtime")
        named = str(link.resolve()).partition("zoneinfo/")[2] if link.exists() else ""
    try:
        return ZoneInfo(named).key if named else _LOCAL
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _LOCAL


@dataclass(slots=True)
class Stretch:
    """From the first to the last of something, and how much."""

    messages: int = 0
    first: int = 0
    last: int = 0

    def add(self, ms: int) -> None:
        self.first = min(self.first, ms) if self.messages else ms
        self.last = max(self.last, ms) if self.messages else ms
        self.messages += 1


@dataclass(slots=True)
class _Place:
    stretch: Stretch = field(default_factory=Stretch)
    authors: set[int] = field(default_factory=set)


class Activity:
    """Counts messages by time and place as they come."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hours = [[0] * 24 for _ in range(7)]
        self._days: Counter[date] = Counter()
        self._places: dict[int, _Place] = {}
        self.whole = Stretch()

    def add(self, message: Message) -> date:
        """Count it; gives the day it was written on."""
        moment = self._clock.at(message.created_at)
        day = moment.date()
        self._hours[moment.weekday()][moment.hour] += 1
        self._days[day] += 1
        self.whole.add(message.created_at)
        place = self._places.setdefault(message.channel_id, _Place())
        place.stretch.add(message.created_at)
        place.authors.add(message.author.id)
        return day

    @property
    def places(self) -> int:
        return len(self._places)

    @property
    def active_days(self) -> int:
        return len(self._days)

    @property
    def days(self) -> int:
        """From the first day to the last, both taken in."""
        return (max(self._days) - min(self._days)).days + 1 if self._days else 0

    def volume(self) -> Volume:
        unit = "day" if self.days <= BY_DAY else "week" if self.days <= BY_WEEK else "month"
        counts: Counter[date] = Counter()
        for day, count in self._days.items():
            counts[_start(day, unit)] += count
        periods = []
        start = min(counts, default=None)
        while start is not None and start <= max(counts):
            periods.append(Period(start.isoformat(), counts[start]))
            start = _next(start, unit)
        busiest = max(periods, key=lambda period: period.messages, default=None)
        return Volume(unit, tuple(periods), busiest)

    def week(self) -> Week:
        by_day = [sum(row) for row in self._hours]
        by_hour = [sum(column) for column in zip(*self._hours, strict=True)]
        return Week(
            tuple(tuple(row) for row in self._hours),
            day_name[by_day.index(max(by_day))],
            by_hour.index(max(by_hour)),
            by_hour.index(min(by_hour)),
        )

    def channels(self, known: Mapping[int, Channel], conversations: Mapping[int, int]) -> tuple[ChannelRow, ...]:
        """The liveliest first."""
        rows = [
            ChannelRow(
                str(id_),
                one_line(known[id_].name),
                place.stretch.messages,
                len(place.authors),
                conversations.get(id_, 0),
                self._clock.iso(place.stretch.first),
                self._clock.iso(place.stretch.last),
            )
            for id_, place in self._places.items()
        ]
        return tuple(sorted(rows, key=lambda row: (-row.messages, int(row.id))))


def _start(day: date, unit: str) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _next(start: date, unit: str) -> date:
    if unit == "month":
        return (start + timedelta(days=31)).replace(day=1)
    return start + timedelta(days=7 if unit == "week" else 1)
