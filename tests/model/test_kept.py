"""What may die is made anew: at once, then with pauses; who needs it waits, or is told."""

import errno
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from sususbot.errors import BackendFailed, ModelLoadFailed
from sususbot.model.backend import Deadline
from sususbot.model.kept import Kept

PATIENCE = 20.0
# Long enough to be seen by who is held up for a while.
DOWN = 3.0


class Lamp:
    """Burns until it is broken."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ended: str | None = None
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


class Maker:
    """Makes lamps; fails as often as it is told to, and waits for a sign where it is to."""

    def __init__(self) -> None:
        self.made = 0
        self.failures = 0
        self.error: Exception = ModelLoadFailed("no glass")
        self.may = threading.Event()
        self.may.set()

    def __call__(self) -> Lamp:
        assert self.may.wait(PATIENCE)
        if self.failures:
            self.failures -= 1
            raise self.error
        self.made += 1
        return Lamp(self.made)


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def kept(make: Maker) -> Iterator[Kept[Lamp]]:
    with closing(Kept("The lamp", make)) as kept:
        yield kept


def lamp(kept: Kept[Lamp]) -> Lamp:
    found = kept.get(Deadline(PATIENCE))
    assert found is not None
    return found


def broken(kept: Kept[Lamp]) -> None:
    one = lamp(kept)
    one.ended = "it fell"
    kept.lost(one)


def test_the_first_failure_is_the_callers(make: Maker) -> None:
    make.failures = 1
    with pytest.raises(ModelLoadFailed, match="no glass"):
        Kept("The lamp", make)


def test_a_lost_one_is_made_anew_at_once(kept: Kept[Lamp]) -> None:
    first = lamp(kept)
    assert kept.state == "running"
    broken(kept)
    second = lamp(kept)
    assert (first.number, second.number) == (1, 2)
    # News of one that was replaced long ago is no news.
    kept.lost(first)
    assert lamp(kept) is second


def test_who_cannot_wait_is_not_kept_waiting(kept: Kept[Lamp], make: Maker) -> None:
    make.may.clear()
    broken(kept)
    assert kept.state == "loading"
    assert kept.get(Deadline(0.05)) is None
    cancelled = Deadline(PATIENCE)
    threading.Timer(0.05, cancelled.cancel).start()
    assert kept.get(cancelled) is None
    make.may.set()
    assert lamp(kept).number == 2


def until(kept: Kept[Lamp], holds: Callable[[str], bool]) -> str:
    watch = Deadline(PATIENCE)
    while not holds(kept.state) and watch.over() is None:
        watch.wait(0.01)
    return kept.state


def test_one_that_cannot_be_made_is_tried_again_after_a_pause(
    kept: Kept[Lamp], make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sususbot.model.kept._FIRST_PAUSE", DOWN)
    make.failures = 1
    broken(kept)
    assert until(kept, lambda state: state.startswith("down")) == "down: no glass"
    with pytest.raises(BackendFailed, match="The lamp stopped working and is tried again soon: no glass"):
        kept.get(Deadline(0.1))
    assert lamp(kept).number == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOMEM, "Cannot allocate memory"), f"OSError: [Errno {errno.ENOMEM}] Cannot allocate memory"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_what_nobody_expected_is_a_failure_like_any_other(
    kept: Kept[Lamp],
    make: Maker,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    monkeypatch.setattr("sususbot.model.kept._FIRST_PAUSE", DOWN)
    make.failures, make.error = 1, error
    broken(kept)
    why = f"The lamp cannot be started ({reason}): the log says more."
    assert until(kept, lambda state: state.startswith("down")) == f"down: {why}"
    with pytest.raises(BackendFailed, match=re.escape(why)):
        kept.get(Deadline(0.1))
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error]
    assert lamp(kept).number == 2


def test_what_nobody_expected_is_told_to_who_makes_the_first(make: Maker) -> None:
    make.failures, make.error = 1, OSError("no hands")
    with pytest.raises(ModelLoadFailed, match=r"The lamp cannot be started .OSError: no hands."):
        Kept("The lamp", make)


@pytest.mark.parametrize("beside", [True, False])
def test_an_exchange_that_breaks_leaves_one_that_serves(kept: Kept[Lamp], make: Maker, beside: bool) -> None:
    first = lamp(kept)
    make.failures, make.error = 1, OSError("no hands")
    with pytest.raises(ModelLoadFailed, match="no hands"):
        kept.exchange(make, beside=beside, retire=Lamp.stop)
    assert lamp(kept).number == (1 if beside else 2)
    assert first.stopped is not beside


def test_it_is_made_anew_where_no_thread_can_be_started(kept: Kept[Lamp], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    broken(kept)
    assert lamp(kept).number == 2


def test_a_closed_one_says_so(kept: Kept[Lamp]) -> None:
    one = lamp(kept)
    kept.close()
    kept.close()
    assert one.stopped
    assert kept.state == "down: closed"
    kept.lost(one)
    with pytest.raises(BackendFailed, match="was closed"):
        kept.get(Deadline(PATIENCE))


def test_it_is_closed_while_it_rests(kept: Kept[Lamp], make: Maker) -> None:
    make.failures = 100
    broken(kept)
    until(kept, lambda state: state.startswith("down"))
    kept.close()
    assert make.made == 1


@pytest.mark.parametrize("beside", [True, False])
def test_another_is_put_in_its_place(kept: Kept[Lamp], make: Maker, beside: bool) -> None:
    first, retired = lamp(kept), list[Lamp]()

    def other() -> Lamp:
        # Without room for both, the old one is gone before the new one is made.
        assert retired == ([] if beside else [first])
        return make()

    kept.exchange(other, beside=beside, retire=retired.append)
    assert retired == [first]
    assert lamp(kept).number == 2
    kept.lost(first)
    assert lamp(kept).number == 2


@pytest.mark.parametrize("beside", [True, False])
def test_another_that_cannot_be_made_changes_nothing_for_long(kept: Kept[Lamp], make: Maker, beside: bool) -> None:
    def other() -> Lamp:
        raise ModelLoadFailed("no fit")

    with pytest.raises(ModelLoadFailed, match="no fit"):
        kept.exchange(other, beside=beside, retire=Lamp.stop)
    # The old one, or one like it.
    assert lamp(kept).number == (1 if beside else 2)
    assert make.made == lamp(kept).number


def test_one_that_dies_while_another_is_made_is_not_made_anew(kept: Kept[Lamp], make: Maker) -> None:
    first = lamp(kept)

    def other() -> Lamp:
        first.ended = "it fell"
        kept.lost(first)
        return Lamp(100)

    kept.exchange(other, beside=True, retire=Lamp.stop)
    assert lamp(kept).number == 100
    kept.close()
    assert make.made == 1
