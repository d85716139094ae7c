"""The virtual environment of this checkout: made, filled with what is pinned, mended when a set-up was cut short.

    python tools/environment.py run    what a user needs:  make install, make demo  and  setup.ps1  do it
    python tools/environment.py dev    what tests need, too:  make test  and  make check  do

It runs before anything is installed, so it is the standard library alone. What pip says goes to .venv/set-up.log; one
sees what is being done, and where it fails one sentence with the next step. A second call ends at once, unless the
pinned versions, the folder or its Python are others than before. It installs no Python and asks nobody anything.
What may be changed: the tables of builds and of reasons. Long because it runs before there is anything to import from.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Final

# Before anything of .venv is moved away: with this one, nothing could be installed into the next.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        f"set-up: this is Python {sys.version_info[0]}.{sys.version_info[1]}, and sususbot needs 3.11 or newer: call "
        "it by another, as in  python3.12 tools/environment.py run"
    )

ROOT: Final = Path(__file__).resolve().parents[1]
VENV: Final = ROOT / ".venv"
LOG: Final = VENV / "set-up.log"
_STAMP: Final = VENV / "set-up.json"
# There while a set-up runs: one that was killed may have left half a package, which pip takes for a whole one.
_BEGUN: Final = VENV / "set-up.begun"
_PYTHON: Final = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

_WINDOWS: Final = os.name == "nt"
# Never an environment's own: that one may be taken away.
_CALLER: Final = getattr(sys, "_base_executable", None) or sys.executable

TORCH: Final = "torch==2.13.0"
INDEX: Final = "https://download.pytorch.org/whl/"
LLAMA_INDEX: Final = "https://xorbitsai.github.io/xllamacpp/whl/"


@dataclass(frozen=True, slots=True)
class Card:
    """NVIDIA's card as its tool tells of it: the driver's branch (580 of 580.95.05), and what the card can compute."""

    driver: int
    capability: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Torch:
    """A build of torch: the oldest driver for it by system, and the cards that it has code for, by capability."""

    name: str
    drivers: dict[str, int]
    oldest: tuple[int, int]
    newest: tuple[int, int]

    def fits(self, capability: tuple[int, int] | None) -> bool:
        return capability is None or self.oldest <= capability <= self.newest


@dataclass(frozen=True, slots=True)
class Llama:
    """A build of llama.cpp: the oldest driver, and for which cards that holds (none named: for all)."""

    name: str
    driver: int
    cards: tuple[tuple[int, int], ...] = ()


# Best first. Drivers by NVIDIA's "CUDA Compatibility", minor version compatibility, table 1 (training/hardware.py says
# the same); for CUDA 12 on Windows by its toolkit's release notes. Cards by torch's own list of architectures.
TORCH_BUILDS: Final = (
    Torch("cu130", {"linux": 580, "win32": 580}, (7, 5), (12, 9)),
    Torch("cu126", {"linux": 525, "win32": 528}, (5, 0), (9, 0)),
)
# By xllamacpp's "CUDA GPU Architecture Coverage": its own code for a card runs on every driver of the same CUDA; all
# other code is compiled by the driver, which must be as new as the build.
LLAMA_BUILDS: Final = {
    "linux": (Llama("cu128", 570),),
    "win32": (
        Llama("cu132", 580, ((7, 5), (8, 6), (8, 9), (12, 0))),
        Llama("cu128", 570),
        Llama("cu128", 528, ((8, 6), (8, 9))),
    ),
}
# What stands for a build; all else is the address of an index.
_NAMES: Final = {"cpu", *(row.name for row in TORCH_BUILDS)}
# Where drivers put their tool; Windows' old ones not among what can be called by name.
_TOOLS: Final = ("nvidia-smi", r"C:\Program Files\NVIDIA Corporation\NVSMI\nvidia-smi.exe")
# setuptools takes {x} and $x in a path for a variable, and venv refuses what ends a path in PATH.
_VARIABLES: Final = r"[{}$]" if _WINDOWS else r"[{}$:]"
# Seconds between two looks whether another set-up has ended.
_LOOK: Final = 0.5
# Seconds that a program may take to end.
_PATIENCE: Final = 10
# Bytes that an environment takes, with room to unpack it: for processors, and with NVIDIA's libraries.
_ROOM: Final = {False: 3 * 10**9, True: 9 * 10**9}

_FRONT: Final = "$env:{} = '{}' before" if _WINDOWS else "{}={} in front"
_ANOTHER_PYTHON: Final = "setup.ps1 -Python FILE" if _WINDOWS else "make PYTHON=python3.12 demo"
_NO_NETWORK: Final = (
    "no packages could be fetched: connect this machine to the internet (behind a proxy: "
    f"{_FRONT.format('HTTPS_PROXY', 'http://HOST:PORT')}), and run it again"
)
REASONS: Final = (
    (
        r"No space left on device|Errno 28|WinError (?:39|112)\b|not enough space on the disk",
        f"the disk is full: free {_ROOM[False] // 10**9} GB ({_ROOM[True] // 10**9} GB with a card) where this folder "
        f"and the temporary files are ({'TMP' if _WINDOWS else 'TMPDIR'} names another place for those), and run it "
        "again",
    ),
    (
        r"WinError (?:5|32|33|145)\b",
        "a file in .venv is held by another program: close what runs from it (a bot, an editor, a window in which it "
        "is switched on), and run it again",
    ),
    (r"WinError 206\b", "a path is too long for Windows: move this folder to a short one such as C:\\sususbot"),
    (
        r"Read-only file system|Permission denied|Errno 13|Errno 30|WinError 19\b",
        f"nothing may be written in {ROOT}: copy this folder to a place of your own, and run it there",
    ),
    (
        r"ensurepip is\s+not\s+available|apt install python3[.0-9]*-venv|ensurepip.* returned non-zero"
        r"|No module named ['\"]?(?:ensurepip|venv|pip)\b",
        "this Python cannot make virtual environments: install its venv module (Debian, Ubuntu: "
        "sudo apt install python3-venv), and run it again",
    ),
    (
        r"407 Proxy Authentication|Proxy Authentication Required",
        "the proxy wants a name and a password: run it with "
        + _FRONT.format("HTTPS_PROXY", "http://NAME:PASSWORD@HOST:PORT"),
    ),
    (
        r"ProxyError|to proxy",
        "the proxy did not answer: check the address in HTTPS_PROXY (http://HOST:PORT), or unset it where none is",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "the network shows a certificate that is not known here: check the clock, and where a company's proxy looks "
        f"into traffic, name its certificate with {_FRONT.format('PIP_CERT', 'FILE')}",
    ),
    (
        r"DO NOT MATCH THE HASHES|do not match the hashes",
        f"a package that came is not the one that is pinned: run it again with {_FRONT.format('PIP_NO_CACHE_DIR', '1')}"
        "; when it stays so, the package index serves other files than it did",
    ),
    (
        r"NewConnectionError|Failed to establish|name resolution|getaddrinfo|Network is unreachable|Connection refused"
        r"|Max retries exceeded|timed out|ConnectTimeout|ReadTimeout|RemoteDisconnected|ConnectionResetError"
        r"|Connection broken|WinError 100\d\d\b",
        _NO_NETWORK,
    ),
    (
        r"Failed (?:building|to build)|metadata-generation-failed|subprocess-exited-with-error|from versions:"
        r"|No matching distribution",
        "a package is not to be had for Python {python} on this machine: use Python 3.11 to 3.14, 64 bits "
        f"({_ANOTHER_PYTHON})",
    ),
)


# Not empty while a program is being started: one that nobody knows of yet could not be ended.
_starting: list[str] = []


class SetUpError(Exception):
    """What keeps the environment from being made: one sentence with the next step."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `named`: by this Python and no other; `look`: at card and driver, even if all is there."""

    kind: str
    cpu: bool = False
    anew: bool = False
    named: bool = False
    look: bool = False

    @classmethod
    def of(cls, arguments: list[str]) -> "Wish":
        parser = argparse.ArgumentParser(prog="environment.py", allow_abbrev=False)
        parser.add_argument("kind", choices=["run", "dev"])
        parser.add_argument("--cpu", action="store_true", help="leave a card alone")
        parser.add_argument("--anew", action="store_true", help="make .venv anew, even if it is complete")
        parser.add_argument("--named", action="store_true", help="with this Python: anew, if .venv is another's")
        parser.add_argument("--look", action="store_true", help="look at card and driver, even if all is there")
        return cls(**vars(parser.parse_args(arguments)))


def main(arguments: list[str]) -> int:
    """Makes what is asked for ready. Returns the exit code."""
    wish = Wish.of(arguments)
    _stopped_by_signals()
    try:
        _ready(wish)
    except SetUpError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"set-up: {reason(str(error)) or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: stopped; run the same command again, it begins anew", file=sys.stderr)
        return 130
    return 0


def _stopped_by_signals() -> None:
    """An end that is asked for is one as by Ctrl-C: pip ends first."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if not _starting:
            raise KeyboardInterrupt
        _starting.append("stop")

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def reason(output: str) -> str | None:
    """The sentence for what pip or the system said; none where it is not known."""
    for pattern, sentence in REASONS:
        if re.search(pattern, output):
            return sentence.replace("{python}", _configured().get("version", "").rpartition(".")[0] or "this version")
    return None


def _ready(wish: Wish) -> None:
    if _done(wish):
        return
    with _alone():
        if _done(wish):
            return
        found = None if wish.cpu else card()
        builds = _builds(found)
        why = _unusable(wish, builds)
        if why is not None:
            _make(why, builds)
        _say(about_card(found))
        _BEGUN.touch()
        # What is being changed is no longer what the stamp says.
        _STAMP.write_text(json.dumps(_place()), encoding="utf-8")
        try:
            _fill(wish.kind, builds)
        except SetUpError:
            # pip ended by itself, so what it left is whole.
            _BEGUN.unlink()
            raise
        # Only what was made now: of the other kind, versions may be others than its own.
        _STAMP.write_text(json.dumps({**_place(), **builds, wish.kind: _pinned(wish.kind)}), encoding="utf-8")
        _BEGUN.unlink()


def _done(wish: Wish) -> bool:
    """Whether all is there already, for this kind or for more."""
    stamp = _stamp()
    return (
        not wish.anew
        and _PYTHON.exists()
        and not _BEGUN.exists()
        and _same_place(stamp)
        and not (wish.named and _anothers())
        and any(each in stamp and stamp[each] == _pinned(each) for each in {wish.kind, "dev"})
        and not (wish.look and _others(stamp, wish))
    )


def _others(stamp: dict[str, str], wish: Wish) -> bool:
    """Whether other builds fit than those that are there. A tool that tells nothing for once changes nothing."""
    found = None if wish.cpu else card()
    return (wish.cpu or found is not None) and {**stamp, **_builds(found)} != stamp


def _stamp() -> dict[str, str]:
    """What the last set-up was made of, or what one that begins now is."""
    try:
        stamp: dict[str, str] = json.loads(_STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return _place()
    return stamp


def _place() -> dict[str, str]:
    return {"folder": str(ROOT), "python": os.path.realpath(_PYTHON)}


def _same_place(stamp: dict[str, str]) -> bool:
    return {**stamp, **_place()} == stamp


def _configured() -> dict[str, str]:
    """What venv noted of the environment: `version`, and as `executable` the Python that made it."""
    try:
        lines = (VENV / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _anothers() -> bool:
    """Whether another Python than the one that runs this made the environment."""
    maker = _configured().get("executable")
    return maker is not None and os.path.realpath(maker) != os.path.realpath(_CALLER)


def _pinned(kind: str) -> str:
    names = ["pyproject.toml", "requirements.txt", *(["requirements-dev.txt"] if kind == "dev" else [])]
    return hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in names)).hexdigest()


@contextmanager
def _alone() -> Iterator[None]:
    """One set-up at a time: `make demo` and `make test` side by side take turns."""
    with Path(__file__).open("rb") as held:
        # A disk that knows no locks keeps nobody from a set-up.
        with suppress(OSError):
            if not _locked(held):
                _say("another set-up of this folder is running: waiting for it")
                while not _locked(held):
                    time.sleep(_LOOK)
        yield


def _locked(file: IO[bytes]) -> bool:
    """Whether the lock is ours now, until the file is closed."""
    if sys.platform == "win32":
        import msvcrt

        # Far behind the file's end: what is locked, Windows lets nobody read.
        file.seek(1 << 30)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unusable(wish: Wish, builds: dict[str, str]) -> str | None:
    """Why the environment must be made anew; none where what is there can be built upon."""
    stamp = _stamp()
    if not VENV.exists():
        return ""
    if wish.anew:
        return "making .venv anew, as you said"
    if _BEGUN.exists():
        return "an earlier set-up was cut short: making .venv anew"
    if not _same_place(stamp):
        return "this folder or its Python moved: making .venv anew"
    # One that was never complete is not worth keeping for its Python.
    if _anothers() and (wish.named or not {"run", "dev"} & stamp.keys()):
        return "another Python made .venv: making it anew"
    if wish.look and {stamp.get("torch"), builds["torch"]} <= _NAMES and stamp["torch"] != builds["torch"]:
        return f"torch is for {stamp['torch']}, and {builds['torch']} fits: making .venv anew"
    if _run([str(_PYTHON), "-m", "pip", "--version"])[0]:
        return "what is in .venv does not work: making it anew"
    return None


def _make(why: str, builds: dict[str, str]) -> None:
    if re.search(_VARIABLES, str(ROOT)):
        raise SetUpError(f"{ROOT} has a sign in it that Python's own tools stumble over ({{ }} $ :): rename the folder")
    if why:
        _say(why)
        _away()
    if shutil.disk_usage(ROOT).free < _ROOM[builds["torch"] != "cpu"]:
        raise SetUpError(reason("No space left on device"))
    VENV.mkdir()
    _BEGUN.touch()
    code, output = _run([_CALLER, "-m", "venv", str(VENV)])
    if code:
        _away()
        raise SetUpError(reason(output) or f"no virtual environment could be made: {_last(output)}")


def _away() -> None:
    """Gone at once, even if taking it apart is cut short."""
    old = VENV.with_name(".venv.old")
    shutil.rmtree(old, ignore_errors=True)
    VENV.rename(old)
    shutil.rmtree(old)


def _fill(kind: str, builds: dict[str, str]) -> None:
    _say("installing into .venv (once, 2 to 5 minutes)")
    LOG.write_text("", encoding="utf-8")
    _torch(builds["torch"])
    files = ["requirements.txt", *(["requirements-dev.txt"] if kind == "dev" else [])]
    listed = [part for file in files for part in ("-r", str(ROOT / file))]
    _must("packages", ["--require-hashes", *listed])
    _must("sususbot", ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    if builds["llama"]:
        _llama(builds["llama"])
    if _WINDOWS and _run([str(_PYTHON), "-c", "import torch"])[0]:
        # What torch needs of Windows itself is not in its wheel.
        raise SetUpError(
            "torch was installed and does not load: run  winget install Microsoft.VCRedist.2015+.x64  and then "
            "setup.ps1 again"
        )


# -- which builds ------------------------------------------------------------------------------------------------


def _builds(found: Card | None) -> dict[str, str]:
    """What fits this machine, or the index that was named for torch."""
    named = os.environ.get("TORCH_INDEX")
    return {"torch": named or torch_build(found), "llama": llama_build(found)}


def torch_build(found: Card | None, system: str = sys.platform) -> str:
    """The best build that driver and card can use; "cpu" where there is none."""
    rows = (row for row in TORCH_BUILDS if found is not None and row.fits(found.capability))
    return next((row.name for row in rows if found and found.driver >= row.drivers.get(system, 0)), "cpu")


def llama_build(found: Card | None, system: str = sys.platform) -> str:
    """The best build for the card; empty where the processor's is the one."""
    rows = (row for row in LLAMA_BUILDS.get(system, ()) if found and found.driver >= row.driver)
    return next((row.name for row in rows if found and (not row.cards or found.capability in row.cards)), "")


def about_card(found: Card | None, system: str = sys.platform) -> str:
    """What was found, and what follows."""
    if found is None:
        return "no NVIDIA card is used: answers come from the processor, and trainings are small ones"
    build = torch_build(found, system)
    if build != "cpu":
        return f"NVIDIA's driver {found.driver}: torch for {build}"
    drivers = [row.drivers.get(system, 0) for row in TORCH_BUILDS if row.fits(found.capability)]
    if not drivers:
        return "torch has no code for this card: the processor is used"
    return (
        f"NVIDIA's driver {found.driver} is too old for torch: the processor is used; install {min(drivers)} or newer "
        "(there is none for cards before the GTX 900), and run it again"
    )


def card() -> Card | None:
    """NVIDIA's first card, where its tool tells of one. Old drivers tell no capability."""
    for tool in filter(shutil.which, _TOOLS):
        for fields in ("driver_version,compute_cap", "driver_version"):
            code, output = _run([tool, f"--query-gpu={fields}", "--format=csv,noheader"], seconds=60)
            found = None if code else card_of(output)
            if found is not None:
                return found
    return None


def card_of(line: str) -> Card | None:
    """From what nvidia-smi prints, such as "552.44, 7.5", whatever the language of the system."""
    told = re.match(r"\s*(\d+)\.[\d.]*(?:\s*,\s*(\d+)\.(\d+))?", line)
    if told is None:
        return None
    return Card(int(told[1]), (int(told[2]), int(told[3])) if told[2] else None)


# -- installing --------------------------------------------------------------------------------------------------


def _torch(build: str) -> None:
    """The first of the sources that can be had."""
    if _installed("torch") == TORCH.removeprefix("torch=="):
        return
    told: str | None = None
    for arguments in torch_sources(build):
        told = _pip("torch", arguments)
        # Where the index that pip asks by itself cannot be reached, no other build will come from it.
        if told is None or (told == _NO_NETWORK and "--index-url" not in arguments):
            break
    if told is not None:
        raise SetUpError(told)


def _installed(package: str) -> str | None:
    """The version in the environment, without what names its build."""
    code, output = _run([str(_PYTHON), "-c", f"from importlib.metadata import version as v; print(v({package!r}))"])
    return None if code else output.strip().split("+")[0]


def torch_sources(build: str, system: str = sys.platform) -> list[list[str]]:
    """What to ask pip for, the best first: a build, or what an index that was named has."""
    if build not in _NAMES:
        return [[TORCH, "--index-url", build]]
    if system == "darwin":
        return [[TORCH]]
    if build == "cpu":
        # What stands after the + is only in torch's own index, and in folders of wheels that pip was told of.
        return [["--no-deps", f"{TORCH}+cpu"], ["--no-deps", TORCH, "--index-url", f"{INDEX}cpu"], [TORCH]]
    # What pip finds by itself is CUDA's on Linux, and the processor's on Windows.
    return [[TORCH, "--index-url", INDEX + build], *([[TORCH]] if system == "linux" else [])]


def _llama(build: str) -> None:
    """The pinned llama.cpp, built for cards; what cannot be had or does not load leaves the one for processors."""
    again = ["--no-deps", "--force-reinstall", f"xllamacpp=={_installed('xllamacpp')}"]
    told = _pip("llama.cpp for your card", [*again, "--index-url", LLAMA_INDEX + build])
    loads = "from sususbot.model import openmp; openmp.ready(); import xllamacpp"
    if told is None and _run([str(_PYTHON), "-c", loads])[0] == 0:
        return
    _say("  llama.cpp for your card is not to be had now: it runs on the processor until docs/serving.md is followed")
    if told is None:
        _must("llama.cpp for the processor", again)


def _must(what: str, arguments: list[str]) -> None:
    told = _pip(what, arguments)
    if told is not None:
        raise SetUpError(told)


def _pip(what: str, arguments: list[str]) -> str | None:
    """Installs, saying how it goes. Why it failed, where it did."""
    began = time.monotonic()
    command = [str(_PYTHON), "-m", "pip", "install", "--progress-bar", "off", *arguments]
    lines = []
    with LOG.open("a", encoding="utf-8") as log, _child(command, cwd=ROOT) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            log.write(line)
            lines.append(line)
            _now(what, line)
    _now(what, None)
    if pip.returncode == 0:
        _say(f"  {what}: {time.monotonic() - began:.0f} s")
        return None
    output = "".join(lines)
    return reason(output) or f"pip failed ({_last(output)}): all that it said is in {LOG}"


@contextmanager
def _child(command: list[str], cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """A program whose words are read. What ends this ends it first, with all that it started."""
    _starting.append(command[0])
    try:
        child = _start(command, cwd)
    finally:
        stopped = "stop" in _starting
        _starting.clear()
    with child:
        try:
            if stopped:
                raise KeyboardInterrupt
            yield child
        except BaseException:
            _end(child)
            raise


def _start(command: list[str], cwd: Path | None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"},
        cwd=cwd,
        encoding="utf-8",
        errors="replace",
        start_new_session=not _WINDOWS,
    )


def _end(child: subprocess.Popen[str]) -> None:
    """With its children; who does not go when asked is made to."""
    for number in ("SIGTERM", "SIGKILL"):
        if sys.platform == "win32":
            child.kill()
        else:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, getattr(signal, number))
        with suppress(subprocess.TimeoutExpired):
            child.wait(_PATIENCE)
            return


def _now(what: str, line: str | None) -> None:
    """On a terminal, what pip is at, on one line that is written over; nothing elsewhere."""
    if not sys.stderr.isatty():
        return
    doing = re.match(r"\s*(Collecting|Downloading|Installing|Building) ([^\s;]+)", line or "")
    if line is None:
        sys.stderr.write("\r\033[K")
    elif doing:
        sys.stderr.write(f"\r\033[K  {what}: {doing[1].lower()} {doing[2].rsplit('/', 1)[-1][:60]}")
    sys.stderr.flush()


def _run(command: list[str], seconds: float | None = None) -> tuple[int, str]:
    """Exit code and all that was said."""
    try:
        with _child(command) as child:
            output, _ = child.communicate(timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return child.returncode, output


def _last(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
