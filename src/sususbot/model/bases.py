"""Base models in the data folder: which are there, which fit a card, which of a repository's files make one, fetched.

Two kinds. A GGUF file is for llama.cpp. A folder of safetensors is for training and for transformers. Both stand in the
folder of models under their own name when they are whole; until then their name ends in `.part`.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, Literal

from sususbot.errors import DownloadFailed, ModelInUse, NotOnHub
from sususbot.in_place import put
from sususbot.model.hub import PART, Hub, HubFile, Progress, Repo, check_room

Kind = Literal["gguf", "folder"]

_GGUF: Final = ".gguf"
_CONFIG: Final = "config.json"
# Of a repository with a base to learn on; Mistral's also holds all weights a second time, in a file of its own.
_WANTED: Final = ("*.json", "*.safetensors", "tokenizer.model", "*.tiktoken")
_UNWANTED: Final = ("consolidated*",)
# What the larger part of a card is for; the rest is for the context, the desktop, and speed: a reply reads each weight
# once a token.
_SHARE: Final = 0.6
_SPLIT: Final = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"https?://[^/]+/([^/]+/[^/]+)(?:/(?:resolve|blob|tree)/[^/]+/?(.*?))?/?(?:\?.*)?$")
# What a name may be made of, on every system.
_PLAIN: Final = re.compile(r"[\w][\w .+()-]*")
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Known:
    """A base known to be good, and where it was seen. Names on a hub are others' to change: `repos` are tried in turn.

    `file` is None for a folder. `size` in bytes, roughly: what is downloaded is what the hub says.
    """

    name: str
    repos: tuple[str, ...]
    file: str | None
    size: int
    about: str

    @property
    def kind(self) -> Kind:
        return "gguf" if self.file is not None else "folder"


_GGUF_REPOS: Final = ("MaziyarPanahi/Mistral-7B-v0.3-GGUF", "QuantFactory/Mistral-7B-v0.3-GGUF")


def _quant(bits: str, size: int, about: str) -> Known:
    return Known(f"mistral-7b-{bits.lower()}", _GGUF_REPOS, f"Mistral-7B-v0.3.{bits}.gguf", size, about)


# Of one base, so that an adapter fits them all. From small to large, which is from fast to exact.
KNOWN: Final = (
    _quant("Q4_K_M", 4_370_000_000, "to talk: small and fast, and nearly as good"),
    _quant("Q5_K_M", 5_140_000_000, "to talk: hardly to be told from the original"),
    _quant("Q6_K", 5_950_000_000, "to talk: not to be told from it"),
    _quant("Q8_0", 7_700_000_000, "to talk: for cards with memory to spare"),
    Known(
        "mistral-7b",
        ("mistralai/Mistral-7B-v0.3", "unsloth/mistral-7b-v0.3"),
        None,
        14_500_000_000,
        "to train on, and for BACKEND=transformers",
    ),
)


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A base in the folder of models. `whole` is false for what is still to come."""

    name: str
    path: Path
    kind: Kind
    size: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Fetched:
    """A base that is there now. `was_there`: nothing had to come, its hash was compared alone."""

    path: Path
    kind: Kind
    size: int
    repo: str
    commit: str
    was_there: bool


def default_for(memory: int | None) -> Known:
    """What to talk with on a card with so many bytes of memory, or on none."""
    quants = [known for known in KNOWN if known.kind == "gguf"]
    fitting = [known for known in quants if known.size <= _SHARE * (memory or 0)]
    return fitting[-1] if fitting else quants[0]


def parse(text: str) -> tuple[tuple[str, ...], str | None]:
    """The repositories to try and the file in them (None: what makes a base) that somebody means by a text.

    A known name, a quant of it (`Q4_K_M`), `owner/name`, `owner/name:FILE`, or an address copied from a hub's page.
    """
    for known in KNOWN:
        quant = (known.file or "").removesuffix(_GGUF).rpartition(".")[2]
        if text.casefold() in filter(None, (known.name, quant.casefold())):
            return known.repos, known.file
    if address := _ADDRESS.match(text):
        return (address[1],), address[2] or None
    repo, _, file = text.partition(":")
    if "/" not in repo:
        names = ", ".join(known.name for known in KNOWN)
        raise NotOnHub(f"{text} is no base that is known here: choose one of {names}, or write owner/name")
    return (repo,), file or None


def found(hub: Hub, repos: Sequence[str]) -> Repo:
    """The first of these that the hub gives. Raises NotOnHub as the first did."""
    refused: NotOnHub | None = None
    for name in repos:
        try:
            return hub.find(name)
        except NotOnHub as error:
            refused = refused or error
    assert refused is not None
    raise refused


def fetch(hub: Hub, repo: Repo, file: str | None, models: Path, progress: Progress) -> Fetched:
    """A base into the folder of models, under its own name when it is whole. Raises NotOnHub and DownloadFailed."""
    files = _chosen(repo, file)
    if file is not None or files[0].name.lower().endswith(_GGUF):
        return _fetch_gguf(hub, repo, files[0], models, progress)
    return _fetch_folder(hub, repo, files, models, progress)


def on_disk(models: Path) -> Iterator[OnDisk]:
    """Every base there, whole or not; what else lies in the folder is not looked at."""
    for path in sorted(models.glob("*"), key=lambda path: path.name.casefold()):
        name, whole = path.name, True
        if name.endswith(PART):
            # NAME.<what it is>.part
            name, whole = name.removesuffix(PART).rpartition(".")[0], False
        if path.is_dir() and (not whole or (path / _CONFIG).is_file()):
            size = sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
            yield OnDisk(name, path, "folder", size, whole)
        elif path.is_file() and name.lower().endswith(_GGUF):
            yield OnDisk(name, path, "gguf", path.stat().st_size, whole)


def remove(base: OnDisk) -> None:
    """Raises ModelInUse where another program holds it."""
    try:
        if base.path.is_dir() and not base.path.is_symlink():
            # By one rename, so that half a base never stands under its name.
            aside = base.path.with_name(f"{base.path.name}.removed{PART}")
            put(base.path, aside)
            shutil.rmtree(aside)
        else:
            base.path.unlink()
    except OSError as error:
        raise ModelInUse(
            f"{base.path} cannot be removed ({error.strerror or error}): stop what uses it and run the same again"
        ) from error


def _fetch_gguf(hub: Hub, repo: Repo, file: HubFile, models: Path, progress: Progress) -> Fetched:
    path = models / file.short_name
    was_there = path.exists()
    if was_there and not file.is_at(path):
        raise _is_another(path)
    if not was_there:
        check_room(models, file.size - _come(models / file.part_name()))
        hub.fetch(repo, file, models, progress)
    return Fetched(path, "gguf", file.size, repo.name, repo.commit, was_there)


def _fetch_folder(hub: Hub, repo: Repo, files: Sequence[HubFile], models: Path, progress: Progress) -> Fetched:
    name = repo.name.rpartition("/")[2]
    path, size = models / name, sum(file.size for file in files)
    was_there = path.exists()
    if was_there and not all(file.is_at(path / file.short_name) for file in files):
        raise _is_another(path)
    if not was_there:
        aside = models / f"{name}.{repo.commit[:12]}{PART}"
        missing = [file for file in files if not (aside / file.short_name).is_file()]
        come = sum(_come(aside / file.part_name()) for file in missing)
        check_room(models, sum(file.size for file in missing) - come)
        done = size - sum(file.size for file in missing)
        for file in missing:
            hub.fetch(repo, file, aside, lambda now, _, before=done: progress(before + now, size))  # type: ignore[misc]
            done += file.size
        put(aside, path)
    return Fetched(path, "folder", size, repo.name, repo.commit, was_there)


def _chosen(repo: Repo, wanted: str | None) -> Sequence[HubFile]:
    """The file that is wanted, or all that makes the repository's base."""
    ggufs = [file for file in repo.files if file.name.lower().endswith(_GGUF) and _PLAIN.fullmatch(file.short_name)]
    if wanted is not None:
        return [_matching(repo, ggufs, wanted)]
    folder = [file for file in repo.files if _PLAIN.fullmatch(file.name) and _belongs(file.name)]
    names = {file.name for file in folder}
    if _CONFIG in names and any(name.endswith(".safetensors") for name in names):
        return folder
    if len(ggufs) == 1:
        return [_matching(repo, ggufs, ggufs[0].name)]
    if ggufs:
        raise NotOnHub(f"{repo.name} has several files: add the one you want, as in  {repo.name}:{_listed(ggufs)}")
    raise NotOnHub(f"{repo.name} holds neither a GGUF file nor a base in safetensors: choose another model")


def _belongs(name: str) -> bool:
    wanted = any(fnmatch(name, pattern) for pattern in _WANTED)
    return wanted and not any(fnmatch(name, pattern) for pattern in _UNWANTED)


def _matching(repo: Repo, ggufs: Sequence[HubFile], wanted: str) -> HubFile:
    """By its name, or by a piece of it that no other has."""
    for same in (
        lambda name: name == wanted,
        lambda name: name.casefold() == wanted.casefold(),
        lambda name: wanted.casefold() in name.casefold(),
    ):
        matching = [file for file in ggufs if same(file.name) or same(file.short_name)]
        if len(matching) == 1:
            if _SPLIT.search(matching[0].name):
                raise NotOnHub(
                    f"{matching[0].short_name} is one piece of several: choose a file that is whole, or join the "
                    "pieces with llama.cpp's llama-gguf-split"
                )
            return matching[0]
        if matching:
            raise NotOnHub(f"{wanted} may be several files of {repo.name}: say which of {_listed(matching)}")
    if not ggufs:
        raise NotOnHub(f"{repo.name} has no GGUF file: leave the file away to fetch its folder, or choose another")
    raise NotOnHub(f"{repo.name} has no file {wanted}: choose one of {_listed(ggufs)}")


def _listed(files: Sequence[HubFile]) -> str:
    names = [file.name for file in files]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _come(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _is_another(path: Path) -> DownloadFailed:
    return DownloadFailed(
        f"{path} is there already and is not what the hub has under that name now: keep it, or run  "
        f"sususbot models remove {path.name}  first"
    )
