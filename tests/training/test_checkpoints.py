"""What is saved is whole or not there: after a kill, on a full disk, with a damaged file."""

import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sususbot.errors import RunMissing, TooLittleDisk
from sususbot.training import checkpoints
from sususbot.training.disk import writing
from sususbot.training.metrics import Metrics, Note, rows
from tests.support.disk import small_disk
from tests.training import killable

SIZE = 30_000


def weights(step: int) -> dict[str, torch.Tensor]:
    return {"a": torch.full((SIZE,), float(step)), "b.half": torch.full((3,), step, dtype=torch.float16)}


def state(step: int) -> dict[str, object]:
    return {
        "progress": {"step": step, "bits": None},
        "optimizer": {"state": {0: {"mean": torch.full((SIZE,), float(-step))}}},
    }


def save(run: Path, step: int, *keep: int) -> None:
    checkpoints.save(run, step, weights(step), state(step), keep)


def assert_holds(checkpoint: checkpoints.Checkpoint | None, step: int) -> None:
    assert checkpoint is not None
    assert checkpoint.step == step
    found = checkpoint.weights()
    assert found.keys() == weights(step).keys()
    assert all(torch.equal(tensor, found[name]) for name, tensor in weights(step).items())
    read = checkpoint.state()
    assert read["progress"] == {"step": step, "bits": None}
    assert torch.equal(read["optimizer"]["state"][0]["mean"], torch.full((SIZE,), float(-step)))


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / checkpoints.FOLDER).iterdir())


# -- what is kept


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    assert checkpoints.latest(tmp_path) is None
    save(tmp_path, 7)
    assert_holds(checkpoints.latest(tmp_path), 7)
    assert_holds(checkpoints.at(tmp_path, 7), 7)
    with pytest.raises(RunMissing, match=r"the checkpoint of step 6 is gone from .*: train anew"):
        checkpoints.at(tmp_path, 6)


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in range(1, 9):
        save(tmp_path, step, min(step, 3))
        assert_holds(checkpoints.latest(tmp_path), step)
        assert_holds(checkpoints.at(tmp_path, min(step, 3)), min(step, 3))
    assert names(tmp_path) == ["step-000003", "step-000007", "step-000008"]
    save(tmp_path, 9, 9)
    assert names(tmp_path) == ["step-000008", "step-000009"]


def test_later_ones_are_taken_back(tmp_path: Path) -> None:
    for step in range(1, 6):
        save(tmp_path, step, 1, 3)
    checkpoints.take_back(tmp_path, 3, {1, 5})
    assert names(tmp_path) == ["step-000001", "step-000003", "step-000005"]


def test_a_step_can_be_saved_again(tmp_path: Path) -> None:
    save(tmp_path, 4)
    checkpoints.save(tmp_path, 4, weights(5), state(4), ())
    found = checkpoints.at(tmp_path, 4).weights()
    assert torch.equal(found["a"], weights(5)["a"])
    assert names(tmp_path) == ["step-000004"]


def test_what_kills_left_is_in_nobodys_way(tmp_path: Path) -> None:
    save(tmp_path, 4)
    for left in (".step-000005.new", ".step-000004.old"):
        folder = tmp_path / checkpoints.FOLDER / left
        folder.mkdir()
        (folder / checkpoints.STATE).write_bytes(b"half")
    assert_holds(checkpoints.latest(tmp_path), 4)
    save(tmp_path, 4)
    save(tmp_path, 5)
    assert names(tmp_path) == ["step-000004", "step-000005"]
    assert_holds(checkpoints.latest(tmp_path), 5)


# -- kills


def save_on_and_on(run: Path) -> None:
    """Begins where the last one ended, as a training does; saves some steps twice."""
    last = checkpoints.latest(run)
    for step in range(last.step + 1 if last is not None else 0, 100_000):
        for _ in range(2 if step % 10 == 5 else 1):
            save(run, step, step // 10 * 10)


def test_a_kill_during_a_save_leaves_the_last_good_one(tmp_path: Path) -> None:
    chance = random.Random(4)
    before, kills = -1, 0
    # On a slow disk a few saves take as long as many elsewhere.
    while kills < 12 or (before <= 20 and kills < 200):
        kills += 1
        assert killable.run(save_on_and_on, tmp_path, kill_after=chance.uniform(0.01, 0.2)) is None
        last = checkpoints.latest(tmp_path)
        if last is None:
            assert before == -1
            continue
        # Killed while a step is saved again, the one before it is the last.
        assert last.step >= before - 1
        steps = [int(name[5:]) for name in names(tmp_path) if name.startswith("step-")]
        assert {last.step, last.step // 10 * 10} <= set(steps)
        for step in steps:
            assert_holds(checkpoints.at(tmp_path, step), step)
        before = last.step
    assert before > 20


# -- full disks


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with room for three checkpoints and a bit."""
    with small_disk(tmp_path / "disk", kilobytes=900) as small:
        yield small.folder


def test_a_full_disk_is_said_and_leaves_what_was_saved(disk: Path) -> None:
    for step in (1, 2):
        save(disk, step)
    metrics = Metrics(disk)
    metrics.add(Note(2, "fine"))
    ballast = disk / "ballast"
    needed = sum(path.stat().st_size for path in (disk / checkpoints.FOLDER / "step-000002").iterdir())
    # Nothing of the checkpoint fits, half of its weights, its weights, much of its state, all but its end.
    for share in (0.0, 0.25, 0.5, 0.75, 0.9):
        ballast.write_bytes(b"x" * int(shutil.disk_usage(disk).free - share * needed))
        with pytest.raises(TooLittleDisk) as caught:
            save(disk, 3)
        told = str(caught.value)
        # It holds torch's writer, and that its file, which takes room until then.
        del caught
        assert told.startswith(f"the checkpoint of step 3 cannot be written to {disk / checkpoints.FOLDER} (")
        assert told.endswith("free some space there, then go on with  --resume; what was saved before is whole")
        assert names(disk) == ["step-000001", "step-000002"]
        assert_holds(checkpoints.latest(disk), 2)
        ballast.unlink()
    ballast.write_bytes(b"x" * shutil.disk_usage(disk).free)
    with pytest.raises(TooLittleDisk, match=r"what a step gave cannot be written to .*No space left"):
        tell_on_and_on(metrics)
    ballast.unlink()
    assert next(iter(rows(disk))) == {"kind": "note", "step": 2, "text": "fine"}
    save(disk, 3)
    assert_holds(checkpoints.latest(disk), 3)


def tell_on_and_on(metrics: Metrics) -> None:
    for _ in range(200):
        metrics.add(Note(3, "on and on " * 10))


def test_a_limit_on_the_size_of_files_is_said(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("no such limit here")
    save(tmp_path, 1)
    killable.run(save_under_limits, tmp_path)
    assert names(tmp_path) == ["step-000001"]
    assert_holds(checkpoints.latest(tmp_path), 1)


def save_under_limits(run: Path) -> None:
    """Too small for the weights; for the optimiser's state, in the middle, and in its last bytes."""
    import resource

    sizes = [
        (run / checkpoints.FOLDER / "step-000001" / name).stat().st_size for name in ("weights.safetensors", "state.pt")
    ]
    for limit in (sizes[0] // 2, sizes[1] // 2 + sizes[0] // 2, sizes[1] - 40):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        with pytest.raises(TooLittleDisk, match="free some space there"):
            save(run, 2)


def test_other_errors_are_no_full_disk(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="something else"), writing("this", tmp_path):
        raise RuntimeError("something else")
    with pytest.raises(TooLittleDisk, match=r"this cannot be written to .* \(No such file or directory\)"):
        with writing("this", tmp_path):
            (tmp_path / "a" / "b").write_text("", encoding="utf-8")


# -- damage


@pytest.mark.parametrize("file", [checkpoints.WEIGHTS, checkpoints.STATE])
@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "gone"])
def test_a_damaged_one_is_said_and_the_one_before_is_usable(tmp_path: Path, file: str, damage: str) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    checkpoint = checkpoints.at(tmp_path, 2)
    path = checkpoint.folder / file
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": whole[:-100], "empty": b"", "garbage": b"\x80\x04" + whole[2:][::-1]}[damage])
    with pytest.raises(RunMissing, match=r"the checkpoint .*step-000002 is damaged \(.*\): remove it, and  --resume"):
        _ = checkpoint.weights(), checkpoint.state()
    shutil.rmtree(checkpoint.folder)
    assert_holds(checkpoints.latest(tmp_path), 1)


def test_a_file_from_elsewhere_runs_nothing(tmp_path: Path) -> None:
    save(tmp_path, 1)
    checkpoint = checkpoints.at(tmp_path, 1)
    torch.save({"progress": _Evil(tmp_path / "ran")}, checkpoint.folder / checkpoints.STATE)
    with pytest.raises(RunMissing, match="is damaged"):
        checkpoint.state()
    assert not (tmp_path / "ran").exists()


class _Evil:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)
