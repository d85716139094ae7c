"""Limits: no window holds more answers than its rate, who is refused loses nothing, and nights are over midnight."""

from collections import Counter
from datetime import UTC, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.bot.limits import SIGNS, WINDOW_SECONDS, Limits, Sign

MIA, TOM, ROOM, YARD = 1, 2, 10, 20
NIGHT = (time(23), time(7))

# Who asks, where, and how long after the one before.
questions = st.lists(
    st.tuples(st.sampled_from([MIA, TOM, 3]), st.sampled_from([ROOM, YARD]), st.floats(0, 90, allow_nan=False)),
    max_size=60,
)


def cause(sign: Sign | None) -> str | None:
    return sign.cause if sign is not None else None


def at(hour: int, minute: int = 0, *, day: int = 1, zone: timezone | ZoneInfo = UTC) -> float:
    return datetime(2026, 3, day, hour, minute, tzinfo=zone).timestamp()


def test_without_settings_everybody_is_answered() -> None:
    limits = Limits()
    assert all(limits.check(MIA, ROOM, now=0.0) is None for _ in range(1000))


def test_each_limit_says_which_it_is() -> None:
    assert cause(Limits(blocked=[MIA]).check(MIA, ROOM, now=0)) == "blocked"
    for limits, told in (
        (Limits(member_rate=1), "member"),
        (Limits(cooldown=5), "cooldown"),
        (Limits(channel_rate=1), "channel"),
    ):
        assert limits.check(MIA, ROOM, now=0) is None
        assert cause(limits.check(MIA, ROOM, now=1)) == told


def test_a_sign_can_be_told_from_any_other_and_a_blocked_member_gets_none() -> None:
    shown = [sign.reaction for sign in SIGNS.values() if sign.reaction is not None]
    assert len(set(shown)) == len(shown) == len(SIGNS) - 1
    assert SIGNS["blocked"].reaction is None


def test_a_member_is_limited_for_themselves_and_in_all_channels() -> None:
    limits = Limits(member_rate=1)
    assert limits.check(MIA, ROOM, now=0) is None
    assert cause(limits.check(MIA, YARD, now=1)) == "member"
    assert limits.check(TOM, ROOM, now=1) is None


def test_a_channel_is_limited_for_all_members() -> None:
    limits = Limits(channel_rate=1)
    assert limits.check(MIA, ROOM, now=0) is None
    assert cause(limits.check(TOM, ROOM, now=1)) == "channel"
    assert limits.check(TOM, YARD, now=1) is None


def test_what_is_refused_by_one_limit_is_not_counted_by_another() -> None:
    limits = Limits(member_rate=2, channel_rate=1)
    assert limits.check(MIA, ROOM, now=0) is None
    assert cause(limits.check(MIA, ROOM, now=1)) == "channel"
    assert limits.check(MIA, YARD, now=2) is None


def test_asking_again_and_again_does_not_put_off_the_answer() -> None:
    limits = Limits(cooldown=10)
    assert limits.check(MIA, ROOM, now=0) is None
    assert all(limits.check(MIA, ROOM, now=second) is not None for second in range(1, 10))
    assert limits.check(MIA, ROOM, now=10) is None


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    limits = Limits(member_rate=1, channel_rate=1, cooldown=5)
    assert limits.check(MIA, ROOM, now=1000) is None
    assert limits.check(MIA, ROOM, now=10) is None


@pytest.mark.parametrize(
    ("hour", "minute", "quiet"),
    [(22, 59, False), (23, 0, True), (0, 0, True), (6, 59, True), (7, 0, False), (12, 0, False)],
)
def test_quiet_hours_reach_over_midnight(hour: int, minute: int, quiet: bool) -> None:
    sign = Limits(quiet=[NIGHT], zone=UTC).check(MIA, ROOM, now=at(hour, minute))
    assert (cause(sign) == "quiet") is quiet


def test_several_quiet_spans_and_one_that_ends_at_midnight() -> None:
    limits = Limits(quiet=[(time(12), time(13)), (time(22), time(0))], zone=UTC)
    assert [hour for hour in range(24) if limits.check(MIA, ROOM, now=at(hour)) is not None] == [12, 22, 23]


def test_quiet_hours_are_those_of_the_zone_through_summer_time() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    limits = Limits(quiet=[NIGHT], zone=berlin)
    for day in (28, 29):  # summer time begins on the 29th
        assert limits.check(MIA, ROOM, now=at(7, 0, day=day, zone=berlin)) is None
        assert cause(limits.check(MIA, ROOM, now=at(6, 59, day=day, zone=berlin))) == "quiet"
    assert cause(limits.check(MIA, ROOM, now=at(22, 0, zone=UTC))) == "quiet"


@given(asked=questions, member_rate=st.integers(1, 4), channel_rate=st.integers(1, 6), cooldown=st.floats(0, 100))
def test_no_window_holds_more_than_its_rate_and_nobody_is_refused_without_reason(
    asked: list[tuple[int, int, float]], member_rate: int, channel_rate: int, cooldown: float
) -> None:
    limits = Limits(member_rate=member_rate, channel_rate=channel_rate, cooldown=cooldown)
    answered: list[tuple[float, int, int]] = []
    now = 0.0
    for member, channel, pause in asked:
        now += pause
        recent = [entry for entry in answered if entry[0] > now - WINDOW_SECONDS]
        by_member = Counter(entry[1] for entry in recent)[member]
        in_channel = Counter(entry[2] for entry in recent)[channel]
        # As the limits reckon it, so that no rounding decides.
        rests = any(entry[1] == member and entry[0] > now - cooldown for entry in answered)
        wanted = (
            "cooldown" if rests
            else "member" if by_member >= member_rate
            else "channel" if in_channel >= channel_rate
            else None
        )  # fmt: skip
        assert cause(limits.check(member, channel, now=now)) == wanted
        if wanted is None:
            answered.append((now, member, channel))


@given(begin=st.times(), end=st.times(), asked=st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)))
def test_a_span_and_its_opposite_make_a_day(begin: time, end: time, asked: datetime) -> None:
    now = asked.replace(tzinfo=UTC).timestamp()
    clock = datetime.fromtimestamp(now, UTC).time()
    quiet = Limits(quiet=[(begin, end)], zone=UTC).check(MIA, ROOM, now=now) is not None
    opposite = Limits(quiet=[(end, begin)], zone=UTC).check(MIA, ROOM, now=now) is not None
    assert quiet != opposite if begin != end else not (quiet or opposite)
    assert quiet or clock != begin or begin == end


@given(member=st.integers(0, 1 << 63), hours=st.floats(0, 1e6))
def test_a_blocked_member_is_blocked_whatever_the_hour(member: int, hours: float) -> None:
    limits = Limits(blocked=[member], quiet=[NIGHT], member_rate=1)
    assert limits.check(member, ROOM, now=hours * 3600) == SIGNS["blocked"]


def test_who_is_silent_for_a_minute_is_forgotten() -> None:
    limits = Limits(member_rate=3, channel_rate=3, cooldown=5)
    for member in range(10_000):
        limits.check(member, member, now=float(member))
    kept = [len(window._times) for window in (limits._members, limits._channels, limits._pauses)]
    assert max(kept) <= WINDOW_SECONDS


def test_local_time_is_used_without_a_zone() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    local = now.astimezone()
    span = ((local - timedelta(minutes=1)).time(), (local + timedelta(minutes=1)).time())
    assert cause(Limits(quiet=[span]).check(MIA, ROOM, now=now.timestamp())) == "quiet"
