"""Locks: had at once or not at all, and a disk that knows none is not taken for somebody who has one."""

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from sususbot.bot import service
from sususbot.cli import copied, stages
from sususbot.errors import SettingsError
from sususbot.file_lock import Held, held, hold
from sususbot.model import hub
from sususbot.training import run_folder

# Whatever locks something of its own, and the file that it locks.
USERS: list[Callable[[Path], AbstractContextManager[object]]] = [
    service.alone,
    stages._alone,
    run_folder.alone,
    copied.folder,
    lambda folder: hub._held(folder / "model.part"),
]


def test_one_has_it_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not held(path)
    with path.open("a+b") as mine, path.open("a+b") as other:
        hold(mine)
        with pytest.raises(Held):
            hold(other)
        assert held(path)
    assert not held(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
@pytest.mark.parametrize("use", USERS)
def test_a_disk_without_locks_is_told_as_that_by_whoever_locks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    use: Callable[[Path], AbstractContextManager[object]],
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "no such thing here")

    monkeypatch.setattr("sususbot.file_lock._lock", refuse)
    with pytest.raises(SettingsError, match=r"cannot be locked \(no such thing here\): put the data folder on a disk"):
        with use(tmp_path):
            pass
    (tmp_path / "bot.lock").touch()
    assert not held(tmp_path / "bot.lock")
