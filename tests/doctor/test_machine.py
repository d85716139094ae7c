"""Python, folders, disk, console, packages, cards: as they should be, and not."""

import os
import sys
from pathlib import Path

import pytest

from sususbot.doctor import checks_machine
from sususbot.doctor.checks_machine import Need
from sususbot.doctor.findings import Finding
from sususbot.errors import installing
from sususbot.model.cards import Card, fault_of_llamacpp

_POSIX = pytest.mark.skipif(os.name != "posix", reason="there are no modes of files here")


def test_python() -> None:
    assert checks_machine.python(sys.version_info[:3]).state == "ok"
    assert checks_machine.python((3, 10, 4)) == Finding(
        "python", "wrong", "this is Python 3.10.4, and sususbot needs 3.11", "install a newer Python"
    )


@_POSIX
def test_who_may_read_what_members_wrote(tmp_path: Path) -> None:
    assert checks_machine.data_folder(tmp_path / "none").state == "skipped"
    for mode, state in ((0o700, "ok"), (0o750, "warning"), (0o755, "warning")):
        tmp_path.chmod(mode)
        assert checks_machine.data_folder(tmp_path).state == state
    assert list(tmp_path.iterdir()) == []


@_POSIX
def test_a_data_folder_that_is_none(tmp_path: Path) -> None:
    """Not by modes: the superuser writes wherever it likes."""
    (tmp_path / "data").write_text("", encoding="utf-8")
    assert checks_machine.data_folder(tmp_path / "data").state == "wrong"


@_POSIX
def test_who_may_read_the_token(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    assert checks_machine.settings_mode(env).step == "sususbot init writes one"
    env.write_text("", encoding="utf-8")
    env.chmod(0o600)
    assert checks_machine.settings_mode(env).state == "ok"
    env.chmod(0o640)
    finding = checks_machine.settings_mode(env)
    assert (finding.state, finding.step) == ("warning", f"chmod 600 {env}")
    assert "the owner's group" in finding.sentence


@pytest.mark.parametrize(
    ("folder", "mounts", "told"),
    [
        ("/home/mia/data", [("/", "ext4")], None),
        ("/home/mia/data", [("/", "ext4"), ("/home", "nfs4")], "another machine's disk (nfs4)"),
        ("/home/mia/data", [("/home", "fuse.sshfs"), ("/home/mia", "btrfs")], None),
        ("/mnt/c/bot/data", [("/", "ext4"), ("/mnt/c", "9p")], "another machine's disk (9p)"),
        ("/home/mia/OneDrive - Home/data", [("/", "ext4")], "kept in step by OneDrive"),
        ("/home/mia/Dropbox/data", [], "kept in step by Dropbox"),
        ("/home/mia/data", [], None),
    ],
)
@_POSIX
def test_a_place_where_locks_and_files_can_be_relied_on(
    folder: str, mounts: list[tuple[str, str]], told: str | None
) -> None:
    finding = checks_machine.place(Path(folder), mounts)
    assert finding.state == ("ok" if told is None else "warning")
    assert told is None or told in finding.sentence


def test_this_machines_own_disk(tmp_path: Path) -> None:
    assert checks_machine.mounts()
    assert checks_machine.place(tmp_path, checks_machine.mounts()).name == "data place"


def test_a_llamacpp_that_loads_and_one_that_does_not() -> None:
    assert fault_of_llamacpp() is None
    assert checks_machine.engine(None, needed=True).state == "ok"
    for needed, state in ((True, "wrong"), (False, "warning")):
        finding = checks_machine.engine("libgomp.so.1: cannot open shared object file", needed=needed)
        assert finding.state == state
        assert "libgomp.so.1" in finding.sentence
        assert "apt install libgomp1" in finding.step


@pytest.mark.parametrize(
    ("driver", "state", "told"),
    [
        (None, "skipped", "no driver"),
        ("580.65.06", "ok", "CUDA 13"),
        ("591.12", "ok", "CUDA 13"),
        ("550.54.14", "ok", "CUDA 12"),
        ("470.82", "warning", "no build that is made today"),
        ("beta", "warning", "no build that is made today"),
    ],
)
def test_which_builds_a_driver_runs(driver: str | None, state: str, told: str) -> None:
    finding = checks_machine.driver([Card("another", 1 << 30), Card("a card", 1 << 30, driver=driver)])
    assert (finding.name, finding.state) == ("driver", state)
    assert told in finding.sentence


def test_the_disk(tmp_path: Path) -> None:
    place = tmp_path / "not" / "yet"
    assert checks_machine.disk(place, roomy=0, enough=0).state == "ok"
    assert checks_machine.disk(place, roomy=1e18, enough=0).state == "warning"
    assert checks_machine.disk(place, enough=1e18).state == "wrong"


@pytest.mark.parametrize(
    ("encoding", "state"),
    [("UTF-8", "ok"), ("utf8", "ok"), ("cp1252", "warning"), ("ANSI_X3.4-1968", "warning"), ("?", "warning")],
)
def test_the_console(encoding: str, state: str) -> None:
    assert checks_machine.console(encoding).state == state


def test_packages_that_are_there_and_not() -> None:
    assert [finding.state for finding in checks_machine.packages([Need("all", "x", ("json", "orjson"))])] == ["ok"]
    found = checks_machine.packages(
        [Need("BACKEND=x", "train", ("json", "no_such_module")), Need("y", "embed", ("no_such_module",), "words alone")]
    )
    assert [(finding.state, finding.step) for finding in found] == [
        ("wrong", installing("train")),
        ("warning", installing("embed")),
    ]
    assert found[1].sentence.endswith("not installed: words alone")


def test_memory() -> None:
    assert checks_machine.memory(8_000_000_000, 5_000_000_000, "it").state == "ok"
    assert checks_machine.memory(4_000_000_000, 5_000_000_000, "it").state == "warning"
    assert checks_machine.free_memory() > 1_000_000


def test_cards() -> None:
    assert checks_machine.cards([]).state == "skipped"
    assert checks_machine.cards([Card("RTX 2080 Ti", 11 << 30)]).sentence == "RTX 2080 Ti (11 GB)"
    assert "built for the processor alone" in checks_machine.cards([Card("RTX 2080 Ti", 11 << 30, False)]).sentence


def test_torch_without_a_card_that_it_can_use() -> None:
    """The driver tells of a card, and this torch is built without; where there is no card, nothing is loaded."""
    assert checks_machine.torch([]).state == "skipped"
    torch = pytest.importorskip("torch")
    pytest.importorskip("peft")
    if torch.cuda.is_available():
        assert checks_machine.torch([Card("a card", 1 << 30)]).state in ("ok", "wrong")
    else:
        assert checks_machine.torch([Card("a card", 1 << 30)]).state == "skipped"
