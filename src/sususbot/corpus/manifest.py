"""A finished corpus on disk: two files of samples, and a manifest that is written last and names what they are made of.

**Invariant.** A folder with a manifest is whole. Everything is written aside, flushed to disk and put in its place by
one rename each; the old manifest goes first, so that a stop between leaves no corpus rather than a mixed one.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.artifacts import MANIFEST, flush_folder, sync
from sususbot.corpus.samples import Sample
from sususbot.errors import CorpusChanged, CorpusMissing
from sususbot.in_place import put

TRAIN: Final = "train.jsonl"
VALID: Final = "valid.jsonl"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that was found whole."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def persona(self) -> str:
        """What stands above every sample, and above every prompt of the bot."""
        return str(self.manifest["persona_text"])

    @property
    def origins(self) -> dict[str, int]:
        """How many messages of the archive it was built from came in which way."""
        return dict(self.manifest["archive"]["origins"])

    @property
    def authors(self) -> dict[int, float]:
        """Author -> what is learned of it: weight times tokens."""
        return {int(id_): mass for id_, mass in self.manifest["authors"].items()}

    def train(self) -> Iterator[Sample]:
        return read_samples(self.folder / TRAIN)

    def valid(self) -> Iterator[Sample]:
        return read_samples(self.folder / VALID)


def load(folder: Path) -> Corpus:
    """The corpus in a folder, all of it checked. Raises CorpusMissing, and CorpusChanged with every difference."""
    path = folder / MANIFEST
    if not path.is_file():
        raise CorpusMissing(f"there is no finished corpus in {folder}: run  sususbot build")
    try:
        manifest = orjson.loads(path.read_bytes())
        files = dict(manifest["files"])
        known = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusChanged(f"{path} is no manifest ({error}): run  sususbot build  again") from error
    faults = [fault for name, facts in files.items() if (fault := _fault(folder / name, facts))]
    if known != FORMAT:
        faults.append(f"its format is {known}, this version reads {FORMAT}")
    faults += [f"{name} is not in its manifest" for name in (TRAIN, VALID) if name not in files]
    if faults:
        raise CorpusChanged(
            f"the corpus in {folder} is not what was built: {'; '.join(faults)}: run  sususbot build  again"
        )
    return Corpus(folder, manifest)


def read_samples(path: Path) -> Iterator[Sample]:
    with path.open("rb") as file:
        yield from map(Sample.from_json, file)


def _fault(path: Path, facts: Mapping[str, Any]) -> str | None:
    if not path.is_file():
        return f"{path.name} is missing"
    if path.stat().st_size != facts["bytes"]:
        return f"{path.name} has {path.stat().st_size:,} bytes instead of {facts['bytes']:,}"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return None if found == facts["sha256"] else f"{path.name} has other content"


class Writer:
    """Writes a corpus. Use it as a context: left by an error, it leaves nothing of what was begun."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = folder.with_name(f".{folder.name}.new")
        self._files: dict[str, _Output] = {}

    def __enter__(self) -> "Writer":
        # What a run that was killed left behind.
        shutil.rmtree(self._aside, ignore_errors=True)
        self._aside.mkdir(parents=True)
        self._files = {name: _Output(self._aside / name) for name in (TRAIN, VALID)}
        return self

    def __exit__(self, *_: object) -> None:
        for output in self._files.values():
            output.file.close()
        shutil.rmtree(self._aside, ignore_errors=True)

    def add(self, name: str, sample: Sample) -> None:
        self._files[name].add(sample)

    def finish(self, manifest: Mapping[str, Any], permitted: AbstractContextManager[None] | None = None) -> Corpus:
        """Put it in place; only now is the old one gone. `permitted` is held meanwhile, and may refuse it."""
        whole = {**manifest, "files": {name: output.closed() for name, output in self._files.items()}}
        with permitted or nullcontext():
            self._put(whole)
        return Corpus(self._folder, orjson.loads((self._folder / MANIFEST).read_bytes()))

    def _put(self, manifest: Mapping[str, Any]) -> None:
        options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
        with (self._aside / MANIFEST).open("wb") as file:
            file.write(orjson.dumps(manifest, option=options))
            sync(file)
        self._folder.mkdir(exist_ok=True)
        (self._folder / MANIFEST).unlink(missing_ok=True)
        flush_folder(self._folder)
        for name in (TRAIN, VALID, MANIFEST):
            put(self._aside / name, self._folder / name)
            flush_folder(self._folder)


class _Output:
    """A file of samples, and what the manifest says of it."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self._hash = hashlib.sha256()
        self._facts = {"samples": 0, "bytes": 0, "tokens": 0, "trained": 0.0}

    def add(self, sample: Sample) -> None:
        row = sample.as_json()
        self.file.write(row)
        self._hash.update(row)
        self._facts["samples"] += 1
        self._facts["bytes"] += len(row)
        self._facts["tokens"] += sample.tokens
        self._facts["trained"] += sample.trained

    def closed(self) -> dict[str, Any]:
        sync(self.file)
        self.file.close()
        return {**self._facts, "trained": round(self._facts["trained"], 1), "sha256": self._hash.hexdigest()}
