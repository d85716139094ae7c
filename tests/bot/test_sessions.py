"""The budget of sessions: counted over a day and over restarts, with pauses that grow and never run into the wall."""

from pathlib import Path

import pytest

from sususbot.artifacts import SESSIONS
from sususbot.bot.pace import Pace
from sususbot.bot.sessions import Sessions
from sususbot.errors import SessionsSpent

DAY = 86_400.0
NOON = 1_800_000_000.0
USUAL = Pace()
THREE = Pace(identifies_a_day=3, spared=0)


class Clock:
    """Time as a test has it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def opened(folder: Path, clock: Clock, *, chance: float = 0.0, pace: Pace = USUAL) -> Sessions:
    return Sessions(folder, pace, clock=clock, chance=lambda: chance)


def test_pauses_double_up_to_ten_minutes_with_jitter(tmp_path: Path) -> None:
    clock = Clock()
    sessions = opened(tmp_path, clock)
    assert sessions.pause() == 0
    pauses = []
    for _ in range(10):
        sessions.failed()
        pauses.append(sessions.pause())
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert opened(tmp_path, clock, chance=1.0).pause() == 750
    clock.now += 100
    assert sessions.pause() == 500
    sessions.lived()
    assert sessions.pause() == 0


def test_failures_are_known_to_the_next_process(tmp_path: Path) -> None:
    clock = Clock()
    for number in range(3):
        sessions = opened(tmp_path, clock)
        assert sessions.failures == number
        sessions.failed()
    clock.now += 12
    assert opened(tmp_path, clock).pause() == 8


def test_a_process_that_is_killed_early_counts_as_a_failure(tmp_path: Path) -> None:
    clock = Clock()
    opened(tmp_path, clock).identify()
    assert opened(tmp_path, clock).pause() == 5
    clock.now += 3
    # Nothing was sent in between: it is the same failure.
    assert opened(tmp_path, clock).pause() == 2


@pytest.mark.parametrize("end", [Sessions.lived, Sessions.ended])
def test_one_that_lived_long_or_was_stopped_does_not(tmp_path: Path, end: object) -> None:
    clock = Clock()
    sessions = opened(tmp_path, clock)
    sessions.failed()
    sessions.identify()
    assert callable(end)
    end(sessions)
    assert opened(tmp_path, clock).pause() == 0


def test_the_budget_of_a_day_holds_over_restarts_and_says_when_it_is_free_again(tmp_path: Path) -> None:
    clock = Clock()
    for _ in range(3):
        opened(tmp_path, clock, pace=THREE).identify()
        clock.now += 60
    with pytest.raises(SessionsSpent, match=r"3 times within a day.*start it again after \d\d:\d\d on \d\d \w+$"):
        opened(tmp_path, clock, pace=THREE).identify()
    clock.now = NOON + DAY
    sessions = opened(tmp_path, clock, pace=THREE)
    assert sessions.spent == 2
    sessions.identify()
    with pytest.raises(SessionsSpent):
        sessions.identify()


def test_a_bot_that_fails_for_days_never_spends_its_last_session(tmp_path: Path) -> None:
    """Pauses of ten minutes would spend 144 a day: the last ten are spread over the day."""
    clock = Clock()
    sessions = opened(tmp_path, clock)
    begun: list[float] = []
    while clock.now < NOON + 4 * DAY:
        sessions.identify()
        begun.append(clock.now)
        sessions.failed()
        clock.now += sessions.pause()
    for at in begun:
        assert sum(at <= other < at + DAY for other in begun) <= 50


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"unknown": 1}'])
def test_a_broken_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SESSIONS).write_bytes(content)
    sessions = opened(tmp_path, Clock())
    assert sessions.spent == 0
    sessions.identify()
    assert opened(tmp_path, Clock()).spent == 1


def test_a_clock_that_is_set_back_hides_nothing(tmp_path: Path) -> None:
    clock = Clock()
    opened(tmp_path, clock).identify()
    clock.now -= 10 * DAY
    assert opened(tmp_path, clock).spent == 1


def test_where_nothing_can_be_written_memory_counts_on(tmp_path: Path) -> None:
    """A file stands where the folder should be, as on a disk that takes no more."""
    (tmp_path / "data").write_text("no folder", encoding="utf-8")
    sessions = Sessions(tmp_path / "data", Pace(identifies_a_day=2), clock=Clock())
    sessions.identify()
    sessions.identify()
    with pytest.raises(SessionsSpent):
        sessions.identify()
