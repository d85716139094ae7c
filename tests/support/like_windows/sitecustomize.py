"""Makes a process behave as on Windows where programs notice it. Python runs this before anything else, by its name.

For the whole process: files are text in cp1252 unless said otherwise; a file that some process of ours has open or
mapped is neither deleted nor replaced, nor is a folder with one in it; names that Windows refuses are refused; no fork,
no links; `kill` ends at once or sends Ctrl-Break; event loops take no signals.
For the program's own modules alone, since libraries would look for Windows itself: `sys.platform` is win32, `os.name`
is nt, and what only POSIX has is not there (fcntl, resource, pwd, SIGKILL, os.getuid, AF_UNIX).
Not to be changed lightly: whatever is easier here than on Windows hides a fault.
"""

import builtins
import errno
import fcntl
import io
import locale
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from asyncio import unix_events
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_CODE_PAGE: Final = "cp1252"
_PLACE: Final = os.environ.get("LIKE_WINDOWS", "")
_BREAK: Final = signal.SIGUSR2
_CTRL_BREAK: Final = 1
_OURS: Final = ("sususbot", "__main__")
# What Windows can catch.
_SIGNALS: Final = frozenset({"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"})
_NO_NAME: Final = re.compile(r'[<>:"|?*\\]|[ .]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?$', re.IGNORECASE)
_POSIX_MODULES: Final = frozenset({"fcntl", "resource", "pwd", "grp", "termios", "pty", "tty", "syslog", "posix"})
_POSIX_OF_OS: Final = frozenset(
    "fork forkpty getuid geteuid getgid getegid setsid setuid getpgid killpg mkfifo wait3 wait4 uname chown lchown "
    "statvfs sched_getaffinity sysconf getloadavg nice pread pwrite sendfile posix_fallocate posix_fadvise "
    "WNOHANG O_DIRECTORY O_NOFOLLOW O_CLOEXEC".split()
)


class _Seen(ModuleType):
    """A module as the program's own code sees it: some of it otherwise, some of it not there."""

    def __init__(self, real: ModuleType, other: dict[str, Any], hidden: Callable[[str], bool]) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, _other=other, _hidden=hidden)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["_other"]:
            return self.__dict__["_other"][name]
        if self.__dict__["_hidden"](name):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return getattr(self.__dict__["_real"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_real"], name, value)


# -- files


def _held() -> set[str]:
    """Files that a process of ours has open or mapped."""
    found: set[str] = set()
    others = [path.name for path in Path(_PLACE).iterdir()] if _PLACE else []
    for process in {Path("/proc", pid) for pid in (str(os.getpid()), *others)}:
        # What ends meanwhile holds nothing.
        with suppress(OSError):
            found.update(_read_links((process / "fd").iterdir()))
            with _open(process / "maps", encoding="utf-8") as lines:
                found.update(line.split(maxsplit=5)[5].rstrip("\n") for line in lines if "/" in line)
    return found


def _read_links(links: Iterable[Path]) -> Iterator[str]:
    for link in links:
        with suppress(OSError):
            yield str(link.readlink())


def _refuse_held(path: Any, dir_fd: int | None) -> None:
    if dir_fd is not None:
        raise NotImplementedError("dir_fd unavailable on this platform")
    real = _path(path).resolve()
    if any(real == one or real in one.parents for one in (Path.cwd() / "in", *map(Path, _held()))):
        raise PermissionError(errno.EACCES, "The process cannot access the file because it is being used", str(path))


def _path(path: Any) -> Path:
    return Path(os.fsdecode(path))


def _unlink(path: Any, *, dir_fd: int | None = None) -> None:
    _refuse_held(path, dir_fd)
    _real["unlink"](path)


def _rmdir(path: Any, *, dir_fd: int | None = None) -> None:
    _refuse_held(path, dir_fd)
    _real["rmdir"](path)


def _replace(source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
    _refuse_held(source, src_dir_fd)
    _refuse_held(target, dst_dir_fd)
    _refuse_name(target)
    if _path(target).is_dir():
        raise PermissionError(errno.EACCES, "Access is denied", str(target))
    _real["replace"](source, target)


def _rename(source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
    if _path(target).exists():
        raise FileExistsError(errno.EEXIST, "Cannot create a file when that file already exists", str(target))
    _replace(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)


def _refuse_name(path: Any) -> None:
    name = _path(path).name
    if name not in {"", ".", ".."} and _NO_NAME.search(name):
        raise OSError(errno.EINVAL, "The filename, directory name, or volume label syntax is incorrect", str(path))


def _mkdir(path: Any, *arguments: Any, **named: Any) -> None:
    _refuse_name(path)
    _real["mkdir"](path, *arguments, **named)


def _os_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    if _path(path).is_dir():
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    if flags & os.O_CREAT:
        _refuse_name(path)
    descriptor: int = _real["open"](path, flags, mode, dir_fd=dir_fd)
    return descriptor


def _text_open(
    file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, *arguments: Any, **named: Any
) -> Any:
    if not isinstance(file, int) and not mode.startswith("r"):
        _refuse_name(file)
    if "b" not in mode and encoding in {None, "locale"}:
        if encoding is None and sys._getframe(1).f_globals.get("__name__", "").startswith(_OURS[0]):
            warnings.warn("text without an encoding is cp1252 on Windows", EncodingWarning, stacklevel=2)
        encoding = _CODE_PAGE
    return _open(file, mode, buffering, encoding, *arguments, **named)


def _link(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, "A required privilege is not held by the client")


# -- processes


def _kill(pid: int, number: int) -> None:
    """What is not an event of the console ends the process at once, whatever it does about signals."""
    _real["kill"](pid, _BREAK if number == _CTRL_BREAK else signal.SIGKILL)


class _Popen(subprocess.Popen[Any]):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        if named.get("preexec_fn") or named.get("pass_fds"):
            raise ValueError("preexec_fn is not supported on Windows platforms")
        # Windows keeps no argument that it does not know: it means nothing there.
        named["start_new_session"] = bool(named.pop("creationflags", 0))
        super().__init__(*arguments, **named)

    def send_signal(self, sig: int) -> None:
        if sig not in {_CTRL_BREAK, signal.SIGTERM}:
            raise ValueError(f"Unsupported signal: {sig}")
        if self.poll() is None:
            _kill(self.pid, sig)

    def terminate(self) -> None:
        self.kill()

    def kill(self) -> None:
        if self.poll() is None:
            _kill(self.pid, signal.SIGTERM)


def _catch(number: int, handler: Any) -> Any:
    if number != _BREAK and signal.Signals(number).name not in _SIGNALS:
        raise ValueError("invalid signal value")
    return signal.signal(number, handler)


def _no_signals(*_: Any, **__: Any) -> None:
    raise NotImplementedError


def _lock(descriptor: int, mode: int, _bytes: int) -> None:
    try:
        fcntl.flock(descriptor, mode)
    except BlockingIOError as error:
        raise PermissionError(errno.EACCES, "Permission denied") from error


# -- what the program's own modules see

_msvcrt = ModuleType("msvcrt")
_msvcrt.__dict__.update(locking=_lock, LK_NBLCK=fcntl.LOCK_EX | fcntl.LOCK_NB, LK_UNLCK=fcntl.LOCK_UN)


def _no_key(*_: Any, **__: Any) -> None:
    raise FileNotFoundError(errno.ENOENT, "The system cannot find the file specified")


# A registry with nothing in it.
_winreg = ModuleType("winreg")
_winreg.__dict__.update(OpenKey=_no_key, HKEY_LOCAL_MACHINE=object(), HKEY_CURRENT_USER=object())


def _seen() -> dict[str, ModuleType]:
    other: dict[str, tuple[ModuleType, dict[str, Any], Callable[[str], bool]]] = {
        "sys": (sys, {"platform": "win32"}, lambda _: False),
        "os": (os, {"name": "nt", "kill": _kill}, _POSIX_OF_OS.__contains__),
        "socket": (socket, {}, {"AF_UNIX"}.__contains__),
        "subprocess": (
            subprocess,
            {"Popen": _Popen, "CREATE_NO_WINDOW": 0x08000000, "CREATE_NEW_PROCESS_GROUP": 0x200},
            lambda _: False,
        ),
        "signal": (
            signal,
            {"SIGBREAK": _BREAK, "CTRL_BREAK_EVENT": _CTRL_BREAK, "CTRL_C_EVENT": 0, "signal": _catch},
            lambda name: bool(re.fullmatch("SIG[A-Z]+[0-9]*", name)) and name not in _SIGNALS,
        ),
    }
    seen: dict[str, ModuleType] = {name: _Seen(*what) for name, what in other.items()}
    return seen | {"msvcrt": _msvcrt, "winreg": _winreg}


def _import(name: str, globals_: Any = None, locals_: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    if level == 0 and globals_ is not None and str(globals_.get("__name__", "")).partition(".")[0] in _OURS:
        if name in _POSIX_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in _SEEN:
            return _SEEN[name]
    return _real_import(name, globals_, locals_, fromlist, level)


_FILES: Final[dict[str, Any]] = {
    "unlink": _unlink,
    "remove": _unlink,
    "rmdir": _rmdir,
    "replace": _replace,
    "rename": _rename,
    "mkdir": _mkdir,
    "open": _os_open,
    "symlink": _link,
    "link": _link,
}
_open = io.open
_real: Final[dict[str, Any]] = {
    name: getattr(os, name) for name in ("unlink", "rmdir", "replace", "rename", "mkdir", "open", "kill")
}
_real_import = builtins.__import__
_SEEN: Final = _seen()


def _begin() -> None:
    if _PLACE:
        Path(_PLACE, str(os.getpid())).touch()
    for name, ours in _FILES.items():
        setattr(os, name, ours)
    for name in ("fork", "forkpty"):
        delattr(os, name)
    others: list[tuple[Any, str, Any]] = [
        (io, "open", _text_open),
        (builtins, "open", _text_open),
        (locale, "getencoding", lambda: _CODE_PAGE),
        (locale, "getpreferredencoding", lambda _=True: _CODE_PAGE),
        # By descriptors of folders, which Windows does not have.
        (shutil, "_use_fd_functions", False),
        (tempfile, "TemporaryFile", tempfile.NamedTemporaryFile),
        (unix_events._UnixSelectorEventLoop, "add_signal_handler", _no_signals),
        (builtins, "__import__", _import),
    ]
    for holder, name, ours in others:
        setattr(holder, name, ours)
    multiprocessing.set_start_method("spawn")
    warnings.filterwarnings("error", category=EncodingWarning, module="sususbot")


_begin()
