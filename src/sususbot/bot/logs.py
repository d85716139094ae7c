"""Logging of a running bot: lines for people on stderr, lines of JSON in a file.

Whoever logs only puts a record into a queue; one thread writes. So neither a slow disk nor a terminal that somebody
marked text in stops the bot, nor does a full disk: lines that cannot be written are counted, and the first line after
them says how many are missing. Nothing is written that looks like a secret, nor a secret of the settings in any line;
what members write stands in none, unless LOG_CONTENT asks for it (`log_content`).
"""

import copy
import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from sususbot import log_content, proxy
from sususbot.bot.log_file import LogFile
from sususbot.errors import SususError
from sususbot.wording import privacy

_log = logging.getLogger(__name__)

MB: Final = 1_000_000
# Records that may wait for the thread that writes: a minute of a bot that is told everything.
_WAITING: Final = 10_000
# A shorter secret stands in too many words that are none.
_SHORTEST: Final = 6
# Marks a line that the user is told in another way.
_TOLD: Final = {"told": True}
# As fields, these would say once more what every line says.
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "told"}
# One event is one line, and no name of a channel moves a terminal's cursor.
_VISIBLE: Final = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
# systemd's levels, with which `journalctl -p warning` finds what matters.
_PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_OURS: Final = "sususbot"
# Of libraries, whatever they are, nothing below this is wanted: discord.py tells of every event with what was said in
# it, httpx of addresses that may hold a password. That voice is not installed, of which discord.client warns, is no
# news for a bot that writes.
_OTHERS: Final = {"": logging.WARNING, "discord.client": logging.ERROR}


@contextmanager
def logged(
    level: str,
    *,
    file: Path | None = None,
    file_mb: float = 10.0,
    files: int = 5,
    content: bool = False,
    secrets: Collection[str] = (),
) -> Iterator[None]:
    """Log while this lasts; what ends it by an error is the last line. Raises SettingsError for a file that cannot be.

    `file` grows to `file_mb` and is then put aside as `file.1`, with at most `files` of these; `content` says whether
    what members write may stand in the log; `secrets` are replaced wherever they stand.
    """
    hide = _Hide({*secrets, *proxy.secrets()})
    handlers: list[logging.Handler] = [_Terminal(hide)]
    if file is not None:
        handlers.append(LogFile(file, _ForPrograms(hide), most=int(file_mb * MB), kept=files, missed=_missed))
    entrance = _Entrance(handlers)
    entrance.begin(level)
    try:
        with log_content.shown(content):
            yield
    except KeyboardInterrupt:
        _log.info("stopped", extra=_TOLD)
        raise
    except SususError as error:
        _log.error("ended: %s", error, extra=_TOLD)
        raise
    except Exception:
        _log.critical("ended by an error", exc_info=True, extra=_TOLD)
        raise
    finally:
        entrance.end()


def lost() -> int:
    """Lines that could not be written so far: the disk was full, or they came faster than they could be written."""
    return _state.lost


class _State:
    """What of logging is one for the whole program, as logging itself is."""

    lost = 0


_state: Final = _State()


def _missed() -> None:
    _state.lost += 1


class _Entrance(QueueHandler):
    """Where records enter, and the thread behind it that writes them."""

    def __init__(self, handlers: list[logging.Handler]) -> None:
        self._records: queue.Queue[logging.LogRecord] = queue.Queue(_WAITING)
        super().__init__(self._records)
        self._handlers = handlers
        self._writing = _Writing(self._records, *handlers)
        self._handlers_before = logging.getLogger().handlers[:]
        self._levels_before = {name: logging.getLogger(name).level for name in (_OURS, *_OTHERS)}
        self._hooks_before = (threading.excepthook, logging.raiseExceptions)

    def begin(self, level: str) -> None:
        logging.getLogger().handlers[:] = [self]
        for name, lowest in _OTHERS.items():
            logging.getLogger(name).setLevel(max(lowest, logging.getLevelName(level)))
        logging.getLogger(_OURS).setLevel(level)
        logging.captureWarnings(True)
        # What goes wrong with a line is counted, not printed between the lines of others.
        threading.excepthook, logging.raiseExceptions = _thread_failed, False
        self._writing.start()

    def end(self) -> None:
        """Write what waits, and leave logging as it was."""
        logging.getLogger().handlers[:] = self._handlers_before
        for name, level in self._levels_before.items():
            logging.getLogger(name).setLevel(level)
        logging.captureWarnings(False)
        threading.excepthook, logging.raiseExceptions = self._hooks_before
        self._writing.stop()
        for handler in self._handlers:
            handler.close()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy that no later change of its arguments reaches. Unlike in the library, errors stay a field."""
        record = copy.copy(record)
        record.msg, record.args = record.getMessage(), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        return record

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  (logging's name)
        """No room in the queue, or a message whose arguments do not fit it."""
        _missed()


class _Writing(QueueListener):
    """The thread that writes."""

    def enqueue_sentinel(self) -> None:
        # The library's way gives up where the queue is full.
        self.queue.put(None)  # type: ignore[attr-defined]  # the stubs know only what the library needs


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """A thread that ends by an error would say so on stderr alone."""
    if failed.exc_type is SystemExit or failed.exc_value is None:
        return
    told: tuple[type[BaseException], BaseException, TracebackType | None]
    told = (failed.exc_type, failed.exc_value, failed.exc_traceback)
    name = failed.thread.name if failed.thread is not None else "?"
    _log.critical("the thread %s ended by an error", name, exc_info=told)


class _Hide:
    """Takes secrets out of a text: those of the settings wherever they stand, others by their shape."""

    def __init__(self, secrets: Collection[str]) -> None:
        known = {secret for secret in secrets if len(secret) >= _SHORTEST}
        self._known = sorted(known, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, "[secret]")
        return privacy.redact(text, privacy.SECRETS).text


class _ForPeople(logging.Formatter):
    """`2026-11-29 17:00:00 INFO sususbot.bot.client: …`; where systemd listens, its level and no time: it has one."""

    def __init__(self, hide: _Hide, *, journal: bool) -> None:
        head = "" if journal else "%(asctime)s %(levelname)s "
        super().__init__(f"{head}%(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
        self._hide = hide
        self._journal = journal

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        return super().formatMessage(record).translate(_VISIBLE)

    def format(self, record: logging.LogRecord) -> str:
        # Half a character, as broken texts have it, can be written nowhere.
        text = self._hide(super().format(record)).encode(errors="backslashreplace").decode()
        if not self._journal:
            return text
        # To systemd each line is an entry of its own.
        return "\n".join(f"<{_PRIORITIES.get(record.levelno, 6)}>{line}" for line in text.splitlines())


class _ForPrograms(logging.Formatter):
    """One object of JSON: time (UTC), level, logger, message; an error as one field; what `extra` held."""

    def __init__(self, hide: _Hide) -> None:
        super().__init__()
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._hide(record.getMessage()),
        }
        if record.exc_text:
            fields["exception"] = self._hide(record.exc_text)
        extra = {name: value for name, value in vars(record).items() if name not in _USUAL}
        fields |= {name: self._hidden(value) for name, value in extra.items() if name not in fields}
        return json.dumps(fields, ensure_ascii=False, default=str)

    def _hidden(self, value: object) -> object:
        """A value in which texts have no secrets, however deep they stand."""
        if isinstance(value, dict):
            return {str(key): self._hidden(inside) for key, inside in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._hidden(inside) for inside in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._hide(str(value))


class _Terminal(logging.StreamHandler):  # type: ignore[type-arg]  # generic in stubs alone
    """stderr as it is now. A terminal that was closed costs the line."""

    def __init__(self, hide: _Hide) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(_ForPeople(hide, journal=_is_journal()))
        self.addFilter(lambda record: not hasattr(record, "told"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  (logging's name)
        _missed()


def _is_journal() -> bool:
    """Whether stderr goes to systemd, by what it says of itself in the environment."""
    try:
        there = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"
