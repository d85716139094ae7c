"""Models from a hub, Hugging Face's or a mirror of it: found, downloaded, and checked by their hashes.

A file is fetched into a part beside its place, from where an earlier download of the same content ended, and gets its
name only when its hash is the hub's: SHA-256 for what is large, git's own for the rest. A file cut short, by the
network, a full disk or the end of the program, stays a part.
Two addresses are all that is needed, over the client that the bot has anyway. Hugging Face's own library was looked at:
it begins a file anew when a program was ended, and compares no hash with what came.
"""

import errno
import hashlib
import os
import re
import shutil
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final
from urllib.parse import quote

import httpx

from sususbot.errors import DownloadFailed, NotOnHub, SettingsError
from sususbot.file_lock import Held, hold
from sususbot.in_place import put
from sususbot.proxy import proxy_for, shown

ENDPOINT: Final = "https://huggingface.co"
PART: Final = ".part"
# Told (bytes done, bytes in all).
Progress = Callable[[int, int], None]

_CHUNK: Final = 1 << 20
# Seconds before each new try after a connection was lost, or the hub was busy.
_PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 20.0)
_LONGEST_PAUSE: Final = 60.0
_TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
# Left free on the disk, for the archive of a bot that runs meanwhile.
_RESERVE: Final = 200_000_000
_GB: Final = 1e9
_REPO: Final = re.compile(r"[\w][\w.-]*/[\w][\w.-]*", re.ASCII)
_SHA256: Final = re.compile("[0-9a-f]{64}")
_SHA1: Final = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub describes it. `digest` is the SHA-256 of a large file, git's hash of a blob of a small one."""

    name: str
    size: int
    digest: str

    @property
    def short_name(self) -> str:
        """Without the folders it lies in there."""
        return PurePosixPath(self.name).name

    def part_name(self) -> str:
        """What it is called until it is whole; other content has another name."""
        return f"{self.short_name}.{self.digest[:12]}{PART}"

    def new_hash(self) -> Any:
        """What will be `digest` when it was given the whole content."""
        if _SHA256.fullmatch(self.digest):
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)

    def is_at(self, path: Path) -> bool:
        """Whether a file holds this very content, all of it."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        digest = self.new_hash()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return bool(digest.hexdigest() == self.digest)


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository at one commit."""

    name: str
    commit: str
    files: tuple[HubFile, ...]


@cache
def _certificates() -> ssl.SSLContext:
    # Reading them takes 60 ms: once for all connections.
    return httpx.create_ssl_context()


class Hub:
    """One hub. `pauses` are the seconds before each new try; after the last of them it gives up."""

    def __init__(
        self, endpoint: str = ENDPOINT, *, token: str | None = None, pauses: Sequence[float] = _PAUSES
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._host = shown(self.endpoint)
        if not self.endpoint.startswith(("http://", "https://")):
            raise SettingsError(f"HF_ENDPOINT={self._host} is no address: write it like {ENDPOINT}")
        if token and not (token.isascii() and token.isprintable()):
            raise SettingsError("HF_TOKEN holds a sign that no token has: copy it again")
        self._pauses = pauses
        headers = {"User-Agent": "sususbot", "Accept-Encoding": "identity"}
        # httpx keeps it from every other host that a download is redirected to.
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # Redirects lead to other hosts of the hub's, by the same proxy.
        proxy = proxy_for(self.endpoint)
        self._way = "the network" if proxy is None else f"the network, the proxy {shown(proxy)}"
        self._client = httpx.Client(
            headers=headers,
            timeout=_TIMEOUT,
            follow_redirects=True,
            transport=httpx.HTTPTransport(verify=_certificates(), proxy=proxy),
        )

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Hub":
        """The hub that HF_ENDPOINT names, with the token in HF_TOKEN or the one that  hf auth login  wrote down."""
        endpoint = environment.get("HF_ENDPOINT", "").strip() or ENDPOINT
        return cls(endpoint, token=environment.get("HF_TOKEN", "").strip() or _stored_token(environment))

    def close(self) -> None:
        self._client.close()

    def find(self, name: str) -> Repo:
        """What the repository `owner/name` holds now. Raises NotOnHub, and DownloadFailed without a network."""
        if not _REPO.fullmatch(name):
            raise NotOnHub(f"{name} is no name of a model on a hub: write owner/name, e.g. mistralai/Mistral-7B-v0.3")
        told = self._asked(f"{self.endpoint}/api/models/{name}/revision/main?blobs=true", name)
        try:
            return Repo(name, str(told["sha"]), tuple(_described(entry) for entry in told["siblings"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DownloadFailed(
                f"{self._host} does not tell sizes and hashes as a hub does, so nothing could be checked: choose "
                "another HF_ENDPOINT"
            ) from error

    def fetch(self, repo: Repo, file: HubFile, folder: Path, progress: Progress) -> Path:
        """A file in a folder. Raises NotOnHub and DownloadFailed; what came stays there for the next time.

        What turns out to be of something else is thrown away, and all of it is fetched once more.
        """
        path = folder / file.short_name
        part_path = folder / file.part_name()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _held(part_path) as out:
                part = _Part(out, file)
                try:
                    self._complete(part, repo, progress)
                except (NotOnHub, DownloadFailed):
                    if not part.have:
                        # Windows keeps it, as it is open; there is no harm in an empty one.
                        with suppress(OSError):
                            part_path.unlink()
                    raise
                out.flush()
                os.fsync(out.fileno())
            put(part_path, path)
        except OSError as error:
            raise DownloadFailed(_refused(error, part_path, folder)) from error
        return path

    # -- over the network

    def _asked(self, url: str, name: str) -> Any:
        for pause in (*self._pauses, None):
            try:
                answer = self._client.get(url)
                _check(answer, name)
                return answer.json()
            except _Busy as busy:
                if pause is None:
                    raise DownloadFailed(f"{self._host} is out of order ({busy}): try again later") from busy
                time.sleep(busy.pause(pause))
            except httpx.HTTPError as error:
                raise DownloadFailed(
                    f"{self._host} cannot be reached ({_reason(error)}): check {self._way}, or HF_ENDPOINT"
                ) from error
            except ValueError as error:
                raise DownloadFailed(f"{self._host} does not answer as a hub does: check HF_ENDPOINT") from error
        raise AssertionError("the last pause is none")

    def _complete(self, part: "_Part", repo: Repo, progress: Progress) -> None:
        begun_before = part.have > 0
        self._fill(part, repo, progress)
        if begun_before and not part.is_right():
            part.begin_anew()
            self._fill(part, repo, progress)
        if not part.is_right():
            part.begin_anew()
            raise DownloadFailed(_not_right(part.file, self._host))

    def _fill(self, part: "_Part", repo: Repo, progress: Progress) -> None:
        """Fetch what is missing, however often the connection is lost, as long as something comes between."""
        pauses = iter(self._pauses)
        progress(part.have, part.file.size)
        while not part.is_full():
            before, least = part.have, 0.0
            try:
                self._stream(part, repo, progress)
                reason = "it ended too early"
            except _Busy as busy:
                reason, least = str(busy), busy.least
            except httpx.HTTPError as error:
                reason = _reason(error)
            if part.have > before:
                pauses = iter(self._pauses)
            if part.is_full():
                break
            pause = next(pauses, None)
            if pause is None:
                raise DownloadFailed(
                    f"the connection to {self._host} was lost at {part.have / _GB:.1f} of "
                    f"{part.file.size / _GB:.1f} GB of {part.file.short_name} ({reason}): run the same command again, "
                    "it goes on from there"
                )
            time.sleep(max(pause, least))

    def _stream(self, part: "_Part", repo: Repo, progress: Progress) -> None:
        url = f"{self.endpoint}/{repo.name}/resolve/{repo.commit}/{quote(part.file.name)}"
        wanted = {"Range": f"bytes={part.have}-"} if part.have else {}
        with self._client.stream("GET", url, headers=wanted) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                # It said that there is more.
                part.begin_anew()
                raise DownloadFailed(_not_right(part.file, self._host))
            _check(response, repo.name, part.file.name)
            if part.have and not response.headers.get("Content-Range", "").startswith(f"bytes {part.have}-"):
                part.begin_anew()
            # As it comes: what waits for a larger piece would be lost with the connection.
            for chunk in response.iter_raw():
                part.add(chunk)
                progress(part.have, part.file.size)
                if part.have > part.file.size:
                    return


class _Part:
    """What came of a file so far, and its hash."""

    def __init__(self, out: IO[bytes], file: HubFile) -> None:
        self.file = file
        self._out = out
        self._hash = file.new_hash()
        self.have = 0
        out.seek(0)
        while chunk := out.read(_CHUNK):
            self._hash.update(chunk)
            self.have += len(chunk)

    def add(self, chunk: bytes) -> None:
        self._out.write(chunk)
        self._hash.update(chunk)
        self.have += len(chunk)

    def begin_anew(self) -> None:
        self._out.truncate(0)
        self._hash = self.file.new_hash()
        self.have = 0

    def is_full(self) -> bool:
        return self.have >= self.file.size

    def is_right(self) -> bool:
        return self.have == self.file.size and bool(self._hash.hexdigest() == self.file.digest)


class _Busy(Exception):
    """The hub wants to be asked again, after `least` seconds if it said so."""

    def __init__(self, status: int, least: float) -> None:
        super().__init__(f"status {status}")
        self.least = least

    def pause(self, usual: float) -> float:
        return max(usual, self.least)


def check_room(folder: Path, needed: int) -> None:
    """Raises DownloadFailed where the disk of a folder, which need not be there yet, has less room than that."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed + _RESERVE > free:
        raise DownloadFailed(
            f"{needed / _GB:.1f} GB are to come and the disk of {folder} has {free / _GB:.1f} GB free: make room, or "
            "choose another place with  --data"
        )


def _described(entry: Mapping[str, Any]) -> HubFile:
    """Raises ValueError, KeyError or TypeError where size or hash are missing."""
    large = entry.get("lfs") or {}
    digest = str(large["sha256"] if large else entry["blobId"]).lower()
    if not (_SHA256 if large else _SHA1).fullmatch(digest):
        raise ValueError(digest)
    return HubFile(str(entry["rfilename"]), int(large.get("size", entry["size"])), digest)


def _check(response: httpx.Response, name: str, file: str = "") -> None:
    """Raises what an answer other than the wanted one means."""
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    if response.is_success:
        return
    if status in _PASSING:
        raise _Busy(status, _seconds(response.headers.get("Retry-After", "")))
    if code == "GatedRepo" or status == httpx.codes.FORBIDDEN:
        raise NotOnHub(
            f"the hub gives {name} only to who agreed to its terms: agree on its page there, and set HF_TOKEN to a "
            "token of your account"
        )
    if status == httpx.codes.UNAUTHORIZED:
        raise NotOnHub(f"the hub has no model {name}, or keeps it from strangers: check the name, or set HF_TOKEN")
    if status == httpx.codes.NOT_FOUND and file:
        raise NotOnHub(f"{name} has no file {file} any more: run the same command again")
    if status == httpx.codes.NOT_FOUND:
        raise NotOnHub(f"the hub has no model {name}: check the name")
    raise DownloadFailed(f"the hub refuses {name} (status {status}): try again later, or check HF_ENDPOINT")


def _seconds(text: str) -> float:
    return min(float(text), _LONGEST_PAUSE) if text.isdecimal() else 0.0


def _reason(error: httpx.HTTPError) -> str:
    """What went wrong, as short as it is clear."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.LocalProtocolError):
        # What it says repeats what was to be sent, also the token.
        return type(error).__name__
    return str(error).strip().rstrip(".") or type(error).__name__


def _not_right(file: HubFile, host: str) -> str:
    return (
        f"what {host} sends of {file.short_name} is not what it says it is (the hash differs), and was thrown "
        "away: run the same command again, or choose another HF_ENDPOINT"
    )


def _refused(error: OSError, part: Path, folder: Path) -> str:
    """What the disk did, in a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        try:
            have = part.stat().st_size
        except OSError:
            have = 0
        return (
            f"the disk of {folder} is full ({have / _GB:.1f} GB came): make room and run the same command again, it "
            "goes on from there"
        )
    return f"{folder} cannot be written to ({error.strerror or error}): mend that, or choose a place with  --data"


def _stored_token(environment: Mapping[str, str]) -> str | None:
    cache = environment.get("XDG_CACHE_HOME") or "~/.cache"
    home = environment.get("HF_HOME") or f"{cache}/huggingface"
    path = Path(environment.get("HF_TOKEN_PATH") or f"{home}/token")
    try:
        return path.expanduser().read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError, RuntimeError):
        return None


@contextmanager
def _held(path: Path) -> Iterator[IO[bytes]]:
    """A file to add to, which no other program of ours adds to meanwhile."""
    with path.open("a+b") as file:
        try:
            hold(file)
        except Held as error:
            raise DownloadFailed(f"{path.name} is being downloaded already: wait until that is done") from error
        yield file
