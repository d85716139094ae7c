"""The virtual environment of this checkout: made, filled with what is pinned, mended when a set-up was cut short.

    python tools/environment.py run    what a user needs:  make demo  does it
    python tools/environment.py dev    what tests need, too:  make test  and  make check  do

It runs before anything is installed, so it is the standard library alone. What pip says goes to .venv/set-up.log; one
sees what is being done, and where it fails one sentence with the next step. A second call ends at once, unless the
pinned versions, the folder or its Python are others than before. It installs no Python and asks nobody anything.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
VENV: Final = ROOT / ".venv"
LOG: Final = VENV / "set-up.log"
_STAMP: Final = VENV / "set-up.json"
# There while a set-up runs: one that was killed may have left half a package, which pip takes for a whole one.
_BEGUN: Final = VENV / "set-up.begun"
_PYTHON: Final = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

TORCH: Final = "torch==2.13.0"
# The oldest driver for each of torch's builds for CUDA (training/hardware.py says the same).
INDEX: Final = "https://download.pytorch.org/whl/"
DRIVERS: Final = {"cu130": 580, "cu126": 525}
# llama.cpp for cards: this build has code that every card since 2014 can take; the driver compiles it once.
LLAMA_INDEX: Final = "https://xorbitsai.github.io/xllamacpp/whl/cu128"
LLAMA_DRIVER: Final = 570
# Bytes that an environment takes, with room to unpack it: for processors, and with NVIDIA's libraries.
_ROOM: Final = {False: 3 * 10**9, True: 9 * 10**9}

_NO_NETWORK: Final = (
    "no packages could be fetched: connect this machine to the internet (behind a proxy: HTTPS_PROXY=http://HOST:PORT "
    "in front), and run it again"
)
REASONS: Final = (
    (
        r"No space left on device|Errno 28|not enough space on the disk",
        "the disk is full: free {room} where this folder and the temporary files are (TMPDIR=FOLDER names another "
        "place for those), and run it again",
    ),
    (
        r"Read-only file system|Permission denied|Errno 13|Errno 30",
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
        "the proxy wants a name and a password: run it with HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT in front",
    ),
    (
        r"ProxyError|to proxy",
        "the proxy did not answer: check the address in HTTPS_PROXY (http://HOST:PORT), or unset it where none is",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "the network shows a certificate that is not known here: check the clock, and where a company's proxy looks "
        "into traffic, name its certificate with PIP_CERT=FILE in front",
    ),
    (
        r"DO NOT MATCH THE HASHES|do not match the hashes",
        "a package that came is not the one that is pinned: run it again with PIP_NO_CACHE_DIR=1 in front; when it "
        "stays so, the package index serves other files than it did",
    ),
    (
        r"NewConnectionError|Failed to establish|name resolution|getaddrinfo|Network is unreachable|Connection refused"
        r"|Max retries exceeded|timed out|ConnectTimeout|ReadTimeout|RemoteDisconnected|ConnectionResetError"
        r"|Connection broken",
        _NO_NETWORK,
    ),
    (
        r"Failed (?:building|to build)|metadata-generation-failed|subprocess-exited-with-error|from versions:"
        r"|No matching distribution",
        f"a package is not to be had for Python {sys.version_info[0]}.{sys.version_info[1]} on this machine: use "
        "Python 3.11 to 3.14, 64 bits (make PYTHON=python3.12 demo)",
    ),
)


class SetUpError(Exception):
    """What keeps the environment from being made: one sentence with the next step."""


def main(arguments: list[str]) -> int:
    """Makes what is asked for ready. Returns the exit code."""
    if arguments not in (["run"], ["dev"]):
        print("usage: environment.py run|dev", file=sys.stderr)
        return 2
    try:
        _ready(arguments[0])
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


def reason(output: str) -> str | None:
    """The sentence for what pip or the system said; none where it is not known."""
    for pattern, sentence in REASONS:
        if re.search(pattern, output):
            return sentence.format(room=f"{_ROOM[_driver() is not None] / 1e9:.0f} GB")
    return None


def _ready(kind: str) -> None:
    if _done(kind):
        return
    with _alone():
        if _done(kind):
            return
        why = _unusable()
        if why is not None:
            _make(why)
        _BEGUN.touch()
        try:
            _fill(kind)
        except SetUpError:
            # pip ended by itself, so what it left is whole.
            _BEGUN.unlink()
            raise
        _STAMP.write_text(json.dumps({**_stamp(), kind: _pinned(kind)}), encoding="utf-8")
        _BEGUN.unlink()


def _done(kind: str) -> bool:
    """Whether all is there already, for this kind or for more."""
    stamp = _stamp()
    return (
        _PYTHON.exists()
        and not _BEGUN.exists()
        and _same_place(stamp)
        and any(stamp.get(each) == _pinned(each) for each in ((kind, "dev") if kind == "run" else ("dev",)))
    )


def _stamp() -> dict[str, str]:
    """What the last set-up was made of, or what one that begins now is."""
    try:
        stamp: dict[str, str] = json.loads(_STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"folder": str(ROOT), "python": os.path.realpath(_PYTHON)}
    return stamp


def _same_place(stamp: dict[str, str]) -> bool:
    return stamp["folder"] == str(ROOT) and stamp["python"] == os.path.realpath(_PYTHON)


def _pinned(kind: str) -> str:
    names = ["pyproject.toml", "requirements.txt", *(["requirements-dev.txt"] if kind == "dev" else [])]
    return hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in names)).hexdigest()


@contextmanager
def _alone() -> Iterator[None]:
    """One set-up at a time: `make demo` and `make test` side by side take turns."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with Path(__file__).open("rb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another set-up of this folder is running: waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _unusable() -> str | None:
    """Why the environment must be made anew; none where what is there can be built upon."""
    if not VENV.exists():
        return ""
    if _BEGUN.exists():
        return "an earlier set-up was cut short: making .venv anew"
    if not _same_place(_stamp()):
        return "this folder or its Python moved: making .venv anew"
    if _run([str(_PYTHON), "-m", "pip", "--version"])[0]:
        return "what is in .venv does not work: making it anew"
    return None


def _make(why: str) -> None:
    if why:
        _say(why)
        _away()
    if shutil.disk_usage(ROOT).free < _ROOM[_driver() is not None]:
        raise SetUpError(reason("No space left on device"))
    VENV.mkdir()
    _BEGUN.touch()
    code, output = _run([sys.executable, "-m", "venv", str(VENV)])
    if code:
        _away()
        raise SetUpError(reason(output) or f"no virtual environment could be made: {_last(output)}")


def _away() -> None:
    """Gone at once, even if taking it apart is cut short."""
    old = VENV.with_name(".venv.old")
    shutil.rmtree(old, ignore_errors=True)
    VENV.rename(old)
    shutil.rmtree(old)


def _fill(kind: str) -> None:
    _say("installing into .venv (once, some minutes)")
    LOG.write_text("", encoding="utf-8")
    _torch()
    files = ["requirements.txt", *(["requirements-dev.txt"] if kind == "dev" else [])]
    listed = [part for file in files for part in ("-r", str(ROOT / file))]
    _must("packages", ["--require-hashes", *listed])
    _must("sususbot", ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    # On Windows setup.ps1 does it, by card and driver.
    if sys.platform == "linux" and (_driver() or 0) >= LLAMA_DRIVER:
        _llama()


def _torch() -> None:
    """The first of the builds that fit this machine and can be had."""
    if _installed("torch") == TORCH.removeprefix("torch=="):
        return
    told: str | None = None
    for arguments in torch_builds(_driver(), os.environ.get("TORCH_INDEX")):
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


def torch_builds(driver: int | None, index: str | None, system: str = sys.platform) -> list[list[str]]:
    """What to ask pip for, the best first: for this driver, or for processors (a tenth of the size)."""
    if index:
        return [[TORCH, "--index-url", index]]
    if system == "darwin":
        return [[TORCH]]
    if driver is None:
        # What stands after the + is only in torch's own index, and in folders of wheels that pip was told of.
        return [["--no-deps", f"{TORCH}+cpu"], ["--no-deps", TORCH, "--index-url", f"{INDEX}cpu"], [TORCH]]
    build = next((name for name, oldest in DRIVERS.items() if driver >= oldest), "cpu")
    return [[TORCH, "--index-url", INDEX + build], [TORCH]]


def _llama() -> None:
    """The pinned llama.cpp, built for cards; what cannot be had or does not load leaves the one for processors."""
    again = ["--no-deps", "--force-reinstall", f"xllamacpp=={_installed('xllamacpp')}"]
    told = _pip("llama.cpp for your card", [*again, "--index-url", LLAMA_INDEX])
    loads = "from sususbot.model import openmp; openmp.ready(); import xllamacpp"
    if told is None and _run([str(_PYTHON), "-c", loads])[0] == 0:
        return
    _say("  llama.cpp for your card is not to be had now: it runs on the processor until docs/serving.md is followed")
    if told is None:
        _must("llama.cpp for the processor", again)


def _driver() -> int | None:
    """The branch of NVIDIA's driver (580 of 580.95.05), where there is a card."""
    if shutil.which("nvidia-smi") is None:
        return None
    code, output = _run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"])
    found = re.match(r"(\d+)\.", output)
    return int(found[1]) if not code and found else None


def _must(what: str, arguments: list[str]) -> None:
    told = _pip(what, arguments)
    if told is not None:
        raise SetUpError(told)


def _pip(what: str, arguments: list[str]) -> str | None:
    """Installs, saying how it goes. Why it failed, where it did."""
    began = time.monotonic()
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
    command = [str(_PYTHON), "-m", "pip", "install", "--progress-bar", "off", *arguments]
    lines = []
    with (
        LOG.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
            encoding="utf-8",
            errors="replace",
        ) as pip,
    ):
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


def _run(command: list[str]) -> tuple[int, str]:
    """Exit code and all that was said."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        return 1, str(error)
    return done.returncode, done.stdout


def _last(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
