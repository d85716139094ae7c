"""Trainings on disk as a list shows them, and how the recipes of several differ. Manifests alone are read.

Not here: what a run reports of its steps (`curves`), whether its process lives (`trainings`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.artifacts import CORPORA, MANIFEST, MODELS, RUNS

# Kinds of runs, as their manifests have them.
LORA: Final = "lora"
BASE: Final = "base"
# Where a base made here lies.
_MODEL: Final = "model"
_CONFIG: Final = "config.json"


@dataclass(frozen=True, slots=True)
class Run:
    """`state` as the manifest says: training, stopped, finished; `process` is who trains, or trained."""

    name: str
    manifest: Mapping[str, Any]

    @property
    def state(self) -> str:
        return str(self.manifest.get("state", "unknown"))

    @property
    def kind(self) -> str:
        return str(self.manifest.get("kind", "unknown"))

    @property
    def begun(self) -> str:
        return str(self.manifest.get("begun", ""))

    @property
    def changed(self) -> str:
        """When something was last noted of it."""
        return str(self.manifest.get("changed") or self.begun)

    @property
    def process(self) -> int | None:
        process = self.manifest.get("process")
        return process if isinstance(process, int) else None

    @property
    def measured(self) -> bool:
        """Whether it is to be measured at the end, or was."""
        return self.manifest.get("measured") is True

    @property
    def verdict(self) -> str:
        """What measuring came to: allowed, refused; empty where there is no word on it yet."""
        return str(self.manifest.get("verdict") or "")

    @property
    def corpus(self) -> str:
        return str(self._part("corpus").get("name", ""))

    @property
    def base(self) -> str:
        """What it was put upon; of a base made here its size."""
        if self.kind == BASE:
            return f"none ({self.manifest.get('size', '?')})"
        return str(self._part("base").get("name", ""))

    @property
    def recipe(self) -> Mapping[str, Any]:
        return self._part("recipe")

    @property
    def outcome(self) -> Mapping[str, Any]:
        return self._part("outcome")

    @property
    def hardware(self) -> Mapping[str, Any]:
        return self._part("hardware")

    def facts(self) -> dict[str, str]:
        """What decides what came out, for comparing."""
        return {
            "corpus": self.corpus,
            "base": self.base,
            "continued": str(self.manifest.get("continued") or "no"),
            **{name: str(value) for name, value in self.recipe.items()},
            **{f"on {name}": str(value) for name, value in self.hardware.items()},
        }

    def _part(self, name: str) -> Mapping[str, Any]:
        part = self.manifest.get(name)
        return part if isinstance(part, dict) else {}


def runs(data: Path) -> list[Run]:
    """All whose manifest can be read, the newest first."""
    found = []
    for path in (data / RUNS).glob(f"*/{MANIFEST}"):
        try:
            manifest = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(manifest, dict):
            found.append(Run(path.parent.name, manifest))
    return sorted(found, key=lambda run: (run.begun, run.name), reverse=True)


def differences(chosen: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """What is not the same in all of them: (what, its value in each)."""
    facts = [run.facts() for run in chosen]
    names = dict.fromkeys(name for one in facts for name in one)
    rows = [(name, [one.get(name, "–") for one in facts]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def corpora(data: Path) -> list[str]:
    """Those that are finished."""
    return sorted(path.parent.name for path in (data / CORPORA).glob(f"*/{MANIFEST}"))


def bases(data: Path, named: str) -> list[str]:
    """What can be trained on: that of the settings, made here (by the run's name), and fetched (by folder)."""
    made = sorted(path.parents[1].name for path in (data / RUNS).glob(f"*/{_MODEL}/{_CONFIG}"))
    fetched = sorted(str(path.parent) for path in (data / MODELS).glob(f"*/{_CONFIG}"))
    return list(dict.fromkeys([named, *made, *fetched]))
