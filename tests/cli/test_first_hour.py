"""A stranger's first hour with the wrong things at hand: each ends in one plain sentence with the next step."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from sususbot import env_file
from sususbot.bot.service import alone
from sususbot.settings import Settings
from tests.cli.community import write_export
from tests.support.commands import environment, refusal
from tests.support.commands import run_here as run
from tests.support.disk import small_disk

posix = pytest.mark.skipif(sys.platform == "win32", reason="disks are mounted, and modes are changed, as POSIX has it")
SRC: Final = Path(__file__).parents[2] / "src"
TOKEN: Final = "MTIz.abc.def-ghi"

# Every command that writes, as a newcomer first calls it.
WRITING: Final = {
    "init": ["init", "--yes"],
    "import": ["import", "export.json"],
    "backfill": ["backfill"],
    "index": ["index"],
    "analyze": ["analyze"],
    "build": ["build"],
    "chat": ["chat", "--once", "hi"],
    "bot": ["bot"],
    "web": ["web"],
    "demo": ["--data", "another", "demo", "--once", "hi"],
    "dump": ["dump", "all.jsonl"],
    "consent": ["consent", "set", "101", "no"],
}
# These need an archive and make none; another command may have begun one before.
READING: Final = frozenset({"index", "analyze", "build", "chat", "dump"})
SETTINGS: Final = {"DISCORD_TOKEN": TOKEN, "CHANNEL_ID": "42", "METRICS_PORT": "0", "WEB_PORT": "0"}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(tmp_path_factory.mktemp("export"))


def disk(export: Path, folder: Path, spoil: Callable[..., None], stack: ExitStack, *, imported: bool) -> Path:
    small = stack.enter_context(small_disk(folder, kilobytes=1024))
    (small.folder / "export.json").write_bytes(export.read_bytes())
    if imported:
        assert run("import", "export.json", folder=small.folder).returncode == 0
    spoil(small)
    return small.folder


@pytest.fixture(scope="module")
def full(export: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Path]]:
    """Disks without a byte left, with an archive on it and without."""
    with ExitStack() as stack:
        home = tmp_path_factory.mktemp("full")
        yield {
            imported: disk(export, home / str(imported), lambda small: small.fill(), stack, imported=imported)
            for imported in (True, False)
        }


@pytest.fixture(scope="module")
def locked(export: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Path]]:
    """Disks that may only be read."""
    with ExitStack() as stack:
        home = tmp_path_factory.mktemp("locked")
        yield {
            imported: disk(export, home / str(imported), lambda small: small.only_read(), stack, imported=imported)
            for imported in (True, False)
        }


def files(folder: Path) -> set[str]:
    """All but SQLite's own beside the archive, and the folder that a command makes first."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name for name in found if not name.startswith(("data/archive.db", "data/bot.lock", "another/"))}


@posix
@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize("command", WRITING)
def test_a_disk_that_is_full(full: dict[bool, Path], command: str, imported: bool) -> None:
    folder = full[imported]
    before = files(folder)
    done = run(*WRITING[command], folder=folder, **SETTINGS)
    assert done.returncode == 1, done.stdout
    sentence = refusal(done.stderr)
    if not imported and command in READING and "is empty: run  sususbot backfill" in sentence:
        return
    assert "full" in sentence or "No space left" in sentence
    assert "room" in sentence or "space" in sentence or "choose another" in sentence
    assert files(folder) == before


@posix
@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize("command", WRITING)
def test_a_folder_that_may_only_be_read(locked: dict[bool, Path], command: str, imported: bool) -> None:
    done = run(*WRITING[command], folder=locked[imported], **SETTINGS)
    assert done.returncode == 1, done.stdout
    sentence = refusal(done.stderr)
    if not imported and command in READING and "is empty: run  sususbot backfill" in sentence:
        return
    assert "cannot be" in sentence
    assert "choose another" in sentence or "permissions" in sentence


@posix
@pytest.mark.parametrize("spoilt", ["full", "locked"])
def test_the_doctor_names_both(request: pytest.FixtureRequest, spoilt: str) -> None:
    done = run("doctor", folder=request.getfixturevalue(spoilt)[True], **SETTINGS)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert ("WRONG    disk: 0.0 GB are free" if spoilt == "full" else "data cannot be written") in done.stdout


def test_whatever_else_the_machine_refuses_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The net below all commands: somewhere, a write that no room foresaw."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("sususbot.cli.doctor.examined", lambda *_, **__: refuse())
    done = run("doctor", folder=tmp_path)
    assert done.returncode == 1
    assert refusal(done.stderr).startswith("somewhere: the disk is full: make room")


@pytest.mark.parametrize("name", ["Zoë's Ordner – für uns", "with  blanks", "数据"])
def test_a_folder_with_blanks_and_other_letters(export: Path, tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    home.mkdir()
    (home / f"{name}.json").write_bytes(export.read_bytes())
    data = f"{name} data"
    done = run("--data", data, "init", "--yes", "--token", TOKEN, "--contact", name, folder=home)
    assert done.returncode == 0, done.stderr
    loaded = env_file.load(home / ".env")
    assert loaded.contact == name
    assert run("--data", data, "import", f"{name}.json", folder=home).returncode == 0
    assert run("--data", data, "chat", "--once", "hello there", folder=home).returncode == 0
    assert run("--data", data, "dump", f"{name}.jsonl", folder=home).returncode == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_settings_as_windows_writes_them(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".env").write_bytes("# für uns\r\nCONSENT=opt-in\r\n\r\nCONTACT='Zoë'\r\n".encode(encoding))
    done = run("consent", "list", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"mode": "opt-in"' in done.stdout


@pytest.mark.parametrize("command", sorted({*WRITING, "models"} - {"demo"}))
def test_settings_that_are_no_text(tmp_path: Path, command: str) -> None:
    """All but the demo, which has settings of its own."""
    (tmp_path / ".env").write_bytes("CONTACT=Zoë\r\n".encode("cp1252"))
    (tmp_path / "export.json").write_text("{}", encoding="utf-8")
    done = run(*WRITING.get(command, [command]), folder=tmp_path)
    assert done.returncode == 1
    assert refusal(done.stderr) == ".env is not UTF-8 text: save it as UTF-8 (Notepad: Save as, Encoding)"


def test_a_token_with_quotes_and_its_word_is_the_token(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DISCORD_TOKEN='\"Bot {TOKEN} \"'\n", encoding="utf-8")
    assert env_file.load(tmp_path / ".env").discord_token == TOKEN
    done = run("doctor", folder=tmp_path, METRICS_PORT="0", WEB_PORT="0")
    assert "ok       token: " in done.stdout


@pytest.mark.parametrize("typed", [[], ["init", "--consent"], ["backfill"], ["init", "--channel"], ["bench"]])
def test_a_token_that_is_pasted_in_the_wrong_place_is_not_shown(tmp_path: Path, typed: list[str]) -> None:
    # Of Discord's own shape, put together here, so that nobody takes it for a lost one.
    pasted = ".".join(("MTIzNDU2Nzg5MDEyMzQ1Njc4", "GabcDE", "x-Yz_0" * 6 + "AB"))
    done = run(*typed, pasted, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr
    assert pasted not in done.stdout + done.stderr


@pytest.mark.parametrize("way", ["data", "link", "absolute"])
def test_a_second_bot_on_one_data_folder(tmp_path: Path, way: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    if way == "link":
        try:
            (tmp_path / "link").symlink_to(data)
        except OSError:
            pytest.skip("links may not be made here")
    named = {"data": "data", "link": "link", "absolute": str(data)}[way]
    with alone(data):
        done = run("--data", named, "bot", folder=tmp_path, **SETTINGS)
        assert done.returncode == 1
        assert refusal(done.stderr) == (
            f"another bot runs on {named}: stop it first, or choose another folder with --data"
        )
        told = run("doctor", folder=tmp_path, **SETTINGS)
        assert "ok       bot: a bot runs on data" in told.stdout


@posix
def test_a_disk_without_locks_is_not_taken_for_another_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    done = run("bot", folder=tmp_path, **SETTINGS)
    assert "bot.lock cannot be locked (No locks available): put the data folder on a disk" in refusal(done.stderr)


@pytest.mark.parametrize("command", [["backfill"], ["bot"], ["models", "download"]])
def test_a_proxy_that_cannot_be_used(tmp_path: Path, command: list[str]) -> None:
    settings = {**SETTINGS, "HTTPS_PROXY": "socks5://me:secret@127.0.0.1:1"}
    done = run(*command, folder=tmp_path, **settings)
    assert done.returncode == 1
    assert refusal(done.stderr).startswith("the proxy socks5://127.0.0.1:1 cannot be used: set HTTPS_PROXY to one like")


def test_no_network_for_a_model(tmp_path: Path) -> None:
    settings = {"HTTPS_PROXY": "http://me:secret@127.0.0.1:9"}
    done = run("models", "download", folder=tmp_path, **settings)
    assert done.returncode == 1
    sentence = refusal(done.stderr)
    assert sentence.startswith("https://huggingface.co cannot be reached (")
    assert sentence.endswith("check the network, the proxy http://127.0.0.1:9, or HF_ENDPOINT")


def test_a_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SRC / "sususbot" / "__main__.py"), run_name="__main__")
    assert str(ended.value).startswith("sususbot: this is Python 3.9, and sususbot needs 3.11 or newer: install one")


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_what_an_old_python_reads_first_it_can_read(name: str) -> None:
    import ast

    ast.parse((SRC / "sususbot" / name).read_text(encoding="utf-8"), feature_version=(3, 6))


def test_an_old_python_does_not_know_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "importlib.metadata", None)
    assert runpy.run_path(str(SRC / "sususbot" / "__init__.py"))["__getattr__"]("__version__") == "0"


def test_a_python_without_the_packages(tmp_path: Path) -> None:
    """As when the set-up's environment was not switched on."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "sususbot", "doctor"],
        cwd=tmp_path,
        env=environment({"PYTHONPATH": str(SRC)}),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1
    assert refusal(done.stderr).startswith("this Python lacks the package click: use the one of the set-up")


@pytest.mark.parametrize(
    ("typed", "told"), [("analyse", "did you mean  sususbot analyze ?"), ("zzz", "--help  lists all")]
)
def test_a_misspelt_command(tmp_path: Path, typed: str, told: str) -> None:
    done = run(typed, folder=tmp_path)
    assert done.returncode == 2
    assert f"there is no command {typed}: {told}" in done.stderr


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_settings_of_somebody_else(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("", encoding="utf-8")
    env.chmod(0)
    assert ".env cannot be read (Permission denied): let this program read it" in refusal(
        run("consent", "list", folder=tmp_path).stderr
    )


def test_each_setting_is_one_line_that_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description
