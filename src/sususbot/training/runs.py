"""Training runs on disk, and whose words went into their adapters.

What was learned cannot be taken out of weights again. So an adapter that learned from somebody who may not be learned
from any more is stale: it is named, and refused until it is trained anew or its owner insists.
Not here: training itself; the words (`sususbot.forgetting`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sususbot.archive.consents import Consents
from sususbot.artifacts import RUNS, authors_of

# How far above an adapter's file its run's manifest may stand: runs/NAME/checkpoints/step-100/adapter/….
_DEPTH: Final = 5
_ADAPTERS: Final = frozenset({".safetensors", ".gguf", ".bin"})


@dataclass(frozen=True, slots=True)
class Run:
    """A training run. `authors` is None where its manifest does not say whom it learned from."""

    folder: Path
    authors: frozenset[int] | None

    @property
    def name(self) -> str:
        return self.folder.name

    def learned_wrongly(self, consents: Consents) -> frozenset[int] | None:
        """Those it learned from who may not be learned from now; None where that cannot be told."""
        if self.authors is None:
            return None
        return self.authors - consents.may_learn(self.authors)

    def insisted_on(self, consents: Consents) -> "Run | None":
        """As its owner has it who uses it all the same: only who says no from now on counts; None where nobody can."""
        gone = self.learned_wrongly(consents)
        return None if self.authors is None or gone is None else replace(self, authors=self.authors - gone)


def runs(data: Path) -> list[Run]:
    """All runs of a data folder."""
    folders = sorted(path for path in (data / RUNS).glob("*") if path.is_dir())
    return [Run(folder, authors_of(folder)) for folder in folders]


def stale(data: Path, consents: Consents) -> Iterator[tuple[Run, frozenset[int] | None]]:
    """The runs whose adapters are not to be used, and on whose account."""
    for run in runs(data):
        gone = run.learned_wrongly(consents)
        # A run that was only begun has no adapter to refuse.
        if gone or (gone is None and any(path.suffix in _ADAPTERS for path in run.folder.rglob("*"))):
            yield run, gone


def run_of(adapter: Path, data: Path) -> Run | None:
    """The run that an adapter's file belongs to: the nearest manifest above it that names authors.

    None for one from elsewhere. One that lies among our runs without such a manifest is a run that does not say.
    """
    path = adapter.resolve()
    for folder in [path, *path.parents][:_DEPTH]:
        if (authors := authors_of(folder)) is not None:
            return Run(folder, authors)
    home = (data / RUNS).resolve()
    if path.is_relative_to(home) and path != home:
        return Run(home / path.relative_to(home).parts[0], None)
    return None


def complaint(run: Run, consents: Consents) -> str | None:
    """Why a run's adapter is refused, in one sentence; None where nothing is in the way."""
    gone = run.learned_wrongly(consents)
    if gone is None:
        what = f"the run {run.name} does not say whose words its adapter learned"
    elif gone:
        members = "1 member" if len(gone) == 1 else f"{len(gone)} members"
        what = f"the adapter of run {run.name} is stale: it learned from {members} who may not be learned from any more"
    else:
        return None
    return f"{what}: train it anew, or insist with --allow-stale"
