"""Logs: one event one line, errors as a field, no secret anywhere, and no disk that stops a bot."""

import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.bot import logs
from sususbot.bot.log_file import LogFile
from sususbot.errors import SettingsError, TokenRefused
from sususbot.log_content import MARK, content, shown
from tests.support.disk import small_disk

Opened = Callable[..., tuple[logging.Logger, list[None]]]

# Of no shape that any issuer has, so that only what the settings say can hide it.
SECRET = 'hush"hush 42'
# Split, so that nobody who looks for tokens in this file finds one.
TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4." + "GabCde." + "abcdefghijklmnopqrstuvwxyz0123456789AB"


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Makes loggers of their own: each writes to one file, and has a list with an entry for each missing line."""
    handlers: list[LogFile] = []

    def open_(path: Path, *, most: int = 1_000_000, kept: int = 2) -> tuple[logging.Logger, list[None]]:
        missed: list[None] = []
        plain = logging.Formatter("%(message)s")
        handlers.append(LogFile(path, plain, most=most, kept=kept, missed=lambda: missed.append(None)))
        logger = logging.Logger("test")
        logger.addHandler(handlers[-1])
        return logger, missed

    yield open_
    for handler in handlers:
        handler.close()


def test_a_line_for_people_and_one_of_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "logs" / "bot.jsonl"
    with logs.logged("INFO", file=path):
        logging.getLogger("sususbot.x").info("answered %s", 7, extra={"facts": {"ms": 1.5, "who": ("a", None)}})
        logging.getLogger("sususbot.x").debug("not at this level")
    assert capsys.readouterr().err.endswith(" INFO sususbot.x: answered 7\n")
    (line,) = written(path)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "sususbot.x",
        "message": "answered 7",
        "facts": {"ms": 1.5, "who": ["a", None]},
    }


def test_an_error_is_one_field(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with logs.logged("INFO", file=tmp_path / "log"):
        try:
            raise ValueError("the kettle\nleaks")
        except ValueError:
            logging.getLogger("sususbot").exception("no tea")
    (line,) = written(tmp_path / "log")
    assert line["message"] == "no tea"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: the kettle\nleaks")
    assert "ValueError: the kettle" in capsys.readouterr().err


def test_a_name_makes_no_line_of_its_own_and_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with logs.logged("INFO", file=tmp_path / "log"):
        logging.getLogger("sususbot").info("#%s", "tea\n2026-01-01 00:00:00 ERROR all is lost\x1b[2J\u2028\ud800")
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    assert "\x1b" not in shown
    assert len(written(tmp_path / "log")) == 1


def test_no_secret_stands_anywhere(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with logs.logged("INFO", file=tmp_path / "log", secrets=[SECRET, "abc"]):
        logger = logging.getLogger("sususbot")
        logger.info("starting with %s, abc", SECRET, extra={"settings": {"keys": [f"<{SECRET}>"]}})
        logger.info("Authorization: Bot %s and http://me:pa55word@127.0.0.1/", TOKEN)
        try:
            raise RuntimeError(f"refused: {SECRET} {TOKEN}")
        except RuntimeError:
            logger.exception("no reply")
    for text in (capsys.readouterr().err, (tmp_path / "log").read_text(encoding="utf-8")):
        for hidden in (SECRET, json.dumps(SECRET)[1:-1], "hush", TOKEN[-20:], "pa55word"):
            assert hidden not in text
        # Too short to be one: it would make holes in everything.
        assert "abc" in text


@given(
    secret=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=6, max_size=40),
    around=st.tuples(st.text(max_size=20), st.text(max_size=20)),
)
def test_whatever_a_secret_is_and_wherever_it_stands_it_is_not_written(secret: str, around: tuple[str, str]) -> None:
    hide = logs._Hide([secret])
    text = secret.join(around)
    record = logging.makeLogRecord(
        {"msg": text, "levelname": "INFO", "levelno": 20, "name": "x", "exc_text": text, "field": [{"deep": text}]}
    )
    line = json.loads(logs._ForPrograms(hide).format(record))
    written = (line["message"], line["exception"], line["field"][0]["deep"])
    for text in (*written, logs._ForPeople(hide, journal=False).format(record)):
        for mark in ("[secret]", "[token]", "[password]"):
            text = text.replace(mark, "\n")
        assert secret not in text


def test_what_members_write_is_logged_only_where_the_settings_say_so() -> None:
    assert content("the kettle leaks") == "(16 characters)"
    with logs.logged("INFO", content=True):
        assert content("the kettle leaks") == f"{MARK} the kettle leaks"
    assert content("x") == "(1 characters)"


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_whatever_is_hidden_in_words_their_mark_stays(words: str) -> None:
    """By it `forget` finds the file; it stands where nothing before it can be a secret's beginning."""
    with shown(True):
        text = f"answered message 1: asked {content(words)}, said {content('password: ' + words)}; by recall"
    line = logs._ForPrograms(logs._Hide([SECRET])).format(logging.makeLogRecord({"msg": text}))
    assert MARK.encode() in line.encode(errors="backslashreplace")


# `discord.gateway` has whole events at DEBUG; the last is a library that nobody thought of.
@pytest.mark.parametrize("name", ["discord.gateway", "discord.http", "httpx", "aiohttp.client", "chromadb.api", "else"])
def test_what_libraries_tell_at_debug_is_never_logged(name: str, tmp_path: Path) -> None:
    with logs.logged("DEBUG", file=tmp_path / "log"):
        logging.getLogger(name).debug("WebSocket Event: %s", {"content": "the kettle leaks"})
        logging.getLogger(name).info("POST %s", "the kettle leaks")
        logging.getLogger(name).warning("rate limited")
        logging.getLogger("sususbot.bot.client").debug("ours")
    assert [line["message"] for line in written(tmp_path / "log")] == ["rate limited", "ours"]


def test_what_ends_the_bot_is_the_last_line_and_the_user_is_told_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(TokenRefused), logs.logged("INFO", file=tmp_path / "log"):
        raise TokenRefused("Discord refuses the token")
    with pytest.raises(ZeroDivisionError), logs.logged("INFO", file=tmp_path / "log"):
        print(1 / 0)
    with pytest.raises(KeyboardInterrupt), logs.logged("INFO", file=tmp_path / "log"):
        raise KeyboardInterrupt
    refused, broken, stopped = written(tmp_path / "log")
    assert (refused["level"], refused["message"]) == ("ERROR", "ended: Discord refuses the token")
    assert broken["exception"].endswith("ZeroDivisionError: division by zero")
    assert stopped["message"] == "stopped"
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("capsys")
def test_a_thread_that_dies_and_a_warning_are_in_the_log(tmp_path: Path) -> None:
    with logs.logged("INFO", file=tmp_path / "log"):
        thread = threading.Thread(target=lambda: 1 / 0, name="embed")
        thread.start()
        thread.join()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            # What a library would say; here it goes to the log like theirs.
            logging.captureWarnings(True)
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    died, warned = written(tmp_path / "log")
    assert (died["level"], died["message"]) == ("CRITICAL", "the thread embed ended by an error")
    assert "old" in warned["message"]


def test_afterwards_logging_is_as_it_was() -> None:
    def state() -> tuple[object, ...]:
        named = [logging.getLogger(name).level for name in ("", "sususbot", "discord.client")]
        return named, logging.getLogger().handlers[:], logging.raiseExceptions, threading.excepthook

    before = state()
    with logs.logged("DEBUG"):
        assert state() != before
    assert state() == before


def test_what_does_not_fit_its_message_costs_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    before = logs.lost()
    with logs.logged("INFO", file=tmp_path / "log"):
        logging.getLogger("sususbot").info("%d kettles", "two")
        logging.getLogger("sususbot").info("go on")
    assert [line["message"] for line in written(tmp_path / "log")] == ["go on"]
    assert logs.lost() == before + 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_terminal_that_stands_still_stops_nobody() -> None:
    """Somebody marked text in it, or the pipe behind it is full: whoever logs goes on."""
    code = (
        "import logging, sys, time\n"
        "from sususbot.bot import logs\n"
        "entrance = logs.logged('INFO')\n"
        "entrance.__enter__()\n"
        "begun = time.monotonic()\n"
        "for number in range(20_000):\n"
        "    logging.getLogger('sususbot').info('x' * 100)\n"
        "print(time.monotonic() - begun, logs.lost(), flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        seconds, lost = process.stdout.readline().split()
        process.kill()
        process.communicate()
    assert float(seconds) < 60
    assert int(lost) > 0


def test_a_terminal_that_is_closed_stops_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    with logs.logged("INFO", file=tmp_path / "log"):
        logging.getLogger("sususbot").info("go on")
    assert [line["message"] for line in written(tmp_path / "log")] == ["go on"]


def test_systemd_is_told_the_level_and_no_time() -> None:
    code = (
        "import logging, os, sys\n"
        "there = os.fstat(2)\n"
        "os.environ['JOURNAL_STREAM'] = f'{there.st_dev}:{there.st_ino}'\n"
        "from sususbot.bot import logs\n"
        "with logs.logged('INFO'):\n"
        "    logging.getLogger('sususbot').info('tea')\n"
        "    try:\n"
        "        1 / 0\n"
        "    except ZeroDivisionError:\n"
        "        logging.getLogger('sususbot').exception('no tea')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    first, second, *rest = done.stderr.splitlines()
    assert (first, second) == ("<6>sususbot: tea", "<3>sususbot: no tea")
    assert all(line.startswith("<3>") for line in rest)


# -- the file


def test_the_file_is_turned_over_and_the_oldest_goes(tmp_path: Path, opened: Opened) -> None:
    logger, missed = opened(tmp_path / "log", most=100, kept=2)
    for number in range(100):
        logger.info("line %03d", number)
    files = [tmp_path / name for name in ("log.2", "log.1", "log")]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    lines = "".join(path.read_text(encoding="utf-8") for path in files).splitlines()
    assert lines == [f"line {number:03d}" for number in range(100 - len(lines), 100)]
    assert all(0 < path.stat().st_size <= 100 for path in files)
    assert not missed


def test_a_line_longer_than_a_file_is_written_all_the_same(tmp_path: Path, opened: Opened) -> None:
    logger, missed = opened(tmp_path / "log", most=10)
    logger.info("x" * 50)
    logger.info("y" * 50)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "y" * 50 + "\n"
    assert (tmp_path / "log.1").read_text(encoding="utf-8") == "x" * 50 + "\n"
    assert not missed


def test_a_file_that_another_program_holds_grows_and_is_turned_over_later(tmp_path: Path, opened: Opened) -> None:
    # What Windows does to a file that an editor has open, a folder in its place does everywhere.
    obstacle = tmp_path / "log.1"
    (obstacle / "held").mkdir(parents=True)
    logger, missed = opened(tmp_path / "log", most=100, kept=1)
    for number in range(30):
        logger.info("line %03d", number)
    assert len((tmp_path / "log").read_text(encoding="utf-8").splitlines()) == 30
    (obstacle / "held").rmdir()
    obstacle.rmdir()
    for number in range(30, 40):
        logger.info("line %03d", number)
    lines = (
        (tmp_path / "log.1").read_text(encoding="utf-8") + (tmp_path / "log").read_text(encoding="utf-8")
    ).splitlines()
    assert lines[-10:] == [f"line {number:03d}" for number in range(30, 40)]
    assert not missed


def test_a_log_that_was_deleted_begins_anew(tmp_path: Path, opened: Opened) -> None:
    logger, missed = opened(tmp_path / "logs" / "log")
    logger.info("before")
    (tmp_path / "logs" / "log").unlink()
    (tmp_path / "logs").rmdir()
    logger.info("after")
    assert (tmp_path / "logs" / "log").read_text(encoding="utf-8") == "after\n"
    assert not missed


def test_a_full_disk_costs_lines_and_says_how_many(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, opened: Opened
) -> None:
    with small_disk(tmp_path / "disk", kilobytes=16) as disk:
        filler = disk.folder / "filler"
        logger, missed = opened(disk.folder / "log")
        logger.info("before")
        filler.write_bytes(b"x" * 8000)
        for _ in range(5):
            logger.info("x" * 3000)
        lost = len(missed)
        assert lost >= 3
        filler.unlink()
        logger.info("after")
        lines = (disk.folder / "log").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "before"
    assert lines[-2:] == [f"{lost} lines are missing before this one: {lines[-2].split(': ')[1]}", "after"]
    assert set(lines[1:-2]) <= {"x" * 3000}
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "log", tmp_path):
        with pytest.raises(SettingsError, match=r"the log .* cannot be written .*LOG_FILE"):
            opened(path)
